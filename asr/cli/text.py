"""asr-text: train a tagger."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from asr.cli.run import run
from asr.cli.train import add_run, launch_training, run_trainer
from asr.config import Config, load_config
from asr.text import Normalizer

if TYPE_CHECKING:
    from asr.distributed import ProcessGroup
    from asr.readable import WrittenText


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser("asr-text train", description=__doc__)
    parser.add_argument(
        "--train", nargs="+", required=True, metavar="TEXT", help="written text; .gz, .xz"
    )
    parser.add_argument(
        "--valid", nargs="+", required=True, metavar="TEXT", help="text that chooses the epoch"
    )
    add_run(parser, "conf/tagger.toml")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command."""
    words = sys.argv[1:] if argv is None else argv
    arguments = parser().parse_intermixed_args(words)
    return run("asr-text", lambda: launch(arguments, words))


def launch(arguments: argparse.Namespace, words: Sequence[str]) -> int:
    """Read and check the configuration, then train in one process or several."""
    config = load_config(arguments.conf, arguments.overrides)
    return launch_training(
        config, arguments, words, module="asr.cli.text", prepare=prepare, train=train
    )


@dataclass(frozen=True)
class TaggerData:
    """The texts to train and validate on."""

    train: "WrittenText"
    valid: "WrittenText"


def prepare(config: Config, arguments: argparse.Namespace) -> TaggerData:
    """Read the texts."""
    from asr.checkpoint import check_resumed
    from asr.readable import WrittenText

    if arguments.resume:
        check_resumed(arguments.out, config)
    normalizer = Normalizer(**vars(config.text))
    train = WrittenText.read(arguments.train, normalizer)
    return TaggerData(train, WrittenText.read(arguments.valid, normalizer))


def train(
    config: Config, folder: Path, resume: bool, material: TaggerData, group: "ProcessGroup"
) -> int:
    """Train on this process's share of the data; return the exit status."""
    from asr.distributed import choose_device
    from asr.readable import WrittenForms
    from asr.train import Trainer
    from asr.training import TaggerTask

    task = TaggerTask(
        config, material.train, material.valid, group=group, device=choose_device(config)
    )
    return run_trainer(
        Trainer(task, config.train, folder, group, rate="words_per_s"),
        config,
        WrittenForms(material.train.forms),
        resume=resume,
        data=f"{len(material.train)} words, {len(material.train.words)} different ones",
    )


if __name__ == "__main__":
    sys.exit(main())

"""asr-text: train, export, judge and use the tagger that makes texts readable."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from asr._progress import counted, say, waiting
from asr._streams import put
from asr.cli.run import CommandParser, check_given, given_model, run, run_command_of
from asr.cli.train import add_run, launch_training, run_trainer
from asr.config import Config, load_config
from asr.errors import ConfigError
from asr.text import Normalizer

if TYPE_CHECKING:
    from asr.distributed import ProcessGroup
    from asr.readable import Tagger, WrittenText
    from asr.training import Source


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    description = "Capitals, punctuation and digits for recognised words."
    return run_command_of("asr-text", description, COMMANDS, argv)


def train(words: list[str]) -> int:
    """Train a tagger into an experiment folder."""
    parser = CommandParser(
        "asr-text train",
        description="Train a tagger on written text, in reading order: books, articles, minutes.",
    )
    parser.add_argument(
        "--train", nargs="+", required=True, metavar="TEXT", help="written text; .gz, .xz"
    )
    parser.add_argument(
        "--valid", nargs="+", required=True, metavar="TEXT", help="text that chooses the epoch"
    )
    add_run(parser, "conf/tagger.toml")
    return run("asr-text", lambda: _launch(parser.parse_intermixed_args(words), ["train", *words]))


def _launch(arguments: argparse.Namespace, words: Sequence[str]) -> int:
    """Read and check the configuration, then train in one process or several."""
    config = load_config(arguments.conf, arguments.overrides)
    if config != Config(text=config.text, tagger=config.tagger, train=config.train):
        raise ConfigError(
            f"{arguments.conf}: a tagger has the sections [text], [tagger] and [train]"
        )
    if "-" in (*arguments.train, *arguments.valid):
        raise ConfigError("standard input can be read once only; give a file instead of -")
    return launch_training(
        config, arguments, words, module="asr.cli.text", prepare=_prepare, train=_train
    )


@dataclass(frozen=True)
class TaggerData:
    """The texts to train and validate on."""

    train: "WrittenText"
    valid: "WrittenText"
    sources: "Mapping[str, Source]"  # by option, for `check_sources`


def _prepare(config: Config, arguments: argparse.Namespace) -> TaggerData:
    """Read the texts."""
    from asr.checkpoint import check_resumed
    from asr.readable import WrittenText
    from asr.training import Source, check_sources

    sources = {
        "train": Source.of_files(arguments.train),
        "valid": Source.of_files(arguments.valid),
    }
    if arguments.resume:
        check_resumed(arguments.out, config)
        check_sources(arguments.out, sources)
    normalizer = Normalizer(**vars(config.text))
    texts = WrittenText.read(arguments.train, normalizer)
    return TaggerData(texts, WrittenText.read(arguments.valid, normalizer), sources)


def _train(
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
        material.sources,
        resume=resume,
        data=f"{counted(len(material.train), 'word')}, {len(material.train.words)} different ones",
    )


def export(words: list[str]) -> int:
    """Write a trained tagger into the folder of a model."""
    parser = CommandParser(
        "asr-text export", description="Put a trained tagger into the folder of a model."
    )
    parser.add_argument("experiment", type=Path, help="--out folder of asr-text train")
    parser.add_argument("model", help="model bundle or experiment folder of asr-train")
    parser.add_argument(
        "--tune",
        nargs="+",
        default=[],
        metavar="TEXT",
        help="written text, not used in training, on which rare marks get their best frequency",
    )
    return run("asr-text", lambda: _export(parser.parse_args(words)))


def _export(arguments: argparse.Namespace) -> int:
    """Write the tagger, and its sha256 into the index of a bundle."""
    from asr.export import is_bundle, reseal
    from asr.readable import TAGGER, load_tagger, tuned

    check_given("EXPERIMENT", arguments.experiment)
    model = given_model("MODEL", arguments.model)
    tagger = load_tagger(arguments.experiment)
    if arguments.tune:
        with waiting("tuning"):
            tagger = tuned(tagger, _read(tagger, arguments.tune))
    tagger.save(model / TAGGER)
    if is_bundle(model):
        reseal(model, TAGGER)
    say(f"{model / TAGGER}: {(model / TAGGER).stat().st_size / 1e6:.1f} MB")
    return 0


def judge(words: list[str]) -> int:
    """Print how well a tagger finds the marks and capitals of written text."""
    parser = CommandParser(
        "asr-text judge",
        description="Print precision, recall and F1 of marks and capitals on written text, with "
        "counts, beside a rule that knows nothing but pauses and the word I.",
    )
    parser.add_argument("model", help="folder with a tagger, or the name of a model")
    parser.add_argument("texts", nargs="+", metavar="TEXT", help="written text; .gz, .xz")
    parser.add_argument(
        "--pauses",
        choices=["none", "all", "long"],
        default="none",
        help="simulate the pauses of a speaker; long: those above a second; default: none",
    )
    return run("asr-text", lambda: _judge(parser.parse_args(words)))


def _judge(arguments: argparse.Namespace) -> int:
    """Print a table of the tagger and one of the rule."""
    from asr.readable import TAGGER, Tagger, judged, judged_by_rule

    tagger = Tagger.load(given_model("MODEL", arguments.model) / TAGGER)
    with waiting("reading"):
        text = _read(tagger, arguments.texts)
    put(f"{counted(len(text), 'word')}, pauses: {arguments.pauses}")
    with waiting("judging"):
        by_tagger = judged(tagger, text, arguments.pauses)
        by_rule = judged_by_rule(text, arguments.pauses)
    for name, counts in (("tagger", by_tagger), ("rule", by_rule)):
        for tag, count in counts.items():
            put(f"{name:7}{tag:12} {count}")
    return 0


def _read(tagger: "Tagger", texts: Sequence[str]) -> "WrittenText":
    """Read written texts as the words that a tagger knows."""
    from asr.readable import WrittenText

    info = tagger.info
    numbers = "en" if info.english else "keep"
    normalizer = Normalizer("keep", numbers, info.strip_accents, info.keep)
    return WrittenText.read(texts, normalizer)


def write(words: list[str]) -> int:
    """Print plain text as readable text."""
    parser = CommandParser(
        "asr-text write", description="Print plain text with capitals, punctuation and digits."
    )
    parser.add_argument("model", help="folder with a tagger, or the name of a model")
    parser.add_argument(
        "text", help="words without punctuation, a text a line; - for standard input"
    )
    parser.add_argument(
        "--numbers", choices=["digits", "words"], help="default: digits, with a tagger for English"
    )
    return run("asr-text", lambda: _write(parser.parse_args(words)))


def _write(arguments: argparse.Namespace) -> int:
    """Print each line of a text."""
    from asr.lm import text_lines
    from asr.readable import TAGGER, Tagger, Writer, text_of

    tagger = Tagger.load(given_model("MODEL", arguments.model) / TAGGER)
    if arguments.numbers == "digits" and not tagger.info.english:
        raise ConfigError(
            f"--numbers digits is for English, and the tagger of {arguments.model} for another "
            "language; leave --numbers out: numbers stay words"
        )
    writer = Writer(tagger, arguments.numbers or "digits")
    for _, line in text_lines(arguments.text):
        put(text_of(writer.write(line.split())))
    return 0


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "train": train,
    "export": export,
    "judge": judge,
    "write": write,
}

if __name__ == "__main__":
    sys.exit(main())

"""asr-lm train-lstm: train an LSTM language model into an experiment folder."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from asr._progress import counted
from asr.cli.run import CommandParser, check_given, run
from asr.cli.texts import add_writing, normalizer_of, sentences, warn_of_oddities
from asr.cli.train import add_run, launch_training, run_trainer
from asr.config import Config, TextConfig, load_config
from asr.errors import ConfigError

if TYPE_CHECKING:
    from asr.distributed import ProcessGroup
    from asr.lm import LmVocabulary, LstmArrays
    from asr.training import EncodedText, Source

MOST_UNKNOWN = 0.5  # share of a text that the vocabulary of --init may lack


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = CommandParser("asr-lm train-lstm", description=__doc__)
    parser.add_argument(
        "--train",
        nargs="+",
        required=True,
        metavar="TEXT",
        help="one sentence a line; .gz, .bz2, .xz",
    )
    parser.add_argument(
        "--valid", required=True, metavar="TEXT", help="text that chooses the epoch"
    )
    parser.add_argument(
        "--init",
        type=Path,
        metavar="LSTM",
        help="go on from the weights of an LSTM: the --out folder of another run, or the .npz "
        "file of asr-lm convert; it keeps its vocabulary, and gets more words of the text where "
        "lm.vocabulary_size is larger (from 10,000 on)",
    )
    add_run(parser, "conf/lstm_lm.toml")
    add_writing(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command."""
    words = sys.argv[1:] if argv is None else argv
    return run("asr-lm", lambda: launch(parser().parse_intermixed_args(words), words))


def launch(arguments: argparse.Namespace, words: Sequence[str]) -> int:
    """Read and check the configuration, then train in one process or several."""
    config = load_config(arguments.conf, arguments.overrides)
    if config != Config(lm=config.lm, train=config.train):
        raise ConfigError(f"{arguments.conf}: a language model has the sections [lm] and [train]")
    if "-" in (*arguments.train, arguments.valid):
        raise ConfigError("standard input can be read once only; give a file instead of -")
    arguments.normalizer = normalizer_of(arguments)
    if arguments.normalizer:  # kept: --resume refuses another
        config = replace(config, text=TextConfig(**asdict(arguments.normalizer)))
    return launch_training(
        config,
        arguments,
        words,
        module="asr.cli.train_lstm",
        prepare=prepare,
        train=train,
        split=True,  # most of a step is one large product, with the whole vocabulary
    )


@dataclass(frozen=True)
class LmTrainingData:
    """The texts to train and validate on, and the vocabulary."""

    train: "EncodedText"
    valid: "EncodedText"
    vocabulary: "LmVocabulary"
    init: "LstmArrays | None"  # the model to begin with
    sources: "Mapping[str, Source]"  # by option, for `check_sources`


def prepare(config: Config, arguments: argparse.Namespace) -> LmTrainingData:
    """Read the texts; the vocabulary is that of the run that is resumed, or begins as --init's."""
    from asr.checkpoint import check_resumed
    from asr.lm import UNKNOWN, LmVocabulary, LstmArrays
    from asr.training import (
        Source,
        check_sources,
        encode_texts,
        make_vocabulary,
        with_frequent_units,
    )

    sources = {
        "train": Source.of_files(arguments.train),
        "valid": Source.of_files([arguments.valid]),
    }
    read = partial(sentences, normalizer=arguments.normalizer, warn=False)
    init = None
    if arguments.init and not arguments.resume:
        check_given("--init", arguments.init)
        init = LstmArrays.load(arguments.init)
    if arguments.resume:
        check_resumed(arguments.out, config)
        check_sources(arguments.out, sources)
        vocabulary = LmVocabulary.load(arguments.out / "tokens.txt", config.lm.unit)
    else:
        if not arguments.normalizer:
            warn_of_oddities(arguments.train)
        vocabulary = init.vocabulary if init else make_vocabulary(arguments.train, config.lm, read)
    known = len(vocabulary)  # of --init, what it knew before
    if init:
        init.check_config(config.lm, f"--init {arguments.init}")
        init = with_frequent_units(init, arguments.train, config.lm, read)
        vocabulary = init.vocabulary
    train, valid = (encode_texts(p, vocabulary, read) for p in (arguments.train, [arguments.valid]))
    if init:
        unknown = float(((train.ids == UNKNOWN) | (train.ids >= known)).mean())
        if unknown > MOST_UNKNOWN:
            raise ConfigError(
                f"--init {arguments.init}: its vocabulary lacks {unknown:.0%} of --train; "
                "normalise the texts as its own were (--language, --model or --text)"
            )
    return LmTrainingData(train, valid, vocabulary, init, sources)


def train(
    config: Config, folder: Path, resume: bool, material: LmTrainingData, group: "ProcessGroup"
) -> int:
    """Train on this process's share of the data; return the exit status."""
    from asr.distributed import choose_device
    from asr.train import Trainer
    from asr.training import LanguageTask

    task = LanguageTask(
        config,
        material.vocabulary,
        material.train,
        material.valid,
        group=group,
        device=choose_device(config),
    )
    if material.init:
        material.init.put_into(task.model)
    left_out = len(material.train) - len(task.usable)
    return run_trainer(
        Trainer(task, config.train, folder, group, rate="tokens_per_s"),
        config,
        material.vocabulary,
        material.sources,
        resume=resume,
        data=f"{counted(len(task.usable), 'sentence')}, {material.train.words} words "
        f"(left out: {left_out} longer than lm.batch_tokens)",
    )


if __name__ == "__main__":
    sys.exit(main())

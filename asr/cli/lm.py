"""asr-lm: estimate, prune, convert and measure n-gram and LSTM language models."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from asr._progress import counted, progress, say, waiting
from asr._streams import put
from asr.cli import train_lstm
from asr.cli.output import check_not_read, check_output
from asr.cli.run import CommandParser, run, run_command_of
from asr.cli.texts import add_writing, normalizer_of, sentences
from asr.decode import LSTM
from asr.errors import ConfigError
from asr.lm import UNITS

if TYPE_CHECKING:
    from asr.lm import NgramModel, Perplexity
    from asr.text import Normalizer

PRUNE_HELP = "leave out n-grams that lower the perplexity by less than this share, such as 1e-8"
OUT_HELP = "file to write; its name gives the format: .arpa, .arpa.gz, .arpa.xz or .bin"


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    description = "Make, measure and convert language models."
    return run_command_of("asr-lm", description, COMMANDS, argv)


def train(words: list[str]) -> int:
    """Estimate an n-gram model."""
    parser = CommandParser(
        "asr-lm train", description="Estimate an n-gram model by modified Kneser-Ney smoothing."
    )
    add_texts(parser)
    parser.add_argument("--out", required=True, help=OUT_HELP)
    parser.add_argument(
        "--order", type=int, default=3, help="words of the longest n-gram, 1 to 6 (default: 3)"
    )
    limit = parser.add_mutually_exclusive_group()
    limit.add_argument("--vocab", metavar="FILE", help="the words of the model, one a line")
    limit.add_argument("--vocab-size", type=int, metavar="N", help="keep the N most frequent words")
    parser.add_argument(
        "--min-count",
        type=int,
        nargs="+",
        default=[],
        metavar="N",
        help="leave out n-grams that occur less often than N times; one number for each order",
    )
    parser.add_argument("--prune", type=float, default=0.0, metavar="THRESHOLD", help=PRUNE_HELP)
    parser.add_argument(
        "--memory-mb",
        type=int,
        default=2000,
        metavar="N",
        help="for sorting (default: 2000)",
    )
    return run("asr-lm", lambda: _train(parser.parse_intermixed_args(words)))


def _train(arguments: argparse.Namespace) -> int:
    from asr.lm import estimate, read_words

    normalizer = normalizer_of(arguments)
    check_not_read("--out", Path(arguments.out), arguments.texts)
    return write(
        arguments.out,
        lambda: estimate(
            sentences(arguments.texts, arguments.unit, normalizer),
            arguments.order,
            vocabulary=read_words(arguments.vocab) if arguments.vocab else None,
            vocabulary_size=arguments.vocab_size,
            min_counts=arguments.min_count,
            prune_threshold=arguments.prune,
            memory_mb=arguments.memory_mb,
        ),
    )


def prune(words: list[str]) -> int:
    """Make an n-gram model smaller."""
    parser = CommandParser(
        "asr-lm prune",
        description="Leave out n-grams that hardly change what a model predicts. asr-lm train "
        "--prune chooses better, because it knows the training text.",
    )
    parser.add_argument("lm", metavar="LM", help="ARPA or binary model")
    parser.add_argument("--threshold", type=float, required=True, help=PRUNE_HELP)
    parser.add_argument("--out", required=True, help=OUT_HELP)
    return run("asr-lm", lambda: _prune(parser.parse_args(words)))


def _prune(arguments: argparse.Namespace) -> int:
    from asr.lm import load_lm, prune

    def make() -> "NgramModel":
        with waiting("pruning"):
            return prune(load_lm(arguments.lm), arguments.threshold)

    return write(arguments.out, make)


def convert(words: list[str]) -> int:
    """Write a language model in another format."""
    parser = CommandParser(
        "asr-lm convert",
        description="Write an n-gram model in another format, or an LSTM as one small file with 8 "
        "bits for each weight, which rescores without torch.",
    )
    parser.add_argument("lm", metavar="LM", help="ARPA or binary model, or folder of an LSTM")
    parser.add_argument("--out", required=True, help=f"{OUT_HELP}; for an LSTM: .npz")
    parser.add_argument(
        "--quantize", action="store_true", help="write a smaller .bin, with 8-bit probabilities"
    )
    return run("asr-lm", lambda: _convert(parser.parse_args(words)))


def _convert(arguments: argparse.Namespace) -> int:
    if Path(arguments.lm).is_dir():
        return _convert_lstm(Path(arguments.lm), Path(arguments.out))

    from asr.lm import load_lm

    def make() -> "NgramModel":
        with waiting("reading"):
            return load_lm(arguments.lm)

    return write(arguments.out, make, arguments.quantize)


def _convert_lstm(folder: Path, out: Path) -> int:
    from asr.lm import LstmArrays

    if out.suffix != ".npz":
        raise ConfigError(f"--out is {out}; an LSTM is written as .npz: name it {LSTM}")
    check_output("--out", out)
    with waiting("converting"):
        LstmArrays.load(folder).save(out)
    say(f"{out}: {out.stat().st_size / 1e6:.1f} MB")
    return 0


def perplexity(words: list[str]) -> int:
    """Print how well a model predicts texts."""
    parser = CommandParser(
        "asr-lm perplexity", description="Print how well a model predicts texts."
    )
    parser.add_argument(
        "lm",
        metavar="LM",
        help="ARPA or binary model, or folder or .npz of an LSTM (--unit is ignored)",
    )
    add_texts(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return run("asr-lm", lambda: _perplexity(parser.parse_intermixed_args(words)))


def _perplexity(arguments: argparse.Namespace) -> int:
    found = measure(arguments.lm, arguments.texts, arguments.unit, normalizer_of(arguments))
    if arguments.json:
        put(json.dumps(found.as_dict()))
    else:
        put(
            f"perplexity {found.perplexity:.2f}, without unknown words "
            f"{found.perplexity_without_oov:.2f} [ {counted(found.words, 'word')}, "
            f"{found.oov} unknown, {counted(found.sentences, 'sentence')} ]"
        )
    return 0


def measure(
    lm: str, texts: Sequence[str], unit: str, normalizer: "Normalizer | None" = None
) -> "Perplexity":
    """Measure the perplexity of an n-gram model, or of an LSTM in a folder or an .npz file."""
    if Path(lm).is_dir() or Path(lm).suffix == ".npz":
        from asr.lm import load_lstm, lstm_perplexity

        model, vocabulary = load_lstm(lm)
        read = progress(sentences(texts, vocabulary.unit, normalizer), "reading")
        return lstm_perplexity(model, vocabulary, read)

    from asr.lm import load_lm, perplexity

    with waiting("loading"):
        loaded = load_lm(lm)
    return perplexity(loaded, progress(sentences(texts, unit, normalizer), "reading"))


def add_texts(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which text is read, and how."""
    parser.add_argument(
        "texts",
        metavar="TEXT",
        nargs="+",
        help="UTF-8 text, one sentence a line, plain, .gz, .bz2 or .xz; - is standard input",
    )
    parser.add_argument(
        "--unit",
        choices=UNITS,
        default="word",
        help="unit of the model (default: word)",
    )
    add_writing(parser)


def write(out: str, make: "Callable[[], NgramModel]", quantized: bool = False) -> int:
    """Make a model and write it; a name in an unknown format is refused before the work."""
    from asr.lm import saver

    save = saver(out, quantized)
    check_output("--out", Path(out))  # an error now, not after all the work
    model = make()
    with waiting("writing"):
        save(model)
    say(f"{out}: " + ", ".join(f"{count} {n}-grams" for n, count in enumerate(model.counts, 1)))
    return 0


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "train": train,
    "prune": prune,
    "convert": convert,
    "perplexity": perplexity,
    "train-lstm": train_lstm.main,
}


if __name__ == "__main__":
    sys.exit(main())

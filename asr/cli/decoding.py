"""The command-line options by which asr-evaluate and asr-transcribe choose a decoder."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from asr._threads import OPTION
from asr.cli.run import check_given, positive
from asr.decode import LM, LSTM, parse_settings

if TYPE_CHECKING:
    from asr.options import DecodingOptions


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add --decoder and the options of a beam search."""
    group = parser.add_argument_group("decoder")
    group.add_argument(
        "--decoder",
        choices=["greedy", "beam"],
        help="default: beam where a language model comes with the model, or an option needs it",
    )
    group.add_argument(
        "--lm",
        type=Path,
        help=f"n-gram model of asr-lm; default: {LM} in the model's folder, if any",
    )
    group.add_argument("--lexicon", type=Path, help="words, or words and their tokens, one a line")
    group.add_argument(
        "--unit",
        choices=["tokens", "phones"],
        help="decode the model's output over tokens or, by a beam search, over phones; "
        "default: phones if the model has them and a language model is used",
    )
    group.add_argument(
        "--hotwords",
        type=Path,
        help="words or phrases to be preferred, one a line; phrase:boost overrides hotword_boost",
    )
    group.add_argument(
        "--rescore",
        type=Path,
        help="LSTM of asr-lm train-lstm, to rescore the N-best list; default: without --lm, "
        f"{LSTM} in the model's folder, if any; --set rescore_weight=0 turns it off",
    )
    group.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a setting of the search, such as beam_size=200; default: as kept with the model",
    )
    group.add_argument(
        OPTION,
        type=_threads,
        metavar="N",
        help="of linear algebra in each process; default: 1, or as OMP_NUM_THREADS says",
    )


def add_readable(parser: argparse.ArgumentParser) -> None:
    """Add the options of readable text."""
    group = parser.add_argument_group("readable text")
    group.add_argument(
        "--plain",
        action="store_true",
        help="words as they were recognised, without capitals, punctuation and digits",
    )
    group.add_argument(
        "--numbers",
        choices=["digits", "words"],
        help="how numbers are written; default: digits, where the model has a tagger for English",
    )


def add_channels(parser: argparse.ArgumentParser) -> None:
    """Add the options about recordings of several channels."""
    group = parser.add_argument_group("channels")
    group.add_argument(
        "--channels",
        type=_channels,
        default="mix",
        metavar="mix|split|N",
        help="mix: hear all together (default); split: one speaker a channel, as calls are "
        "recorded, and say who said what; N: hear channel N alone",
    )
    group.add_argument(
        "--channel-names",
        type=_names,
        default=(),
        metavar="NAME,NAME",
        help="of the speakers, for --channels split; default: Left,Right, or Channel 1 and so on",
    )


def _threads(text: str) -> str:
    """Return the number, which asr.cli has read before numpy was loaded."""
    return str(positive(text))


def _channels(text: str) -> str | int:
    if text in ("mix", "split"):
        return text
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}; allowed: mix, split, or a channel from 1")
    return int(text)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(","))


def chosen(arguments: argparse.Namespace, *, words: bool = False) -> "DecodingOptions":
    """Return the options that parsed arguments hold.

    Raises:
        ConfigError: a file that an option names does not exist.
        DecoderError: the hotwords cannot be read, or a setting is not key=value.
    """
    if arguments.decoder != "greedy":  # which has no use for them, and that is said later
        check_given("--lm", arguments.lm)
        check_given("--rescore", arguments.rescore)
        check_given("--lexicon", arguments.lexicon)
    from asr.options import DecodingOptions, read_hotwords

    return DecodingOptions(
        decoder=arguments.decoder,
        lm=arguments.lm,
        lexicon=arguments.lexicon,
        unit=arguments.unit,
        hotwords=read_hotwords(arguments.hotwords) if arguments.hotwords else (),
        rescore=arguments.rescore,
        settings=parse_settings(arguments.set),
        words=words,
        plain=getattr(arguments, "plain", True),
        numbers=getattr(arguments, "numbers", None),
        channels=getattr(arguments, "channels", "mix"),
        channel_names=getattr(arguments, "channel_names", ()),
    )

"""The options by which commands choose a decoder, shared by asr-evaluate and asr-transcribe."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from asr.decode.settings import LM, DecoderConfig, load_settings
from asr.errors import DecoderError
from asr.text import Normalizer, Vocabulary

_FOR_BEAM = ("lm", "lexicon", "hotwords", "rescore", "set")

if TYPE_CHECKING:
    from asr.config import TextConfig
    from asr.decode.beam import BeamDecoder
    from asr.decode.confidence import Calibration
    from asr.decode.hypothesis import Decoder
    from asr.decode.rescore import Scorer


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add --decoder and what belongs to a beam search."""
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
    group.add_argument("--lexicon", type=Path, help="words, or words and their tokens, a line each")
    group.add_argument(
        "--hotwords", type=Path, help="words or phrases to be preferred, a line each"
    )
    group.add_argument("--rescore", type=Path, help="LSTM of asr-lm train-lstm, for an N-best list")
    group.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a setting of the search, such as beam_size=200; else those kept with the model hold",
    )


def complete_options(arguments: argparse.Namespace, model: Path) -> None:
    """Fill in the decoder and the language model that a model's folder makes the default.

    Raises:
        DecoderError: an option that a greedy decoder has no use for.
    """
    given = [name for name in _FOR_BEAM if getattr(arguments, name)]
    if arguments.decoder == "greedy" and given:
        raise DecoderError(f"--{given[0]} is for a beam search; leave --decoder greedy out")
    included = model / LM
    if arguments.decoder != "greedy" and not arguments.lm and included.exists():
        arguments.lm = included
    arguments.decoder = arguments.decoder or ("beam" if given or arguments.lm else "greedy")


def settings(arguments: argparse.Namespace, model: Path) -> DecoderConfig:
    """The settings kept with a model, changed by --set.

    Raises:
        DecoderError: a setting has another name or a value that is not allowed.
    """
    return load_settings(model).changed(arguments.set)


def kept_calibration(arguments: argparse.Namespace, model: Path) -> "Calibration | None":
    """The calibration of confidences that --tune left with a model, for its language model.

    Raises:
        CheckpointError: it is damaged.
    """
    if not arguments.lm:
        return None
    from asr.decode.confidence import load_calibration  # imports numba

    return load_calibration(model)


def make_decoder(
    arguments: argparse.Namespace,
    config: DecoderConfig,
    vocabulary: Vocabulary,
    text: "TextConfig",
) -> "Decoder":
    """The decoder that the options describe.

    Raises:
        DecoderError: a hotword, lexicon or setting that cannot be used.
        LanguageModelError: a language model that cannot be read.
        CheckpointError: --rescore is no language model.
    """
    from asr.decode.greedy import GreedyDecoder
    from asr.decode.rescore import Rescorer

    if arguments.decoder == "greedy":
        return GreedyDecoder(vocabulary)
    decoder = make_beam(arguments, config, vocabulary, text)
    scorer = load_scorer(arguments)
    return Rescorer(decoder, scorer, config) if scorer else decoder


def make_beam(
    arguments: argparse.Namespace,
    config: DecoderConfig,
    vocabulary: Vocabulary,
    text: "TextConfig",
) -> "BeamDecoder":
    """The search that the options describe; hotwords are normalised as transcripts are."""
    from asr.decode.beam import BeamDecoder, compile_search
    from asr.decode.lexicon import Lexicon
    from asr.lm.binary import load_lm

    compile_search()
    lm = load_lm(arguments.lm) if arguments.lm else None
    lexicon = Lexicon.load(arguments.lexicon, vocabulary) if arguments.lexicon else None
    hotwords = read_hotwords(arguments.hotwords, text) if arguments.hotwords else ()
    return BeamDecoder(vocabulary, config, lm=lm, lexicon=lexicon, hotwords=hotwords)


def load_scorer(arguments: argparse.Namespace) -> "Scorer | None":
    """The LSTM of --rescore, if it was given."""
    if not arguments.rescore:
        return None
    from asr.lm.neural import NeuralScorer

    return NeuralScorer.load(arguments.rescore)


def read_hotwords(path: Path, text: "TextConfig") -> list[str]:
    """Phrases of a file, a line each, as the model writes text.

    Raises:
        DecoderError: the file cannot be read, or has none.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DecoderError(f"--hotwords {path}: cannot be read ({error})") from error
    phrases = [phrase for line in lines if (phrase := Normalizer(**vars(text))(line))]
    if not phrases:
        raise DecoderError(f"--hotwords {path}: no words; write a word or phrase a line")
    return phrases

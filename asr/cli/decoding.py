"""The options by which commands choose a decoder, shared by asr-evaluate and asr-transcribe."""

import argparse
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import asr
from asr.batch import content_sha256
from asr.decode import (
    LM,
    LSTM,
    DecoderConfig,
    has_phones,
    included_lm,
    included_lstm,
    load_settings,
)
from asr.errors import DecoderError
from asr.text import Normalizer, Vocabulary

_FILES = ("lm", "lexicon", "hotwords", "rescore")
_FOR_BEAM = (*_FILES, "set")
_MODEL_SUFFIXES = frozenset({".json", ".txt", ".bin", ".npz", ".onnx", ".safetensors"})

if TYPE_CHECKING:
    from asr.config import TextConfig
    from asr.decode import BeamDecoder, Calibration, Decoder, Scorer
    from asr.inference import Acoustics
    from asr.lexicon import Lexicon
    from asr.lm import NgramModel
    from asr.recognize import Recognizer


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
        "--unit",
        choices=["tokens", "phones"],
        help="what is read: the model's tokens, or its phones, by a beam search; default: phones "
        "where a model has them and a language model is used",
    )
    group.add_argument(
        "--hotwords", type=Path, help="words or phrases to be preferred, a line each"
    )
    group.add_argument(
        "--rescore",
        type=Path,
        help="LSTM of asr-lm train-lstm, for an N-best list; default: with the language model in "
        f"the model's folder, {LSTM} there, if any; --set rescore_weight=0: none",
    )
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
    if arguments.unit == "phones":
        given.append("unit phones")
    if arguments.decoder == "greedy" and given:
        raise DecoderError(f"--{given[0]} is for a beam search; leave --decoder greedy out")
    if arguments.decoder != "greedy":
        arguments.rescore = arguments.rescore or (None if arguments.lm else included_lstm(model))
        arguments.lm = arguments.lm or included_lm(model)
    arguments.decoder = arguments.decoder or ("beam" if given or arguments.lm else "greedy")
    if not arguments.unit:
        in_words = arguments.lm and arguments.decoder == "beam"
        arguments.unit = usual_unit(model) if in_words else "tokens"


def usual_unit(model: Path) -> str:
    """What is read of a model where a language model is used."""
    return "phones" if has_phones(model) else "tokens"


def settings(arguments: argparse.Namespace, model: Path) -> DecoderConfig:
    """The settings kept with a model, changed by --set.

    Raises:
        DecoderError: a setting has another name or a value that is not allowed.
    """
    return load_settings(model).changed(arguments.set)


def load_recognizer(arguments: argparse.Namespace) -> "Recognizer":
    """The model and the decoder that completed options describe.

    Raises:
        CheckpointError: there is no model, or a damaged one.
        DecoderError, LanguageModelError: as make_decoder.
    """
    from asr.recognize import Recognizer, open_while_compiling

    if arguments.decoder == "beam":
        acoustics = open_while_compiling(arguments.model, phones=arguments.unit == "phones")
    else:
        acoustics = open_output(arguments)
    config = settings(arguments, arguments.model)
    decoder = make_decoder(arguments, config, acoustics.vocabulary, acoustics.text)
    return Recognizer(acoustics, decoder, kept_calibration(arguments, arguments.model))


def open_output(arguments: argparse.Namespace) -> "Acoustics":
    """The output of the model that completed options describe.

    Raises:
        CheckpointError: there is no model, or a damaged one, or none with such an output.
    """
    from asr.inference import open_acoustics

    return open_acoustics(arguments.model, phones=arguments.unit == "phones")


def describe(arguments: argparse.Namespace) -> dict[str, object]:
    """What recognises with completed options, fit for JSON: the model and the decoder's settings.

    Raises:
        DecoderError: as settings.
    """
    decoder: dict[str, object] = {"name": arguments.decoder}
    if arguments.decoder == "beam":
        given = ((name, getattr(arguments, name)) for name in _FILES)
        decoder |= {name: path.name for name, path in given if path}
        decoder |= {"unit": arguments.unit, **asdict(settings(arguments, arguments.model))}
    return {"model": arguments.model.resolve().name, "decoder": decoder}


def digest(arguments: argparse.Namespace) -> str:
    """A sha256 of all that a text depends on beside its recording: settings and files' contents."""
    paths = filter(None, (arguments.model, *(getattr(arguments, name) for name in _FILES)))
    files = dict.fromkeys(file for path in paths for file in _read_files(path))
    contents = sorted(filter(None, map(content_sha256, files)))  # wherever the files lie
    record = [asr.__version__, describe(arguments), contents]
    return hashlib.sha256(json.dumps(record).encode()).hexdigest()


def _read_files(path: Path) -> Iterator[Path]:
    """A file, or the files of a model's folder that recognition may read."""
    if not path.is_dir():
        yield path
    for folder in (path, path / "best"):
        yield from (file for file in folder.glob("*") if file.suffix in _MODEL_SUFFIXES)


def kept_calibration(arguments: argparse.Namespace, model: Path) -> "Calibration | None":
    """The calibration of confidences that --tune left with a model, for its language model.

    Raises:
        CheckpointError: it is damaged.
    """
    if not arguments.lm or arguments.unit != usual_unit(model):
        return None
    from asr.decode import load_calibration  # imports numba

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
        LanguageModelError, CheckpointError: --rescore is no language model.
    """
    from asr.decode import GreedyDecoder, rescored

    if arguments.decoder == "greedy":
        return GreedyDecoder(vocabulary)
    decoder = make_beam(arguments, config, vocabulary, text)
    return rescored(decoder, arguments.rescore, config)


def make_beam(
    arguments: argparse.Namespace,
    config: DecoderConfig,
    vocabulary: Vocabulary,
    text: "TextConfig",
) -> "BeamDecoder":
    """The search that the options describe; hotwords are normalised as transcripts are."""
    from asr.decode import BeamDecoder, compile_search
    from asr.lm import load_lm

    compile_search()
    lm = load_lm(arguments.lm) if arguments.lm else None
    hotwords = read_hotwords(arguments.hotwords, text) if arguments.hotwords else []
    lexicon = _lexicon(arguments, vocabulary, lm, " ".join(hotwords).split())
    return BeamDecoder(vocabulary, config, lm=lm, lexicon=lexicon, hotwords=hotwords)


def _lexicon(
    arguments: argparse.Namespace,
    vocabulary: Vocabulary,
    lm: "NgramModel | None",
    hotwords: Iterable[str],
) -> "Lexicon | None":
    """The words that are looked for; with phones also hotwords, said as they are spelled."""
    from asr.lexicon import Lexicon, Pronunciations

    given = Lexicon.load(arguments.lexicon, vocabulary) if arguments.lexicon else None
    if arguments.unit == "tokens":
        return given
    spoken = Pronunciations.load(arguments.model)
    lexicon = given or (spoken.among(lm) if lm else spoken.lexicon)
    lacking = dict.fromkeys(word for word in hotwords if not lexicon.of(word))
    return lexicon.joined(spoken.guessed(lacking)) if lacking else lexicon


def load_scorer(arguments: argparse.Namespace, words: Iterable[str]) -> "Scorer | None":
    """The LSTM that rescores, if any, for texts of these words."""
    if not arguments.rescore:
        return None
    from asr.lm import LstmScorer

    return LstmScorer.load(arguments.rescore, words)


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

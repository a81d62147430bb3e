"""The weights and pruning thresholds of the beam search, kept in decoder.json with the model."""

import difflib
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, get_type_hints

from asr._atomic import write_atomically
from asr._json import parse_json, read_json
from asr.errors import DecoderError
from asr.text import PHONES

LM = "lm.bin"  # the language model in a model's folder
LSTM = "lstm.npz"  # the LSTM language model there, for rescoring
SETTINGS = "decoder.json"
CALIBRATION = "calibration.json"  # of confidences, for the usual decoder
_MOST_BOOST = 1000.0
_MOST_LETTERS = 100  # of a hotword
_FOREIGN = re.compile(r"[\[\]{}<>|;=^*\"/\\\t,]")
_STRESSED = re.compile(r"\b[A-Z]{2}[012]\b")  # a vowel in a pronunciation
_DECIMAL = re.compile(r"\s[-+]?\d+\.\d+$")


@dataclass(frozen=True, kw_only=True)
class DecoderConfig:
    """The settings of a beam search, in natural logarithms; `asr-evaluate --tune` finds weights."""

    lm_weight: float = 0.8  # of the n-gram model's log-probabilities
    word_score: float = 1.0  # for each word; makes up for the language model's bias to few words
    oov_score: float = -12.5  # for each word that the lexicon lacks, with open_vocabulary
    open_vocabulary: bool = False  # whether words outside of the lexicon are allowed
    hotword_boost: float = 0.25  # for each token of a hotword that has no boost of its own
    rescore_weight: float = 0.5  # of an LSTM's log-probabilities in rescoring
    rescore_lm_weight: float = 0.0  # of the n-gram model in rescoring, beside lm_weight
    rescore_word_score: float = 0.0  # for each word in rescoring, beside word_score
    nbest: int = 50  # hypotheses to rescore
    beam_size: int = 1000  # most hypotheses to keep; unclear speech needs them
    beam_threshold: float = 12.0  # largest distance of a kept hypothesis from the best one
    recombine: bool = True  # with a language model, keep the best of hypotheses with one future
    token_threshold: float = -7.0  # log-probability below which a token is not tried

    def __post_init__(self) -> None:
        for name, (low, high) in _ALLOWED.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise DecoderError(f"decoder.{name} is {value}; allowed: {low:g}..{high:g}")

    def changed(self, table: Mapping[str, object], source: str = "decoder") -> "DecoderConfig":
        """Return a copy with other values of some settings; `source` is named in errors.

        Raises:
            DecoderError: an unknown name, or a value that is not allowed.
        """
        kinds = get_type_hints(type(self))
        for key, value in table.items():
            if key not in kinds:
                near = difflib.get_close_matches(key, kinds, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(kinds)}"
                raise DecoderError(f"{source}: unknown name {key!r}; {hint}")
            if type(value) is not kinds[key] and (type(value), kinds[key]) != (int, float):
                kind = kinds[key].__name__
                raise DecoderError(f"{source}: {key} is {value!r}; it must be of type {kind}")
        return replace(self, **table)  # type: ignore[arg-type]


def parse_settings(settings: Iterable[str]) -> dict[str, Any]:
    """Read settings of the form key=value, whose values are JSON.

    Raises:
        DecoderError: a setting has another form.
    """
    table: dict[str, Any] = {}
    for setting in settings:
        key, _, text = setting.partition("=")
        try:
            table[key] = parse_json(text.encode(), Any)
        except ValueError:
            wrong = f"{text!r} is no number, true or false; " if text else ""
            raise DecoderError(
                f"{setting!r}: {wrong}write key=value, such as beam_size=200"
            ) from None
    return table


def parse_hotword(line: str) -> tuple[str, float | None]:
    """Return the phrase in a line, and its boost if it has one: 'phrase:boost'.

    Raises:
        DecoderError: the boost is no number or not allowed, a word is too long, or the line is in
            the syntax of another tool.
    """
    longest = max(line.split(), key=len, default="")
    if len(longest) > _MOST_LETTERS:  # a lexicon has room for its longest word in each row
        raise DecoderError(
            f"{longest[:20]!r}...: a word of {len(longest)} letters; allowed: {_MOST_LETTERS}"
        )
    phrase, colon, number = line.rpartition(":")
    if not colon:
        phrase, boost = line, None
    else:
        try:
            boost = float(number)
        except ValueError:
            boost = math.nan
        if not 0 <= boost <= _MOST_BOOST or not phrase.strip():
            raise DecoderError(
                f"{line!r}: the boost is {number.strip()!r}; write phrase:boost with a number "
                f"0..{_MOST_BOOST:g}, or leave the colon out"
            )
    if _STRESSED.search(phrase):
        raise DecoderError(f"{line!r}: a pronunciation; give it in a file with --lexicon")
    if _DECIMAL.search(phrase) or re.search(r"\t[\d.]+$", phrase):
        raise DecoderError(f"{line!r}: a number behind a space; write phrase:boost")
    if foreign := _FOREIGN.search(phrase):
        raise DecoderError(
            f"{line!r}: {foreign[0]!r} is no part of a word; write one word or phrase a line, or "
            "phrase:boost"
        )
    return phrase, boost


# Wide enough for any use that is known, and finite: a model from elsewhere brings its settings.
_ALLOWED = {
    "lm_weight": (0, 100),
    "word_score": (-1000, 1000),
    "oov_score": (-1000, 1000),
    "hotword_boost": (0, _MOST_BOOST),
    "rescore_weight": (0, 100),
    "rescore_lm_weight": (-100, 100),
    "rescore_word_score": (-1000, 1000),
    "nbest": (1, 10_000),
    "beam_size": (1, 100_000),
    "beam_threshold": (0, math.inf),  # no file can hold an infinity; code may: it prunes nothing
    "token_threshold": (-math.inf, 0),
}


def included_lm(model: Path) -> Path | None:
    """Return the language model in a model's folder, which makes beam search the default."""
    return model / LM if (model / LM).exists() else None


def included_lstm(model: Path) -> Path | None:
    """Return the LSTM in a model's folder, which rescores; None if there is none."""
    return model / LSTM if (model / LSTM).exists() else None


def has_phones(model: Path) -> bool:
    """Return whether a model has an output over phones, which a beam search over words reads."""
    return (model / PHONES).exists()


def load_settings(model: Path) -> DecoderConfig:
    """Load the settings kept with a model; without any, the defaults.

    Raises:
        DecoderError: decoder.json is damaged, or holds a value that is not allowed.
    """
    path = model / SETTINGS
    if not path.exists():
        return DecoderConfig()
    try:
        table: dict[str, Any] = read_json(path)
    except (OSError, ValueError) as error:
        raise DecoderError(f"{path}: cannot be read ({error})") from error
    return DecoderConfig().changed(table, str(path))


def save_settings(model: Path, config: DecoderConfig) -> None:
    """Save settings with a model.

    Raises:
        DecoderError: its folder cannot be written.
    """
    try:
        write_atomically(model / SETTINGS, json.dumps(asdict(config), indent=1) + "\n")
    except OSError as error:
        raise DecoderError(f"{model / SETTINGS}: cannot be written ({error.strerror})") from error

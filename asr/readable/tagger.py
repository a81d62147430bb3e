"""A tagger in numpy: capital forms and marks of words, without torch.

It runs the network of `asr.readable.network`. A text of any length is read in windows of WINDOW
words, which overlap, so that every word but the first and last ones has context on both sides.

Shapes: N windows, T words, E inputs, H cells in each direction.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from asr._atomic import created_atomically
from asr._json import parse_json, typed
from asr._npz import read_npz
from asr._regular import open_regular
from asr.errors import CheckpointError
from asr.lm import (
    PackedRows,
    cell_step,
    check_weights,
    packed_weights,
    unpacked_weights,
)
from asr.readable.features import PAUSES, PIECES, pause_kinds, word_rows
from asr.readable.written import CASES, MARKS

if TYPE_CHECKING:
    from asr.readable.network import TaggerNetwork

TAGGER = "tagger.npz"  # in a model's folder
WINDOW = 128  # words
CONTEXT = 24  # words of a window, on each side, whose tags another window decides
_AT_ONCE = 64  # windows in memory, so that it does not grow with the text
_MOST_BYTES = 2**26  # of the file
_MOST_LAYERS = 16
_TABLE = "words.weight"
_EPSILON = 1e-5  # of layer normalisation, as in torch

Floats = NDArray[np.floating[Any]]
Silences = Sequence[float] | NDArray[np.float64]


@dataclass(frozen=True)
class TaggerInfo:
    """The description of a tagger in its file."""

    forms: tuple[str, ...] = ()  # how words of the form `mixed` are written, such as McDonald
    english: bool = False  # whether numbers and titles are written by the rules for English
    strip_accents: bool = True  # how its text was normalised (asr/text.py, Normalizer)
    keep: str = "'"


@dataclass(frozen=True, eq=False)
class Tagger:
    """A tagger: its weights under their names in torch; the table of words in 8 bits."""

    info: TaggerInfo
    weights: Mapping[str, Floats]
    table: PackedRows  # (rows, E)

    @classmethod
    def load(cls, path: Path) -> "Tagger":
        """Load a file that `save` wrote.

        Raises:
            CheckpointError: the file cannot be read, or is damaged, or is another file.
        """
        try:
            with open_regular(path, _MOST_BYTES) as file:
                return cls._parsed(file.read())
        except OSError as error:
            reason = error.strerror
        except Exception as error:  # a damaged archive raises many kinds, of no common class
            reason = str(error)
        raise CheckpointError(f"{path}: not a tagger ({reason}); make it with asr-text export")

    @classmethod
    def _parsed(cls, content: bytes) -> "Tagger":
        """Return the tagger in a file.

        Raises:
            Exception: of many kinds, if it is damaged.
        """
        stored = read_npz(content, len(content))  # `save` does not pack
        info = typed(parse_json(stored.pop("info").tobytes()), TaggerInfo)
        table = PackedRows.taken_from(stored, _TABLE)
        if not len(table.codes):
            raise ValueError("its table of words has no row")
        tagger = cls(info, unpacked_weights(stored), table)
        check_weights(
            {**tagger.weights, _TABLE: table.largest},
            {**tagger._shapes(), _TABLE: table.largest.shape},
        )
        return tagger

    @classmethod
    def of(cls, network: "TaggerNetwork", info: TaggerInfo) -> "Tagger":
        """Return the tagger of a trained network; its table of words is rounded to 8 bits."""
        weights = {name: w.numpy().copy() for name, w in network.state_dict().items()}
        return cls(info, weights, PackedRows.of(weights.pop(_TABLE)))

    def save(self, path: Path) -> None:
        """Write a file that np.load reads without a pickle; matrices have 8 bits a weight.

        Raises:
            OSError: the file cannot be written.
        """
        info = json.dumps(asdict(self.info))
        stored: dict[str, Any] = {"info": np.frombuffer(info.encode(), np.uint8)}
        stored |= self.table.stored_as(_TABLE) | packed_weights(self.weights)
        with created_atomically(path) as file:
            np.savez(file, **stored)

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape that each weight must have, given the sizes of a few."""
        hidden = self.weights["stack.layers.0.directions.0.weight_hh_l0"].shape[-1]
        pause_size = self.weights["pauses.weight"].shape[-1]
        inputs = self.table.shape[-1] + pause_size
        shapes: dict[str, tuple[int, ...]] = {"pauses.weight": (PAUSES, pause_size)}
        for layer in range(self._num_layers):
            for direction in range(2):
                name = f"stack.layers.{layer}.directions.{direction}"
                shapes[f"{name}.weight_ih_l0"] = (4 * hidden, inputs)
                shapes[f"{name}.weight_hh_l0"] = (4 * hidden, hidden)
                shapes[f"{name}.bias_ih_l0"] = shapes[f"{name}.bias_hh_l0"] = (4 * hidden,)
            inputs = 2 * hidden
            shapes[f"stack.layers.{layer}.norm.weight"] = (inputs,)
            shapes[f"stack.layers.{layer}.norm.bias"] = (inputs,)
        for name, tags in (("cases", CASES), ("marks", MARKS)):
            shapes[f"{name}.weight"], shapes[f"{name}.bias"] = (len(tags), inputs), (len(tags),)
        return shapes

    @cached_property
    def _num_layers(self) -> int:
        found = sum(name.endswith("directions.0.weight_hh_l0") for name in self.weights)
        if not 1 <= found <= _MOST_LAYERS:
            raise ValueError(f"it has {found} layers; allowed: 1..{_MOST_LAYERS}")
        return found

    @cached_property
    def forms(self) -> dict[str, str]:
        """The written form of each word of the form `mixed`, by the word in lower case."""
        return {form.lower(): form for form in self.info.forms}

    def tag(self, words: Sequence[str], pauses: Silences) -> tuple[Floats, Floats]:
        """Return the scores of capital forms (T, CASES) and of marks (T, MARKS).

        Args:
            words: T words, of any case.
            pauses: the seconds of silence after each word; NaN where that is not known.
        """
        num_words = len(words)
        if not num_words:
            return np.zeros((0, len(CASES))), np.zeros((0, len(MARKS)))
        length = min(WINDOW, num_words)
        parts = [slice(start, start + length) for start in _starts(num_words, length)]
        found = np.empty((num_words, len(CASES) + len(MARKS)), np.float32)
        for at in range(0, len(parts), _AT_ONCE):
            some = parts[at : at + _AT_ONCE]
            inputs = np.stack([self._inputs(words[part], pauses[part]) for part in some])
            for part, window in zip(some, self._scores(inputs), strict=True):
                first = CONTEXT if part.start else 0  # later windows overwrite the end of earlier
                found[part][first:] = window[first:]
        return found[:, : len(CASES)], found[:, len(CASES) :]

    def _inputs(self, words: Sequence[str], pauses: Silences) -> Floats:
        """Return the embeddings (T, E) of words and pauses."""
        rows = word_rows((word.lower() for word in words), len(self.table.codes))  # (T, PIECES)
        pieces = self.table[rows]  # (T, PIECES, E)
        silences = self.weights["pauses.weight"][pause_kinds(pauses)]
        return np.concatenate((pieces.sum(axis=1) / PIECES, silences), axis=1)

    def _scores(self, hidden: Floats) -> Floats:
        """Return the scores (N, T, CASES + MARKS) of inputs (N, T, E)."""
        for layer in range(self._num_layers):
            name = f"stack.layers.{layer}"
            forward = self._lstm(f"{name}.directions.0", hidden)
            backward = self._lstm(f"{name}.directions.1", hidden[:, ::-1])[:, ::-1]
            hidden = _normalized(np.concatenate((forward, backward), axis=2))
            hidden = hidden * self.weights[f"{name}.norm.weight"]
            hidden += self.weights[f"{name}.norm.bias"]
        tags = [
            hidden @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]
            for name in ("cases", "marks")
        ]
        return np.concatenate(tags, axis=2)

    def _lstm(self, name: str, inputs: Floats) -> Floats:
        """Run one direction over (N, T, E); return hidden states (N, T, H)."""
        weights = self.weights
        bias = weights[f"{name}.bias_ih_l0"] + weights[f"{name}.bias_hh_l0"]
        sums = inputs @ weights[f"{name}.weight_ih_l0"].T + bias  # (N, T, 4H)
        recurrent = np.ascontiguousarray(weights[f"{name}.weight_hh_l0"].T)
        num_windows, length, hidden = len(inputs), inputs.shape[1], len(recurrent)
        state: Floats = np.zeros((num_windows, hidden), np.float32)
        cell: Floats = np.zeros((num_windows, hidden), np.float32)
        states = np.empty((num_windows, length, hidden), np.float32)
        for time in range(length):
            state, cell = cell_step(sums[:, time] + state @ recurrent, cell)
            states[:, time] = state
        return states


def _starts(num_words: int, length: int) -> list[int]:
    """Return the first word of each window; the last window ends with the text."""
    last = num_words - length
    return [*range(0, last, max(1, length - 2 * CONTEXT)), last]


def _normalized(hidden: Floats) -> Floats:
    """Return vectors of mean 0 and variance 1."""
    centred = hidden - hidden.mean(axis=-1, keepdims=True)
    variance = np.square(centred).mean(axis=-1, keepdims=True)
    result: Floats = centred / np.sqrt(variance + np.float32(_EPSILON))
    return result

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
from asr.errors import CheckpointError
from asr.lm import read_npz
from asr.readable.features import PAUSES, PIECES, pause_kinds, word_rows
from asr.readable.written import CASES, MARKS

if TYPE_CHECKING:
    from asr.readable.network import TaggerNetwork

TAGGER = "tagger.npz"  # in a model's folder
WINDOW = 128  # words
CONTEXT = 24  # words of a window, on each side, whose tags another window decides
_MOST_BYTES = 2**26  # of the file
_MOST_LAYERS = 16
_LARGEST = 127  # code of 8 bits
_LARGEST_WEIGHT = 1e4  # so that no sum of products leaves float32
_SCALE = ".scale"  # suffix of a matrix's name: the weight that code 1 stands for, in each row
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
    table: NDArray[np.int8]  # (rows, E)
    scales: Floats  # (rows, 1) of the table

    @classmethod
    def load(cls, path: Path) -> "Tagger":
        """Load a file that `save` wrote.

        Raises:
            CheckpointError: the file cannot be read, or is damaged, or is another file.
        """
        try:
            return cls._parsed(_content(path))
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
        table, scales = stored.pop("words.weight"), stored.pop("words.weight" + _SCALE)
        if table.dtype != np.int8 or scales.shape != (len(table), 1):
            raise ValueError("its table of words has no 8 bits a weight, with a scale a row")
        tagger = cls(info, _unpacked(stored), table, scales.astype(np.float32))
        tagger._check()
        return tagger

    @classmethod
    def of(cls, network: "TaggerNetwork", info: TaggerInfo) -> "Tagger":
        """Return the tagger of a trained network; its table of words is rounded to 8 bits."""
        weights = {name: w.numpy().copy() for name, w in network.state_dict().items()}
        table, scales = _packed(weights.pop("words.weight"))
        return cls(info, weights, table, scales)

    def save(self, path: Path) -> None:
        """Write a file that np.load reads without a pickle; matrices have 8 bits a weight.

        Raises:
            OSError: the file cannot be written.
        """
        info = json.dumps(asdict(self.info))
        stored: dict[str, Any] = {"info": np.frombuffer(info.encode(), np.uint8)}
        stored |= {"words.weight": self.table, "words.weight" + _SCALE: self.scales}
        for name, weight in self.weights.items():
            stored[name] = weight
            if weight.ndim == 2:
                stored[name], stored[name + _SCALE] = _packed(weight)
        with created_atomically(path) as file:
            np.savez(file, **stored)

    def _check(self) -> None:
        """Check that all weights are there, fit together, and are numbers of a usual size.

        Raises:
            ValueError: they are not.
        """
        shapes = {name: weight.shape for name, weight in self.weights.items()}
        if shapes != self._shapes() or not len(self.table):
            raise ValueError("its parts do not fit together")
        largest = [np.abs(weight).max(initial=0.0) for weight in self.weights.values()]
        largest.append(np.abs(self.scales).max(initial=0.0) * 128)
        if not all(size <= _LARGEST_WEIGHT for size in largest):  # true for NaN, too
            raise ValueError(f"it has a weight that is not within {_LARGEST_WEIGHT:g}")

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
        inputs = self._inputs(words, pauses)
        length = min(WINDOW, num_words)
        starts = _starts(num_words, length)
        scores = self._scores(np.stack([inputs[start : start + length] for start in starts]))
        found = np.empty((num_words, scores.shape[2]), np.float32)
        for start, window in zip(starts, scores, strict=True):
            first = CONTEXT if start else 0  # later windows overwrite the end of earlier ones
            found[start + first : start + length] = window[first:]
        return found[:, : len(CASES)], found[:, len(CASES) :]

    def _inputs(self, words: Sequence[str], pauses: Silences) -> Floats:
        """Return the embeddings (T, E) of words and pauses."""
        rows = word_rows((word.lower() for word in words), len(self.table))  # (T, PIECES)
        pieces = self.table[rows] * self.scales[rows]  # (T, PIECES, E)
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
            i, f, g, o = np.split(sums[:, time] + state @ recurrent, 4, axis=1)
            cell = _sigmoid(f) * cell + _sigmoid(i) * np.tanh(g)
            states[:, time] = state = _sigmoid(o) * np.tanh(cell)
        return states


def _starts(num_words: int, length: int) -> list[int]:
    """Return the first word of each window; the last window ends with the text."""
    last = num_words - length
    return [*range(0, last, max(1, length - 2 * CONTEXT)), last]


def _content(path: Path) -> bytes:
    """Return the bytes of a regular file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no file, or larger than any tagger.
    """
    if path.exists() and not path.is_file():  # a pipe would never end
        raise ValueError("it is no regular file")
    with path.open("rb") as file:
        content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise ValueError(f"it has more than {_MOST_BYTES} bytes")
    return content


def _packed(weight: Floats) -> tuple[NDArray[np.int8], Floats]:
    """Return a matrix in 8 bits, and the weight that code 1 stands for in each row."""
    scale = np.abs(weight).max(axis=1, keepdims=True).clip(min=1e-20) / _LARGEST
    return np.rint(weight / scale).astype(np.int8), scale.astype(np.float32)


def _unpacked(stored: dict[str, NDArray[Any]]) -> dict[str, Floats]:
    """Return the weights that a file holds, in 32 bits."""
    scales = {name: stored.pop(name) for name in list(stored) if name.endswith(_SCALE)}
    weights = dict[str, Floats]()
    for name, codes in stored.items():
        scale = scales.pop(name + _SCALE, np.ones((), np.float32))
        if scale.shape not in ((), (len(codes), 1)):
            raise ValueError(f"{name} has scales of shape {scale.shape}")
        weights[name] = codes.astype(np.float32) * scale.astype(np.float32)
    if scales:
        raise ValueError(f"{', '.join(scales)}: scales of no weight")
    return weights


def _normalized(hidden: Floats) -> Floats:
    """Return vectors of mean 0 and variance 1."""
    centred = hidden - hidden.mean(axis=-1, keepdims=True)
    variance = np.square(centred).mean(axis=-1, keepdims=True)
    result: Floats = centred / np.sqrt(variance + np.float32(_EPSILON))
    return result


def _sigmoid(values: Floats) -> Floats:
    return (1 + np.tanh(values / 2)) / 2  # tanh, unlike exp, does not overflow

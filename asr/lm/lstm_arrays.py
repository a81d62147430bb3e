"""LSTM language models as arrays: read without torch, stored with 8 bits a weight.

The equations are those of asr/lstm.py; the softmax in classes is from Grave et al. 2017, 'Efficient
softmax approximation for GPUs'.

Shapes: N histories, L layers, I inputs of a layer, H hidden cells.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from asr._npz import read_npz
from asr._regular import open_regular
from asr.config import LmConfig
from asr.errors import ConfigError, LanguageModelError
from asr.lm.files import created
from asr.lm.vocabulary import UNKNOWN, LmVocabulary
from asr.lm.weights import (
    Floats,
    PackedRows,
    cell_step,
    check_weights,
    packed_weights,
    unpacked_weights,
)

if TYPE_CHECKING:
    from asr.lm.neural import LstmLanguageModel

_MOST_BYTES = 2**30  # of the file: a billion weights
_EMBEDDING = "embedding.weight"
_AT_ONCE = 256  # histories in a product with the softmax, which bounds memory


@dataclass(frozen=True, eq=False)
class LstmArrays:
    """The weights of an LSTM language model under their names in torch, and its vocabulary."""

    vocabulary: LmVocabulary
    embedding: Floats | PackedRows  # (tokens, I), of a file in 8 bits: half of all weights
    weights: Mapping[str, Floats]  # all others

    @classmethod
    def load(cls, path: Path) -> "LstmArrays":
        """Load a file written by `save`, or (with torch) an experiment folder of asr-lm train-lstm.

        Raises:
            CheckpointError: not an experiment folder, or a damaged one.
            LanguageModelError: an experiment of another kind, or another file.
        """
        if path.is_dir():
            from asr.lm.neural import load_lstm

            return cls.of(*load_lstm(path))
        try:
            with open_regular(path, _MOST_BYTES) as file:
                content = file.read()
            return cls._unpacked(read_npz(content, len(content)))  # `save` does not pack
        except Exception as error:  # a damaged archive raises many kinds, of no common class
            raise LanguageModelError(
                f"{path}: not an LSTM language model ({error}); give the --out folder of asr-lm "
                "train-lstm, or the .npz that asr-lm convert made of it"
            ) from error

    @classmethod
    def of(cls, model: "LstmLanguageModel", vocabulary: LmVocabulary) -> "LstmArrays":
        """Return the arrays of a model; they share its memory."""
        weights = {name: w.numpy() for name, w in model.state_dict().items()}
        return cls(vocabulary, weights.pop(_EMBEDDING), weights)

    @property
    def settings(self) -> dict[str, Any]:
        """Those of LmConfig that give a model of these shapes."""
        return {
            "unit": self.vocabulary.unit,
            "embedding": self.embedding.shape[1],
            "layers": self.start.shape[1],
            "hidden": self.start.shape[-1],
        }

    def check_config(self, config: LmConfig, name: str) -> None:
        """Check that a model of this configuration has weights of the same shapes.

        Raises:
            ConfigError: it has not; the message begins with `name`.
            LanguageModelError: its softmax has other classes than any that is trained.
        """
        import torch

        from asr.lm.neural import LstmLanguageModel

        for key, value in self.settings.items():
            if value != getattr(config, key):
                raise ConfigError(
                    f"{name}: its network has lm.{key}={value}, this one {getattr(config, key)}; "
                    f"give lm.{key}={value}"
                )
        with torch.device("meta"):  # shapes alone
            trained = LstmLanguageModel(config, len(self.vocabulary)).state_dict()
        own = {_EMBEDDING: self.embedding.shape, **{n: w.shape for n, w in self.weights.items()}}
        if own != {n: tuple(w.shape) for n, w in trained.items()}:
            raise LanguageModelError(
                f"{name}: not a model of asr-lm train-lstm, its softmax has other classes; "
                "train it anew"
            )

    @property
    def can_grow(self) -> bool:
        """Whether units can be added: the last class of the softmax, the rarest, has several."""
        return bool(np.diff(self._classes, prepend=0)[-1] > 1)

    def grown(self, units: Sequence[str]) -> "LstmArrays":
        """Return the model with more units in the last class of its softmax.

        A new unit begins as a copy: it is read as <unk>, and predicted as the mean of its class.

        Raises:
            LanguageModelError: the model knows one of the units.
        """
        rarest = f"softmax.tail.{len(self._classes) - 2}.1.weight"
        rows = self.weights[rarest]
        new_rows = np.broadcast_to(rows.mean(axis=0), (len(units), rows.shape[1]))
        read_as = np.r_[np.arange(len(self.vocabulary)), np.full(len(units), UNKNOWN)]
        return replace(
            self,
            vocabulary=replace(self.vocabulary, tokens=(*self.vocabulary.tokens, *units)),
            embedding=self.embedding[read_as],
            weights={**self.weights, rarest: np.concatenate([rows, new_rows])},
        )

    def put_into(self, model: "LstmLanguageModel") -> None:
        """Copy the weights into a model of the same shapes."""
        import torch

        state = {name: torch.from_numpy(w.copy()) for name, w in self._all_weights().items()}
        model.load_state_dict(state)

    def _all_weights(self) -> dict[str, Floats]:
        return {_EMBEDDING: self.embedding[np.arange(len(self.vocabulary))], **self.weights}

    @classmethod
    def _unpacked(cls, stored: dict[str, NDArray[Any]]) -> "LstmArrays":
        """Return the model whose arrays, in 8 bits, a file holds.

        Raises:
            ValueError, LookupError: some are missing, do not fit together, or are no numbers.
        """
        tokens, unit = (stored.pop(name).tobytes().decode() for name in ("tokens", "unit"))
        table = PackedRows.taken_from(stored, _EMBEDDING)
        arrays = cls(LmVocabulary(tuple(tokens.split("\n")), unit), table, unpacked_weights(stored))
        check_weights(
            {**arrays.weights, _EMBEDDING: table.largest},
            {**arrays._shapes(), _EMBEDDING: (len(arrays.vocabulary), 1)},
        )
        return arrays

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape that each weight but the embedding must have, given a few sizes."""
        weights, tokens = self.weights, len(self.vocabulary)
        hidden, inputs = self.start.shape[-1], self.embedding.shape[1]
        shapes = dict[str, tuple[int, ...]]()
        for layer in range(self.start.shape[1]):
            shapes[f"network.weight_ih_l{layer}"] = (4 * hidden, hidden if layer else inputs)
            shapes[f"network.weight_hh_l{layer}"] = (4 * hidden, hidden)
            shapes |= {f"network.bias_{kind}_l{layer}": (4 * hidden,) for kind in ("ih", "hh")}
        first = int(self._classes[0])
        if first < 1:
            raise ValueError(f"the head of its softmax has {first} tokens")
        shapes["softmax.head.weight"] = (first + len(self._classes) - 1, hidden)
        for tail, (begin, end) in enumerate(pairwise([*self._classes[:-1].tolist(), tokens])):
            narrow = len(weights[f"softmax.tail.{tail}.0.weight"])
            shapes[f"softmax.tail.{tail}.0.weight"] = (narrow, hidden)
            shapes[f"softmax.tail.{tail}.1.weight"] = (end - begin, narrow)
        return shapes

    def save(self, path: Path) -> None:
        """Write a file that np.load reads without a pickle; matrices have 8 bits a weight.

        Raises:
            LanguageModelError: the file cannot be written.
        """
        stored: dict[str, Any] = {
            "tokens": np.frombuffer("\n".join(self.vocabulary.tokens).encode(), np.uint8),
            "unit": np.frombuffer(self.vocabulary.unit.encode(), np.uint8),
        }
        stored |= packed_weights(self._all_weights())
        with created(path) as file:
            np.savez(file, **stored)

    @cached_property
    def start(self) -> Floats:
        """The state before a sentence, (1, L, 2, H): hidden state and cell of each layer."""
        layers = sum(name.startswith("network.weight_hh") for name in self.weights)
        return np.zeros((1, layers, 2, self.weights["network.weight_hh_l0"].shape[1]), np.float32)

    def read(self, tokens: NDArray[np.int64], state: Floats) -> Floats:
        """Return the state (N, L, 2, H) after tokens (N,), given the state before them."""
        weights, state = self.weights, state.copy()
        inputs = self.embedding[tokens]  # (N, I)
        for layer in range(state.shape[1]):
            hidden, cell = state[:, layer, 0], state[:, layer, 1]  # views
            sums = inputs @ weights[f"network.weight_ih_l{layer}"].T
            sums += hidden @ weights[f"network.weight_hh_l{layer}"].T
            sums += weights[f"network.bias_ih_l{layer}"] + weights[f"network.bias_hh_l{layer}"]
            inputs, cell[:] = cell_step(sums, cell)
            hidden[:] = inputs
        return state

    def log_probs(self, hidden: Floats, tokens: NDArray[np.int64]) -> Floats:
        """Return the log-probability (N,) of tokens after hidden states (N, H) of the top layer."""
        starts = range(0, len(tokens), _AT_ONCE)
        parts = (slice(start, start + _AT_ONCE) for start in starts)
        return np.concatenate([self._log_probs(hidden[part], tokens[part]) for part in parts])

    def _log_probs(self, hidden: Floats, tokens: NDArray[np.int64]) -> Floats:
        head = _log_softmax(hidden @ self.weights["softmax.head.weight"].T)
        own = np.searchsorted(self._classes, tokens, side="right")  # 0: the head's own tokens
        column = np.where(own == 0, tokens, self._classes[0] + own - 1)
        found: Floats = head[np.arange(len(tokens)), column]
        for number in range(1, len(self._classes)):
            rows = np.flatnonzero(own == number)
            down, up = (self.weights[f"softmax.tail.{number - 1}.{i}.weight"] for i in (0, 1))
            tail = _log_softmax(hidden[rows] @ down.T @ up.T)
            found[rows] += tail[np.arange(len(rows)), tokens[rows] - self._classes[number - 1]]
        return found

    @cached_property
    def _classes(self) -> NDArray[np.int64]:
        """The ranks at which the classes of rarer tokens begin, and the end of the last class."""
        tails = [len(w) for name, w in self.weights.items() if name.endswith(".1.weight")]
        first = len(self.weights["softmax.head.weight"]) - len(tails)
        return np.cumsum([first, *tails])


def _log_softmax(values: Floats) -> Floats:
    values = values - values.max(axis=1, keepdims=True)
    values -= np.log(np.exp(values).sum(axis=1, keepdims=True))
    return values

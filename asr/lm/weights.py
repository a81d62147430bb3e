"""Weights of LSTMs in numpy, named as in torch: packed, checked, and the step of a cell."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]  # 32 bits each

_LARGEST = 127  # code of 8 bits
_LARGEST_WEIGHT = 1e4  # so that no sum of products leaves float32
_SCALE = ".scale"  # suffix of a matrix's name: the weight that code 1 stands for, in each row


@dataclass(frozen=True, eq=False)
class PackedRows:
    """A matrix in 8 bits a weight, for tables of which a few rows are used at a time."""

    codes: NDArray[np.int8]  # (rows, columns)
    scale: Floats  # (rows, 1): the weight that code 1 stands for

    @classmethod
    def of(cls, matrix: Floats) -> "PackedRows":
        """Round a matrix to 8 bits a weight."""
        scale = np.abs(matrix).max(axis=1, keepdims=True).clip(min=1e-20) / _LARGEST
        return cls(np.rint(matrix / scale).astype(np.int8), scale)

    @classmethod
    def taken_from(cls, stored: dict[str, NDArray[Any]], name: str) -> "PackedRows":
        """Take a matrix out of the arrays of a file.

        Raises:
            ValueError, LookupError: it is not there, or not so.
        """
        codes, scale = stored.pop(name), stored.pop(name + _SCALE)
        if codes.dtype != np.int8 or codes.ndim != 2 or scale.shape != (len(codes), 1):
            raise ValueError(f"{name} has no 8 bits a weight, or has scales of shape {scale.shape}")
        return cls(codes, scale.astype(np.float32))

    def stored_as(self, name: str) -> dict[str, NDArray[Any]]:
        """Return the arrays of a file."""
        return {name: self.codes, name + _SCALE: self.scale}

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns."""
        return self.codes.shape

    @property
    def largest(self) -> Floats:
        """The largest size of a weight that each row can hold, (rows, 1): a file may have -128."""
        return 128 * self.scale

    def __getitem__(self, rows: NDArray[np.integer[Any]]) -> Floats:
        """Return some rows in 32 bits."""
        found: Floats = self.codes[rows] * self.scale[rows]
        return found


def packed_weights(weights: Mapping[str, Floats]) -> dict[str, NDArray[Any]]:
    """Return the arrays of a file: matrices in 8 bits a weight, with their scales."""
    stored = dict[str, NDArray[Any]]()
    for name, weight in weights.items():
        stored |= PackedRows.of(weight).stored_as(name) if weight.ndim == 2 else {name: weight}
    return stored


def unpacked_weights(stored: Mapping[str, NDArray[Any]]) -> dict[str, Floats]:
    """Return the weights, in 32 bits, whose arrays a file holds.

    Raises:
        ValueError: scales do not fit their matrix, or have none.
    """
    scales = {name: array for name, array in stored.items() if name.endswith(_SCALE)}
    weights = dict[str, Floats]()
    for name, codes in stored.items():
        if name.endswith(_SCALE):
            continue
        scale = scales.pop(name + _SCALE, np.ones((), np.float32))
        if scale.shape not in ((), (len(codes), 1)):
            raise ValueError(f"{name} has scales of shape {scale.shape}")
        weights[name] = codes.astype(np.float32)
        weights[name] *= scale
    if scales:
        raise ValueError(f"{', '.join(scales)}: scales of no weight")
    return weights


def check_weights(weights: Mapping[str, Floats], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Check that all weights are there, fit together, and are numbers of a usual size.

    Raises:
        ValueError: they are not.
    """
    if {name: weight.shape for name, weight in weights.items()} != shapes:
        raise ValueError("its parts do not fit together")
    for name, weight in weights.items():
        if not np.abs(weight).max(initial=0.0) <= _LARGEST_WEIGHT:  # true for NaN, too
            raise ValueError(f"{name} has a weight that is not within {_LARGEST_WEIGHT:g}")


def cell_step(sums: Floats, cell: Floats) -> tuple[Floats, Floats]:
    """Return hidden state and cell (N, H), given the sums (N, 4H) of all gates and the old cell."""
    i, f, g, o = np.split(sums, 4, axis=1)
    cell = _sigmoid(f) * cell + _sigmoid(i) * np.tanh(g)
    return _sigmoid(o) * np.tanh(cell), cell


def _sigmoid(values: Floats) -> Floats:
    return (1 + np.tanh(values / 2)) / 2  # tanh, unlike exp, does not overflow

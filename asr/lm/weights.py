"""Weights of LSTMs in numpy, named as in torch: packed, checked, and the step of a cell."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]  # 32 bits each

LARGEST = 127  # code of 8 bits
_LARGEST_WEIGHT = 1e4  # so that no sum of products leaves float32
SCALE = ".scale"  # suffix of a matrix's name: the weight that code 1 stands for, in each row


def packed_rows(matrix: Floats) -> tuple[NDArray[np.int8], Floats]:
    """Return a matrix in 8 bits, and the weight that code 1 stands for in each row, (rows, 1)."""
    scale = np.abs(matrix).max(axis=1, keepdims=True).clip(min=1e-20) / LARGEST
    return np.rint(matrix / scale).astype(np.int8), scale


@dataclass(frozen=True, eq=False)
class PackedRows:
    """A matrix in 8 bits a weight, for tables of which a few rows are used at a time."""

    codes: NDArray[np.int8]  # (rows, columns)
    scale: Floats  # (rows, 1): the weight that code 1 stands for

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns."""
        return self.codes.shape

    def __getitem__(self, rows: NDArray[np.int64]) -> Floats:
        """Return some rows in 32 bits."""
        return self.codes[rows] * self.scale[rows]


def packed_weights(weights: Mapping[str, Floats]) -> dict[str, NDArray[Any]]:
    """Return the arrays of a file: matrices in 8 bits a weight, with their scales."""
    stored = dict[str, NDArray[Any]]()
    for name, weight in weights.items():
        stored[name] = weight
        if weight.ndim == 2:
            stored[name], stored[name + SCALE] = packed_rows(weight)
    return stored


def unpacked_weights(stored: Mapping[str, NDArray[Any]]) -> dict[str, Floats]:
    """Return the weights, in 32 bits, whose arrays a file holds.

    Raises:
        ValueError: scales do not fit their matrix, or have none.
    """
    scales = {name: array for name, array in stored.items() if name.endswith(SCALE)}
    weights = dict[str, Floats]()
    for name, codes in stored.items():
        if name.endswith(SCALE):
            continue
        scale = scales.pop(name + SCALE, np.ones((), np.float32))
        if scale.shape not in ((), (len(codes), 1)):
            raise ValueError(f"{name} has scales of shape {scale.shape}")
        weights[name] = codes.astype(np.float32) * scale.astype(np.float32)
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

"""N-gram arrays in fewer bits, for files, and back.

Log-probabilities and back-off weights of orders 2 and up become codes of one byte, with a codebook
of 256 values for each order. Its values are the means of bins of equal count (Federico and Bertoldi
2006, 'How many bits are needed to store probabilities for phrase-based translation?'), and zero, so
that zero stays exact. The unigrams stay as they are. Integers are stored exactly, as planes of
bytes: all lowest bytes, all second bytes, and so on.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr._numba import read_only
from asr.lm.arrays import NgramArrays

Arrays = dict[str, NDArray[Any]]

_INTEGERS = ("word", "suffix", "first_child")
_FLOATS = ("prob", "backoff")
_VALUES = 256
_AT_ONCE = 2**14


def quantize(arrays: NgramArrays, counts: Sequence[int]) -> Arrays:
    """Return arrays that `dequantize` turns back into nearly the given ones.

    Args:
        arrays: the arrays of a model.
        counts: the model's number of n-grams of each order.
    """
    stored: Arrays = {name: _planes(getattr(arrays, name)) for name in _INTEGERS}
    for name in _FLOATS:
        unigrams, *levels = _split(getattr(arrays, name), counts)
        books = [_codebook(level) for level in levels]
        codes = [_nearest(book, level) for book, level in zip(books, levels, strict=True)]
        stored[f"{name}_unigrams"] = unigrams
        stored[f"{name}_books"] = np.array(books, np.float32).reshape(-1, _VALUES)
        stored[f"{name}_codes"] = np.concatenate([np.zeros(len(unigrams), np.uint8), *codes])
    return stored


def dequantize(stored: Arrays, counts: Sequence[int]) -> Arrays:
    """Return the arrays by their names in `NgramArrays`, read-only.

    `stored` is emptied on the way: what has become an array needs no memory any more.
    """
    arrays: Arrays = {name: _whole(stored.pop(name)) for name in _INTEGERS}
    for name in _FLOATS:
        codes = stored.pop(f"{name}_codes")
        values = arrays[name] = np.empty(len(codes), np.float32)
        unigrams, *levels = _split(values, counts)
        unigrams[:] = stored[f"{name}_unigrams"]
        _, *codes_of_levels = _split(codes, counts)
        for book, level, its_codes in zip(
            stored[f"{name}_books"], levels, codes_of_levels, strict=True
        ):
            for part in _parts(len(level)):
                np.take(book, its_codes[part], out=level[part], mode="clip")
    read_only(arrays.values())
    return arrays


def _split(values: NDArray[Any], counts: Sequence[int]) -> list[NDArray[Any]]:
    """Split the values of nodes, or of contexts, by order; the root goes with the unigrams."""
    ends = np.cumsum([1 + counts[0], *counts[1:]])
    return np.split(values, ends[ends < len(values)])


def _codebook(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return 256 ascending values; where fewer are needed, the last one is repeated."""
    distinct = np.unique(values)
    if len(distinct) > _VALUES:
        bins = np.array_split(np.sort(values[values != 0.0]), _VALUES - 1)
        distinct = np.unique([0.0, *map(np.mean, bins)]).astype(np.float32)
    return np.pad(distinct, (0, _VALUES - len(distinct)), mode="edge")


def _nearest(book: NDArray[np.float32], values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the indices of the nearest values in a codebook."""
    return np.searchsorted((book[1:] + book[:-1]) / 2, values).astype(np.uint8)


def _planes(numbers: NDArray[np.int32]) -> NDArray[np.uint8]:
    """Split whole numbers (count,) into bytes (planes, count), the lowest first."""
    num_planes = max(1, -(-int(numbers.max()).bit_length() // 8))
    return np.stack([(numbers >> 8 * plane).astype(np.uint8) for plane in range(num_planes)])


def _whole(planes: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Join bytes into whole numbers; the inverse of `_planes`."""
    numbers = np.empty(planes.shape[1], np.int32)
    for part in _parts(len(numbers)):
        numbers[part] = planes[-1, part]
        for plane in planes[-2::-1, part]:
            numbers[part] <<= 8
            numbers[part] |= plane
    return numbers


def _parts(length: int) -> Iterator[slice]:
    """Yield the slices of an array that stay in the processor's cache between two steps."""
    return (slice(begin, begin + _AT_ONCE) for begin in range(0, length, _AT_ONCE))

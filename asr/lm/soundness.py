"""The rules that compiled queries rely on, checked once where the arrays come from a file.

A kernel does not look whether an index lies within an array, and a loop along suffixes ends only at
the empty context. So a file that breaks a rule would crash the process or never let it go.
"""

from collections.abc import Sequence
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from asr.lm.arrays import EMPTY_CONTEXT, NgramArrays

_LARGEST = 231.0  # of one logarithm in a file: ARPA files hold 10^-100 to 10^99


def check_arrays(arrays: NgramArrays, counts: Sequence[int]) -> None:
    """Check every rule on the values of `NgramArrays`; types and lengths are right already.

    Args:
        arrays: one-dimensional arrays, for as many nodes as `counts` says.
        counts: the number of n-grams of each order.

    Raises:
        ValueError: a rule is broken; the message says which.
    """
    starts = list(accumulate(counts, initial=1))  # the first node of each order, and the end
    _check_children(arrays.first_child, starts)
    _check_words(arrays.word, arrays.first_child, counts[0])
    for start, end in pairwise(starts):
        _check_range("suffix", arrays.suffix[start:end], 0, start - 1)
    _check_range("suffix", arrays.suffix[:1], EMPTY_CONTEXT, EMPTY_CONTEXT)
    most = _LARGEST * len(counts)  # an n-gram that was added has the sum of its back-offs
    _check_range("prob", arrays.prob, -most, most)
    _check_range("backoff", arrays.backoff, -most, most)


def _check_children(first_child: NDArray[np.int32], starts: Sequence[int]) -> None:
    """Check that the children of the nodes of each order are the n-grams of the next."""
    for (node, end), after in zip(pairwise([EMPTY_CONTEXT, *starts]), starts[1:], strict=False):
        of_order = first_child[node : end + 1]
        if of_order[0] != end or of_order[-1] != after or (of_order[1:] < of_order[:-1]).any():
            raise ValueError(f"first_child of nodes {node} to {end} is not ascending from {end}")


def _check_words(word: NDArray[np.int32], first_child: NDArray[np.int32], num_words: int) -> None:
    """Check that words are ids, and that those of siblings ascend."""
    _check_range("word", word, 0, num_words - 1)
    if (word[1 : 1 + num_words] != np.arange(num_words)).any():
        raise ValueError("the unigrams are not in the order of the words")
    eldest = np.zeros(len(word) + 1, np.bool_)
    eldest[first_child] = True
    if (~eldest[2:-1] & (word[2:] <= word[1:-1])).any():
        raise ValueError("the children of a node are not sorted by word")


def _check_range(
    name: str, values: NDArray[np.int32] | NDArray[np.float32], lowest: float, highest: float
) -> None:
    """Check that no value is outside of a range, or NaN."""
    if len(values) and not (values.min() >= lowest and values.max() <= highest):
        raise ValueError(
            f"{name} has values from {values.min():g} to {values.max():g}; "
            f"allowed here: {lowest:g} to {highest:g}"
        )

"""Features of words and pauses, the inputs of a tagger.

A word is known by itself and by its edges: the numbers of rows of one embedding table, found by
hashing. So the table has a fixed size and no vocabulary, words that were never seen have rows, too,
and words that end alike share some. A pause is known by its length, in steps.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

PIECES = 8  # rows of the embedding table that a word has
UNKNOWN_PAUSE = 0
_STEPS_S = (0.06, 0.12, 0.2, 0.3, 0.45, 0.65, 1.0, 1.6)  # between the kinds of pauses
PAUSES = len(_STEPS_S) + 2  # kinds of pauses, UNKNOWN_PAUSE among them


def word_rows(words: Iterable[str], num_rows: int) -> NDArray[np.int32]:
    """Return the rows of words in lower case, int32 (words, PIECES), each 0..num_rows - 1."""
    rows = [_rows(word, num_rows) for word in words]
    return np.array(rows, np.int32).reshape(-1, PIECES)


@lru_cache(maxsize=100_000)
def _rows(word: str, num_rows: int) -> tuple[int, ...]:
    pieces = (
        f"={word}",
        f"+{word}",  # a second row: two words that share one rarely share both
        f"<{word[:2]}",
        f"<{word[:3]}",
        f"<{word[:4]}",
        f"{word[-2:]}>",
        f"{word[-3:]}>",
        f"{word[-4:]}>",
    )
    return tuple(crc32(piece.encode("utf-8", "replace")) % num_rows for piece in pieces)


def pause_kinds(seconds: Sequence[float] | NDArray[np.floating]) -> NDArray[np.int64]:
    """Return the kind of each pause, 0..PAUSES - 1; NaN stands for a length that is unknown."""
    lengths = np.asarray(seconds, np.float64)
    kinds = np.searchsorted(_STEPS_S, lengths, side="right") + 1
    return np.where(np.isnan(lengths), UNKNOWN_PAUSE, kinds)

"""Statistics of a written text by rows of the embedding table: how often words have which tag.

A network begins with them instead of random numbers. So it knows from the first step on which words
are mostly names, and after which words a comma is likely, even of words that it meets once.
"""

import numpy as np
from numpy.typing import NDArray

from asr.readable.written import CAPITAL, COMMA, LOWER, MARKS, PERIOD, WrittenText

_PRIOR = 5.0  # occurrences that each row has beside its own, with the rates of the whole text


def row_statistics(
    text: WrittenText, rows: NDArray[np.int32], num_rows: int
) -> NDArray[np.float32]:
    """Return log-odds of tags, less those of the whole text, float32 (num_rows, K).

    Args:
        text: the words with their tags.
        rows: of each different word, int32 (words, PIECES).
        num_rows: of the embedding table.
    """
    seen, counts = _counts(text)
    row_seen, row_counts = np.zeros(num_rows), np.zeros((num_rows, counts.shape[1]))
    for piece in rows.T:
        np.add.at(row_seen, piece, seen)
        np.add.at(row_counts, piece, counts)
    rates = counts.sum(axis=0) / max(1, seen.sum())
    rates = np.clip(rates, 1e-6, 1 - 1e-6)
    share = (row_counts + _PRIOR * rates) / (row_seen + _PRIOR)[:, None]
    share = np.clip(share, 1e-6, 1 - 1e-6)
    values = np.log(share / (1 - share)) - np.log(rates / (1 - rates))
    return np.asarray(values, np.float32)


def _counts(text: WrittenText) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how often each word occurs, (words,), and how often with each tag, (words, K).

    The tags are: a capital where no period stands before, other capital forms, each mark after the
    word, and a comma and a period before it.
    """
    size, ids, marks = len(text.words), text.ids, text.marks
    before = np.concatenate(([PERIOD], marks[:-1]))
    flags = [
        (text.cases == CAPITAL) & (before != PERIOD),
        (text.cases != LOWER) & (text.cases != CAPITAL),
        *(marks == mark for mark in range(1, len(MARKS))),
        before == COMMA,
        before == PERIOD,
    ]
    columns = [np.bincount(ids[flag], minlength=size) for flag in flags]
    seen = np.bincount(ids, minlength=size).astype(np.float64)
    return seen, np.stack(columns, axis=1).astype(np.float64)

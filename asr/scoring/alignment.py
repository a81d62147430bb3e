"""Align a hypothesis with its reference, word by word.

The alignment has the fewest errors (the Levenshtein distance), and of all such alignments the most
correct words.

A reference may hold NIST's alternatives, `{ a / b c / @ }`, where @ stands for no word; they may
be nested. The one that suits the hypothesis best is aligned. A reference's `Deletable` word is
correct, too, where the hypothesis has nothing in its place.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from asr.errors import ScoreError

AlignedPair = tuple[Literal["cor", "sub", "del", "ins"], str | None, str | None]
"""(operation, reference word, hypothesis word); None where one side has no word."""
Node = tuple[str, tuple[int, ...]]  # a word of the reference, and the rows of costs before it

# A substitution costs one more than an insertion or a deletion, and far less than two of them:
# an alignment costs ERROR_COST * errors + substitutions, and the fewest errors are cheapest.
ERROR_COST = 1 << 24
SUBSTITUTION_COST = ERROR_COST + 1
_MAX_CELLS = 10**8  # 800 MB; an hour of speech as one line


class Deletable(str):
    """A reference word that the hypothesis may leave out without an error."""

    __slots__ = ()


def align(ref_words: Sequence[str], hyp_words: Sequence[str]) -> list[AlignedPair]:
    """Return the best alignment as steps (op, reference word, hypothesis word).

    The reference may hold alternatives. Row i of the table of costs stands behind the i-th word of
    the reference, and may have several rows before it, one for each alternative that ends there.

    Raises:
        ScoreError: an alternative is not closed, or the texts are too long to align.
    """
    nodes, ends = _network(ref_words)
    rows = _costs(nodes, hyp_words)
    steps: list[AlignedPair] = []
    row, column = min(ends, key=lambda end: rows[end][-1]), len(hyp_words)
    while row or column:
        ref, before = nodes[row - 1] if row else (None, ())
        hyp = hyp_words[column - 1] if column else None
        moves: list[tuple[int, int, int, AlignedPair]] = []
        if ref is not None and hyp is not None:
            step: AlignedPair = ("cor", ref, hyp) if ref == hyp else ("sub", ref, hyp)
            cost = 0 if ref == hyp else SUBSTITUTION_COST
            moves += [(rows[p][column - 1] + cost, p, column - 1, step) for p in before]
        step = ("cor" if isinstance(ref, Deletable) else "del", ref, None)
        moves += [(rows[p][column] + _deletion(ref), p, column, step) for p in before]
        if hyp is not None:
            moves.append((rows[row][column - 1] + ERROR_COST, row, column - 1, ("ins", None, hyp)))
        _, row, column, step = min(moves, key=lambda move: move[0])
        steps.append(step)
    return steps[::-1]


def check_size(ref_units: int, hyp_units: int, limit: int) -> None:
    """Raise ScoreError if the product of the lengths, which costs time and memory, is too large."""
    if ref_units * hyp_units > limit:
        raise ScoreError(
            f"{ref_units} reference against {hyp_units} hypothesis words or characters in one "
            "utterance are too many to align; split it into utterances"
        )


def _costs(nodes: Sequence[Node], hyp_words: Sequence[str]) -> list[NDArray[np.int64]]:
    """Return a row of U+1 costs for the start and for each node, for U hypothesis words."""
    check_size(len(nodes), len(hyp_words), _MAX_CELLS)
    hyp = np.array(hyp_words, dtype=object)
    inserted = np.arange(len(hyp) + 1, dtype=np.int64) * ERROR_COST
    rows = [inserted]
    for word, before in nodes:
        entry = np.minimum.reduce([rows[p] for p in before])
        best = entry + _deletion(word)
        np.minimum(best[1:], entry[:-1] + np.where(hyp == word, 0, SUBSTITUTION_COST), out=best[1:])
        rows.append(np.minimum.accumulate(best - inserted) + inserted)
    return rows


def _deletion(word: str | None) -> int:
    return 0 if isinstance(word, Deletable) else ERROR_COST


def _network(words: Sequence[str]) -> tuple[list[Node], tuple[int, ...]]:
    """Return (word, rows before it) of each word, and the rows that may end the reference."""
    nodes: list[Node] = []
    ends: tuple[int, ...] = (0,)
    entered: list[tuple[tuple[int, ...], tuple[int, ...]]] = []  # rows before, rows that left
    for word in words:
        if word == "{":
            entered.append((ends, ()))
        elif word in ("/", "}") and entered:
            entry, left = entered.pop()
            left = tuple(dict.fromkeys(left + ends))
            ends = left
            if word == "/":
                entered.append((entry, left))
                ends = entry
        elif not (word == "@" and entered):
            nodes.append((word, ends))
            ends = (len(nodes),)
    if entered:
        raise ScoreError(f"an alternative is not closed by }} in {' '.join(words)[:80]!r}")
    return nodes, ends

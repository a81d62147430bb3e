"""Alignment of the letters of words with their phones: a word as a sequence of graphones.

A graphone is one or two letters with the phones they stand for: one letter with none to two phones
(e silent, x as K S), or two letters with one phone (sh as SH). Their probabilities are learned from
whole words by expectation maximisation, starting from equal ones.

Source: Bisani & Ney 2008, "Joint-sequence models for grapheme-to-phoneme conversion", section 2.
"""

import math
from collections.abc import Sequence
from itertools import chain, pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from asr._numba import Index, inlined, kernel
from asr._progress import progress
from asr.errors import LanguageModelError

STEPS = ((1, 0), (1, 1), (1, 2), (2, 1))  # letters and phones of a graphone
_ITERATIONS = 10  # of expectation maximisation
_MOST_GRAPHONES = 10**8  # each takes two numbers of 8 bytes
_MOST_PLACES = 10**6  # in the longest word; each takes six numbers of 8 bytes
_INSIDE = -1  # in place of a step, at a letter where no graphone begins


class Graphone(NamedTuple):
    """A few letters and the phones that they stand for."""

    letters: str
    phones: tuple[str, ...]


class Sequences(NamedTuple):
    """Concatenated sequences of symbols; sequence i is symbols[starts[i] : starts[i + 1]]."""

    symbols: NDArray[np.int64]
    starts: NDArray[np.int64]


class AlignmentLattice(NamedTuple):
    """All alignments of the words with their phones: the arrays that the kernels work on.

    `weight` has a graphone at [letter, second, last phone]. `second` is 0 for none, 1 + another
    letter, or 1 + letters + the phone before the last; the last axis is 0 for none, or 1 + phone.
    """

    words: Sequences
    spoken: Sequences  # the phones of each word
    weight: NDArray[np.float64]  # (letters, 1 + letters + phones, 1 + phones): probabilities
    counts: NDArray[np.float64]  # of the same shape: expected occurrences
    # Of the word at hand, after i of its letters and j of its phones:
    share: NDArray[np.float64]  # (I, J, steps): probability of each next step; see `_fill_share`
    after: NDArray[np.float64]  # (I, J): weight of all ways to the end
    reached: NDArray[np.float64]  # (I, J): probability that an alignment passes here


def align(pronunciations: Sequence[tuple[str, Sequence[str]]]) -> list[list[Graphone]]:
    """Split words and their phones into graphones; each is the likeliest after those before it.

    Args:
        pronunciations: pairs of a word and its phones, one pair for each pronunciation.

    Returns:
        The graphones of each pair, in order; none if letters and phones cannot be aligned, as in
        an abbreviation that is spelled out.

    Raises:
        LanguageModelError: there are thousands of letters, as in a script without an alphabet, or
            a word has thousands.
    """
    lattice = _lattice(pronunciations)
    for _ in progress(range(_ITERATIONS), "aligning letters and phones"):
        lattice.counts.fill(0.0)
        _expect(lattice)
        np.divide(lattice.counts, max(lattice.counts.sum(), 1.0), out=lattice.weight)
    steps = np.full_like(lattice.words.symbols, _INSIDE)
    _find_best(lattice, steps)
    of_words = (steps[start:end].tolist() for start, end in pairwise(lattice.words.starts))
    return [
        _graphones(*pair, of_word) for pair, of_word in zip(pronunciations, of_words, strict=True)
    ]


def _lattice(pronunciations: Sequence[tuple[str, Sequence[str]]]) -> AlignmentLattice:
    """Return the lattice of pronunciations, with equal weights."""
    letters, words = _encode([word for word, _ in pronunciations])
    phones, spoken = _encode([sequence for _, sequence in pronunciations])
    shape = (letters, 1 + letters + phones, 1 + phones)
    if math.prod(shape) > _MOST_GRAPHONES:
        raise LanguageModelError(
            f"the dictionary has {letters} letters and {phones} phones, too many to align; give a "
            "dictionary of words in one alphabet"
        )
    places = [1 + int(np.diff(sequences.starts).max(initial=0)) for sequences in (words, spoken)]
    if math.prod(places) > _MOST_PLACES:
        raise LanguageModelError(
            f"the dictionary has a word of {places[0] - 1} letters and one of {places[1] - 1} "
            "phones, too long to align; give a dictionary of words"
        )
    return AlignmentLattice(
        words,
        spoken,
        np.ones(shape),
        np.empty(shape),
        np.empty((*places, len(STEPS))),
        np.empty(places),
        np.empty(places),
    )


def _encode(sequences: Sequence[Sequence[str]]) -> tuple[int, Sequences]:
    """Return the number of different symbols, and the sequences as indices of them."""
    index: dict[str, int] = {}
    symbols = [index.setdefault(symbol, len(index)) for symbol in chain.from_iterable(sequences)]
    starts = np.cumsum([0, *map(len, sequences)])
    return len(index), Sequences(np.array(symbols, np.int64), starts)


def _graphones(word: str, phones: Sequence[str], steps: Sequence[int]) -> list[Graphone]:
    """Return the graphones of a word, given the step that begins at each of its letters."""
    found = []
    j = 0
    for i, step in enumerate(steps):
        if step != _INSIDE:
            letters, spoken = STEPS[step]
            found.append(Graphone(word[i : i + letters], tuple(phones[j : j + spoken])))
            j += spoken
    return found


@kernel
def _expect(lattice: AlignmentLattice) -> None:
    """Add up the expected occurrences of each graphone in all alignments of all words."""
    share, reached = lattice.share, lattice.reached
    for n in range(len(lattice.words.starts) - 1):
        num_letters, num_phones = _fill_share(lattice, n)
        for i in range(num_letters + 1):
            for j in range(num_phones + 1):
                reached[i, j] = 0.0
        reached[0, 0] = 1.0
        for i in range(num_letters):
            for j in range(num_phones + 1):
                for step in range(len(STEPS)):
                    part = reached[i, j] * share[i, j, step]
                    if part > 0.0:
                        letters, phones = STEPS[step]
                        reached[i + letters, j + phones] += part
                        lattice.counts[_place(lattice, n, i, j, step)] += part


@kernel
def _find_best(lattice: AlignmentLattice, steps: NDArray[np.int64]) -> None:
    """Write the likeliest steps of each word, one after the other, to the letters they begin at."""
    for n in range(len(lattice.words.starts) - 1):
        num_letters, _ = _fill_share(lattice, n)
        i = j = 0
        while i < num_letters and lattice.after[i, j] > 0.0:
            best = 0
            for step in range(1, len(STEPS)):
                if lattice.share[i, j, step] > lattice.share[i, j, best]:
                    best = step
            steps[lattice.words.starts[n] + i] = best
            letters, phones = STEPS[best]
            i, j = i + letters, j + phones


@inlined
def _fill_share(lattice: AlignmentLattice, n: Index) -> tuple[Index, Index]:
    """Fill `share` for word n; return its numbers of letters and phones.

    share[i, j, step] is the probability of a step among all steps that go on from i letters and j
    phones; all are 0 where none leads to the end.
    """
    share, after = lattice.share, lattice.after
    num_letters = lattice.words.starts[n + 1] - lattice.words.starts[n]
    num_phones = lattice.spoken.starts[n + 1] - lattice.spoken.starts[n]
    for i in range(num_letters, -1, -1):
        for j in range(num_phones, -1, -1):
            total = 0.0
            for step in range(len(STEPS)):
                letters, phones = STEPS[step]
                share[i, j, step] = 0.0
                if i + letters <= num_letters and j + phones <= num_phones:
                    weight = lattice.weight[_place(lattice, n, i, j, step)]
                    share[i, j, step] = weight * after[i + letters, j + phones]
                    total += share[i, j, step]
            if total > 0.0:
                for step in range(len(STEPS)):
                    share[i, j, step] /= total
            after[i, j] = 1.0 if i == num_letters and j == num_phones else total
    return num_letters, num_phones


@inlined
def _place(
    lattice: AlignmentLattice, n: Index, i: Index, j: Index, step: Index
) -> tuple[Index, Index, Index]:
    """Return the index in `weight` of the graphone from letter i and phone j of word n."""
    letters, phones = STEPS[step]
    letter, phone = lattice.words.starts[n] + i, lattice.spoken.starts[n] + j
    first, second, last = lattice.words.symbols[letter], np.int64(0), np.int64(0)
    if phones:
        last = 1 + lattice.spoken.symbols[phone + phones - 1]
    if letters == 2:
        second = 1 + lattice.words.symbols[letter + 1]
    elif phones == 2:
        second = 1 + len(lattice.weight) + lattice.spoken.symbols[phone]
    return first, second, last

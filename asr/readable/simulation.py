"""Simulate what a recogniser hands to a tagger: pauses between words, and words heard wrongly.

A tagger learns from written text, but it reads recognised words. So some words of each window are
replaced, left out or put in, and a pause is drawn for each gap between words. Speakers pause where
a sentence ends, often at a comma, and sometimes where they hesitate. A recogniser that gives no
times of words knows its longest pauses only.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from asr.readable.features import pause_kinds
from asr.readable.written import HYPHEN, LOWER, NONE

Ints = NDArray[np.int64]

# The share of gaps that are pauses, their median in seconds, and the deviation of its logarithm,
# after each mark of MARKS. Plausible for read speech, not measured: speakers differ more than this.
_PAUSES = np.array(
    [
        (0.06, 0.15, 0.7),  # no mark
        (0.70, 0.25, 0.6),  # ,
        (0.97, 0.60, 0.5),  # .
        (0.97, 0.60, 0.5),  # ?
        (0.97, 0.60, 0.5),  # !
        (0.90, 0.45, 0.5),  # ;
        (0.90, 0.45, 0.5),  # :
        (0.80, 0.35, 0.6),  # dash
        (0.02, 0.10, 0.5),  # hyphen
    ]
)
_HESITATION = (0.35, 0.6)  # median in seconds, deviation of its logarithm
_SEGMENT_S = 1.0  # recognisers that give no times of words know pauses of about this length


@dataclass(frozen=True)
class Tagged:
    """Words of a window with pauses and tags, int64 (T,) each."""

    ids: Ints
    pauses: Ints
    cases: Ints
    marks: Ints


def draw_pauses(marks: Ints, rng: Generator, mode: str | None = None) -> Ints:
    """Draw the kind of the pause after each word, int64 (T,); arguments as of `draw_lengths`."""
    return pause_kinds(draw_lengths(marks, rng, mode))


def draw_lengths(marks: Ints, rng: Generator, mode: str | None = None) -> NDArray[np.float64]:
    """Draw the pause after each word in seconds, float64 (T,), NaN where it is unknown.

    Args:
        marks: after the words, int64 (T,).
        rng: the source of chance.
        mode: "all", "long" or "none": which pauses are known; None draws it.
    """
    mode = mode or rng.choice(("all", "long", "none"), p=(0.5, 0.25, 0.25))
    if mode == "none":
        return np.full(len(marks), np.nan)
    share, median, deviation = _PAUSES[marks].T
    speed = np.exp(rng.normal(0, 0.3))  # of the speaker
    lengths = speed * median * np.exp(deviation * rng.standard_normal(len(marks)))
    lengths[rng.random(len(marks)) >= share] = 0.0
    often = max(0.0, rng.uniform(-0.06, 0.06))  # half of the speakers hesitate
    hesitates = rng.random(len(marks)) < often
    middle, spread = _HESITATION
    lengths[hesitates] = middle * np.exp(spread * rng.standard_normal(int(hesitates.sum())))
    if mode == "long":
        lengths[lengths < _SEGMENT_S * np.exp(rng.normal(0, 0.3))] = np.nan
    return np.asarray(lengths, np.float64)


def misheard(tagged: Tagged, rate: float, alike: "Alike", rng: Generator) -> Tagged:
    """Return a window with errors of recognition.

    The tags say how the wrong words should be written: a mark moves to the word before one that is
    left out, and a word that is put in has no mark of its own.

    Args:
        tagged: the window.
        rate: the share of words that are wrong.
        alike: what words are mistaken for.
        rng: the source of chance.
    """
    if rate <= 0:
        return tagged
    draws = rng.random(len(tagged.ids))
    ids, cases, marks = tagged.ids.copy(), tagged.cases.copy(), tagged.marks.copy()
    wrong = np.flatnonzero(draws < rate * 0.7)
    ids[wrong] = alike.draw(ids[wrong], rng)
    dropped = (draws >= rate * 0.7) & (draws < rate * 0.85)
    for place in np.flatnonzero(dropped):
        if place and marks[place] != NONE and marks[place - 1] in (NONE, HYPHEN):
            marks[place - 1] = marks[place]
    kept = np.flatnonzero(~dropped)
    put_in = (draws >= rate * 0.85) & (draws < rate)
    order = np.repeat(kept, 1 + put_in[kept])
    is_new = np.zeros(len(order), bool)
    is_new[1:] = order[1:] == order[:-1]  # the second of each pair
    ids, cases, marks, pauses = ids[order], cases[order], marks[order], tagged.pauses[order]
    first = np.flatnonzero(is_new) - 1
    ids[is_new] = alike.draw(ids[is_new], rng)
    cases[is_new] = LOWER
    marks[first], pauses[first] = NONE, np.minimum(pauses[first], 1)
    return Tagged(ids, pauses, cases, marks)


class Alike:
    """Words that sound somewhat alike: same first letter, same first consonants.

    Args:
        words: the words, in lower case; an id is a place in them.
        counts: how often each occurs; words are drawn accordingly.
    """

    def __init__(self, words: tuple[str, ...], counts: NDArray[np.int64]) -> None:
        keys = np.array([_skeleton(word) for word in words])
        self._order = np.argsort(keys, kind="stable")
        ordered = keys[self._order]
        starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
        self._group = np.empty(len(words), np.int64)
        self._group[self._order] = np.searchsorted(starts, np.arange(len(words)), side="right") - 1
        self._sums = np.concatenate(([0], np.cumsum(counts[self._order])))
        self._bounds = np.append(starts, len(words))

    def draw(self, ids: Ints, rng: Generator) -> Ints:
        """Draw a word for each of some words: of its group, or, for one in four, any word."""
        group = self._group[ids]
        low, high = self._sums[self._bounds[group]], self._sums[self._bounds[group + 1]]
        anywhere = rng.random(len(ids)) < 0.25
        low, high = np.where(anywhere, 0, low), np.where(anywhere, self._sums[-1], high)
        points = low + rng.random(len(ids)) * (high - low)
        places = np.searchsorted(self._sums, points, side="right") - 1
        drawn: Ints = self._order[np.minimum(places, len(self._order) - 1)]
        return drawn


def _skeleton(word: str) -> str:
    """Return the first letter of a word and its next two consonants."""
    return word[:1] + "".join(c for c in word[1:] if c not in "aeiouyhw'")[:2]

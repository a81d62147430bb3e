"""Words with their places in the network's output, and what other hypotheses have there."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein

from asr.decode import Hypothesis
from asr.formats import Word

NOTHING = ""  # an alternative: no word at this place
_SHOWN = 4  # alternatives of a word
_LEAST = 0.001  # posterior probability of an alternative


@dataclass(frozen=True)
class SpokenWord:
    """A recognised word and the alternatives at its place; times from the start of the piece."""

    word: str
    start: float
    end: float
    confidence: float  # 0..1
    frame: int  # output frame of its surest token
    alternatives: tuple[tuple[str, float], ...]  # other words, and their posterior probabilities


def spoken(
    log_probs: NDArray[np.float32],
    nbest: Sequence[Hypothesis],
    spans: NDArray[np.int32],
    timed: Sequence[Word],
) -> tuple[SpokenWord, ...]:
    """Join what is known of the words of the best hypothesis.

    Args:
        log_probs: float32 (T', V) that the hypotheses were found in.
        nbest: at least one hypothesis, best first.
        spans: int32 (U, 2), the frames of each token of the best one.
        timed: its words.
    """
    others = alternatives(nbest)
    words = []
    for number, (word, (begin, end)) in enumerate(zip(timed, nbest[0].spans, strict=True)):
        places = [
            (t, token)
            for (first, last), token in _spelled(nbest[0], spans, begin, end)
            for t in range(first, last)
        ]
        frame = max(places, key=lambda place: log_probs[place])[0]
        words.append(
            SpokenWord(word.word, word.start, word.end, word.confidence, frame, others[number])
        )
    return tuple(words)


def _spelled(
    best: Hypothesis, spans: NDArray[np.int32], begin: int, end: int
) -> list[tuple[tuple[int, int], int]]:
    """Return the frames (first, last + 1) and the id of each token of a word."""
    return [((int(spans[u, 0]), int(spans[u, 1])), best.tokens[u]) for u in range(begin, end)]


def alternatives(nbest: Sequence[Hypothesis]) -> list[tuple[tuple[str, float], ...]]:
    """Return the other words at each place of the best hypothesis, most probable first.

    A hypothesis is weighted by softmax(score), and aligned with the best one by the fewest errors.
    Words that it inserts belong to no place.
    """
    scores = np.array([hypothesis.score for hypothesis in nbest])
    weights = np.exp(scores - scores.max())
    weights /= weights.sum()
    found: list[dict[str, float]] = [defaultdict(float) for _ in nbest[0].words]
    for other, weight in zip(nbest[1:], weights[1:].tolist(), strict=True):
        for step in Levenshtein.editops(nbest[0].words, other.words):
            if step.tag != "insert":
                said = other.words[step.dest_pos] if step.tag == "replace" else NOTHING
                found[step.src_pos][said] += weight
    return [_best(place) for place in found]


def _best(place: dict[str, float]) -> tuple[tuple[str, float], ...]:
    ranked = sorted(place.items(), key=lambda item: -item[1])
    return tuple((word, weight) for word, weight in ranked[:_SHOWN] if weight >= _LEAST)

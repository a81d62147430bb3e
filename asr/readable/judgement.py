"""Judge tags: precision, recall and F1 of capitals and marks, with their counts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from asr.readable.simulation import draw_lengths
from asr.readable.tagger import Silences, Tagger
from asr.readable.written import (
    CAPITAL,
    CASES,
    COLON,
    COMMA,
    DASH,
    EXCLAMATION,
    HYPHEN,
    LOWER,
    MARKS,
    NONE,
    PERIOD,
    QUESTION,
    SEMICOLON,
    Tags,
    WrittenText,
    capitals,
)

JUDGED = {
    "comma": COMMA,
    "period": PERIOD,
    "question": QUESTION,
    "exclamation": EXCLAMATION,
    "semicolon": SEMICOLON,
    "colon": COLON,
    "dash": DASH,
    "hyphen": HYPHEN,
}
RULE_PAUSE_S = 0.45  # chosen for the best F1 of periods on simulated pauses
_SPEAKER_WORDS = 2000  # words between two changes of the simulated speaker
MAIN = ("comma", "period", "question", "capital")  # the figures that choose a tagger


@dataclass(frozen=True)
class TagCounts:
    """How often a tag stands in the reference, was given, and was given rightly."""

    reference: int = 0
    given: int = 0
    right: int = 0

    def __add__(self, other: "TagCounts") -> "TagCounts":
        return TagCounts(
            self.reference + other.reference, self.given + other.given, self.right + other.right
        )

    @property
    def precision(self) -> float:
        """The share of the given tags that are right; 0 without any."""
        return self.right / self.given if self.given else 0.0

    @property
    def recall(self) -> float:
        """The share of the reference's tags that were given; 0 without any."""
        return self.right / self.reference if self.reference else 0.0

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall."""
        both = self.reference + self.given
        return 2 * self.right / both if both else 0.0

    def __str__(self) -> str:
        return (
            f"F1 {self.f1:.3f}  precision {self.precision:.3f}  recall {self.recall:.3f}  "
            f"[ {self.right} right, {self.given} given, {self.reference} in the text ]"
        )


def count_tags(reference: tuple[Tags, Tags], given: tuple[Tags, Tags]) -> dict[str, TagCounts]:
    """Count tags, by name: each mark, and `capital`, any form that is not lower case.

    Args:
        reference: capital forms and marks of words.
        given: the same, of a tagger.
    """
    found = {"capital": _counts(reference[0] != LOWER, given[0] != LOWER)}
    for name, mark in JUDGED.items():
        found[name] = _counts(reference[1] == mark, given[1] == mark)
    return found


def judged(tagger: Tagger, text: WrittenText, pauses: str) -> dict[str, TagCounts]:
    """Count the tags that a tagger gives to the words of a written text.

    Args:
        tagger: the tagger.
        text: words with the right tags.
        pauses: which pauses it knows, simulated: "none", "all" or "long".
    """
    words = [text.words[word] for word in text.ids.tolist()]
    cases, marks = (s.argmax(axis=1) for s in tagger.tag(words, _lengths(text, pauses)))
    return count_tags((text.cases, text.marks), (capitals(cases, marks), marks))


def tuned(tagger: Tagger, text: WrittenText) -> Tagger:
    """Return a tagger whose rare tags are as frequent as is best for the mean F1 of MAIN.

    The likeliest tag of each word makes the fewest errors, but gives rare tags too seldom for the
    best F1. So the bias of each tag in MAIN is changed in small steps, one after the other, as long
    as the mean F1 on the text grows: without pauses and with all of them.
    """
    words = [text.words[word] for word in text.ids.tolist()]
    scores = [tagger.tag(words, _lengths(text, pauses)) for pauses in ("none", "all")]
    weights = {name: tagger.weights[name].copy() for name in ("cases.bias", "marks.bias")}
    shifts = (np.zeros(len(CASES)), np.zeros(len(MARKS)))

    def mean() -> float:
        found = []
        for case_scores, mark_scores in scores:
            marks = (mark_scores + shifts[1]).argmax(axis=1)
            cases = capitals((case_scores + shifts[0]).argmax(axis=1), marks)
            found.append(mean_f1(count_tags((text.cases, text.marks), (cases, marks))))
        return float(np.mean(found))

    best = mean()
    tags = [*((shifts[1], JUDGED[name]) for name in MAIN[:-1]), (shifts[0], CAPITAL)]
    for step in (0.4, -0.4, 0.2, -0.2):
        for shift, tag in tags:
            shift[tag] += step
            while (now := mean()) > best:
                best = now
                shift[tag] += step
            shift[tag] -= step
    for name, shift in zip(weights, shifts, strict=True):
        weights[name] += shift.astype(np.float32)
    return replace(tagger, weights={**tagger.weights, **weights})


def judged_by_rule(text: WrittenText, pauses: str) -> dict[str, TagCounts]:
    """Count the tags that `rule_tags` gives to the words of a written text; as `judged`."""
    words = [text.words[word] for word in text.ids.tolist()]
    return count_tags((text.cases, text.marks), rule_tags(words, _lengths(text, pauses)))


def rule_tags(words: Sequence[str], pauses: Silences) -> tuple[Tags, Tags]:
    """Return capital forms and marks by a rule: a period at each long pause, a capital after it.

    The pronoun I is a capital, too. Pauses that are not known count as none.

    Args:
        words: in lower case.
        pauses: the seconds of silence after each word; NaN where that is not known.
    """
    marks = np.where(np.nan_to_num(pauses) >= RULE_PAUSE_S, PERIOD, NONE)
    pronouns = np.array([word.split("'")[0] == "i" for word in words])
    return capitals(np.where(pronouns, CAPITAL, LOWER), marks), marks


def _lengths(text: WrittenText, pauses: str) -> NDArray[np.float64]:
    """Return simulated pauses in seconds, of a new speaker every _SPEAKER_WORDS words."""
    marks = text.marks.astype(np.int64)
    speakers = np.array_split(marks, max(1, len(marks) // _SPEAKER_WORDS))
    rng = np.random.default_rng(1)
    return np.concatenate([draw_lengths(part, rng, pauses) for part in speakers])


def _counts(reference: NDArray[np.bool_], given: NDArray[np.bool_]) -> TagCounts:
    return TagCounts(int(reference.sum()), int(given.sum()), int((reference & given).sum()))


def mean_f1(counts: dict[str, TagCounts]) -> float:
    """Return the mean F1 of the tags in MAIN."""
    return float(np.mean([counts[name].f1 for name in MAIN]))

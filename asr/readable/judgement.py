"""Judge tags: precision, recall and F1 of capitals and marks, with their counts."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asr.readable.written import (
    COLON,
    COMMA,
    DASH,
    EXCLAMATION,
    HYPHEN,
    LOWER,
    PERIOD,
    QUESTION,
    SEMICOLON,
    Tags,
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


def _counts(reference: NDArray[np.bool_], given: NDArray[np.bool_]) -> TagCounts:
    return TagCounts(int(reference.sum()), int(given.sum()), int((reference & given).sum()))


def mean_f1(counts: dict[str, TagCounts]) -> float:
    """Return the mean F1 of the tags in MAIN."""
    return float(np.mean([counts[name].f1 for name in MAIN]))

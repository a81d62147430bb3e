"""Break a system's errors down by speaker, by length and by word."""

from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from asr.scoring.system import System
from asr.scoring.wer import Score

K = TypeVar("K", bound=Hashable)

_LENGTHS = (0, 5, 10, 20, 40)  # words of the longest reference in each class but the last
MOST = 20  # words or pairs that are listed


@dataclass(frozen=True)
class WordErrors:
    """Counts of substituted word pairs, deleted words and inserted words, most frequent first."""

    confused: list[tuple[tuple[str, str], int]]  # (reference, hypothesis)
    missed: list[tuple[str, int]]
    invented: list[tuple[str, int]]

    def as_dict(self) -> dict[str, object]:
        """Return lists of words with numbers, ready for JSON."""
        return {
            "confused": [[ref, hyp, number] for (ref, hyp), number in self.confused],
            "missed": [list(pair) for pair in self.missed],
            "invented": [list(pair) for pair in self.invented],
        }


def by_speaker(system: System) -> dict[str, Score]:
    """Return the score of each speaker, in the order of the references; ? is the unknown one."""
    return summed((u.speaker or "?", u.score) for u in system.utterances)


def by_length(system: System) -> dict[str, Score]:
    """Return the score of each class of reference lengths, in words: `6-10`, and `41+` at last."""
    rows = sorted(system.utterances, key=lambda utterance: utterance.score.word.words)
    return summed((length_class(u.score.word.words), u.score) for u in rows)


def word_errors(system: System) -> WordErrors:
    """Return the most frequent substitutions, deletions and insertions."""
    counts: dict[str, Counter[tuple[str, str]]] = {op: Counter() for op in ("sub", "del", "ins")}
    for utterance in system.utterances:
        for op, ref, hyp in utterance.steps:
            if op != "cor":
                counts[op][str(ref or ""), hyp or ""] += 1
    confused, missed, invented = (_most(counter) for counter in counts.values())
    return WordErrors(
        confused,
        [(ref, number) for (ref, _), number in missed],
        [(hyp, number) for (_, hyp), number in invented],
    )


def as_dict(system: System) -> dict[str, object]:
    """Return all breakdowns of a system, ready for JSON."""
    return {
        "speakers": {name: score.as_dict() for name, score in by_speaker(system).items()},
        "lengths": {name: score.as_dict() for name, score in by_length(system).items()},
        **word_errors(system).as_dict(),
    }


def summed(rows: Iterable[tuple[K, Score]]) -> dict[K, Score]:
    """Return the sum of the scores of each class, in the order in which they come first."""
    sums: dict[K, Score] = {}
    for key, score in rows:
        sums[key] = sums.get(key, Score()) + score
    return sums


def length_class(words: int) -> str:
    """Return the class of a reference of so many words."""
    for shortest, longest in zip((0, *(n + 1 for n in _LENGTHS)), _LENGTHS, strict=False):
        if words <= longest:
            return str(longest) if shortest == longest else f"{shortest}-{longest}"
    return f"{_LENGTHS[-1] + 1}+"


def _most(counter: Counter[tuple[str, str]]) -> list[tuple[tuple[str, str], int]]:
    return sorted(counter.items(), key=lambda item: (-item[1], item[0]))[:MOST]

"""Compute word, character and sentence error rates of hypotheses against references.

Rates are micro-averaged: the errors of all utterances over the words of all references. The errors
are those of the alignment in `asr.scoring.alignment`, and NIST's alternatives are honoured.

Words are what white space separates, in Unicode's NFC form. Characters are those of the words
joined by single spaces, the spaces included.

All words against an empty reference are insertions. If no reference has any word, the rate is 0
without errors, else infinity (null in JSON).

Deletable words of a reference, `(uh)`, are plain words unless `deletable` is asked for. Then a
deletable word that the hypothesis leaves out counts as correct, and its characters as not there.
"""

import math
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from asr.errors import ScoreError
from asr.scoring.alignment import (
    ERROR_COST,
    SUBSTITUTION_COST,
    AlignedPair,
    Deletable,
    align,
    check_size,
)
from asr.scoring.interval import Interval
from asr.scoring.transcripts import match

Transcripts = Sequence[str] | Mapping[str, str]
_MANY_CELLS = 10**8  # half a second of rapidfuzz; a kernel is worth its loading
_MAX_CELLS = 2 * 10**10  # a minute's work; two hours of speech as one line


@dataclass(frozen=True, slots=True)
class ErrorCounts:
    """Errors against a number of reference units (words or characters)."""

    words: int = 0
    ins: int = 0
    dels: int = 0
    sub: int = 0

    @property
    def errors(self) -> int:
        """The sum of insertions, deletions and substitutions."""
        return self.ins + self.dels + self.sub

    @property
    def rate(self) -> float:
        """The errors over the reference units, a fraction; infinity for errors without any unit."""
        return _ratio(self.errors, self.words)

    def __add__(self, other: "ErrorCounts") -> "ErrorCounts":
        return ErrorCounts(
            self.words + other.words,
            self.ins + other.ins,
            self.dels + other.dels,
            self.sub + other.sub,
        )

    def as_dict(self) -> dict[str, int]:
        """Return the counts under the names that JSON reports use."""
        return {
            "errors": self.errors,
            "words": self.words,
            "ins": self.ins,
            "del": self.dels,
            "sub": self.sub,
        }

    def nist_line(self, name: str = "WER", interval: Interval | None = None) -> str:
        """Return `%WER 11.39 [ 938 / 8234, 119 ins, 127 del, 692 sub ] (95 % CI 10.21-12.63)`."""
        return (
            f"%{name} {100 * self.rate:.2f} [ {self.errors} / {self.words}, "
            f"{self.ins} ins, {self.dels} del, {self.sub} sub ]"
            f"{f' {interval}' if interval else ''}"
        )


@dataclass(frozen=True, slots=True)
class Score:
    """The errors of one or more utterances; scores can be added."""

    word: ErrorCounts = ErrorCounts()
    char: ErrorCounts = ErrorCounts()
    utterances: int = 0
    wrong_utterances: int = 0  # with at least one word error

    @property
    def sentence_error_rate(self) -> float:
        """The utterances with a word error over all utterances, a fraction."""
        return _ratio(self.wrong_utterances, self.utterances)

    def __add__(self, other: "Score") -> "Score":
        return Score(
            self.word + other.word,
            self.char + other.char,
            self.utterances + other.utterances,
            self.wrong_utterances + other.wrong_utterances,
        )

    def as_dict(self, interval: Interval | None = None) -> dict[str, Any]:
        """Return rates (fractions, null for infinity) and word counts, ready for JSON."""
        return {
            "wer": _finite(self.word.rate),
            "wer_ci": [interval.low, interval.high] if interval else None,
            "ci_units": interval.units if interval else None,
            **self.word.as_dict(),
            "cer": _finite(self.char.rate),
            "characters": self.char.as_dict(),
            "ser": _finite(self.sentence_error_rate),
            "utterances": self.utterances,
            "wrong_utterances": self.wrong_utterances,
        }

    def nist_lines(self, interval: Interval | None = None) -> list[str]:
        """Return the %WER, %CER and %SER lines; the interval is the WER's."""
        ser = f"%SER {100 * self.sentence_error_rate:.2f}"
        return [
            self.word.nist_line("WER", interval),
            self.char.nist_line("CER"),
            f"{ser} [ {self.wrong_utterances} / {self.utterances} ]",
        ]


def score(refs: Transcripts, hyps: Transcripts) -> Score:
    """Score hypotheses against references, both in the same order or both by utterance id.

    Raises:
        ScoreError: as `pair` and `score_utterance` do.
    """
    return sum((score_utterance(ref, hyp) for _, ref, hyp in pair(refs, hyps)), Score())


def score_utterance(ref: str, hyp: str) -> Score:
    """Score one utterance.

    Raises:
        ScoreError: an alternative is not closed, or the texts are too long to compare.
    """
    return score_words(split_words(ref), split_words(hyp))


def split_words(text: str, deletable: bool = False) -> list[str]:
    """Return the words of a text; with `deletable`, `(uh)` is a deletable `uh`."""
    words = unicodedata.normalize("NFC", text).split()
    if not deletable:
        return words
    return [Deletable(w[1:-1]) if w[:1] + w[-1:] == "()" and w[1:-1] else w for w in words]


def score_words(ref: Sequence[str], hyp: Sequence[str]) -> Score:
    """Score one utterance as words; reference words may be alternatives or deletable.

    Raises:
        ScoreError: as `score_utterance` does.
    """
    if "{" in ref or any(isinstance(word, Deletable) for word in ref):
        steps = align(ref, hyp)
        word = count_steps(steps)
        ref = [said for op, said, heard in steps if said and (op != "cor" or heard)]
    else:
        word = count(ref, hyp)
    char = count(" ".join(ref), " ".join(hyp))
    return Score(word, char, utterances=1, wrong_utterances=int(word.errors > 0))


def count_steps(steps: Sequence[AlignedPair]) -> ErrorCounts:
    """Count the errors of an alignment."""
    ops = [op for op, _, _ in steps]
    ins = ops.count("ins")
    return ErrorCounts(len(ops) - ins, ins, ops.count("del"), ops.count("sub"))


def count(ref: Sequence[str], hyp: Sequence[str]) -> ErrorCounts:
    """Count the errors of a list of words, or of a string of characters.

    Raises:
        ScoreError: the two are too long to compare.
    """
    if ref == hyp:
        return ErrorCounts(words=len(ref))
    check_size(len(ref), len(hyp), _MAX_CELLS)
    errors, sub = _errors_and_substitutions(ref, hyp)
    ins_or_del, surplus = errors - sub, len(hyp) - len(ref)  # ins - del is the surplus
    ins = (ins_or_del + surplus) // 2
    return ErrorCounts(len(ref), ins, ins_or_del - ins, sub)


def _errors_and_substitutions(ref: Sequence[str], hyp: Sequence[str]) -> tuple[int, int]:
    if len(ref) * len(hyp) > _MANY_CELLS:
        from asr.scoring.distance import MOST_UNITS, errors_and_substitutions

        if max(len(ref), len(hyp)) <= MOST_UNITS:
            return errors_and_substitutions(ref, hyp)
    from rapidfuzz.distance import Levenshtein

    cost = Levenshtein.distance(ref, hyp, weights=(ERROR_COST, ERROR_COST, SUBSTITUTION_COST))
    return divmod(cost, ERROR_COST)


def pair(refs: Transcripts, hyps: Transcripts) -> list[tuple[str, str, str]]:
    """Return (id, reference, hypothesis) of each utterance, in the order of the references.

    Raises:
        ScoreError: an utterance lacks its partner, or only one side has ids.
    """
    if isinstance(refs, Mapping) and isinstance(hyps, Mapping):
        return match(refs, hyps)
    if isinstance(refs, Mapping) or isinstance(hyps, Mapping):
        raise ScoreError("utterance ids are on one side only; give them to both, or to neither")
    if len(refs) != len(hyps):
        raise ScoreError(f"{len(refs)} references, {len(hyps)} hypotheses; as many are needed")
    return [(str(i), ref, hyp) for i, (ref, hyp) in enumerate(zip(refs, hyps, strict=True), 1)]


def _ratio(errors: int, units: int) -> float:
    return errors / units if units else (math.inf if errors else 0.0)


def _finite(rate: float) -> float | None:
    return rate if math.isfinite(rate) else None

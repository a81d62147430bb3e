"""Test whether one system is better than another on the same test set by more than chance.

Five tests of the same errors; all p-values are two-sided:

- MAPSSWE, NIST's matched pairs test on sentence segments [Gillick and Cox, ICASSP 1989; Pallett et
  al., ICASSP 1990]: errors between which both systems have at least two words correct belong to
  different segments; Z is the mean difference of errors a segment over its standard error.
- The bootstrap of the difference of the WERs (`asr.scoring.interval`), over utterances where fewer
  than eight speakers are known.
- Wilcoxon's signed-rank test of the speakers' differences in WER, exact up to 50 of them, then by
  the normal approximation [Hollander and Wolfe, Nonparametric Statistical Methods, 1999, 3.1].
- The sign test of the same differences, exact [Conover, Practical Nonparametric Statistics, 3.4].
- McNemar's test of the utterances that only one of the systems gets right, exact [3.5].

The verdict on which system is better follows MAPSSWE at the 95 % level. Wilcoxon's test and the
sign test leave out differences of 0; NIST's sc_stats counts half of them for each side.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from asr.scoring.alignment import align
from asr.scoring.interval import FEWEST_UNITS, Interval, difference_interval, pool
from asr.scoring.system import ScoredUtterance, System

LEVEL = 0.05
_BOUNDARY_WORDS = 2  # correct in both systems, between two segments
_MOST_EXACT = 50  # differences whose 2^n signs are counted, exactly in 53 bits

Column = tuple[int, int, int]  # words of the reference (0 or 1), errors of a, errors of b


@dataclass(frozen=True)
class MatchedSegment:
    """A stretch of an utterance with errors; it includes the correct words at both ends."""

    words: int
    errors_a: int
    errors_b: int


@dataclass(frozen=True)
class Significance:
    """A two-sided test of a against b: its statistic is negative where a has fewer errors."""

    name: str
    statistic: float
    p: float
    detail: str


@dataclass(frozen=True)
class Comparison:
    """A comparison of two systems; differences are a - b, so negative ones mean a is better."""

    a: str
    b: str
    wer_a: float
    wer_b: float
    difference: Interval | None
    tests: tuple[Significance, ...]  # MAPSSWE first

    @property
    def better(self) -> str | None:
        """The name of the system that MAPSSWE finds better at the 95 % level, or None."""
        first = self.tests[0]
        if first.p >= LEVEL:
            return None
        return self.a if first.statistic < 0 else self.b

    def verdict(self) -> str:
        """Return one line: which system is better, and whether that is more than chance."""
        if self.wer_a == self.wer_b and not self.better:
            return f"{self.a} and {self.b} have the same WER"
        names = [(self.wer_a, self.a), (self.wer_b, self.b)]
        (low, winner), (high, loser) = sorted(names, key=lambda pair: pair[0])
        apart = f"{100 * low:.2f} against {100 * high:.2f} % WER"
        p = f"MAPSSWE {p_text(self.tests[0].p)}"
        if self.better in (None, winner):
            chance = "more than chance" if self.better else "which may be chance"
            return f"{winner} is better than {loser}: {apart}, {chance} ({p})"
        return f"{winner} has the lower WER, {apart}, but {loser} fewer errors a segment ({p})"

    def as_dict(self) -> dict[str, object]:
        """Return everything, ready for JSON; rates are fractions."""
        ci = self.difference
        return {
            "a": self.a,
            "b": self.b,
            "wer_a": self.wer_a if math.isfinite(self.wer_a) else None,
            "wer_b": self.wer_b if math.isfinite(self.wer_b) else None,
            "difference_ci": [ci.low, ci.high] if ci else None,
            "ci_units": ci.units if ci else None,
            "better": self.better,
            "verdict": self.verdict(),
            "tests": [vars(test) for test in self.tests],
        }


def p_text(p: float) -> str:
    """Return `p = 0.012` or `p < 0.001`."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def compare(a: System, b: System) -> Comparison:
    """Compare two systems that were scored against the same references.

    Raises:
        ScoreError: an utterance is too long to align.
    """
    mapsswe = matched_pairs(
        [segment for pair in _pairs(a, b) for segment in segments(columns(*pair))]
    )
    interval, bootstrap = _bootstrap(a, b)
    units, differences = _speaker_differences(a, b)
    tests = [mapsswe, *bootstrap, wilcoxon(differences, units), sign_test(differences, units)]
    rates = a.total.word.rate, b.total.word.rate
    return Comparison(a.name, b.name, *rates, interval, (*tests, mcnemar(a, b)))


def columns(a: ScoredUtterance, b: ScoredUtterance) -> list[Column]:
    """Return the utterance as columns: words of the reference, and insertions between them.

    Where the systems chose different alternatives, the two references are aligned.
    """
    (words_a, errors_a, inserted_a), (words_b, errors_b, inserted_b) = _by_word(a), _by_word(b)
    found: list[Column] = []
    i = j = 0
    for word_a, word_b in _side_by_side(words_a, words_b):
        here_a, here_b = word_a is not None, word_b is not None
        found.append((0, here_a * inserted_a[i], here_b * inserted_b[j]))
        found.append((1, here_a and errors_a[i], here_b and errors_b[j]))
        i, j = i + here_a, j + here_b
    found.append((0, inserted_a[i], inserted_b[j]))
    return [column for column in found if any(column)]


def segments(found: Sequence[Column]) -> list[MatchedSegment]:
    """Return NIST's segments: runs of errors, separated by two words that both have correct."""
    wrong = [i for i, (_, errors_a, errors_b) in enumerate(found) if errors_a or errors_b]
    runs: list[list[int]] = []
    for i in wrong:
        if runs and i - runs[-1][1] <= _BOUNDARY_WORDS:
            runs[-1][1] = i
        else:
            runs.append([i, i])
    spans = [(max(first - _BOUNDARY_WORDS, 0), last + 1 + _BOUNDARY_WORDS) for first, last in runs]
    return [
        MatchedSegment(*(sum(column[k] for column in found[start:end]) for k in range(3)))
        for start, end in spans
    ]


def matched_pairs(found: Sequence[MatchedSegment]) -> Significance:
    """Return the matched pairs test (MAPSSWE).

    Equal differences have no variance, so n of them get the two-sided probability of n equal tosses
    of a coin. (NIST's Z is 0 then; this one is 0 for a single segment alone.)
    """
    differences = np.array([segment.errors_a - segment.errors_b for segment in found], dtype=float)
    detail = f"Z of {len(found)} segments"
    if len(found) == 0 or not differences.any():
        return Significance("MAPSSWE", 0.0, 1.0, detail)
    if np.ptp(differences) == 0:
        p = 2.0 ** (1 - min(len(found), 1000))
        z = math.copysign(-NormalDist().inv_cdf(max(p, 1e-300) / 2), differences[0])
        return Significance("MAPSSWE", z, p, detail)
    z = float(differences.mean() / differences.std(ddof=1) * math.sqrt(len(found)))
    return Significance("MAPSSWE", z, _two_sided(z), detail)


def sign_test(differences: Sequence[float], units: str) -> Significance:
    """Return the exact sign test; the statistic is positive minus negative differences."""
    plus, minus = sum(d > 0 for d in differences), sum(d < 0 for d in differences)
    return Significance("sign", plus - minus, _binomial_p(plus, minus), f"+{plus} -{minus} {units}")


def wilcoxon(differences: Sequence[float], units: str) -> Significance:
    """Return the signed-rank test; the statistic is the difference of the two sums of ranks."""
    found = np.array([d for d in differences if d])
    ranks = _ranks(np.abs(found))
    total = float(ranks @ np.sign(found))
    if len(found) <= _MOST_EXACT:
        p = _exact_rank_p(ranks, total)
    else:  # the variance of a sum of ranks with random signs; ties are in the ranks
        p = _two_sided(total / math.sqrt(float(ranks @ ranks)))
    return Significance("Wilcoxon", total, p, f"{len(found)} {units} differ")


def mcnemar(a: System, b: System) -> Significance:
    """Return McNemar's exact test of the utterances that only one system gets right."""
    wrong = [(u.score.wrong_utterances, v.score.wrong_utterances) for u, v in _pairs(a, b)]
    only_a, only_b = wrong.count((1, 0)), wrong.count((0, 1))
    detail = f"only wrong: {only_a} and {only_b} utterances"
    return Significance("McNemar", only_a - only_b, _binomial_p(only_a, only_b), detail)


def _pairs(a: System, b: System) -> Iterator[tuple[ScoredUtterance, ScoredUtterance]]:
    return zip(a.utterances, b.utterances, strict=True)


def _by_word(utterance: ScoredUtterance) -> tuple[list[str], list[int], list[int]]:
    """Return the U words of the reference, their errors, and U+1 insertions around them."""
    words: list[str] = []
    errors: list[int] = []
    inserted = [0]
    for op, ref, _ in utterance.steps:
        if ref is None:
            inserted[-1] += 1
        else:
            words.append(ref)
            errors.append(int(op != "cor"))
            inserted.append(0)
    return words, errors, inserted


def _side_by_side(a: list[str], b: list[str]) -> list[tuple[str | None, str | None]]:
    if a == b:
        return [(word, word) for word in a]
    return [(ref, hyp) for _, ref, hyp in align(a, b)]


def _bootstrap(a: System, b: System) -> tuple[Interval | None, list[Significance]]:
    errors = [u.score.word.errors - v.score.word.errors for u, v in _pairs(a, b)]
    words = [(u.score.word.words + v.score.word.words) / 2 for u, v in _pairs(a, b)]
    units, (by_unit, words_by_unit) = pool(a.speakers, errors, words)
    if len(by_unit) < FEWEST_UNITS:
        units, (by_unit, words_by_unit) = pool([None], errors, words)
    if len(by_unit) < 2 or not words_by_unit.any():
        return None, []
    low, high, p = difference_interval(by_unit, words_by_unit)
    difference = float(by_unit.sum() / words_by_unit.sum())
    limits = f"95 % CI {100 * low:.2f} to {100 * high:.2f} points of WER"
    detail = f"{limits}, over {len(by_unit)} {units}"
    return Interval(low, high, units), [Significance("bootstrap", difference, p, detail)]


def _speaker_differences(a: System, b: System) -> tuple[str, list[float]]:
    """Return the name of the units, and the difference in WER of each unit."""
    counts = [(u.score.word, v.score.word) for u, v in _pairs(a, b)]
    rows = [(u.errors, u.words, v.errors, v.words) for u, v in counts]
    units, (errors_a, words_a, errors_b, words_b) = pool(
        a.speakers, *np.array(rows or [(0,) * 4]).T
    )
    rates = errors_a / np.maximum(words_a, 1) - errors_b / np.maximum(words_b, 1)
    return units, [round(float(rate), 12) for rate in rates]


def _two_sided(z: float) -> float:
    """Return the normal distribution's probability beyond -|z| and |z|."""
    return math.erfc(abs(z) / math.sqrt(2))


def _binomial_p(plus: int, minus: int) -> float:
    """Return the two-sided p-value of so uneven a split under a fair coin."""
    number = plus + minus
    log_ways = (
        math.lgamma(number + 1) - math.lgamma(k + 1) - math.lgamma(number - k + 1)
        for k in range(min(plus, minus) + 1)
    )
    tail = math.fsum(math.exp(ways - number * math.log(2)) for ways in log_ways)
    return min(2 * tail, 1.0) if plus != minus else 1.0


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ranks from 1; equal values share their mean rank."""
    _, kind, numbers = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(numbers) - (numbers - 1) / 2)[kind])


def _exact_rank_p(ranks: NDArray[np.float64], total: float) -> float:
    """Return the share of the 2^n sums of signed ranks at least as far from 0 as the total."""
    ways = np.ones(1)  # number of choices of positive ranks whose sum, doubled, is the index
    for rank in np.rint(2 * ranks).astype(int):
        ways = np.pad(ways, (0, rank)) + np.pad(ways, (rank, 0))
    sums = np.arange(len(ways)) - ranks.sum()
    return float(ways[np.abs(sums) >= abs(total) - 1e-6].sum() / ways.sum())

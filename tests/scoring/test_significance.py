"""Two systems: NIST's own figures, scipy's, brute force, and what swapping them must do."""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from folders import real_material
from hypothesis import given, settings, strategies as st

from asr.scoring.significance import (
    MatchedSegment,
    columns,
    compare,
    matched_pairs,
    mcnemar,
    segments,
    sign_test,
    wilcoxon,
)
from asr.scoring.system import ScoredUtterance, System, score_system
from asr.scoring.wer import Score, count_steps

OPERATIONS = {"C": "cor", "S": "sub", "D": "del", "I": "ins"}
TEXTS = st.lists(st.sampled_from("abcd"), max_size=9).map(" ".join)
SETS = st.lists(st.tuples(TEXTS, TEXTS, TEXTS), min_size=1, max_size=8)
ALTERNATIVES = st.sampled_from(["{ a / b }", "{ @ / a b }", "{ c / d / @ }", "a", "b c"])


def systems(sets: list[tuple[str, str, str]]) -> tuple[System, System]:
    refs, *both = ({f"{i % 3}-{i}": t[k] for i, t in enumerate(sets)} for k in range(3))
    return score_system("a", refs, both[0]), score_system("b", refs, both[1])


def read_sgml(path: Path) -> System:
    """The alignments that sclite wrote."""
    found = []
    for name, line in re.findall(r'<PATH id="([^"]+)".*>\n(.*)\n', path.read_text()):
        words = [re.match(r'([CSDI]),(?:"(.*?)")?,(?:"(.*?)")?,', w) for w in line.split(":") if w]
        steps = [(OPERATIONS[w[1]], w[2], w[3]) for w in words if w]
        word = count_steps(steps)
        scored = ScoredUtterance(name, None, "", "", Score(word, word, 1, int(word.errors > 0)))
        vars(scored)["steps"] = steps  # what the property would have kept
        found.append(scored)
    return System(path.stem, tuple(found))


def test_nist_figures_of_the_matched_pairs_test() -> None:
    sctk = real_material("sctk")
    a, b = read_sgml(sctk / "file1.sgml"), read_sgml(sctk / "file2.sgml")
    found = [
        s for u, v in zip(a.utterances, b.utterances, strict=True) for s in segments(columns(u, v))
    ]
    # MTCH_PR_RESULTS (# segs: 3) (% Error: 69.23 53.85) (mean: 0.667) (std dev: 0.577) (Z: 2.000)
    assert len(found) == 3
    words, errors_a, errors_b = (
        sum(getattr(segment, name) for segment in found)
        for name in ("words", "errors_a", "errors_b")
    )
    assert (words, errors_a, errors_b) == (13, 9, 7)
    differences = [segment.errors_a - segment.errors_b for segment in found]
    assert round(np.mean(differences), 3) == 0.667
    assert round(np.std(differences, ddof=1), 3) == 0.577
    comparison = compare(a, b)
    assert round(comparison.tests[0].statistic, 3) == 2.0
    assert comparison.better == "file2"  # (Stat Diff: Yes)
    assert round(comparison.tests[0].p, 4) == 0.0455
    # NIST's McNemar counts segments there, ours utterances: one is wrong in file1 alone
    assert comparison.tests[-1].detail == "only wrong: 1 and 0 utterances"


def marks(pattern: str) -> list[tuple[int, int, int]]:
    """Columns: . both correct, a or b wrong in one, x in both, i an insertion in a."""
    kinds = {".": (1, 0, 0), "a": (1, 1, 0), "b": (1, 0, 1), "x": (1, 1, 1), "i": (0, 1, 0)}
    return [kinds[letter] for letter in pattern]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("", []),
        ("......", []),
        ("..a..", [MatchedSegment(5, 1, 0)]),
        ("a.b", [MatchedSegment(3, 1, 1)]),  # one correct word parts nothing
        ("a..b", [MatchedSegment(3, 1, 0), MatchedSegment(3, 0, 1)]),
        ("....x.i.x....", [MatchedSegment(8, 3, 2)]),
        (".i.i.", [MatchedSegment(3, 2, 0)]),
        (".i..i", [MatchedSegment(3, 1, 0), MatchedSegment(2, 1, 0)]),
        ("a....b", [MatchedSegment(3, 1, 0), MatchedSegment(3, 0, 1)]),
    ],
)
def test_segments_by_hand(pattern: str, expected: list[MatchedSegment]) -> None:
    assert segments(marks(pattern)) == expected


@settings(max_examples=60)
@given(st.text("..abxi", max_size=30))
def test_segments_hold_every_error_once(pattern: str) -> None:
    found = segments(marks(pattern))
    assert sum(s.errors_a for s in found) == sum(a for _, a, _ in marks(pattern))
    assert sum(s.errors_b for s in found) == sum(b for _, _, b in marks(pattern))
    assert len(found) == len(re.findall(r"[abxi](?:\.?[abxi])*", pattern))


def test_columns_with_insertions_of_both_systems() -> None:
    a, b = systems([("p q r", "p x q r y", "z p r")])
    assert columns(a.utterances[0], b.utterances[0]) == [
        (0, 0, 1),
        (1, 0, 0),
        (0, 1, 0),
        (1, 0, 1),
        (1, 0, 0),
        (0, 1, 0),
    ]


def test_columns_of_different_alternatives_stay_in_step() -> None:
    a, b = systems([("p { @ / an } q r s", "p q r x", "p an q r s")])
    assert columns(a.utterances[0], b.utterances[0]) == [
        (1, 0, 0),
        (1, 0, 0),
        (1, 0, 0),
        (1, 0, 0),
        (1, 1, 0),
    ]


@settings(max_examples=60)
@given(st.lists(ALTERNATIVES, max_size=4).map(" ".join), TEXTS, TEXTS)
def test_columns_hold_the_errors_that_are_scored(ref: str, hyp_a: str, hyp_b: str) -> None:
    a, b = systems([(ref, hyp_a, hyp_b)])
    found = columns(a.utterances[0], b.utterances[0])
    assert sum(errors for _, errors, _ in found) == a.total.word.errors
    assert sum(errors for _, _, errors in found) == b.total.word.errors


@settings(max_examples=30)
@given(SETS)
def test_swapping_systems_keeps_p_and_turns_the_sign(sets: list[tuple[str, str, str]]) -> None:
    a, b = systems(sets)
    there, back = compare(a, b), compare(b, a)
    assert there.better == back.better
    assert there.verdict() == back.verdict() or there.wer_a == there.wer_b
    for left, right in zip(there.tests, back.tests, strict=True):
        assert left.name == right.name
        assert 0 <= left.p <= 1
        assert left.p == pytest.approx(right.p)
        assert left.statistic == pytest.approx(-right.statistic)
    if there.difference and back.difference:
        assert there.difference.low == pytest.approx(-back.difference.high)
        assert there.difference.units == back.difference.units


@settings(max_examples=20)
@given(SETS)
def test_a_system_is_not_better_than_itself(sets: list[tuple[str, str, str]]) -> None:
    a, _ = systems(sets)
    same = compare(a, a)
    assert same.better is None
    assert all((test.statistic, test.p) == (0, 1) for test in same.tests)
    assert same.verdict() == "a and a have the same WER"


def test_equal_differences_are_judged_like_coins() -> None:
    one = [MatchedSegment(1, 1, 0)]
    assert (matched_pairs(one).statistic, matched_pairs(one).p) == (0, 1)  # as NIST's
    assert matched_pairs([]).p == 1
    assert matched_pairs(one * 6).p == 1 / 32
    assert matched_pairs(one * 6).statistic == pytest.approx(2.154, abs=0.001)
    assert matched_pairs([MatchedSegment(1, 0, 1)] * 5000).statistic < -30


@pytest.mark.parametrize("seed", range(4))
def test_wilcoxon_and_sign_are_those_of_scipy(seed: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    for number in (5, 12, 40):
        differences = np.random.default_rng(seed).normal(0.3, 1, number)
        expected = stats.wilcoxon(differences, method="exact").pvalue
        assert wilcoxon(differences, "speakers").p == pytest.approx(expected)
        plus = int((differences > 0).sum())
        expected = stats.binomtest(plus, number).pvalue
        assert sign_test(differences, "speakers").p == pytest.approx(expected)
    many = np.random.default_rng(seed).integers(-9, 12, 200)
    many = many[many != 0]
    expected = stats.wilcoxon(many, method="asymptotic", correction=False).pvalue
    assert wilcoxon(many, "utterances").p == pytest.approx(expected)


def test_wilcoxon_with_ties_counts_all_signs() -> None:
    differences = [1, 1, 2, -2, 3, 0, 3]
    ranks = [1.5, 1.5, 3.5, 3.5, 5.5, 5.5]
    found = wilcoxon(differences, "speakers")
    assert found.statistic == 1.5 + 1.5 + 3.5 - 3.5 + 5.5 + 5.5
    sums = [np.dot(ranks, signs) for signs in itertools.product([1, -1], repeat=6)]
    assert found.p == pytest.approx(np.mean([abs(s) >= 14 for s in sums]))
    assert wilcoxon([], "speakers").p == 1


def test_sign_test_by_hand() -> None:
    assert sign_test([1, 2, 3, 4, 5, 0], "speakers").p == pytest.approx(2 / 32)
    assert sign_test([1, -1, 0], "speakers").p == 1
    assert sign_test([1] * 900 + [-1] * 1100, "utterances").p == pytest.approx(8.5e-6, rel=0.02)


def test_mcnemar_counts_utterances_without_error() -> None:
    a, b = systems([("p", "p", "q")] * 1 + [("p", "q", "p")] * 5 + [("p", "q", "q")] * 3)
    found = mcnemar(a, b)
    assert (found.statistic, found.detail) == (4, "only wrong: 5 and 1 utterances")
    assert found.p == pytest.approx(2 * 7 / 64)


def test_the_verdict_says_which_is_better_and_whether_by_chance() -> None:
    right, wrong = "one two three four five six", "one two ten four five six"
    refs = {f"s{i % 8}-{i}": right for i in range(80)}
    good = {name: wrong if i % 8 == 1 else right for i, name in enumerate(refs)}
    bad = {name: wrong if i % 3 else right for i, name in enumerate(refs)}
    comparison = compare(score_system("good", refs, good), score_system("bad", refs, bad))
    assert comparison.better == "good"
    assert comparison.verdict() == (
        "good is better than bad: 2.08 against 11.04 % WER, more than chance (MAPSSWE p < 0.001)"
    )
    assert comparison.difference is not None
    assert comparison.difference.high < 0
    assert comparison.difference.units == "speakers"
    few = {name: wrong if i < 2 else right for i, name in enumerate(refs)}
    comparison = compare(score_system("few", refs, few), score_system("none", refs, refs))
    assert comparison.better is None
    assert comparison.verdict() == (
        "none is better than few: 0.00 against 0.42 % WER, which may be chance (MAPSSWE p = 0.500)"
    )


def test_chance_is_called_a_difference_at_the_stated_rate() -> None:
    """Two equal systems: segments' differences are of mean 0, and 5 % are called significant."""
    generator = np.random.default_rng(11)
    called = 0
    for _ in range(600):
        errors = generator.poisson(0.8, (60, 2))
        found = [MatchedSegment(5, int(a), int(b)) for a, b in errors if a or b]
        called += matched_pairs(found).p < 0.05
    assert 0.03 <= called / 600 <= 0.075

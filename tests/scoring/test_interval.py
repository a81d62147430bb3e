"""Confidence intervals against closed formulas, and by how often they cover."""

import time

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from asr.scoring.interval import Interval, difference_interval, pool, student_quantile, wer_interval

UNITS = st.lists(st.tuples(st.integers(0, 9), st.integers(1, 30)), min_size=2, max_size=12)


def interval(errors, words, speakers=None) -> Interval:
    found = wer_interval(errors, words, speakers or [None] * len(errors))
    assert found is not None
    return found


def test_many_utterances_meet_the_normal_approximation() -> None:
    generator = np.random.default_rng(3)
    words = generator.integers(5, 30, 3000)
    errors = generator.binomial(words, 0.1)
    rate = errors.sum() / words.sum()
    # the delta method: variance of a ratio
    half = 1.96 * np.sqrt(((errors - rate * words) ** 2).sum()) / words.sum()
    found = interval(errors, words)
    assert (found.low, found.high) == pytest.approx((rate - half, rate + half), rel=0.01)
    assert found.units == "utterances"


def test_few_speakers_get_students_t_of_the_logarithm() -> None:
    # of equal size, the ratio is a mean: 0.1, 0.2, 0.3 give 0.2 with standard error 0.1 / sqrt(3)
    found = interval([10, 20, 30], [100, 100, 100], ["a", "b", "c"])
    factor = np.exp(4.302_65 * 0.1 / np.sqrt(3) / 0.2)
    assert (found.low, found.high) == pytest.approx((0.2 / factor, 0.2 * factor), rel=1e-3)
    assert found.units == "speakers"


def test_one_odd_speaker_leaves_the_limits_among_the_speakers() -> None:
    found = interval([10, 11, 10, 9, 10, 11, 10, 9, 10, 30], [100] * 10, list("abcdefghij"))
    assert 0.09 < found.low < 0.12 < found.high < 0.30


def test_students_quantiles_are_those_of_scipy() -> None:
    stats = pytest.importorskip("scipy.stats")
    for degrees in (1, 2, 3, 4, 5, 8, 20, 1000):
        assert student_quantile(degrees) == pytest.approx(stats.t.ppf(0.975, degrees), rel=0.02)


@pytest.mark.parametrize("wrong", range(7))
def test_rare_errors_get_poisson_limits(wrong: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    errors, words = [1] * wrong + [0] * (1000 - wrong), [10] * 1000
    found = interval(errors, words)
    # Garwood's exact limits of a Poisson count
    low = stats.chi2.ppf(0.025, 2 * wrong) / 2 if wrong else 0.0
    high = stats.chi2.ppf(0.975, 2 * wrong + 2) / 2
    assert found.low * 10_000 == pytest.approx(low, abs=0.03)
    assert found.high * 10_000 == pytest.approx(high, abs=0.03)


def test_an_error_free_test_set_is_no_certainty() -> None:
    assert interval([0] * 100, [1] * 100).low == 0
    assert interval([0] * 100, [1] * 100).high == pytest.approx(0.0369, abs=0.0003)  # 3.69 / 100


def test_utterances_of_a_speaker_go_together() -> None:
    errors, words = [0, 0, 0, 9, 9, 9] * 4, [10] * 24
    alike = interval(errors, words, [str(i // 3) for i in range(24)])
    apart = interval(errors, words, [str(i % 12) for i in range(24)])
    assert alike.high - alike.low > 1.5 * (apart.high - apart.low)


def test_pool() -> None:
    units, (sums,) = pool(["b", "a", "b"], [1, 2, 3])
    assert (units, sums.tolist()) == ("speakers", [4, 2])
    for speakers in (["a", "a", "a"], ["a", None, "b"], [None] * 3):
        assert pool(speakers, [1, 2, 3])[0] == "utterances"


@pytest.mark.parametrize(("errors", "words"), [([1], [5]), ([], []), ([0, 1], [0, 0])])
def test_nothing_to_resample_has_no_interval(errors: list[int], words: list[int]) -> None:
    assert wer_interval(errors, words, [None] * len(errors)) is None


def test_printed_with_two_decimals() -> None:
    assert str(Interval(0.10213, 0.12628, "speakers")) == "(95 % CI 10.21-12.63)"


@settings(max_examples=40)
@given(UNITS)
def test_an_interval_holds_its_rate_and_is_reproducible(units: list[tuple[int, int]]) -> None:
    errors, words = zip(*units, strict=True)
    found = interval(errors, words)
    assert 0 <= found.low <= sum(errors) / sum(words) + 1e-9
    assert found.low <= found.high < np.inf
    assert interval(errors, words) == found


@settings(max_examples=30)
@given(UNITS, st.integers(0, 99))
def test_swapping_the_systems_turns_the_difference_round(units, seed: int) -> None:
    errors, words = np.array(units, dtype=float).T
    differences = errors - np.random.default_rng(seed).permutation(errors)
    low, high, p = difference_interval(differences, words)
    assert difference_interval(-differences, words) == pytest.approx((-high, -low, p))
    assert 0 < p <= 1


def test_a_difference_excludes_zero_when_p_is_small() -> None:
    generator = np.random.default_rng(5)
    words = np.full(50, 20.0)
    for shift in (0.0, 0.4, 0.8, 2.0):
        differences = generator.normal(shift, 1, 50)
        low, high, p = difference_interval(differences, words)
        assert low < differences.sum() / 1000 < high
        assert (p < 0.03) <= (not low <= 0 <= high)
        assert (p > 0.08) <= (low <= 0 <= high)


@pytest.mark.parametrize(("speakers", "shape"), [(4, 4.0), (10, 4.0), (25, 2.0)])
def test_intervals_cover_at_the_stated_rate(speakers: int, shape: float, monkeypatch) -> None:
    """Speakers' rates follow a gamma distribution of mean 15 %, errors a Poisson one."""
    monkeypatch.setattr("asr.scoring.interval._RESAMPLES", (500, 1000))
    generator = np.random.default_rng(7)
    runs, covered = 400, 0
    for _ in range(runs):
        words = generator.integers(150, 600, speakers)
        rates = 0.15 * generator.gamma(shape, 1 / shape, speakers)
        found = interval(generator.poisson(rates * words), words, list(map(str, range(speakers))))
        covered += found.low <= 0.15 <= found.high
    assert 0.91 <= covered / runs <= 0.98  # plain percentiles: 0.77, 0.88, 0.91


def test_a_hundred_thousand_utterances_take_seconds() -> None:
    generator = np.random.default_rng(0)
    words = generator.integers(1, 100, 100_000)
    started = time.process_time()
    found = interval(generator.binomial(words, 0.1), words)
    assert time.process_time() - started < 10
    assert found.high - found.low < 0.001

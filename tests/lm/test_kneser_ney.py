"""Kneser-Ney estimates against the formulas written out with dictionaries, and against KenLM."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import asr.lm.counts
from asr.errors import LanguageModelError
from asr.lm.arrays import query
from asr.lm.kneser_ney import discounts, estimate
from asr.lm.ngram import NgramModel

TEXTS = st.lists(st.lists(st.sampled_from("abcd"), max_size=6), min_size=1, max_size=25)


class Reference:
    """Interpolated modified Kneser-Ney, each formula by itself (Chen & Goodman 1998)."""

    def __init__(self, sentences, order: int, min_counts=()) -> None:
        padded = [["<s>", *words, "</s>"] for words in sentences]
        self.raw = [
            Counter(tuple(words[i : i + n]) for words in padded for i in range(len(words) - n + 1))
            for n in range(1, order + 1)
        ]
        self.order = order
        self.vocabulary = {"<unk>"} | {word for (word,) in self.raw[0]} - {"<s>"}
        self.min_counts = [*min_counts, *min_counts[-1:] * order][:order] or [0] * order
        self.adjusted = [self.adjust(n) for n in range(1, order + 1)]
        self.discounts = [self.discount(n) for n in range(1, order + 1)]
        self.followers_of: dict = {}
        for gram, count in (item for counts in self.adjusted for item in counts.items()):
            self.followers_of.setdefault(gram[:-1], {})[gram[-1]] = count

    def adjust(self, n: int) -> Counter:
        if n == self.order:
            counts = Counter(self.raw[n - 1])
        else:
            counts = Counter(gram[1:] for gram in self.raw[n])
            counts.update({g: c for g, c in self.raw[n - 1].items() if g[0] == "<s>"})
        del counts["<s>",]
        return counts

    def discount(self, n: int) -> list[float]:
        of_counts = Counter(self.adjusted[n - 1].values())
        n1, n2, n3, n4 = (of_counts[i] for i in (1, 2, 3, 4))
        if not n1 or not n2 or not n3:
            return [0.0, 0.5, 1.0, 1.5]
        y = n1 / (n1 + 2 * n2)
        found = [0.0, 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3]
        return found if min(found[1:]) > 0 else [0.0, 0.5, 1.0, 1.5]

    def kept(self, gram) -> bool:
        return len(gram) == 1 or self.raw[len(gram) - 1][gram] >= self.min_counts[len(gram) - 1]

    def followers(self, context) -> dict[str, int]:
        return self.followers_of.get(context, {})

    def weight(self, context) -> float:
        """What a context leaves to shorter ones: discounts, and counts of n-grams left out."""
        followers = self.followers(context)
        if not followers:
            return 1.0
        discount = self.discounts[len(context)]
        left = sum(
            discount[min(count, 3)] if self.kept((*context, word)) else count
            for word, count in followers.items()
        )
        return left / sum(followers.values())

    def prob(self, context, word: str) -> float:
        followers = self.followers(context)
        lower = self.prob(context[1:], word) if context else 1 / len(self.vocabulary)
        count = followers.get(word, 0)
        if not followers:
            return lower
        seen = 0.0
        if count and self.kept((*context, word)):
            seen = (count - self.discounts[len(context)][min(count, 3)]) / sum(followers.values())
        return seen + self.weight(context) * lower


def ngrams(model: NgramModel) -> dict[tuple[str, ...], tuple[float, float]]:
    """Return log-probability and log back-off weight of each n-gram."""
    return {
        tuple(model.words[i] for i in row): (prob, backoff)
        for level in model.levels()
        for row, prob, backoff in zip(level.words, level.log_prob, level.backoff, strict=True)
    }


def check(model: NgramModel, reference: Reference) -> None:
    found = ngrams(model)
    expected = {g for counts in reference.raw for g in counts if reference.kept(g)}
    assert found.keys() == expected | {("<unk>",), ("<s>",)}
    for gram, (log_prob, backoff) in found.items():
        if gram != ("<s>",):
            log_expected = math.log(reference.prob(gram[:-1], gram[-1]))
            assert log_prob == pytest.approx(log_expected, rel=1e-6, abs=1e-6)
        if len(gram) < model.order:
            assert backoff == pytest.approx(math.log(reference.weight(gram)), rel=1e-6, abs=1e-6)


def check_sums(model: NgramModel) -> None:
    words = [word for word in range(len(model.words)) if word != model.bos]
    for state in range(len(model.arrays.backoff)):
        probs = np.exp([query(model.arrays, state, word)[0] for word in words])
        assert probs.sum() == pytest.approx(1.0, abs=2e-6)


def zipf_text(seed: int) -> list[list[str]]:
    """A text whose counts allow discounts to be estimated."""
    random = np.random.default_rng(seed)
    return [
        [str(word) for word in random.zipf(1.6, random.integers(1, 9)) if word < 60]
        for _ in range(60)
    ]


@settings(max_examples=40, deadline=None)
@given(TEXTS, st.integers(1, 5))
def test_small_texts_agree_with_the_formulas(sentences, order):
    model = estimate(sentences, order)
    check(model, Reference(sentences, order))
    check_sums(model)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_estimated_discounts_agree_with_the_formulas(order):
    reference = Reference(zipf_text(7), order)
    assert [0.0, 0.5, 1.0, 1.5] not in reference.discounts
    model = estimate(zipf_text(7), order)
    check(model, reference)
    check_sums(model)


@pytest.mark.parametrize(
    ("order", "min_counts", "of_kenlm"),
    [
        (
            3,
            (),
            {
                "<unk>": (-1.4443288, 0.0),
                "w0": (-0.85733247, -0.14703062),
                "w6": (-1.1846914, -0.069080934),
                "<s> w1": (-0.41296697, -0.43066385),
                "w0 w1": (-0.934415, -0.21502082),
                "w4 w5": (-0.79258096, -0.4121804),
                "<s> w1 </s>": (-0.4963345, 0.0),
                "w0 w1 w1": (-0.806532, 0.0),
                "w3 w4 w6": (-0.6640615, 0.0),
            },
        ),
        (
            4,
            (1, 2, 3),
            {
                "w0": (-0.85733247, -0.122441344),
                "<s> w1": (-0.41296697, -0.40248764),
                "w0 w1": (-0.9133966, -0.033858262),
                "w1 w3": (-0.8942287, -0.1627273),
                "<s> w1 w1": (-1.1161072, -0.06963591),
                "<s> w0 w1": (-0.67147315, -0.05115252),
                "<s> w1 w0 </s>": (-0.40728766, 0.0),
                "<s> w0 w1 w3": (-0.5487139, 0.0),
            },
        ),
    ],
)
def test_kenlm_finds_the_same(order, min_counts, of_kenlm):
    # log10 of probabilities and weights in the files of lmplz --discount_fallback, of KenLM 0.3.0,
    # with -o 3, and with -o 4 --prune 0 1 2
    text = [
        [f"w{(i * i + 3 * j * i + j * j * j) % 17 % (j + 3)}" for j in range(i % 6)]
        for i in range(1, 60)
    ]
    found = ngrams(estimate(text, order, min_counts=min_counts))
    for gram, expected in of_kenlm.items():
        assert np.array(found[tuple(gram.split())]) / math.log(10) == pytest.approx(
            expected, abs=1e-6
        )


@pytest.mark.parametrize("min_counts", [(1, 1, 2), (1, 2), (2,), (1, 2, 3)])
def test_rare_ngrams_are_left_out_and_their_mass_is_backed_off_to(min_counts):
    model = estimate(zipf_text(7), 3, min_counts=min_counts)
    assert model.counts[2] < estimate(zipf_text(7), 3).counts[2]
    check(model, Reference(zipf_text(7), 3, min_counts))
    check_sums(model)


def test_memory_changes_nothing(monkeypatch):
    whole = estimate(zipf_text(3), 4)
    monkeypatch.setattr(asr.lm.counts, "_BYTES_PER_TOKEN", 2**20 // 20)
    assert ngrams(estimate(zipf_text(3), 4, memory_mb=1)) == ngrams(whole)


def test_discounts_by_hand():
    # n1..n4 = 3, 2, 1, 1 and Y = 3/7
    found = discounts(np.array([1, 1, 1, 2, 2, 3, 4, 9, 0]))
    np.testing.assert_allclose(found, [0, 3 / 7, 19 / 14, 9 / 7])


@pytest.mark.parametrize("counts", [[1, 1, 2, 4], [2, 3], [1, 2, 3, 3, 3]])
def test_discounts_that_counts_do_not_allow(counts):
    assert discounts(np.array(counts)) is None


def test_a_text_too_small_for_discounts_is_said_to_be(capsys):
    estimate([["a", "b"]], 2)
    said = capsys.readouterr().err.splitlines()
    assert [line.split(";")[0] for line in said] == [
        f"too few {n}-grams to estimate discounts" for n in (1, 2)
    ]


@pytest.mark.parametrize(
    "sentences",
    [[["a"]], [["a"] * 40], [[str(i) for i in range(40)]], [["a", "b"]] * 30, [[]]],
    ids=["one word", "one word many times", "words once each", "one line many times", "empty line"],
)
@pytest.mark.parametrize("order", [1, 3, 6])
def test_odd_texts_give_proper_models(sentences, order):
    model = estimate(sentences, order)
    check(model, Reference(sentences, order))
    check_sums(model)


def test_unknown_words_are_as_likely_as_the_text_has_them():
    text = [["a", "b", "c"], ["a", "c"], ["a", "b"]]
    as_unknown = [[word if word == "a" else "<unk>" for word in words] for words in text]
    model = estimate(text, 2, vocabulary=["a"])
    assert ngrams(model) == ngrams(estimate(as_unknown, 2))
    assert model.score(["z"])[0] == model.score(["b"])[0]


def test_a_smaller_vocabulary_is_that_of_the_frequent_words():
    model = estimate([["a", "b", "b", "c", "c"]], 1, vocabulary_size=2)
    assert model.words == ("<unk>", "<s>", "</s>", "b", "c")


def test_begin_of_sentence_is_never_predicted():
    assert ngrams(estimate([["a"]], 2))["<s>",][0] == pytest.approx(-99 * math.log(10))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"order": 0}, r"order is 0; allowed: 1\.\.6"),
        ({"order": 7}, r"order is 7; allowed: 1\.\.6"),
        ({"order": 2, "min_counts": (1, 1, 2)}, "at most 2 numbers"),
        ({"order": 3, "min_counts": (1, 3, 2)}, "none below the one before"),
        ({"order": 2, "vocabulary_size": 0}, "vocabulary_size is 0"),
        ({"order": 2, "memory_mb": 0}, "memory_mb is 0"),
        ({"order": 2, "prune_threshold": -0.1}, "threshold is -0.1"),
        ({"order": 2, "vocabulary": ["a"], "vocabulary_size": 3}, "give one of them"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(LanguageModelError, match=message):
        estimate([["a"]], **settings)


def test_an_empty_text_is_refused():
    with pytest.raises(LanguageModelError, match="no sentence"):
        estimate([], 3)

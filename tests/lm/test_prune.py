"""Pruning against the relative entropy of whole distributions, n-gram by n-gram."""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from asr.errors import LanguageModelError
from asr.lm.arrays import query
from asr.lm.kneser_ney import estimate
from asr.lm.ngram import Level, NgramModel, perplexity
from asr.lm.pruning import prune

TEXTS = st.lists(st.lists(st.sampled_from("abcd"), max_size=6), min_size=1, max_size=25)
Gram = tuple[str, ...]


class BackOff:
    """A model as dictionaries: n-gram to log-probability, context to log back-off weight.

    Contexts are as likely as it says, or as often in a text as they are, where one is given.
    """

    def __init__(self, model: NgramModel, text: Sequence[Sequence[str]] = ()) -> None:
        padded = [("<s>", *sentence, "</s>") for sentence in text]
        self.occurrences = Counter(
            words[start : start + n]
            for words in padded
            for n in range(1, model.order)
            for start in range(len(words) - n + 1)
        )
        self.num_words = sum(len(words) - 1 for words in padded)  # <s> is never predicted
        self.log_prob: dict[Gram, float] = {}
        self.backoff: dict[Gram, float] = {}
        for level in model.levels():
            for row, log_prob, backoff in zip(
                level.words.tolist(), level.log_prob.tolist(), level.backoff.tolist(), strict=True
            ):
                gram = tuple(model.words[i] for i in row)
                self.log_prob[gram], self.backoff[gram] = log_prob, backoff
        self.vocabulary = [word for word in model.words if word != "<s>"]

    def log(self, context: Gram, word: str) -> float:
        if (*context, word) in self.log_prob:
            return self.log_prob[*context, word]
        return self.backoff.get(context, 0.0) + self.log(context[1:], word)

    def without(self, context: Gram, word: str) -> dict[str, float]:
        """What a context predicts once an n-gram is gone: its weight is what makes that a sum."""
        staying = {
            w: self.log_prob[*context, w]
            for w in self.vocabulary
            if w != word and (*context, w) in self.log_prob
        }
        others = {w: self.log(context[1:], w) for w in self.vocabulary if w not in staying}
        left = 1 - sum(map(math.exp, staying.values()))
        weight = math.log(left / sum(map(math.exp, others.values())))
        others = {w: weight + log_q for w, log_q in others.items()}
        return {**staying, **others}

    def rise(self, context: Gram, word: str) -> float:
        """By how much perplexity rises without an n-gram, relatively."""
        predicted = self.without(context, word)
        divergence = sum(
            math.exp(self.log(context, w)) * (self.log(context, w) - predicted[w])
            for w in self.vocabulary
        )
        return math.expm1(self.probability(context) * divergence)

    def probability(self, context: Gram) -> float:
        """Of the words of a context, one after the other."""
        if self.num_words:
            return self.occurrences[context] / self.num_words
        words = ("</s>", *context[1:]) if context[0] == "<s>" else context
        logs = [self.log((), words[0])]
        logs += [self.log(context[:i], context[i]) for i in range(1, len(context))]
        return math.exp(sum(logs))

    def pruned(self, threshold: float) -> set[Gram]:
        """The n-grams that stay."""
        staying: set[Gram] = set()
        for gram in sorted(self.log_prob, key=len, reverse=True):
            is_context = any(other[: len(gram)] == gram for other in staying)
            if len(gram) == 1 or is_context or self.rise(gram[:-1], gram[-1]) >= threshold:
                staying.add(gram)
        return staying


def random_text(seed: int = 0) -> list[list[str]]:
    random = np.random.default_rng(seed)
    return [
        [str(word) for word in random.zipf(1.6, random.integers(1, 9)) if word < 20]
        for _ in range(80)
    ]


def check_sums(model: NgramModel) -> None:
    words = [word for word in range(len(model.words)) if word != model.bos]
    for state in range(len(model.arrays.backoff)):
        probs = np.exp([query(model.arrays, state, word)[0] for word in words])
        assert probs.sum() == pytest.approx(1.0, abs=2e-6)


@pytest.mark.parametrize("order", [2, 3])
@pytest.mark.parametrize("threshold", [1e-4, 1e-3, 1e-2])
def test_the_ngrams_that_matter_least_go(order, threshold):
    model = estimate(random_text(), order)
    found = prune(model, threshold)
    expected = BackOff(model).pruned(threshold)
    assert BackOff(found).log_prob.keys() == expected
    assert sum(model.counts) > len(expected) > model.counts[0]


@pytest.mark.parametrize(("order", "min_counts"), [(2, []), (3, []), (4, [1, 1, 2])])
@pytest.mark.parametrize("threshold", [5e-4, 1e-3, 1e-2])
def test_where_the_text_is_known_its_contexts_are_counted(order, min_counts, threshold):
    text = random_text()
    model = estimate(text, order, min_counts=min_counts)
    found = estimate(text, order, min_counts=min_counts, prune_threshold=threshold)
    assert BackOff(found).log_prob.keys() == BackOff(model, text).pruned(threshold)
    assert sum(model.counts) > sum(found.counts)
    check_sums(found)


def test_counted_contexts_choose_better():
    """As many n-grams, but such as make unseen text of the same kind more likely."""
    text = [sentence for seed in range(40) for sentence in random_text(seed)]
    unseen = random_text(99)
    counted = estimate(text, 3, prune_threshold=1e-4)
    model, threshold = estimate(text, 3), 1e-6
    while sum((guessed := prune(model, threshold)).counts) > sum(counted.counts):
        threshold *= 1.05
    assert sum(guessed.counts) > 0.9 * sum(counted.counts)
    assert perplexity(counted, unseen).perplexity < perplexity(guessed, unseen).perplexity


def test_probabilities_stay_and_weights_make_each_context_a_distribution():
    model = estimate(random_text(), 4)
    found = prune(model, 1e-3)
    check_sums(found)
    before, after = BackOff(model), BackOff(found)
    assert all(before.log_prob[gram] == log_prob for gram, log_prob in after.log_prob.items())


@settings(max_examples=30, deadline=None)
@given(TEXTS, st.integers(1, 4), st.sampled_from([1e-6, 1e-3, 1e-2, 1e-1]))
def test_any_model_stays_one(sentences, order, threshold):
    model = estimate(sentences, order)
    found = prune(model, threshold)
    check_sums(found)
    assert BackOff(found).log_prob.keys() <= BackOff(model).log_prob.keys()


def test_threshold_zero_changes_nothing():
    model = estimate(random_text(), 3)
    assert prune(model, 0.0) is model


@pytest.mark.parametrize("threshold", [1e9, math.inf])
def test_an_endless_threshold_leaves_the_words(threshold):
    model = estimate(random_text(), 3)
    found = prune(model, threshold)
    assert (found.order, found.counts) == (1, model.counts[:1])
    assert found.words == model.words


def test_a_model_of_words_only_stays():
    model = estimate(random_text(), 1)
    assert prune(model, math.inf) is model


def test_perplexity_rises_with_the_threshold():
    model, text = estimate(random_text(), 3), random_text(1)
    values = [perplexity(prune(model, t), text).perplexity for t in (0, 1e-3, 1e-2, math.inf)]
    assert values == sorted(values)
    assert values[0] < values[-1]


def test_a_bigram_by_hand():
    # P(a) = P(b) = 0.4, P(</s>) = 0.2; P(b | a) = 0.5, so a's weight is 0.5 / 0.6
    words = ["<unk>", "<s>", "</s>", "a", "b"]
    log_probs = np.log([1e-30, 1e-30, 0.2, 0.4, 0.4])
    backoff = np.log([1, 1, 1, 0.5 / 0.6, 1])
    model = NgramModel.from_levels(
        words,
        [
            Level(np.arange(5, dtype=np.int32)[:, None], *np.float32([log_probs, backoff])),
            Level(np.array([[3, 4]], np.int32), np.float32([np.log(0.5)]), np.zeros(1, np.float32)),
        ],
    )
    # without it, a predicts what the unigrams do: 0.4 for b, 0.6 for the others
    rise = math.expm1(0.4 * (0.5 * math.log(0.5 / 0.4) + 0.5 * math.log(0.5 / 0.6)))
    assert prune(model, rise * 0.9999) is model
    assert prune(model, rise * 1.0001).counts == [5]


def test_contexts_and_suffixes_that_a_model_lacks():
    # c b is unknown, so a c b backs off past it; b a is added, for it is a context
    words = ["<unk>", "<s>", "</s>", "a", "b", "c"]
    log_probs = np.log([0.1, 1e-30, 0.3, 0.2, 0.2, 0.2])
    weights = np.log([1, 1, 1, 0.4 / 0.6, 0.7 / 0.7, 1])
    levels = [
        Level(np.arange(6, dtype=np.int32)[:, None], *np.float32([log_probs, weights])),
        Level(np.array([[3, 4], [3, 5]], np.int32), *np.float32(np.log([[0.3, 0.3], [1, 0.75]]))),
        Level(
            np.array([[3, 5, 4], [4, 3, 5]], np.int32), *np.float32(np.log([[0.4, 0.3], [1, 1]]))
        ),
    ]
    found = prune(NgramModel.from_levels(words, levels), 1e-5)
    check_sums(found)
    longer = {gram for gram in BackOff(found).log_prob if len(gram) > 1}
    assert longer == {("a", "b"), ("a", "c"), ("a", "c", "b")}


@pytest.mark.parametrize("threshold", [-1e-9, math.nan])
def test_a_threshold_out_of_range_is_refused(threshold):
    with pytest.raises(LanguageModelError, match="threshold is"):
        prune(estimate([["a"]], 2), threshold)

"""Interpolated modified Kneser-Ney estimation of n-gram models.

Sources: Chen & Goodman 1998 (the smoothing); Heafield et al. 2013 (counts of n-grams that begin
with <s>, interpolation of the unigrams). Results agree with KenLM's lmplz, with two differences: a
word outside the vocabulary is counted as the word <unk>, and where the text is too small or too odd
to estimate discounts, fixed ones are used, for which lmplz needs an option.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from asr._progress import say, waiting
from asr.errors import LanguageModelError
from asr.lm.counts import BOS_ID, EOS_ID, NgramCounts, count_ngrams
from asr.lm.ngram import LOG_10, Level, NgramModel
from asr.lm.pruning import check_threshold, prune

MAX_ORDER = 6
FALLBACK_DISCOUNTS = (0.5, 1.0, 1.5)  # of counts 1, 2, and 3 or more
_BOS_LOG_PROB = -99.0 * LOG_10  # how ARPA files write that <s> is never predicted


def estimate(
    sentences: Iterable[Sequence[str]],
    order: int,
    *,
    vocabulary: Sequence[str] | None = None,
    vocabulary_size: int | None = None,
    min_counts: Sequence[int] = (),
    prune_threshold: float = 0.0,
    memory_mb: int = 2000,
) -> NgramModel:
    """Estimate an n-gram model of sentences.

    Args:
        sentences: lists of words, read once.
        order: words of the longest n-gram, 1..6.
        vocabulary: the words of the model, all others being <unk>; None: all words.
        vocabulary_size: keep only this many words, the most frequent ones.
        min_counts: leave out n-grams that occur less often than this: one number for each order,
            never falling; the last holds for all higher orders. Words always stay.
        prune_threshold: as in asr.lm.pruning, with the frequencies of contexts in this text.
        memory_mb: memory for sorting; each n-gram found takes about 100 bytes more.

    Raises:
        LanguageModelError: a setting is out of its range, or the text cannot be used.
    """
    if not 1 <= order <= MAX_ORDER:
        raise LanguageModelError(f"order is {order}; allowed: 1..{MAX_ORDER}")
    if vocabulary is not None and vocabulary_size is not None:
        raise LanguageModelError("vocabulary and vocabulary_size are both given; give one of them")
    for name, value in (("vocabulary_size", vocabulary_size), ("memory_mb", memory_mb)):
        if value is not None and value < 1:
            raise LanguageModelError(f"{name} is {value}; give 1 or more")
    check_threshold(prune_threshold)
    thresholds = _thresholds(min_counts, order)
    words, counted = count_ngrams(
        sentences,
        order,
        vocabulary=vocabulary,
        vocabulary_size=vocabulary_size,
        memory_mb=memory_mb,
    )
    with waiting("smoothing"):
        model = NgramModel.from_levels(words, _smooth(counted, thresholds))
        occurrence = _occurrence(counted, thresholds) if prune_threshold else None
        del counted  # as large as the model, and not needed while that is pruned
        return prune(model, prune_threshold, occurrence)


def _thresholds(min_counts: Sequence[int], order: int) -> list[int]:
    """Return the lowest count of each order; check that it never falls.

    Otherwise an n-gram could stay whose context is left out.
    """
    if len(min_counts) > order or list(min_counts) != sorted(min_counts):
        raise LanguageModelError(
            f"min_counts is {list(min_counts)}; give at most {order} numbers, none below the one "
            "before"
        )
    given = [*min_counts] or [0]
    return [0, *(given + given[-1:] * order)[1:order]]


def discounts(counts: NDArray[np.int64]) -> NDArray[np.float64] | None:
    """Estimate the discounts of counts 0, 1, 2, and 3 or more; None where that is impossible.

    Source: Chen & Goodman 1998, equation 26.
    """
    n = np.bincount(np.minimum(counts, 5), minlength=6)  # counts of counts
    if not n[1:4].all():
        return None
    i = np.arange(1, 4)
    amounts = i - (i + 1) * n[1] / (n[1] + 2 * n[2]) * n[2:5] / n[1:4]
    # a discount of 0 would leave no probability to unseen words
    return np.append(0.0, amounts) if (amounts > 0).all() else None


def _smooth(counted: Sequence[NgramCounts], thresholds: Sequence[int]) -> list[Level]:
    """Turn counts into probabilities and back-off weights, from low orders to high."""
    rows = [np.empty((1, 0), np.int32)]  # words of the only n-gram of order 0
    probs = [np.array([1 / (counted[0].num_words - 1)])]  # uniform, over all words but <s>
    weights = []  # back-off weights of the n-grams one order below
    for n, (grams, least) in enumerate(zip(counted, thresholds, strict=True), 1):
        context = grams.context
        rows.append(np.column_stack([rows[-1][context], grams.word]))
        counts = grams.counts if n == len(counted) else _adjusted(grams, counted[n], rows[-1])
        discount = _discounts_of_order(n, counts)[np.minimum(counts, 3)]
        left = np.where(grams.counts < least, counts, discount)  # given to the lower order
        total = np.bincount(context, counts, minlength=len(probs[-1]))
        weight = np.bincount(context, left, minlength=len(probs[-1]))
        weights.append(np.divide(weight, total, out=np.ones(len(total)), where=total > 0))
        seen = (counts - left) / total[context]
        probs.append(seen + weights[-1][context] * probs[-1][grams.suffix])
    weights.append(np.ones_like(probs[-1]))
    keeps = [grams.counts >= least for grams, least in zip(counted, thresholds, strict=True)]
    levels = [*map(_level, rows[1:], probs[1:], weights[1:], keeps)]
    levels[0].log_prob[BOS_ID] = _BOS_LOG_PROB
    return levels


def _adjusted(
    grams: NgramCounts, higher: NgramCounts, rows: NDArray[np.int32]
) -> NDArray[np.int64]:
    """Count the different words before each n-gram.

    An n-gram that begins with <s> keeps its count of occurrences.
    """
    words_before = np.bincount(higher.suffix, minlength=len(rows))
    return np.where(rows[:, 0] == BOS_ID, grams.counts, words_before)


def _discounts_of_order(n: int, counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the discounts of an order, the fixed ones where they cannot be estimated."""
    found = discounts(counts)
    if found is None:
        found = np.array([0.0, *FALLBACK_DISCOUNTS])
        say(f"too few {n}-grams to estimate discounts; they are {FALLBACK_DISCOUNTS}")
    return found


def _occurrence(counted: Sequence[NgramCounts], thresholds: Sequence[int]) -> NDArray[np.float64]:
    """Return the relative frequency of each n-gram of the model; 1 for the empty context."""
    total = counted[0].counts.sum()
    kept = [grams.counts[grams.counts >= n] for grams, n in zip(counted, thresholds, strict=True)]
    counts = np.concatenate([[total], *kept])
    counts[1 + BOS_ID] = counts[1 + EOS_ID]
    share: NDArray[np.float64] = counts / total
    return share


def _level(
    rows: NDArray[np.int32],
    probs: NDArray[np.float64],
    weights: NDArray[np.float64],
    keep: NDArray[np.bool_],
) -> Level:
    """Return the n-grams of an order that are kept."""
    log_prob, backoff = (np.log(array[keep]).astype(np.float32) for array in (probs, weights))
    return Level(rows[keep], log_prob, backoff)

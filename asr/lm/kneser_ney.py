"""Interpolated modified Kneser-Ney estimation of n-gram models.

Sources: Chen & Goodman 1998 (the smoothing); Heafield et al. 2013 (counts of n-grams that begin
with <s>, interpolation of the unigrams). Results agree with KenLM's lmplz, with two differences: a
word outside the vocabulary is counted as the word <unk>, and where the text is too small or too odd
to estimate discounts, fixed ones are used, for which lmplz needs an option.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from asr._numba import read_only
from asr._progress import say, waiting
from asr.errors import LanguageModelError
from asr.lm.arrays import NgramArrays
from asr.lm.counts import BOS_ID, EOS_ID, UNK_ID, NgramCounts, count_ngrams
from asr.lm.ngram import LOG_10, NgramModel
from asr.lm.pruning import check_threshold, prune
from asr.lm.trie import select

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
        memory_mb: memory for sorting; each n-gram found takes about 60 bytes more.

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
        arrays = _smooth(counted, thresholds)
        keep = _frequent(counted, thresholds)
        occurrence = _occurrence(counted)[keep] if prune_threshold else None
        del counted  # as large as the model, and not needed while that is pruned
        model = NgramModel(tuple(words), select(arrays, keep), UNK_ID, BOS_ID, EOS_ID)
        del arrays
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


def _smooth(counted: Sequence[NgramCounts], thresholds: Sequence[int]) -> NgramArrays:
    """Turn counts into probabilities and back-off weights, from low orders to high.

    An n-gram below the threshold of its order gives all of its counts to the lower order.
    """
    prob = np.array([1 / (counted[0].num_words - 1)])  # uniform, over all words but <s>
    begins = np.zeros(1, np.bool_)  # whether an n-gram begins with <s>
    log_probs, backoffs = [np.zeros(1, np.float32)], list[NDArray[np.float32]]()
    for n, (grams, least) in enumerate(zip(counted, thresholds, strict=True), 1):
        context, size = grams.context, len(prob)
        begins = begins[context] if n > 1 else grams.word == BOS_ID
        counts = grams.counts if n == len(counted) else _adjusted(grams, counted[n], begins)
        left = _discounts_of_order(n, counts)[np.minimum(counts, 3)]  # given to the lower order
        np.copyto(left, counts, where=grams.counts < least)
        total = np.bincount(context, counts, minlength=size)
        weight = np.bincount(context, left, minlength=size)
        weight = np.divide(weight, total, out=np.ones(size), where=total > 0)
        prob = (counts - left) / total[context] + weight[context] * prob[grams.suffix]
        log_probs.append(np.log(prob).astype(np.float32))
        backoffs.append(np.log(weight).astype(np.float32))
    log_probs[1][BOS_ID] = _BOS_LOG_PROB
    backoffs[0][:] = 0.0  # nothing backs off from the empty context
    return _trie(counted, log_probs, backoffs)


def _trie(
    counted: Sequence[NgramCounts],
    log_probs: Sequence[NDArray[np.float32]],
    backoffs: Sequence[NDArray[np.float32]],
) -> NgramArrays:
    """Return the n-grams as a trie, given the weights of each order from 0 on."""
    starts = np.cumsum([0, 1, *(len(grams.keys) for grams in counted)])  # of each order
    root = np.zeros(1, np.int32)
    suffixes = [root, np.zeros_like(counted[0].word)]
    suffixes += [
        (start + g.suffix).astype(np.int32)
        for start, g in zip(starts[1:], counted[1:], strict=False)
    ]
    children = [
        np.bincount(grams.context, minlength=size)
        for grams, size in zip(counted, np.diff(starts), strict=False)
    ]
    first_child = np.append(1, 1 + np.cumsum(np.concatenate(children))).astype(np.int32)
    return read_only(
        NgramArrays(
            np.concatenate([root, *(grams.word for grams in counted)]),
            np.concatenate(log_probs),
            np.concatenate(suffixes),
            first_child,
            np.concatenate(backoffs),
        )
    )


def _adjusted(
    grams: NgramCounts, higher: NgramCounts, begins: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Count the different words before each n-gram.

    An n-gram that begins with <s> keeps its count of occurrences.
    """
    words_before = np.bincount(higher.suffix, minlength=len(begins))
    return np.where(begins, grams.counts, words_before)


def _discounts_of_order(n: int, counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the discounts of an order, the fixed ones where they cannot be estimated."""
    found = discounts(counts)
    if found is None:
        found = np.array([0.0, *FALLBACK_DISCOUNTS])
        say(f"too few {n}-grams to estimate discounts; they are {FALLBACK_DISCOUNTS}")
    return found


def _occurrence(counted: Sequence[NgramCounts]) -> NDArray[np.float64]:
    """Return the relative frequency of the n-gram of each node; 1 for the empty context."""
    total = counted[0].counts.sum()
    counts = np.concatenate([[total], *(grams.counts for grams in counted)])
    share: NDArray[np.float64] = counts / total
    share[1 + BOS_ID] = share[1 + EOS_ID]
    return share


def _frequent(counted: Sequence[NgramCounts], thresholds: Sequence[int]) -> NDArray[np.bool_]:
    """Return which nodes have n-grams that occur often enough to be kept."""
    keeps = (grams.counts >= least for grams, least in zip(counted, thresholds, strict=True))
    return np.concatenate([[True], *keeps])

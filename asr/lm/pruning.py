"""Relative-entropy pruning of n-gram models.

Source: Stolcke 1998, "Entropy-based pruning of backoff language models"; SRILM's -prune does the
same. Pruning needs to know how often a context occurs. A Kneser-Ney model does not know it, because
its lower orders count different words before an n-gram instead of occurrences (Chelba et al. 2010,
"Study on interaction between entropy pruning and Kneser-Ney smoothing"). So the frequencies of the
training text are used where they are at hand.
"""

from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from asr._numba import allocating, read_only
from asr.errors import LanguageModelError
from asr.lm.arrays import NgramArrays, query
from asr.lm.ngram import Level, NgramModel

_LEAST_MASS = float(np.finfo(np.float32).eps)  # a smaller rest of probability is a rounding error


def prune(
    model: NgramModel, threshold: float, occurrence: NDArray[np.float64] | None = None
) -> NgramModel:
    """Leave out n-grams whose absence raises the model's perplexity by less than a threshold.

    The context of an n-gram that stays, stays too. The back-off weights are computed anew, so that
    the probabilities after each context add up to one.

    Args:
        model: an n-gram model; its orders 2 and up are pruned.
        threshold: relative rise of perplexity by one n-gram alone, such as 1e-8; 0 keeps all.
        occurrence: relative frequency of each n-gram in a text, in the order of the model's nodes,
            1 for the empty context; by default its probability under the model.

    Raises:
        LanguageModelError: the threshold is negative.
    """
    check_threshold(threshold)
    if not threshold:
        return model
    starts, parent = model.starts, _parents(model.arrays)
    if occurrence is None:
        occurrence = _probabilities(model, starts, parent)
    keep = np.ones(starts[-1], np.bool_)
    keep[starts[2] :] = _rise(model, parent[starts[2] :], occurrence) >= threshold
    for start, end in reversed([*pairwise(starts)][3:]):
        keep[parent[start:end][keep[start:end]]] = True
    if keep.all():
        return model
    levels = [
        Level(level.words[kept], level.log_prob[kept], level.backoff[kept])
        for level, kept in zip(model.levels(), np.split(keep, starts[1:-1])[1:], strict=True)
    ]
    return _normalised(NgramModel.from_levels(model.words, levels))


def check_threshold(threshold: float) -> None:
    """Raise a LanguageModelError if a threshold is negative."""
    if not threshold >= 0:
        raise LanguageModelError(f"threshold is {threshold}; give 0, which keeps all, or more")


def _parents(arrays: NgramArrays) -> NDArray[np.int64]:
    """Return the node of each node's context; the root is its own."""
    return np.append(0, np.repeat(np.arange(len(arrays.backoff)), np.diff(arrays.first_child)))


def _rise(
    model: NgramModel, parent: NDArray[np.int64], occurrence: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the relative rise of perplexity without each n-gram of orders 2 and up.

    It follows from P(h) times the divergence of the predictions after a context h. With p the
    probability of a word after h, q its probability after the shorter context, b the back-off
    weight of h, and b' the back-off weight without the n-gram, this is P(h) (p (log p - log q - log
    b') + (1 - sum of p) (log b - log b')), section 3 of the source.
    """
    arrays, first = model.arrays, len(model.arrays.prob) - len(parent)
    log_p = arrays.prob[first:].astype(np.float64)
    log_q = _after_shorter(arrays, parent, first)
    p, q = np.exp(log_p), np.exp(log_q)
    p_left, q_left = (
        np.maximum(1 - np.bincount(parent, x, minlength=len(arrays.backoff)), 0)[parent]
        for x in (p, q)
    )
    log_b = np.log(p_left + p) - np.log(q_left + q)
    divergence = p * (log_p - log_q - log_b) + p_left * (arrays.backoff[parent] - log_b)
    divergence = np.maximum(divergence, 0)  # rounding can make it negative
    rise: NDArray[np.float64] = np.expm1(occurrence[parent] * divergence)
    return rise


def _probabilities(
    model: NgramModel, starts: list[int], parent: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the probability of each node's n-gram; <s> is as likely as </s>."""
    log_probs = model.arrays.prob.astype(np.float64)
    log_probs[1 + model.bos] = log_probs[1 + model.eos]
    for start, end in pairwise(starts[2:]):
        log_probs[start:end] += log_probs[parent[start:end]]
    return np.exp(log_probs)


def _normalised(model: NgramModel) -> NgramModel:
    """Compute the back-off weights from the probabilities, from low orders to high.

    Source: Katz 1987; weight = (1 - sum of p) / (1 - sum of q), p and q as in `_rise`.
    """
    arrays, parent, starts = model.arrays, _parents(model.arrays), model.starts
    for (start, end), (first, last) in pairwise(pairwise(starts[1:])):
        context = parent[first:last]
        log_p, log_q = arrays.prob[first:last], _after_shorter(arrays, context, first)
        p_left, q_left = (
            np.maximum(1 - np.bincount(context - start, np.exp(x), end - start), _LEAST_MASS)
            for x in (log_p.astype(np.float64), log_q)
        )
        backoff = arrays.backoff.copy()
        backoff[start:end] = np.log(p_left / q_left)
        arrays = read_only(arrays._replace(backoff=backoff))
    return replace(model, arrays=arrays)


@allocating
def _after_shorter(
    model: NgramArrays, context: NDArray[np.int64], first: int
) -> NDArray[np.float64]:
    """Return the log-probability of the last word of n-grams, with their first word forgotten.

    The n-grams are the nodes from `first` on; `context` holds the node of each one's context.
    """
    log_probs = np.empty(len(context))
    for i in range(len(context)):
        state = np.int64(model.suffix[context[i]])
        log_probs[i] = query(model, state, np.int64(model.word[first + i]))[0]
    return log_probs

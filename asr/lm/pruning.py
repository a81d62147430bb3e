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

from asr._numba import Index, allocating, inlined, kernel, read_only
from asr.errors import LanguageModelError
from asr.lm.arrays import NgramArrays, query
from asr.lm.ngram import NgramModel
from asr.lm.trie import select

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
    if occurrence is None:
        occurrence = _probabilities(model)
    starts, arrays = model.starts, model.arrays
    keep = np.ones(starts[-1], np.bool_)
    keep[starts[2] :] = _rise(arrays, starts[2], occurrence) >= threshold
    for start, end in reversed([*pairwise(starts)][2:-1]):
        children = arrays.first_child[start : end + 1] - arrays.first_child[start]
        kept = np.append(0, np.cumsum(keep[end : end + children[-1]]))  # before each child
        keep[start:end] |= np.diff(kept[children]) > 0
    if keep.all():
        return model
    arrays = select(arrays, keep)
    backoff = arrays.backoff.copy()
    _weigh(arrays._replace(backoff=backoff), backoff)
    return replace(model, arrays=read_only(arrays._replace(backoff=backoff)))


def check_threshold(threshold: float) -> None:
    """Raise a LanguageModelError if a threshold is negative."""
    if not threshold >= 0:
        raise LanguageModelError(f"threshold is {threshold}; give 0, which keeps all, or more")


def _probabilities(model: NgramModel) -> NDArray[np.float64]:
    """Return the probability of each node's n-gram; <s> is as likely as </s>."""
    arrays = model.arrays
    log_probs = arrays.prob.astype(np.float64)
    log_probs[1 + model.bos] = log_probs[1 + model.eos]
    for (above, start), (_, end) in pairwise(pairwise(model.starts[1:])):
        children = np.diff(arrays.first_child[above : start + 1])
        log_probs[start:end] += np.repeat(log_probs[above:start], children)
    return np.exp(log_probs)


@allocating
def _rise(model: NgramArrays, first: int, occurrence: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the relative rise of perplexity without each n-gram, from the node `first` on.

    It follows from P(h) times the divergence of the predictions after a context h. With p the
    probability of a word after h, q its probability after the shorter context, b the back-off
    weight of h, and b' the back-off weight without the n-gram, this is P(h) (p (log p - log q - log
    b') + (1 - sum of p) (log b - log b')), section 3 of the source.
    """
    rise = np.empty(len(model.prob) - first)
    for context in range(1, len(model.backoff)):
        begin, end = model.first_child[context], model.first_child[context + 1]
        p_left, q_left = _left(model, context)
        for node in range(begin, end):
            log_p = np.float64(model.prob[node])
            log_q = _after_shorter(model, context, node)
            log_b = np.log(p_left + np.exp(log_p)) - np.log(q_left + np.exp(log_q))
            divergence = np.exp(log_p) * (log_p - log_q - log_b)
            divergence += p_left * (model.backoff[context] - log_b)
            rise[node - first] = np.expm1(occurrence[context] * max(divergence, 0.0))  # rounding
    return rise


@kernel
def _weigh(model: NgramArrays, backoff: NDArray[np.float32]) -> None:
    """Fill `backoff`, an array of the model, with the weights that its probabilities leave.

    Source: Katz 1987; weight = (1 - sum of p) / (1 - sum of q), p and q as in `_rise`. A weight
    follows from those of shorter contexts, which come first.
    """
    for context in range(1, len(backoff)):
        p_left, q_left = _left(model, context)
        backoff[context] = np.log(max(p_left, _LEAST_MASS) / max(q_left, _LEAST_MASS))


@inlined
def _left(model: NgramArrays, context: Index) -> tuple[float, float]:
    """Return the probability that the words after a context leave, there and after the shorter."""
    p = q = 0.0
    for node in range(model.first_child[context], model.first_child[context + 1]):
        p += np.exp(np.float64(model.prob[node]))
        q += np.exp(_after_shorter(model, context, node))
    return max(1 - p, 0.0), max(1 - q, 0.0)


@inlined
def _after_shorter(model: NgramArrays, context: Index, node: Index) -> float:
    """Return the log-probability of a node's word after its context less the first word."""
    return query(model, np.int64(model.suffix[context]), np.int64(model.word[node]))[0]

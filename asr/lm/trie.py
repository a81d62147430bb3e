"""The n-grams of a model level by level, and the trie that is made of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asr._numba import read_only
from asr.lm.arrays import EMPTY_CONTEXT, NgramArrays


@dataclass(frozen=True, eq=False)
class Level:
    """The n-grams of one order, sorted lexicographically by word id, each once.

    A log-probability of NaN stands for the probability that backing off gives.
    """

    words: NDArray[np.int32]  # (count, order)
    log_prob: NDArray[np.float32]  # (count,)
    backoff: NDArray[np.float32]  # (count,), log weight; zeros at the highest order


def link(levels: Sequence[Level]) -> NgramArrays:
    """Link levels into a trie; `NgramArrays` describes its fields.

    Contexts that are missing are added.
    """
    sizes = [len(level.words) for level in levels]
    trie = _Trie(1 + sum(sizes), 1 + sum(sizes[:-1]), len(levels[0].words))
    for level in levels:
        contexts = trie.contexts(level.words)
        if contexts.min(initial=EMPTY_CONTEXT) < EMPTY_CONTEXT:
            return link(_with_contexts(levels))
        trie.append(contexts, level)
    return trie.arrays()


def select(arrays: NgramArrays, keep: NDArray[np.bool_]) -> NgramArrays:
    """Leave out nodes of a trie.

    The context of a node that stays, all unigrams and the empty context must stay. Orders that
    lose all of their n-grams are left out, if they are the highest ones.

    Args:
        arrays: a trie.
        keep: (nodes,) whether a node stays.
    """
    if not keep.all():
        arrays = _kept(arrays, keep)
    contexts = starts_of(arrays)[-2]
    return read_only(
        arrays._replace(
            first_child=arrays.first_child[: contexts + 1], backoff=arrays.backoff[:contexts]
        )
    )


def _kept(arrays: NgramArrays, keep: NDArray[np.bool_]) -> NgramArrays:
    """Return the nodes that stay, numbered anew."""
    node = np.cumsum(keep, dtype=np.int32) - 1  # its new number
    suffix = arrays.suffix[keep]
    while len(lost := np.flatnonzero(~keep[suffix])):  # on to the longest one that stays
        suffix[lost] = arrays.suffix[suffix[lost]]
    contexts = np.flatnonzero(keep[: len(arrays.backoff)])
    first_child = 1 + node[arrays.first_child - 1]
    return NgramArrays(
        arrays.word[keep],
        arrays.prob[keep],
        node[suffix],
        np.append(first_child[contexts], first_child[-1:]),
        arrays.backoff[contexts],
    )


def starts_of(arrays: NgramArrays) -> list[int]:
    """Return the first node of each order from 0 on, and the end of the last order.

    Orders without n-grams, which come last, are left out.
    """
    starts = [EMPTY_CONTEXT]
    while starts[-1] < len(arrays.backoff):
        starts.append(int(arrays.first_child[starts[-1]]))
    end = len(arrays.word)
    return [*(start for start in starts if start < end), end]


class _Trie:
    """A trie that grows by one level at a time.

    Its nodes are sorted by (parent, word), so one ascending array of these pairs finds each.
    """

    def __init__(self, num_nodes: int, num_contexts: int, num_words: int) -> None:
        self.end, self.num_words = 1, num_words
        self.pair = np.full(num_nodes, np.iinfo(np.int64).min)  # parent * num_words + word
        self.word = np.zeros(num_nodes, np.int32)
        self.prob = np.zeros(num_nodes, np.float32)
        self.suffix = np.zeros(num_nodes, np.int32)
        self.num_children = np.zeros(num_contexts, np.int64)
        self.backoff = np.zeros(num_contexts, np.float32)

    def find(self, node: NDArray[np.int64], word: NDArray[np.int32]) -> NDArray[np.int64]:
        """Return the children of nodes by words; -1 where there is none, or the node is -1."""
        wanted = node * self.num_words + word
        child = np.minimum(np.searchsorted(self.pair[: self.end], wanted), self.end - 1)
        found: NDArray[np.int64] = np.where(self.pair[child] == wanted, child, -1)
        return found

    def contexts(self, words: NDArray[np.int32]) -> NDArray[np.int64]:
        """Return the nodes of the contexts of n-grams; -1 where there is none."""
        first = first_of_equal(words[:, :-1])
        node = np.full(int(first.sum()), EMPTY_CONTEXT)
        for column in words[first, :-1].T:
            node = self.find(node, column)
        contexts: NDArray[np.int64] = node[np.cumsum(first) - 1]
        return contexts

    def append(self, parent: NDArray[np.int64], level: Level) -> None:
        """Add the next level, given the node of each n-gram's context."""
        new = slice(self.end, self.end + len(parent))
        self.word[new] = level.words[:, -1]
        self.pair[new] = parent * self.num_words + self.word[new]
        self.num_children += np.bincount(parent, minlength=len(self.num_children))
        self.prob[new] = level.log_prob
        if new.start > 1:  # the suffix of a unigram is the root, 0
            self.suffix[new], backed_off = self.back_off(parent, self.word[new])
            np.copyto(self.prob[new], backed_off, where=np.isnan(level.log_prob))
        if new.stop <= len(self.backoff):
            self.backoff[new] = level.backoff
        self.end = new.stop

    def back_off(
        self, state: NDArray[np.int64], word: NDArray[np.int32]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the nodes of words after the longest shorter contexts known, and their scores."""
        weight, state = self.backoff[state], self.suffix[state].astype(np.int64)
        node = self.find(state, word)
        while len(missing := np.flatnonzero(node < 0)):
            weight[missing] += self.backoff[state[missing]]
            state[missing] = self.suffix[state[missing]]
            node[missing] = self.find(state[missing], word[missing])
        return node, weight + self.prob[node]

    def arrays(self) -> NgramArrays:
        """Return the finished trie, read-only."""
        first_child = np.append(1, 1 + np.cumsum(self.num_children)).astype(np.int32)
        return read_only(NgramArrays(self.word, self.prob, self.suffix, first_child, self.backoff))


def _with_contexts(levels: Sequence[Level]) -> list[Level]:
    """Add the contexts that are not n-grams of the model themselves."""
    closed = [levels[-1]]
    for lower in levels[-2:0:-1]:
        contexts = closed[0].words[:, :-1]
        contexts = contexts[first_of_equal(contexts)]
        words = np.concatenate([lower.words, contexts])
        order = lexicographic_order(words)
        order = order[first_of_equal(words[order])]  # of two equal ones, the given n-gram
        log_prob = np.append(lower.log_prob, np.full(len(contexts), np.float32(np.nan)))[order]
        backoff = np.append(lower.backoff, np.zeros(len(contexts), np.float32))[order]
        closed.insert(0, Level(words[order], log_prob, backoff))
    return [levels[0], *closed]


def lexicographic_order(words: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return the indices that sort n-grams, words (count, order), by word id; a stable sort."""
    bits = int(words.max(initial=1)).bit_length()
    together = 63 // bits  # as many columns as one int64 holds
    keys = []
    for first in range(0, words.shape[1], together):
        key = np.zeros(len(words), np.int64)
        for column in words.T[first : first + together]:
            key = key << bits | column
        keys.append(key)
    order: NDArray[np.int64] = np.lexsort(keys[::-1])
    return order


def first_of_equal(words: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return where sorted rows, words (count, order), differ from the row before."""
    first = np.ones(len(words), np.bool_)
    first[1:] = (words[1:] != words[:-1]).any(axis=1)
    return first

"""An n-gram model as arrays, and the one query that decoders and perplexity both use.

The model is a trie over n-grams in reading order, stored level by level: node 0 is the empty
context, nodes 1..V the unigrams (node 1 + word), then the bigrams, and so on. The children of a
node lie side by side, sorted by word. A node's suffix is the same n-gram without its first word:
following suffixes is backing off. A state is the node of the longest context that is known.
All probabilities are natural logarithms.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from asr._numba import Index, find_sorted, inlined, kernel

ROOT = 0  # the state of an empty context


class NgramArrays(NamedTuple):
    """What a query reads. Nodes of the highest order come last, after `num_contexts` others."""

    word: NDArray[np.int32]  # (nodes,) last word of the node's n-gram
    prob: NDArray[np.float32]  # (nodes,) its log-probability after the words before it
    suffix: NDArray[np.int32]  # (nodes,) node of the n-gram without its first word
    first_child: NDArray[np.int32]  # (num_contexts + 1,) children of i: first_child[i : i + 2]
    backoff: NDArray[np.float32]  # (num_contexts,) log back-off weight


@kernel
def query(model: NgramArrays, state: Index, word: Index) -> tuple[float, Index]:
    """Log-probability of a word after the words of a state, and the state that follows.

    Source: Katz 1987 (back-off); the automaton is that of Allauzen et al. 2003.

    Args:
        model: the arrays.
        state: a node below `num_contexts`, ROOT for no context.
        word: 0..V-1.
    """
    backed_off = 0.0
    node = find_child(model, state, word)
    while node < 0:
        backed_off += model.backoff[state]
        state = np.int64(model.suffix[state])
        node = find_child(model, state, word)
    following = node if node < len(model.backoff) else np.int64(model.suffix[node])
    return backed_off + model.prob[node], following


@inlined
def find_child(model: NgramArrays, state: Index, word: Index) -> Index:
    """The node of a state's n-gram followed by a word; -1 where the model has none."""
    if state == ROOT:
        return 1 + word
    return find_sorted(model.word, model.first_child[state], model.first_child[state + 1], word)

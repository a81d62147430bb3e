"""N-gram models as arrays, with the one query that decoders and perplexity share.

The model is a trie over n-grams in reading order, stored level by level. Node 0 is the empty
context, nodes 1..V are the unigrams (1 + word id), then come the bigrams, and so on. The children
of a node lie side by side, sorted by word. The suffix of a node is the node of the same n-gram
without its first word: backing off follows the suffixes. A state is the node of the longest known
context. All probabilities are natural logarithms.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from asr._numba import Index, find_sorted, inlined, kernel

EMPTY_CONTEXT = 0  # the state of an empty context


class NgramArrays(NamedTuple):
    """The arrays that a query reads; nodes of the highest order come last, after all contexts."""

    word: NDArray[np.int32]  # (nodes,) last word of the node's n-gram
    prob: NDArray[np.float32]  # (nodes,) log-probability of that word in the node's context
    suffix: NDArray[np.int32]  # (nodes,) node of the n-gram without its first word
    first_child: NDArray[np.int32]  # (contexts + 1,) children of i: first_child[i : i + 2]
    backoff: NDArray[np.float32]  # (contexts,) log back-off weight


@kernel
def query(model: NgramArrays, state: Index, word: Index) -> tuple[float, Index]:
    """Return the log-probability of a word in a context, and the state after the word.

    Source: Katz 1987 (back-off); the automaton is that of Allauzen et al. 2003.

    Args:
        model: the arrays.
        state: the node of a context, such as EMPTY_CONTEXT.
        word: 0..V-1.
    """
    backed_off = 0.0
    node = find_continuation(model, state, word)
    while node < 0:
        backed_off += model.backoff[state]
        state = np.int64(model.suffix[state])
        node = find_continuation(model, state, word)
    following = node if node < len(model.backoff) else np.int64(model.suffix[node])
    return backed_off + model.prob[node], following


@inlined
def find_continuation(model: NgramArrays, state: Index, word: Index) -> Index:
    """Return the node of a state's n-gram followed by a word; -1 if the model has none."""
    if state == EMPTY_CONTEXT:
        return 1 + word
    return find_sorted(model.word, model.first_child[state], model.first_child[state + 1], word)

"""The state of a beam search: a first one, room for more in it, what can be dropped from it,
and the words that it leaves unfinished.

Shapes: V tokens, B hypotheses in the beam.
"""

import numpy as np
from numpy.typing import NDArray

from asr.decode.hotwords import NO_WORD, OOV, START
from asr.decode.search import (
    FIRST_CHILD,
    FIXED,
    HOTWORD,
    LM_ON_WORDS,
    LM_STATE,
    NEVER,
    NODE_COLUMNS,
    NODES,
    PARENT,
    SIBLING,
    SLOT,
    SLOTS,
    SPELLED,
    TOKEN,
    BeamState,
    Knowledge,
)
from asr.lexicon import NO_NODE, ROOT
from asr.text import BLANK

_OF_NODES = ("nodes", "score", "merged", "margin", "met")  # arrays with a row for each
_ANSWERS = 1 << 14  # of the language model to keep; four times as many are no faster


def new_state(
    size: int,
    most: int,
    num_tokens: int,
    lm_state: int,
    *,
    recombine: bool,
    remember: bool,
) -> BeamState:
    """Make a beam of at most `size` prefixes and `most` candidates that holds the empty prefix.

    Args:
        size: B.
        most: candidates in one frame.
        num_tokens: V.
        lm_state: the first state of the language model.
        recombine: keep only the best of prefixes with the same future.
        remember: with `recombine`, keep the others as a lattice.
    """
    rows = 1 << (2 * (size + most) - 1).bit_length() if recombine else 0
    nodes = np.full((1, NODE_COLUMNS), -1, np.int64)
    nodes[0, [TOKEN, SPELLED, LM_STATE, HOTWORD, SLOT]] = BLANK, ROOT, lm_state, START, 0
    return BeamState(
        nodes,
        np.zeros(1),
        np.zeros(size, np.int64),
        np.zeros(size),
        np.full(size, NEVER),
        np.zeros(size),
        np.empty(size),
        np.empty(size),
        np.empty(size),
        np.empty((most, FIXED + 1), np.int64),
        np.empty((most, 2)),
        np.empty((2, size + most)),
        np.empty(rows, np.int64),
        np.empty(size + most, np.int64),
        np.empty(size + most),
        np.empty(size + most, np.int64),
        np.full(int(recombine and remember), -1),
        np.zeros(int(recombine and remember)),
        np.zeros(int(recombine and remember), np.int64),
        np.full((_ANSWERS, 3), -1),
        np.empty(_ANSWERS),
        np.empty(num_tokens, np.int64),
        np.array([1, 1, 0, 0]),
        np.empty(1),
    )


def make_room(state: BeamState, least: int, wanted: int) -> BeamState:
    """Return the state with room for `least` further nodes, or for `wanted` if it must grow."""
    used = int(state.counts[NODES])
    if used + least <= len(state.nodes):
        return state
    capacity, grown = max(used + least, used + wanted, 2 * len(state.nodes)), {}
    for name in _OF_NODES:
        old: NDArray[np.generic] = getattr(state, name)
        if len(old):
            grown[name] = np.empty((capacity, *old.shape[1:]), old.dtype)
            grown[name][:used] = old[:used]  # the rest, never touched, takes no memory
    return state._replace(**grown)


def compact(state: BeamState) -> BeamState:
    """Return the state without nodes that neither a prefix in the beam nor a loser needs."""
    kept = np.zeros(state.counts[NODES], bool)
    kept[0] = True
    merged = state.merged[: len(kept)]
    ends = state.slots[: state.counts[SLOTS]]
    while len(ends):
        for end in ends.tolist():
            node = end
            while not kept[node]:
                kept[node] = True
                node = state.nodes[node, PARENT]
        losers = np.flatnonzero(merged >= 0)
        ends = losers[kept[merged[losers]] & ~kept[losers]]
    renamed = np.where(kept, np.cumsum(kept) - 1, -1)
    nodes = state.nodes[: len(kept)][kept]
    nodes[1:, PARENT] = renamed[nodes[1:, PARENT]]
    nodes[:, [FIRST_CHILD, SIBLING]] = -1
    for node in range(1, len(nodes)):
        parent = nodes[node, PARENT]
        nodes[node, SIBLING], nodes[parent, FIRST_CHILD] = nodes[parent, FIRST_CHILD], node
    slots, counts = state.slots.copy(), state.counts.copy()
    used = slots[: counts[SLOTS]]
    used[:] = renamed[used]
    counts[NODES] = len(nodes)
    rest = {name: getattr(state, name) for name in _OF_NODES[1:]}
    rest = {name: old[: len(kept)][kept] for name, old in rest.items() if len(old)}
    if "merged" in rest:
        lost, earlier = rest["merged"] >= 0, np.append(0, np.cumsum(kept))
        rest["merged"] = np.where(lost, renamed[rest["merged"]], -1)
        rest["met"] = earlier[np.where(lost, rest["met"], 0)]
    return state._replace(nodes=nodes, slots=slots, counts=counts, **rest)


def completions(knowledge: Knowledge, state: BeamState) -> list[int]:
    """Return the word that each hypothesis of the beam has begun, by the unigrams; or NO_WORD."""
    spelled = state.nodes[state.slots[: state.counts[SLOTS]], SPELLED].tolist()
    return [_likeliest_word(knowledge, node) if node != ROOT else int(NO_WORD) for node in spelled]


def _likeliest_word(knowledge: Knowledge, node: int) -> int:
    """Return the likeliest word of the lexicon below a node; OOV for NO_NODE."""
    trie = knowledge.trie
    if node == NO_NODE:
        return int(OOV)
    while True:
        words = trie.word[trie.first_word[node] : trie.first_word[node + 1]]
        log_probs = trie.look_ahead[[node] * len(words)]
        if knowledge.weights.lm_unit == LM_ON_WORDS:
            log_probs = knowledge.lm.prob[1 + knowledge.lm_of_word[words]]
        children = np.arange(trie.first_child[node], trie.first_child[node + 1])
        if len(words) and (not len(children) or log_probs.max() >= trie.look_ahead[node]):
            return int(words[log_probs.argmax()])
        node = int(children[trie.look_ahead[children].argmax()])

"""The tree of prefixes that a search grows, and the beam: the prefixes it holds now.

A prefix is a node: the prefix of its parent and one token more. Nodes that leave the beam stay in
the tree, so a prefix that comes back is the same node. Compiled with the search.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from asr.compiled import Index, inlined
from asr.decode.lexicon import ROOT
from asr.decode.scoring import NO_WORD
from asr.text import BLANK

# Columns of a node. The first six are fixed when it is made.
PARENT, TOKEN, WORD, SPELLED, LM_STATE, HOTWORD, FIRST_CHILD, SIBLING, SLOT = range(9)
NODE_COLUMNS = 9
FIXED = 6
KNOWN = FIXED  # column of a candidate: the node it had before it left the beam, or -1

NEVER = -math.inf


class State(NamedTuple):
    """What a search has found so far. How much of each is in use, counts say."""

    nodes: NDArray[np.int64]  # (capacity, NODE_COLUMNS)
    score: NDArray[np.float64]  # (capacity,) all but the acoustic log-probability
    ended: NDArray[np.float64]  # (capacity, 3) word that ended a node last, its score, next state
    slots: NDArray[np.int64]  # (B,) the nodes in the beam
    blank: NDArray[np.float64]  # (B,) paths that end in a blank
    token: NDArray[np.float64]  # (B,) paths that end in the node's token
    sums: NDArray[np.float64]  # (B,) both together
    next_blank: NDArray[np.float64]  # (B,) the same after the frame at hand
    next_token: NDArray[np.float64]
    next_sums: NDArray[np.float64]
    candidates: NDArray[np.int64]  # (most, FIXED + 1) nodes that are not in the beam
    candidate_scores: NDArray[np.float64]  # (most, 2) acoustic log-probability and score
    totals: NDArray[np.float64]  # (2, B + most) of slots and candidates; room to sort them
    # What loses to a prefix with the same future: (0,) where all are kept, or none is remembered.
    futures: NDArray[np.int64]  # (2**k,) hash table of slots and candidates
    lost_to: NDArray[np.int64]  # (B + most,) the slot or candidate that was better, or -1
    lost_by: NDArray[np.float64]  # (B + most,) the difference of their totals, at most 0
    places: NDArray[np.int64]  # (B + most,) nodes of slots and candidates, or -1
    merged: NDArray[np.int64]  # (capacity,) the node that a node lost to, or -1
    margin: NDArray[np.float64]  # (capacity,) by how much: at most 0
    met: NDArray[np.int64]  # (capacity,) how many nodes there were then
    kept: NDArray[np.int64]  # (V,) tokens that the frame at hand makes worth a try
    counts: NDArray[np.int64]  # how many of nodes, slots, candidates and kept are in use
    cutoff: NDArray[np.float64]  # (1,) total below which nothing of the frame at hand is kept


NODES, SLOTS, CANDIDATES, KEPT = range(4)  # places in counts
_OF_NODES = ("nodes", "score", "ended", "merged", "margin", "met")  # with a row for each


@inlined
def log_add(a: float, b: float) -> float:
    """log(exp(a) + exp(b))."""
    high, low = max(a, b), min(a, b)
    return high if low == NEVER else high + math.log1p(math.exp(low - high))


@inlined
def known_child(state: State, node: Index, token: Index, word: Index) -> Index:
    """The child that a node already has for a token that ends a word, or none; -1 without one."""
    child = np.int64(state.nodes[node, FIRST_CHILD])
    while child >= 0 and (state.nodes[child, TOKEN] != token or state.nodes[child, WORD] != word):
        child = np.int64(state.nodes[child, SIBLING])
    return child


@inlined
def occupy(state: State, node: Index, blank: float, token: float, both: float) -> None:
    """Put a node into the next slot of the beam."""
    slot = state.counts[SLOTS]
    state.counts[SLOTS] = slot + 1
    state.slots[slot], state.nodes[node, SLOT] = node, slot
    state.blank[slot], state.token[slot], state.sums[slot] = blank, token, both


@inlined
def node_of(state: State, place: Index) -> Index:
    """The node of a candidate, made if it never was in the beam."""
    candidates, nodes = state.candidates, state.nodes
    node = np.int64(candidates[place, KNOWN])
    if node < 0:
        node = np.int64(state.counts[NODES])
        state.counts[NODES] += 1
        for column in range(FIXED):
            nodes[node, column] = candidates[place, column]
        parent = nodes[node, PARENT]
        nodes[node, FIRST_CHILD], nodes[node, SIBLING] = -1, nodes[parent, FIRST_CHILD]
        nodes[parent, FIRST_CHILD] = node
        nodes[node, SLOT] = -1
        if len(state.merged) > 0:
            state.merged[node] = -1
        state.score[node] = state.candidate_scores[place, 1]
        state.ended[node, 0] = NO_WORD
    return node


@inlined
def nth_largest(state: State, count: Index, n: Index) -> float:
    """The n-th largest of the first `count` totals by Hoare's selection; NEVER without so many."""
    if count <= n:
        return NEVER
    work = state.totals[1]
    for place in range(count):
        work[place] = state.totals[0, place]
    low, high = 0, count - 1
    while low < high:
        pivot = work[(low + high) // 2]
        left, right = low, high
        while left <= right:
            while work[left] > pivot:
                left += 1
            while work[right] < pivot:
                right -= 1
            if left <= right:
                work[left], work[right] = work[right], work[left]
                left += 1
                right -= 1
        if n - 1 <= right:
            high = right
        elif n - 1 >= left:
            low = left
        else:
            break
    return float(work[n - 1])


def new_state(
    size: int,
    most: int,
    num_tokens: int,
    start: tuple[int, int],
    *,
    recombine: bool,
    remember: bool,
) -> State:
    """A beam of at most `size` prefixes and `most` candidates that holds the empty prefix.

    Args:
        size: B.
        most: candidates in one frame.
        num_tokens: V.
        start: the first states of language model and hotwords.
        recombine: of prefixes with the same future, keep the best only.
        remember: ... and what the others were.
    """
    rows = 1 << (2 * (size + most) - 1).bit_length() if recombine else 0
    lm_state, hotword = start
    nodes = np.full((1, NODE_COLUMNS), -1, np.int64)
    nodes[0, [TOKEN, SPELLED, LM_STATE, HOTWORD, SLOT]] = BLANK, ROOT, lm_state, hotword, 0
    return State(
        nodes,
        np.zeros(1),
        np.full((1, 3), float(NO_WORD)),
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
        np.empty(num_tokens, np.int64),
        np.array([1, 1, 0, 0]),
        np.empty(1),
    )


def make_room(state: State, more: int) -> State:
    """The same state with room for so many more nodes."""
    needed = int(state.counts[NODES]) + more
    if needed <= len(state.nodes):
        return state
    capacity, grown = max(needed, 2 * len(state.nodes)), {}
    for name in _OF_NODES:
        old: NDArray[np.generic] = getattr(state, name)
        if len(old):
            grown[name] = np.empty((capacity, *old.shape[1:]), old.dtype)
            grown[name][: len(old)] = old
    return state._replace(**grown)


def compact(state: State) -> State:
    """The same state without the nodes that no prefix of the beam, or what lost to it, needs."""
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

"""Recombination: of prefixes with the same future only the best stays in the beam.

Two prefixes with the same last token, place in the lexicon, state of the language model and of the
hotwords gain the same by whatever follows. So one that is behind can win no more, and would crowd
out what is truly different: with a trigram model and phones, a beam of 100 finds what took more
than 1,500 (recipes/librispeech/LOG.md). But for one thing: paths may still arrive at the loser, in
other frames than at the winner. Compiled with the search.

Source: Ney and Ortmanns 2000, 'Progress in dynamic programming search for LVCSR', Proc. IEEE.
Shapes: B hypotheses in the beam; an entry is one of its slots, or a candidate behind them.
"""

import numpy as np

from asr.compiled import Index, inlined
from asr.decode.prefixes import (
    CANDIDATES,
    HOTWORD,
    LM_STATE,
    NEVER,
    NODES,
    SLOT,
    SLOTS,
    SPELLED,
    TOKEN,
    State,
    node_of,
)

_NEAREST = 10.0  # what loses by more is forgotten


@inlined
def thin_out(state: State) -> None:
    """Of slots and candidates with the same future keep the best: what follows is equal for all.

    Others would crowd out what is truly different. The table of futures is no larger than needed.
    """
    slots, totals = state.counts[SLOTS], state.totals[0]
    entries = slots + state.counts[CANDIDATES]
    size = 2
    while size < 2 * entries:
        size *= 2
    state.futures[:size] = -1
    for entry in range(entries):
        state.lost_to[entry] = -1
        if totals[entry] < state.cutoff[0]:
            continue
        row = _row_of_future(state, entry, size - 1)
        best = state.futures[row]
        if best < 0 or totals[best] < totals[entry]:
            state.futures[row], loser, winner = entry, best, np.int64(entry)
        else:
            loser, winner = np.int64(entry), best
        if loser >= 0:
            state.lost_to[loser], state.lost_by[loser] = winner, totals[loser] - totals[winner]
            totals[loser] = NEVER


@inlined
def _row_of_future(state: State, entry: Index, mask: Index) -> Index:
    """The row of `futures` for entries with the future of this one: a hash table, open addressing.

    The factors are those of xxHash; any large odd ones would do.
    """
    token, spelled, lm_state, hotword = _future(state, entry)
    mixed = ((lm_state * 0x9E3779B1 + spelled) * 0x85EBCA77 + token) * 0xC2B2AE3D + hotword
    row = np.int64((mixed ^ (mixed >> 29)) & mask)
    while state.futures[row] >= 0:
        if _future(state, state.futures[row]) == (token, spelled, lm_state, hotword):
            break
        row = (row + 1) & mask
    return np.int64(row)


@inlined
def _future(state: State, entry: Index) -> tuple[Index, Index, Index, Index]:
    """All that the scores of what may follow a slot or candidate depend on."""
    slots = state.counts[SLOTS]
    row = state.nodes[state.slots[entry]] if entry < slots else state.candidates[entry - slots]
    return row[TOKEN], row[SPELLED], row[LM_STATE], row[HOTWORD]


@inlined
def remember_losers(state: State, slots: Index, entries: Index) -> None:
    """Keep what lost to a prefix that is still in the beam: it may be an alternative later.

    `state.places` are the nodes of all entries that have one. As many nodes as there are slots.
    """
    room = len(state.slots)
    for entry in range(entries):
        if state.lost_to[entry] < 0 or room == 0:
            continue
        winner, margin = state.lost_to[entry], state.lost_by[entry]
        while state.lost_to[winner] >= 0:
            margin += state.lost_by[winner]
            winner = state.lost_to[winner]
        to = state.places[winner]
        if margin > -_NEAREST and to >= 0 and state.nodes[to, SLOT] >= 0:
            node = state.places[entry] if entry < slots else node_of(state, entry - slots)
            if state.merged[node] != to:  # else they met before
                state.merged[node], state.margin[node] = to, margin
                state.met[node] = state.counts[NODES]
            room -= 1

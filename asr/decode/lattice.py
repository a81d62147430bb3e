"""Hypotheses that a search gave up for better ones with the same future, found again.

Where a prefix lost to another one, all that followed the winner could have followed the loser, for
scores that differ by a constant from then on. So the hypotheses of a beam and the losses on their
ways are a lattice, from which the best come out one by one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from itertools import count

import numpy as np

from asr.decode.search import NODES, PARENT, BeamState


@dataclass(frozen=True)
class LatticePath:
    """A way through the tree of prefixes; scores are natural logarithms."""

    score: float  # all together
    acoustic: float
    nodes: tuple[int, ...]  # from the first token on
    last_word: int  # that its end completes, if it does


def path_to(state: BeamState, node: int) -> tuple[int, ...]:
    """The nodes from the first token to a node."""
    path = []
    while node:
        path.append(node)
        node = int(state.nodes[node, PARENT])
    return tuple(path[::-1])


def best_first(state: BeamState, ends: Sequence[LatticePath]) -> Iterator[LatticePath]:
    """Yield paths that end in a beam, and those that lost to them, best first.

    A path that took the way of a loser goes on to losses on that way alone: so each comes once. No
    way has a prefix twice. Most ways are never asked for: one is followed when its turn has come.
    """
    losers = _losers(state)
    order = count()  # of equal scores the first
    # A path, its nodes that are open to losses, and 0; or one whose first nodes a loser takes over.
    heap = [(-end.score, next(order), end, len(end.nodes), 0) for end in ends]
    heapify(heap)
    while heap:
        _, _, path, open_until, loser = heappop(heap)
        if loser:
            way = path_to(state, loser)
            if not set(path.nodes[open_until:]).isdisjoint(way):  # each may have lost to the other
                continue
            path, open_until = _detour(state, path, open_until, way), len(way) - 1
        yield path
        for place, winner in enumerate(path.nodes[:open_until], start=1):
            for loser in losers.get(winner, ()):
                if place < len(path.nodes) and path.nodes[place] < state.met[loser]:
                    continue  # it went on before they met
                score = path.score + float(state.margin[loser])
                heappush(heap, (-score, next(order), path, place, loser))


def _detour(state: BeamState, path: LatticePath, place: int, way: tuple[int, ...]) -> LatticePath:
    """A path whose first `place` nodes are the way of one that lost to them."""
    loser, winner = way[-1], path.nodes[place - 1]
    margin = float(state.margin[loser])
    language = float(state.score[loser] - state.score[winner])
    return LatticePath(
        path.score + margin,
        path.acoustic + margin - language,
        way + path.nodes[place:],
        path.last_word,
    )


def _losers(state: BeamState) -> dict[int, list[int]]:
    """By node, those that lost to it; none where they were not remembered."""
    losers: dict[int, list[int]] = {}
    if len(state.merged):
        merged = state.merged[: state.counts[NODES]]
        for loser in np.flatnonzero(merged >= 0).tolist():
            losers.setdefault(int(merged[loser]), []).append(loser)
    return losers

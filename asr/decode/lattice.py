"""Alternatives from the lattice of prefixes that lost to better ones with the same future.

Two prefixes with the same future score any continuation alike. So every continuation of the winner
is also one of the loser, and its score differs by a constant. The hypotheses in the beam and the
losers that were merged into them therefore form a lattice, from which the best paths come one by
one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from itertools import count

import numpy as np

from asr.decode.search import NODES, PARENT, BeamState


@dataclass(frozen=True)
class LatticePath:
    """A path through the tree of prefixes; scores are natural logarithms."""

    score: float  # all together
    acoustic: float
    nodes: tuple[int, ...]  # from the first token on
    last_word: int  # the word that its end completes, or NO_WORD


def path_to(state: BeamState, node: int) -> tuple[int, ...]:
    """Return the nodes from the first token to a node."""
    path = []
    while node:
        path.append(node)
        node = int(state.nodes[node, PARENT])
    return tuple(path[::-1])


def best_first(state: BeamState, ends: Sequence[LatticePath]) -> Iterator[LatticePath]:
    """Yield paths that end in the beam, and paths that replace parts of them by losers, best first.

    Once a path has taken a loser's prefix, it takes further losers only within that prefix, so each
    path comes once. No path visits a prefix twice. A path is built when its turn comes, as most are
    never asked for.
    """
    losers = _losers(state)
    order = count()  # breaks ties: first come, first served
    # An entry: a path, how many of its nodes a loser may replace, and 0; or a path, how many of its
    # nodes the loser replaces, and the loser.
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
                    continue  # the path left the winner before the loser met it
                score = path.score + float(state.margin[loser])
                heappush(heap, (-score, next(order), path, place, loser))


def _detour(state: BeamState, path: LatticePath, place: int, way: tuple[int, ...]) -> LatticePath:
    """Return a path with its first `place` nodes replaced by `way`, the path to a loser."""
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
    """Return, by node, the nodes that lost to it; nothing if they were not remembered."""
    losers: dict[int, list[int]] = {}
    if len(state.merged):
        merged = state.merged[: state.counts[NODES]]
        for loser in np.flatnonzero(merged >= 0).tolist():
            losers.setdefault(int(merged[loser]), []).append(loser)
    return losers

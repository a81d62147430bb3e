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

from asr.decode.prefixes import NODES, PARENT, State


@dataclass(frozen=True)
class Path:
    """A way through the tree of prefixes; scores are natural logarithms."""

    score: float  # all together
    acoustic: float
    nodes: tuple[int, ...]  # from the first token on
    last_word: int  # that its end completes, if it does


def path_to(state: State, node: int) -> tuple[int, ...]:
    """The nodes from the first token to a node."""
    path = []
    while node:
        path.append(node)
        node = int(state.nodes[node, PARENT])
    return tuple(path[::-1])


def best_first(state: State, ends: Sequence[Path]) -> Iterator[Path]:
    """Yield paths that end in a beam, and those that lost to them, best first.

    A path that took the way of a loser goes on to losses on that way alone: so each comes once. No
    way has a prefix twice.
    """
    losers = _losers(state)
    order = count()  # of equal scores the first
    heap = [(-end.score, next(order), end, len(end.nodes)) for end in ends]
    heapify(heap)
    while heap:
        _, _, path, open_until = heappop(heap)
        yield path
        for place, winner in enumerate(path.nodes[:open_until]):
            rest = path.nodes[place + 1 :]
            for loser in losers.get(winner, ()):
                if rest and rest[0] < state.met[loser]:  # it went on before they met
                    continue
                way = path_to(state, loser)
                if not set(rest).isdisjoint(way):  # each may have lost to the other
                    continue
                margin = float(state.margin[loser])
                language = float(state.score[loser] - state.score[winner])
                other = Path(
                    path.score + margin,
                    path.acoustic + margin - language,
                    way + rest,
                    path.last_word,
                )
                heappush(heap, (-other.score, next(order), other, len(way) - 1))


def _losers(state: State) -> dict[int, list[int]]:
    """By node, those that lost to it; none where they were not remembered."""
    losers: dict[int, list[int]] = {}
    if len(state.merged):
        merged = state.merged[: state.counts[NODES]]
        for loser in np.flatnonzero(merged >= 0).tolist():
            losers.setdefault(int(merged[loser]), []).append(loser)
    return losers

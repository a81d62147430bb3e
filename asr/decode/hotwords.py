"""Preferred words and phrases as one automaton, whose cost does not grow with their number.

Source: Aho and Corasick 1975, here over tokens. Each token that continues a phrase from its start
adds the boost. When the phrase breaks off, the boosts are taken back; when it is complete, they
stay. With a separator between words, phrases begin and end at word boundaries.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from asr._numba import read_only
from asr.text import BLANK

START = 0  # nothing matched


class HotwordArrays(NamedTuple):
    """The automaton as arrays; its states are beginnings of phrases; read only."""

    next_state: NDArray[np.int32]  # (states, V)
    partial: NDArray[np.float32]  # (states,) boosts of the unfinished phrase
    complete: NDArray[np.float32]  # (states,) boosts of all phrases that end here


def build_hotwords(
    phrases: Sequence[tuple[int, ...]], boost: float, separator: int, num_tokens: int
) -> HotwordArrays:
    """Build the automaton of phrases, given as token ids with separators between their words.

    Args:
        phrases: without separators at their start or end.
        boost: natural-log score of each token of a phrase, separators within it included.
        separator: the token between words; BLANK where there is none.
        num_tokens: V.
    """
    edge = () if separator == BLANK else (separator,)
    children: list[dict[int, int]] = [{}]
    lengths, complete = [0], [0.0]
    for phrase in sorted(set(phrases)):
        state = START
        for depth, token in enumerate((*edge, *phrase, *edge)):
            if token not in children[state]:
                children[state][token] = len(children)
                children.append({})
                lengths.append(min(depth + 1 - len(edge), len(phrase)))
                complete.append(0.0)
            state = children[state][token]
        complete[state] = boost * len(phrase)
    return _automaton(children, boost * np.array(lengths), np.array(complete), num_tokens)


def most_gain(hotwords: HotwordArrays) -> float:
    """Return the largest score that one token can add."""
    after = hotwords.complete[hotwords.next_state] + hotwords.partial[hotwords.next_state]
    return float((after - hotwords.partial[:, None]).max())


def begin(hotwords: HotwordArrays, separator: int) -> int:
    """Return the state before the first word."""
    return START if separator == BLANK else int(hotwords.next_state[START, separator])


def _automaton(
    children: list[dict[int, int]],
    partial: NDArray[np.float64],
    complete: NDArray[np.float64],
    num_tokens: int,
) -> HotwordArrays:
    """Add to the trie the transitions for tokens that break a phrase off."""
    next_state = np.zeros((len(children), num_tokens), np.int32)
    level = [(START, START)]  # states, each with that of the longest proper suffix of its tokens
    while level:
        deeper = []
        for state, other in level:
            if state != START:
                next_state[state] = next_state[other]
                complete[state] += complete[other]
                if not children[state]:  # complete: only the boosts of `other` can be taken back
                    partial[state] = partial[other]
            for token, child in children[state].items():
                deeper.append((child, int(next_state[state, token])))
                next_state[state, token] = child
        level = deeper
    return read_only(
        HotwordArrays(next_state, partial.astype(np.float32), complete.astype(np.float32))
    )

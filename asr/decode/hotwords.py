"""Preferred words and phrases as one automaton over words, whose cost hardly grows with them.

A phrase earns its score when its last word is complete, as words of the lexicon: neither within
another word nor across two. On the way there the search is lent a part of the score, so that a
hotword survives until it is complete: a share for each token that its words are spelled by. It is
taken back as soon as the phrase breaks off. A word may be spelled in several ways; they meet in one
state, so a phrase has as many states as words.

Source: the automaton of Aho and Corasick 1975, here over words. Its states are beginnings of
phrases. The lexicon's node tells how much of the next word is spelled.
"""

from collections.abc import Mapping
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from asr._numba import Index, constant, find_sorted, inlined, read_only
from asr.lexicon import ROOT, Lexicon, TrieArrays, nodes_spelled

Part = TypeVar("Part", str, int)  # of a phrase
NO_WORD, OOV = constant(-1), constant(-2)  # in place of a word: none, or one the lexicon lacks
START = 0  # nothing matched
OFF, ON_WORDS, ON_TOKENS = range(3)  # what phrases are made of; tokens where nothing ends a word
_NEVER_HOT = constant(-1)


class HotwordArrays(NamedTuple):
    """The automaton as arrays, the children of a state side by side; read only."""

    symbol: NDArray[np.int32]  # (words or tokens,) which of the words in phrases it is, or -1
    reached_by: NDArray[np.int32]  # (states,) the last symbol; ascending among children
    first_child: NDArray[np.int32]  # (states + 1,) children of i: first_child[i : i + 2]
    shorter: NDArray[np.int32]  # (states,) state of the longest proper suffix that begins a phrase
    partial: NDArray[np.float64]  # (states,) what is lent to the unfinished phrase between words
    complete: NDArray[np.float64]  # (states,) score of all phrases that end here
    first_place: NDArray[np.int32]  # (states + 1,) of state i in the next two: first_place[i : i+2]
    node: NDArray[np.int32]  # nodes of the lexicon on the way to a child of the state; ascending
    ahead: NDArray[np.float64]  # what is lent at each of them


class _States(NamedTuple):
    """The automaton while it is built; children by the number of their symbol."""

    children: list[dict[int, int]]
    own: list[float]  # the largest score of the unfinished phrases of a state
    complete: list[float]


def no_hotwords() -> HotwordArrays:
    """Return the automaton of no phrases."""
    return _arrays(np.full(1, -1, np.int32), _States([{}], [0.0], [0.0]))[0]


def hotwords_of_words(
    phrases: Mapping[tuple[str, ...], float], lexicon: Lexicon, trie: TrieArrays, between: int
) -> tuple[HotwordArrays, float]:
    """Build the automaton of phrases of words, and return the most that one token can add to it.

    Args:
        phrases: boosts by phrase, for each token of the usual spelling; all words in the lexicon.
        lexicon: the words and their spellings.
        trie: made of the lexicon.
        between: tokens between two words of a phrase: 1 where a token separates words, or 0.
    """
    numbers = _numbered(phrases)
    of_word = {word: number for number, word in enumerate(lexicon.words)}
    symbol = np.full(len(lexicon.words), -1, np.int32)
    symbol[[of_word[word] for word in numbers]] = range(len(numbers))
    rows = np.flatnonzero(symbol[lexicon.word] >= 0)
    rows = rows[np.argsort(symbol[lexicon.word[rows]], kind="stable")]
    lengths = (lexicon.tokens[rows] > 0).sum(axis=1)
    first = np.searchsorted(symbol[lexicon.word[rows]], np.arange(len(numbers) + 1))
    states = _states(phrases, numbers, lengths[first[:-1]].tolist(), between)
    arrays, order = _arrays(symbol, states)
    nodes = nodes_spelled(trie, lexicon.tokens[rows])
    return _with_ahead(arrays, np.array(states.own)[order], nodes, lengths, first)


def hotwords_of_tokens(
    phrases: Mapping[tuple[int, ...], float], num_tokens: int
) -> tuple[HotwordArrays, float]:
    """Build the automaton of phrases of tokens, for V tokens of which none ends a word.

    Returns:
        The automaton, and the most that one token can add.
    """
    numbers = _numbered(phrases)
    symbol = np.full(num_tokens, -1, np.int32)
    symbol[list(numbers)] = range(len(numbers))
    arrays, _ = _arrays(symbol, _states(phrases, numbers, [1] * len(numbers), 0))
    return arrays, float((arrays.complete + arrays.partial).max())


def _numbered(phrases: Mapping[tuple[Part, ...], float]) -> dict[Part, int]:
    """Return numbers for the different parts of phrases."""
    parts = dict.fromkeys(part for phrase in phrases for part in phrase)
    return {part: number for number, part in enumerate(parts)}


def _states(
    phrases: Mapping[tuple[Part, ...], float],
    numbers: Mapping[Part, int],
    lengths: list[int],
    between: int,
) -> _States:
    """Return the tree of phrases; `lengths` are the tokens of each part."""
    states = _States([{}], [0.0], [0.0])
    for phrase, boost in phrases.items():
        state, tokens = START, -between
        for part in phrase:
            tokens += between + lengths[numbers[part]]
            following = states.children[state].setdefault(numbers[part], len(states.own))
            if following == len(states.own):
                states.children.append({})
                states.own.append(0.0)
                states.complete.append(0.0)
            state = following
            states.own[state] = max(states.own[state], boost * tokens)
        states.complete[state] = max(states.complete[state], boost * tokens)
    return states


def _arrays(symbol: NDArray[np.int32], states: _States) -> tuple[HotwordArrays, list[int]]:
    """Return the automaton without `ahead`, and the old numbers of its states, level by level."""
    order, first_child, reached_by, shorter = [START], [1], [-1], [START]
    partial, complete = [0.0], [0.0]
    place = {START: START}  # of an old number in the order
    for state in order:  # grows
        for number, child in sorted(states.children[state].items()):
            other = START
            if state != START:
                other = _follow(states.children, order, shorter, shorter[place[state]], number)
                other = place.get(other, START)
            place[child] = len(order)
            order.append(child)
            reached_by.append(number)
            shorter.append(other)
            going = states.own[child] if states.children[child] else 0.0
            partial.append(max(going, partial[other]))
            complete.append(states.complete[child] + complete[other])
        first_child.append(len(order))
    none = np.zeros(len(order) + 1, np.int32)
    arrays = HotwordArrays(
        symbol,
        np.array(reached_by, np.int32),
        np.array(first_child, np.int32),
        np.array(shorter, np.int32),
        np.array(partial),
        np.array(complete),
        none,
        np.zeros(0, np.int32),
        np.zeros(0),
    )
    return read_only(arrays), order


def _follow(
    children: list[dict[int, int]], order: list[int], shorter: list[int], place: int, number: int
) -> int:
    """Return the old number of the state after a symbol, from a place in the order."""
    while number not in children[order[place]] and place != START:
        place = shorter[place]
    return children[order[place]].get(number, START)


def _with_ahead(
    arrays: HotwordArrays,
    own: NDArray[np.float64],
    nodes: NDArray[np.int64],
    lengths: NDArray[np.int64],
    first: NDArray[np.int64],
) -> tuple[HotwordArrays, float]:
    """Add what is lent within words, and return the most that one token can add.

    Args:
        arrays: the automaton.
        own: (states,) the largest score of the unfinished phrases of a state.
        nodes: (spellings, longest) nodes of the lexicon on the way of each spelling.
        lengths: (spellings,) tokens.
        first: (symbols + 1,) spellings of symbol i: first[i : i + 2].
    """
    parent = np.repeat(np.arange(len(own)), np.diff(arrays.first_child))
    child = np.arange(1, len(own))
    several = np.diff(first)[arrays.reached_by[child]]
    parent, child = np.repeat(parent, several), np.repeat(child, several)
    nth = np.arange(len(child)) - np.repeat(np.cumsum(several) - several, several)
    row = first[arrays.reached_by[child]] + nth
    base, step = own[parent], (own[child] - own[parent]) / lengths[row]
    edge, depth = np.nonzero(np.arange(nodes.shape[1]) < lengths[row][:, None])
    keys = parent[edge] * (int(nodes.max()) + 1) + nodes[row[edge], depth]
    distinct, index = np.unique(keys, return_inverse=True)
    ahead = np.zeros(len(distinct))
    np.maximum.at(ahead, index, base[edge] + step[edge] * (depth + 1))
    state, node = np.divmod(distinct, int(nodes.max()) + 1)
    first_place = np.searchsorted(state, np.arange(len(own) + 1))
    at_end = arrays.complete + arrays.partial - own
    most = max(0.0, float(step.max())) + max(0.0, float(at_end.max()))
    full = arrays._replace(
        first_place=first_place.astype(np.int32), node=node.astype(np.int32), ahead=ahead
    )
    return read_only(full), most


@inlined
def hotword_gain(
    hotwords: HotwordArrays, mode: Index, state: Index, before: Index, end: tuple[Index, Index]
) -> tuple[float, Index]:
    """Return the score of a prefix that ends a word, or a token without words, and the next state.

    Args:
        hotwords: the automaton.
        mode: OFF, ON_WORDS or ON_TOKENS.
        state: of the automaton.
        before: the node of the lexicon before.
        end: the word, or in ON_TOKENS the token; and the node of the lexicon after it.
    """
    if mode == OFF:
        return 0.0, state
    ended, spelled = end
    gain, following = -lent(hotwords, mode, state, before), state
    if ended != NO_WORD:
        symbol = np.int64(hotwords.symbol[ended]) if ended >= 0 else _NEVER_HOT
        following = _next_state(hotwords, state, symbol)
        gain += hotwords.complete[following]
    return gain + lent(hotwords, mode, following, spelled), following


@inlined
def lent(hotwords: HotwordArrays, mode: Index, state: Index, spelled: Index) -> float:
    """Return what the unfinished phrases of a prefix have been lent, given its lexicon's node."""
    if mode == OFF:
        return 0.0
    if mode == ON_TOKENS or spelled == ROOT:
        return float(hotwords.partial[state])
    most, first = 0.0, hotwords.first_place
    while True:
        place = find_sorted(hotwords.node, first[state], first[state + 1], spelled)
        if place >= 0:
            most = max(most, hotwords.ahead[place])
        if state == START:
            return most
        state = np.int64(hotwords.shorter[state])


@inlined
def completed(hotwords: HotwordArrays, mode: Index, state: Index, word: Index) -> float:
    """Return the score of the phrases that a last word completes."""
    if mode == OFF:
        return 0.0
    return float(hotwords.complete[_next_state(hotwords, state, np.int64(hotwords.symbol[word]))])


@inlined
def _next_state(hotwords: HotwordArrays, state: Index, symbol: Index) -> Index:
    """Return the state after a word: the longest end of what was said that begins a phrase."""
    first = hotwords.first_child
    while symbol >= 0:
        child = find_sorted(hotwords.reached_by, first[state], first[state + 1], symbol)
        if child >= 0:
            return child
        if state == START:
            break
        state = np.int64(hotwords.shorter[state])
    return np.int64(START)

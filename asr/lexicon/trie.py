"""Words with their spellings in tokens, as a trie that the search walks.

A word may have several spellings (pronunciations), and several words may share one.
"""

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, compress, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from asr._numba import Index, constant, find_sorted, inlined, read_only
from asr.errors import DecoderError, LanguageModelError
from asr.lexicon.dictionary import read_entries
from asr.text import Vocabulary

ROOT = constant(0)
NO_NODE = constant(-1)  # find_sorted returns it, too
_UNKNOWN = -1  # in place of a token id
_STRESS = "012"  # digits of ARPAbet, at the end of a vowel


class TrieArrays(NamedTuple):
    """A trie by levels, the children of a node side by side and sorted by token; read only."""

    token: NDArray[np.int32]  # (nodes,) last token of a node's spelling
    first_child: NDArray[np.int32]  # (nodes + 1,) children of i: first_child[i : i + 2]
    first_word: NDArray[np.int32]  # (nodes + 1,) words spelled as i: word[first_word[i : i + 2]]
    word: NDArray[np.int32]  # (spellings,) indices of words
    look_ahead: NDArray[np.float32]  # (nodes,) log-probability of the best word below; 0 at ROOT


@inlined
def find_child(trie: TrieArrays, node: Index, token: Index) -> Index:
    """Return the child of a node by a token; NO_NODE if there is none, or `node` is NO_NODE."""
    if node == NO_NODE:
        return NO_NODE
    return find_sorted(trie.token, trie.first_child[node], trie.first_child[node + 1], token)


@inlined
def has_children(trie: TrieArrays, node: Index) -> bool:
    """Return whether a longer spelling begins with that of a node."""
    return bool(trie.first_child[node] < trie.first_child[node + 1])


@inlined
def words_spelled(trie: TrieArrays, node: Index) -> tuple[Index, Index]:
    """Return the range of `trie.word` that holds the words spelled as a node; empty for NO_NODE."""
    if node == NO_NODE:
        return np.int64(0), np.int64(0)
    return np.int64(trie.first_word[node]), np.int64(trie.first_word[node + 1])


@dataclass(frozen=True, eq=False)
class Lexicon:
    """Words and their spellings: row i of `tokens`, padded with 0, spells word `word[i]`."""

    words: tuple[str, ...]
    word: NDArray[np.int32]  # (spellings,)
    tokens: NDArray[np.integer[Any]]  # (spellings, longest)

    @classmethod
    def of_spellings(
        cls, words: Sequence[str], spellings: Sequence[tuple[int, Sequence[int]]]
    ) -> "Lexicon":
        """Make a lexicon of words, and of spellings as (index of a word, token ids)."""
        lengths = np.array([len(spelled) for _, spelled in spellings], np.int64)
        flat = np.fromiter(chain.from_iterable(spelled for _, spelled in spellings), np.int32)
        word = np.array([word for word, _ in spellings], np.int32)
        return cls(tuple(words), word, _padded(flat, lengths))

    @classmethod
    def of_words(
        cls, words: Sequence[str], vocabulary: Vocabulary
    ) -> "tuple[Lexicon, tuple[str, ...]]":
        """Spell distinct words in the vocabulary's own units; return the words left out, too.

        A word is left out if the vocabulary cannot write it, such as an accented word of a language
        model.
        """
        ids = {token: index for index, token in enumerate(vocabulary.tokens) if index}
        ids.pop(" ", None)  # it separates words
        if vocabulary.unit == "character":
            tokens = _table(words, ids)
        else:
            tokens = np.array([ids.get(word, _UNKNOWN) for word in words], np.int32)[:, None]
        known = (tokens != _UNKNOWN).all(axis=1) & (tokens > 0).any(axis=1)
        kept = tuple(compress(words, known))
        left_out = tuple(compress(words, ~known))
        return cls(kept, np.arange(len(kept), dtype=np.int32), tokens[known]), left_out

    @classmethod
    def load(cls, path: Path | str, vocabulary: Vocabulary) -> "Lexicon":
        """Read a lexicon in the format of the CMU dictionary, or a list of words.

        A word without tokens is spelled by its characters; comments and several pronunciations of
        a word are marked as `read_entries` says. Stress digits are dropped where the vocabulary has
        none; case follows the vocabulary's.

        Raises:
            DecoderError: the file cannot be read, is empty, or holds a word that cannot be spelled.
        """
        ids = _TokenIds(vocabulary)
        index: dict[str, int] = {}
        spellings: dict[tuple[int, tuple[int, ...]], None] = {}  # in order, each once
        try:
            for number, given, tokens in read_entries(path):
                word = ids.cased(given)
                symbols = list(map(ids.cased, tokens)) or list(word)
                spelled = tuple(map(ids.__getitem__, symbols))
                if _UNKNOWN in spelled:
                    raise DecoderError(
                        f"{path}: line {number}: {word} cannot be spelled with the model's tokens "
                        f"({' '.join(symbols)}); take it out, or spell it otherwise"
                    )
                spellings[index.setdefault(word, len(index)), spelled] = None
        except LanguageModelError as error:
            reason = str(error).removeprefix(f"{path}: ")
            raise DecoderError(f"{path}: not a lexicon: {reason}") from error
        if not index:
            raise DecoderError(f"{path}: no words; write a word a line, or a word and its tokens")
        return cls.of_spellings(tuple(index), tuple(spellings))

    def __contains__(self, word: object) -> bool:
        return word in self._index

    def with_words(self, words: Iterable[str], vocabulary: Vocabulary) -> "Lexicon":
        """Return this lexicon with the words it lacks, spelled in the vocabulary's own units."""
        lacking = [word for word in dict.fromkeys(words) if word not in self._index]
        if not lacking:
            return self
        return self.joined(Lexicon.of_words(lacking, vocabulary)[0])

    def joined(self, more: "Lexicon") -> "Lexicon":
        """Return this lexicon joined with a lexicon of other words."""
        longest = max(self.tokens.shape[1], more.tokens.shape[1])
        tables = [
            np.pad(table, ((0, 0), (0, longest - table.shape[1])))
            for table in (self.tokens, more.tokens)
        ]
        word = np.concatenate((self.word, more.word + np.int32(len(self.words))))
        return Lexicon(self.words + more.words, word, np.concatenate(tables))

    def among(self, words: Container[str]) -> "Lexicon":
        """Return this lexicon restricted to some words."""
        kept = np.array([word in words for word in self.words], np.bool_)
        renumbered = np.cumsum(kept, dtype=np.int32) - 1
        rows = kept[self.word]
        left = tuple(compress(self.words, kept))
        return Lexicon(left, renumbered[self.word[rows]], self.tokens[rows])

    def of(self, word: str) -> list[tuple[int, ...]]:
        """Return all spellings of a word; none if it is unknown."""
        if word not in self._index:
            return []
        rows = self.tokens[self.word == self._index[word]]
        return [tuple(row[row > 0].tolist()) for row in rows]

    @cached_property
    def _index(self) -> dict[str, int]:
        return {word: index for index, word in enumerate(self.words)}


def _table(words: Sequence[str], ids: dict[str, int]) -> NDArray[np.int32]:
    """Return the token ids of the characters of words, (words, longest), padded with 0."""
    characters = np.frombuffer("".join(words).encode("utf-32-le"), np.uint32)
    of_character = np.full(int(characters.max(initial=0)) + 1, _UNKNOWN, np.int32)
    for token, index in ids.items():
        if ord(token) < len(of_character):
            of_character[ord(token)] = index
    lengths = np.fromiter(map(len, words), np.int64, len(words))
    return _padded(of_character[characters], lengths)


def _padded(flat: NDArray[np.int32], lengths: NDArray[np.int64]) -> NDArray[np.int32]:
    """Turn concatenated rows of the given lengths into a table padded with 0."""
    table = np.zeros((len(lengths), int(lengths.max(initial=0))), np.int32)
    table[np.arange(table.shape[1]) < lengths[:, None]] = flat
    return table


class _TokenIds(dict[str, int]):
    """The ids of token names, with case and stress adapted to what the vocabulary has."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        super().__init__((token, index) for index, token in enumerate(vocabulary.tokens) if index)
        letters = "".join(self)
        self.upper, self.lower = letters.isupper(), letters.islower()

    def cased(self, text: str) -> str:
        return text.upper() if self.upper else text.lower() if self.lower else text

    def __missing__(self, token: str) -> int:
        index = self[token] = self.get(token.rstrip(_STRESS), _UNKNOWN)
        return index


def build_trie(lexicon: Lexicon, log_probs: NDArray[np.float32]) -> TrieArrays:
    """Build the trie of a lexicon; the look-ahead comes from log_probs, float (words,)."""
    narrow = np.min_scalar_type(lexicon.tokens.max(initial=0)).newbyteorder(">")
    rows = lexicon.tokens.astype(narrow)  # whose bytes sort as the numbers do
    in_order = np.argsort(_as_one(rows), kind="stable") if rows.size else np.arange(len(rows))
    word, rows = lexicon.word[in_order], rows[in_order]
    ends = np.zeros(len(word), np.int32)  # the node that each spelling has reached so far
    tokens, parents = [np.zeros(1, np.int32)], [np.zeros(1, np.int32)]  # of the nodes of each level
    edges = [1]  # the first node after each level
    going = np.arange(len(word))  # spellings that are longer than `depth`
    for depth in range(rows.shape[1]):
        going = going[rows[going, depth] > 0]
        token, above = rows[going, depth].astype(np.int32), ends[going]
        starts = np.ones(len(going), np.bool_)  # where another node begins
        starts[1:] = (token[1:] != token[:-1]) | (above[1:] != above[:-1])
        tokens.append(token[starts])
        parents.append(above[starts])
        ends[going] = edges[-1] - 1 + np.cumsum(starts, dtype=np.int32)
        edges.append(edges[-1] + len(tokens[-1]))
    by_node = np.argsort(ends, kind="stable")
    ends, word = ends[by_node], word[by_node]
    parent, counted = np.concatenate(parents), np.arange(edges[-1] + 1)
    arrays = TrieArrays(
        np.concatenate(tokens),
        np.searchsorted(parent[1:], counted).astype(np.int32) + 1,
        np.searchsorted(ends, counted).astype(np.int32),
        word,
        _best_below(parent, edges, ends, log_probs[word]),
    )
    return read_only(arrays)


def nodes_spelled(trie: TrieArrays, tokens: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Return the nodes on the way of each spelling of the lexicon, (spellings, longest).

    A row of `tokens` (spellings, longest) is padded with 0; what stands there in the result means
    nothing.
    """
    parent = np.repeat(np.arange(len(trie.token)), np.diff(trie.first_child))
    factor = 1 + max(int(tokens.max(initial=0)), int(trie.token.max()))
    keys = parent * factor + trie.token[1:]  # ascending, as the nodes stand
    nodes, before = np.zeros(tokens.shape, np.int64), np.zeros(len(tokens), np.int64)
    for depth in range(tokens.shape[1]):
        before = 1 + np.searchsorted(keys, before * factor + tokens[:, depth])
        nodes[:, depth] = before
    return nodes


def _as_one(rows: NDArray[np.integer[Any]]) -> NDArray[np.bytes_]:
    """Return each row as one string of bytes."""
    whole = np.ascontiguousarray(rows)
    return whole.view(f"S{whole.itemsize * whole.shape[1]}")[:, 0]


def _best_below(
    parent: NDArray[np.int32],
    edges: Sequence[int],
    ends: NDArray[np.int32],
    log_probs: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Return the log-probability of the best word at or below each node.

    `edges` are the bounds of the levels, which are gone through from the deepest up.
    """
    best = np.full(len(parent), -np.inf, np.float32)
    np.maximum.at(best, ends, log_probs)
    for begin, end in reversed(list(pairwise(edges))):
        np.maximum.at(best, parent[begin:end], best[begin:end])
    best[ROOT] = 0.0
    return best

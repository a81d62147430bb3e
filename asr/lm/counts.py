"""Counts of the n-grams of a text, in bounded memory.

The text is read once and kept on disk as word ids. An n-gram is a pair of an (n - 1)-gram and a
word: one int64 for any n, which sorts as the n-grams do. These keys are sorted chunk by chunk; the
sorted runs are kept on disk and merged range by range.
"""

import tempfile
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asr._progress import progress
from asr.errors import LanguageModelError
from asr.lm.corpus import BOS, EOS, UNK

UNK_ID, BOS_ID, EOS_ID = 0, 1, 2
_RESERVED = (UNK, BOS, EOS)  # in the order of their ids
_SET_AROUND = frozenset((BOS, EOS))
_BYTES_PER_TOKEN = 64  # what sorting holds at once for each token of a chunk


@dataclass(frozen=True, eq=False)
class NgramCounts:
    """The n-grams of one order in a text and their counts, sorted lexicographically by word id."""

    keys: NDArray[np.int64]  # (count,) ascending: context * num_words + word
    counts: NDArray[np.int64]  # (count,) occurrences; 0 for <s>, which is never predicted
    suffix: NDArray[np.int64]  # (count,) index, one order below, of the n-gram less its first word
    num_words: int

    @property
    def context(self) -> NDArray[np.int64]:
        """(count,) index of each n-gram's context, one order below; 0 at order 1."""
        return self.keys // self.num_words

    @property
    def word(self) -> NDArray[np.int32]:
        """(count,) last word of each n-gram."""
        return (self.keys % self.num_words).astype(np.int32)


def count_ngrams(
    sentences: Iterable[Sequence[str]],
    order: int,
    *,
    vocabulary: Sequence[str] | None = None,
    vocabulary_size: int | None = None,
    memory_mb: int = 2000,
) -> tuple[list[str], list[NgramCounts]]:
    """Count the n-grams of orders 1 to `order`, each sentence between <s> and </s>.

    Args:
        sentences: lists of words, read once.
        order: words of the longest n-gram.
        vocabulary: the words to count, all others being <unk>; None: all words.
        vocabulary_size: count only this many words, the most frequent ones.
        memory_mb: memory for sorting; each n-gram found takes 24 bytes more.

    Returns:
        The words (<unk>, <s> and </s>, then the others as given or by falling frequency), and the
        counts of each order.

    Raises:
        LanguageModelError: there is no sentence, <s> or </s> is in one, or the disk is full.
    """
    chunk = max(1, memory_mb * 2**20 // _BYTES_PER_TOKEN)
    with tempfile.TemporaryDirectory(prefix="asr-lm-", ignore_cleanup_errors=True) as folder:
        try:
            found, tokens = _encode(sentences, Path(folder) / "tokens", chunk)
            words = _settle(found, tokens, vocabulary, vocabulary_size, chunk)
            return words, _Counter(tokens, len(words), Path(folder), chunk).count(order)
        except OSError as error:
            raise LanguageModelError(
                f"{folder}: cannot be written ({error.strerror}); make room, or set TMPDIR to "
                "another folder"
            ) from error


def _encode(
    sentences: Iterable[Sequence[str]], path: Path, chunk: int
) -> tuple[list[str], NDArray[np.int32]]:
    """Write sentences as ids by first occurrence; return the words, and the ids on disk."""
    ids: defaultdict[str, int] = defaultdict(None, {word: i for i, word in enumerate(_RESERVED)})
    ids.default_factory = ids.__len__
    buffer = array("i")
    with path.open("wb") as file:
        for number, sentence in enumerate(progress(sentences, "reading"), 1):
            if not _SET_AROUND.isdisjoint(sentence):
                raise LanguageModelError(
                    f"sentence {number} holds {BOS} or {EOS}, which are added automatically; "
                    "remove them"
                )
            buffer.append(BOS_ID)
            buffer.extend(map(ids.__getitem__, sentence))
            buffer.append(EOS_ID)
            if len(buffer) >= chunk:
                buffer.tofile(file)
                del buffer[:]
        buffer.tofile(file)
    if not path.stat().st_size:
        raise LanguageModelError("the text has no sentence; give a text with at least one")
    return list(ids), np.memmap(path, np.int32, "r+")


def _settle(
    found: list[str],
    tokens: NDArray[np.int32],
    vocabulary: Sequence[str] | None,
    vocabulary_size: int | None,
    chunk: int,
) -> list[str]:
    """Choose the vocabulary and renumber the ids on disk by it; return its words."""
    if vocabulary is None:
        counts = _occurrences(tokens, len(found), chunk)[len(_RESERVED) :]
        frequent = np.argsort(-counts, kind="stable")[:vocabulary_size]
        vocabulary = [found[len(_RESERVED) + i] for i in frequent]
    words = list(dict.fromkeys([*_RESERVED, *vocabulary]))
    ids = {word: i for i, word in enumerate(words)}
    settled = np.array([ids.get(word, UNK_ID) for word in found], np.int32)
    for part in _parts(len(tokens), chunk):
        tokens[part] = settled[tokens[part]]
    return words


class _Counter:
    """A counter of the n-grams of a text on disk, one order after the other.

    While order n is counted, `nodes` holds a number for each position of the text: the index of the
    n-gram of order n - 1 that starts there, or -1 where that n-gram would leave its sentence.
    """

    def __init__(self, tokens: NDArray[np.int32], num_words: int, folder: Path, chunk: int) -> None:
        self.tokens, self.num_words, self.folder, self.chunk = tokens, num_words, folder, chunk
        self.nodes = np.memmap(folder / "nodes", np.int32, "w+", shape=tokens.shape)

    def count(self, order: int) -> list[NgramCounts]:
        """Count orders 1 to `order`."""
        levels = [self._unigrams()]
        for n in progress(range(2, order + 1), "counting n-grams"):
            levels.append(self._next(n, levels[-1]))
            if n < order:
                self._extend(n, levels[-1].keys)
        return levels

    def _unigrams(self) -> NgramCounts:
        counts = _occurrences(self.tokens, self.num_words, self.chunk)
        counts[BOS_ID] = 0
        self.nodes[:] = self.tokens
        words = np.arange(self.num_words)
        return NgramCounts(words, counts, np.zeros_like(words), self.num_words)

    def _next(self, n: int, lower: NgramCounts) -> NgramCounts:
        runs = [self._run(n, part) for part in _parts(len(self.tokens), self.chunk)]
        keys, counts = _merge(runs, self.chunk)
        context, word = np.divmod(keys, self.num_words)
        suffix = lower.keys.searchsorted(lower.suffix[context] * self.num_words + word)
        return NgramCounts(keys, counts, suffix, self.num_words)

    def _extend(self, n: int, keys: NDArray[np.int64]) -> None:
        """Set `nodes` to the n-grams of order n."""
        for part in _parts(len(self.tokens), self.chunk):
            of_part = self._keys(n, part)
            self.nodes[part][: len(of_part)] = np.where(of_part < 0, -1, keys.searchsorted(of_part))

    def _keys(self, n: int, part: slice) -> NDArray[np.int64]:
        """Return the keys of the n-grams that start in a part of the text; -1 where none does."""
        last = self.tokens[part.start + n - 1 : part.stop + n - 1].astype(np.int64)
        context = self.nodes[part][: len(last)].astype(np.int64)
        return np.where((context < 0) | (last == BOS_ID), -1, context * self.num_words + last)

    def _run(self, n: int, part: slice) -> NDArray[np.int64]:
        """Sort and count the n-grams of a part; return them from disk, (2, count)."""
        keys = self._keys(n, part)
        path = self.folder / f"{part.start}.npy"
        np.save(path, np.stack(np.unique(keys[keys >= 0], return_counts=True)))
        run: NDArray[np.int64] = np.load(path, mmap_mode="r")
        return run


def _merge(runs: Sequence[NDArray[np.int64]], chunk: int) -> NDArray[np.int64]:
    """Merge runs of sorted keys with counts, (2, count); the counts of equal keys are added up."""
    # Every `every`-th key of a run is sampled. Between two borders lie as many samples as there are
    # runs, and fewer than `every` further keys of each run: together at most a chunk.
    every = max(1, chunk // (2 * len(runs)))
    sample = np.sort(np.concatenate([run[0, ::every] for run in runs]))
    borders = sample[:: len(runs)][1:]
    cuts = [[0, *run[0].searchsorted(borders), run.shape[1]] for run in runs]
    merged = []
    for ends in zip(*map(pairwise, cuts), strict=True):
        within = [run[:, start:end] for run, (start, end) in zip(runs, ends, strict=True)]
        merged.append(_add_equal(np.concatenate(within, axis=1)))
    return np.concatenate(merged, axis=1)


def _add_equal(counted: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sort keys with counts, (2, count), and add up the counts of equal keys."""
    keys, counts = counted[:, np.argsort(counted[0], kind="stable")]
    first = np.flatnonzero(np.diff(keys, prepend=-1))
    return np.stack([keys[first], np.add.reduceat(counts, first)])


def _occurrences(tokens: NDArray[np.int32], num_words: int, chunk: int) -> NDArray[np.int64]:
    """Count how often each id occurs."""
    counts = np.zeros(num_words, np.int64)
    for part in _parts(len(tokens), chunk):
        counts += np.bincount(tokens[part], minlength=num_words)
    return counts


def _parts(length: int, chunk: int) -> Iterator[slice]:
    """Yield the slices of a text, one for each chunk."""
    for start in range(0, length, chunk):
        yield slice(start, start + chunk)

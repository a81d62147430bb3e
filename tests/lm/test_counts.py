"""Counts of n-grams against Python's Counter, whatever the memory."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import asr.lm.counts
from asr.errors import LanguageModelError
from asr.lm.counts import count_ngrams

TEXTS = st.lists(st.lists(st.sampled_from("abc"), max_size=5), min_size=1, max_size=12)


def set_chunk(patch: pytest.MonkeyPatch, tokens: int) -> None:
    """Let a chunk be so many tokens at memory_mb=1."""
    patch.setattr(asr.lm.counts, "_BYTES_PER_TOKEN", 2**20 // tokens)


def by_level(sentences, order, **settings) -> list[dict[tuple[str, ...], int]]:
    """Return the n-grams of each order with their counts, in the order they are found in."""
    words, levels = count_ngrams(sentences, order, **settings)
    rows: list[tuple[str, ...]] = [()]
    found = []
    for grams in levels:
        lower = rows
        ends = zip(grams.context.tolist(), grams.word.tolist(), strict=True)
        rows = [(*lower[context], words[word]) for context, word in ends]
        assert [lower[i] for i in grams.suffix] == [row[1:] for row in rows]
        found.append(dict(zip(rows, grams.counts.tolist(), strict=True)))
    return found


def counted(sentences, order: int) -> dict[tuple[str, ...], int]:
    padded = [["<s>", *words, "</s>"] for words in sentences]
    return Counter(
        tuple(words[i : i + order]) for words in padded for i in range(len(words) - order + 1)
    )


def test_counts_by_hand():
    words, (unigrams, bigrams) = count_ngrams([["b", "a"], ["a", "a"]], 2)
    assert words == ["<unk>", "<s>", "</s>", "a", "b"]  # by falling frequency
    assert unigrams.counts.tolist() == [0, 0, 2, 3, 1]
    pairs = zip(bigrams.context.tolist(), bigrams.word.tolist(), strict=True)
    assert list(pairs) == [(1, 3), (1, 4), (3, 2), (3, 3), (4, 3)]
    assert bigrams.counts.tolist() == [1, 1, 2, 1, 1]


@settings(max_examples=60, deadline=None)
@given(TEXTS, st.integers(2, 6), st.integers(1, 40))
def test_counts_are_those_of_a_counter_in_chunks_of_any_size(sentences, order, chunk):
    with pytest.MonkeyPatch.context() as patch:
        set_chunk(patch, chunk)
        levels = by_level(sentences, order, memory_mb=1)
    assert {gram: n for gram, n in levels[0].items() if n} == {
        gram: n for gram, n in counted(sentences, 1).items() if gram != ("<s>",)
    }
    for n, found in enumerate(levels[1:], 2):
        assert found == counted(sentences, n)


def test_ngrams_are_sorted_and_chunks_change_nothing(monkeypatch):
    random = np.random.default_rng(0)
    sentences = [[str(i) for i in random.zipf(1.5, 12) % 50] for _ in range(200)]
    words, whole = count_ngrams(sentences, 4)
    set_chunk(monkeypatch, 64)
    assert count_ngrams(sentences, 4, memory_mb=1)[0] == words
    for one, other in zip(whole, count_ngrams(sentences, 4, memory_mb=1)[1], strict=True):
        assert (np.diff(one.keys) > 0).all()
        for field in ("keys", "counts", "suffix"):
            np.testing.assert_array_equal(getattr(one, field), getattr(other, field))


def test_keys_of_many_words_do_not_overflow():
    num_words = 70_000  # its square is beyond 32 bits
    levels = count_ngrams([[str(i) for i in range(num_words)]], 3)[1]
    assert [len(grams.keys) for grams in levels] == [num_words + 3, num_words + 1, num_words]
    assert all(grams.counts[3:].tolist() == [1] * (len(grams.counts) - 3) for grams in levels)


def test_merging_holds_no_more_than_a_chunk(monkeypatch):
    sizes = []
    add_equal = asr.lm.counts._add_equal
    monkeypatch.setattr(
        asr.lm.counts, "_add_equal", lambda part: sizes.append(part.shape[1]) or add_equal(part)
    )
    random = np.random.default_rng(0)
    keys = [np.unique(random.zipf(1.3, 900)) for _ in range(7)]
    runs = [np.stack([of_run, np.ones_like(of_run)]) for of_run in keys]
    merged = asr.lm.counts._merge(runs, 140)
    assert max(sizes) <= 140
    np.testing.assert_array_equal(merged[0], np.unique(np.concatenate(keys)))
    assert merged[1].sum() == sum(map(len, keys))


def test_words_outside_a_vocabulary_are_counted_as_unknown():
    text = [["a", "b", "c"], ["c", "d"]]
    words, (unigrams,) = count_ngrams(text, 1, vocabulary=["d", "a", "missing", "d"])
    assert words == ["<unk>", "<s>", "</s>", "d", "a", "missing"]
    assert unigrams.counts.tolist() == [3, 0, 2, 1, 1, 0]


def test_vocabulary_size_keeps_the_most_frequent_words():
    text = [["a", "b", "b", "c", "c"], ["<unk>", "<unk>", "<unk>"]]
    words, (unigrams,) = count_ngrams(text, 1, vocabulary_size=2)
    assert words == ["<unk>", "<s>", "</s>", "b", "c"]
    assert unigrams.counts.tolist() == [4, 0, 2, 2, 2]


def test_unknown_words_in_a_text_are_counted():
    words, (unigrams,) = count_ngrams([["a", "<unk>"]], 1)
    assert (words[0], unigrams.counts[0]) == ("<unk>", 1)


@pytest.mark.parametrize("word", ["<s>", "</s>"])
def test_a_reserved_word_in_a_sentence_is_refused(word):
    with pytest.raises(LanguageModelError, match="sentence 2 holds"):
        count_ngrams([["a"], ["b", word]], 2)


def test_a_text_without_sentences_is_refused():
    with pytest.raises(LanguageModelError, match="no sentence"):
        count_ngrams([], 3)


def test_a_folder_without_room_is_named(monkeypatch):
    def full(*_args, **_settings):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(LanguageModelError, match=r"No space left.*TMPDIR"):
        count_ngrams([["a"]], 2)

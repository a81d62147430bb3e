"""N-gram models as objects: built from n-grams, asked for probabilities."""

import itertools
import math
import sys

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from asr.errors import LanguageModelError
from asr.lm.arrays import EMPTY_CONTEXT
from asr.lm.ngram import Level, NgramModel, Perplexity, perplexity
from asr.lm.trie import lexicographic_order

WORDS = ("<unk>", "<s>", "</s>", "a", "b")
UNK, BOS, EOS, A, B = range(5)
Ngrams = dict[tuple[int, ...], tuple[float, float]]  # log-probability and back-off weight
UNIGRAMS: Ngrams = {
    (UNK,): (-5.0, 0.0),
    (BOS,): (-99.0, -0.5),
    (EOS,): (-1.0, 0.0),
    (A,): (-1.5, -0.25),
    (B,): (-2.0, -0.125),
}


def make_levels(ngrams: Ngrams) -> list[Level]:
    levels = []
    for order in range(1, max(map(len, ngrams)) + 1):
        rows = sorted(ngram for ngram in ngrams if len(ngram) == order)
        values = np.array([ngrams[row] for row in rows], np.float32).reshape(-1, 2)
        words = np.array(rows, np.int32).reshape(-1, order)
        levels.append(Level(words, values[:, 0], values[:, 1]))
    return levels


def make_model(ngrams: Ngrams, words: tuple[str, ...] = WORDS) -> NgramModel:
    return NgramModel.from_levels(words, make_levels(ngrams))


def back_off(ngrams: Ngrams, history: tuple[int, ...], word: int) -> float:
    """The definition, without automaton or arrays."""
    if (*history, word) in ngrams:
        return ngrams[(*history, word)][0]
    weight = ngrams[history][1] if history in ngrams else 0.0
    return weight + back_off(ngrams, history[1:], word)


def score_sentence(ngrams: Ngrams, words: list[int]) -> list[float]:
    order = max(map(len, ngrams))
    sentence = (BOS, *words, EOS)
    return [
        back_off(ngrams, sentence[max(0, i - order + 1) : i], sentence[i])
        for i in range(1, len(sentence))
    ]


@st.composite
def models(draw: st.DrawFn, *, closed: bool = False) -> Ngrams:
    """N-grams of orders 1 to 6; unless closed, contexts and suffixes are missing at random."""
    log_probs = st.floats(-9, 0, width=32)
    values = st.tuples(log_probs, st.floats(-2, 1, width=32))
    words = st.integers(UNK, B)
    order = draw(st.integers(1, 6))
    ngrams = {(word,): draw(values) for word in range(len(WORDS))}
    if order == 1:
        return ngrams
    sequences = st.lists(words, min_size=2, max_size=order).map(tuple)
    for ngram in draw(st.lists(sequences, min_size=1, max_size=25)):
        parts = [ngram[:end] for end in range(2, len(ngram) + 1)] if closed else [ngram]
        ngrams |= {part: draw(values) for part in parts}
    return ngrams


def test_scores_of_a_model_worked_out_by_hand() -> None:
    trigrams = {
        (BOS, A): (-0.1, -0.01),
        (A, B): (-0.2, -0.02),
        (B, B): (-0.3, -0.03),
        (BOS, A, B): (-0.7, 0.0),
        (B, B, EOS): (-0.9, 0.0),  # without (B, EOS)
    }
    model = make_model(UNIGRAMS | trigrams)
    assert model.score(["a", "b", "b"]) == pytest.approx([-0.1, -0.7, -0.02 - 0.3, -0.9])
    assert model.score(["b", "zebra", "a"]) == pytest.approx(
        [-0.5 - 2.0, -0.125 - 5.0, -1.5, -0.25 - 1.0]
    )
    assert model.score(["a"], eos=False) == pytest.approx([-0.1])
    assert model.score([]) == pytest.approx([-0.5 - 1.0])


@given(models(), st.lists(st.integers(UNK, B).filter(lambda i: i not in (BOS, EOS)), max_size=12))
def test_scores_are_those_of_the_definition(ngrams: Ngrams, sentence: list[int]) -> None:
    scores = make_model(ngrams).score([WORDS[i] for i in sentence])
    assert scores == pytest.approx(score_sentence(ngrams, sentence), abs=1e-4)


@given(models())
@settings(max_examples=30)
def test_the_state_is_the_longest_known_context(ngrams: Ngrams) -> None:
    levels = make_model(ngrams).levels()
    rows = [tuple(row) for level in levels for row in level.words.tolist()]
    suffix = make_model(ngrams).arrays.suffix[1:]
    for row, node in zip(rows, suffix.tolist(), strict=True):
        known = (row[start:] for start in range(1, len(row)) if row[start:] in rows)
        longest = next(known, None)
        assert node == (1 + rows.index(longest) if longest else EMPTY_CONTEXT)


@given(models(closed=True))
@settings(max_examples=30)
def test_levels_come_back_as_they_were(ngrams: Ngrams) -> None:
    model = make_model(ngrams)
    for given_level, level in zip(make_levels(ngrams), model.levels(), strict=True):
        assert level.words.dtype == np.int32
        np.testing.assert_array_equal(level.words, given_level.words)
        np.testing.assert_array_equal(level.log_prob, given_level.log_prob)
        if level.words.shape[1] < model.order:
            np.testing.assert_array_equal(level.backoff, given_level.backoff)
        else:
            assert not level.backoff.any()


@given(models())
@settings(max_examples=30)
def test_a_model_of_levels_is_the_same_model(ngrams: Ngrams) -> None:
    model = make_model(ngrams)
    again = NgramModel.from_levels(model.words, model.levels())
    for array, other in zip(model.arrays, again.arrays, strict=True):
        np.testing.assert_array_equal(array, other)
    assert (again.order, again.counts) == (model.order, model.counts)


def test_a_missing_context_gets_the_probability_of_backing_off() -> None:
    model = make_model(UNIGRAMS | {(A, B): (-0.2, -0.5), (B, A, B, A): (-0.3, 0.0)})
    assert model.counts == [5, 2, 1, 1]
    bigrams, trigrams = model.levels()[1:3]
    assert bigrams.words.tolist() == [[A, B], [B, A]]
    assert bigrams.log_prob == pytest.approx([-0.2, -0.125 - 1.5])
    assert bigrams.backoff.tolist() == [-0.5, 0.0]
    assert trigrams.words.tolist() == [[B, A, B]]
    assert trigrams.log_prob == pytest.approx([-0.2])


def test_a_probability_that_is_not_given_is_that_of_backing_off() -> None:
    model = make_model(UNIGRAMS | {(A, B): (math.nan, 0.0)})
    assert model.levels()[1].log_prob == pytest.approx([-0.25 - 2.0])


def test_an_empty_highest_order_is_left_out() -> None:
    empty = Level(np.empty((0, 2), np.int32), np.empty(0, np.float32), np.empty(0, np.float32))
    model = NgramModel.from_levels(WORDS, [*make_levels(UNIGRAMS), empty])
    assert (model.order, model.counts, model.begin) == (1, [5], EMPTY_CONTEXT)
    assert model.score(["a"]) == [-1.5, -1.0]


def test_arrays_are_read_only_and_contiguous() -> None:
    for array in make_model(UNIGRAMS | {(A, B): (-0.2, 0.0)}).arrays:
        assert array.flags.c_contiguous and not array.flags.writeable


def test_words_and_their_ids() -> None:
    model = make_model(UNIGRAMS | {(BOS, B): (-0.2, 0.0)})
    assert (model.unk, model.bos, model.eos) == (UNK, BOS, EOS)
    assert [model.word_id(word) for word in (*WORDS, "zebra")] == [0, 1, 2, 3, 4, UNK]
    assert model.begin == 1 + BOS


def test_the_unknown_word_of_foreign_models(capsys: pytest.CaptureFixture[str]) -> None:
    model = make_model(UNIGRAMS, ("<UNK>", *WORDS[1:]))
    assert model.word_id("zebra") == UNK
    assert model.score(["zebra", "<unk>"], eos=False) == [-5.0, -5.0]
    assert not capsys.readouterr().err


def test_a_model_without_unknown_word_gets_one(capsys: pytest.CaptureFixture[str]) -> None:
    model = make_model(UNIGRAMS | {(A, B): (-0.2, 0.0)}, ("x", *WORDS[1:]))
    assert "has no <unk>" in capsys.readouterr().err
    assert model.words == ("x", "<s>", "</s>", "a", "b", "<unk>")
    assert model.counts == [6, 1]
    assert model.score(["x", "zebra"], eos=False) == pytest.approx([-5.5, -100 * math.log(10)])


@pytest.mark.parametrize("missing", [BOS, EOS])
def test_sentences_need_their_ends(missing: int) -> None:
    words = [word if i != missing else "x" for i, word in enumerate(WORDS)]
    with pytest.raises(LanguageModelError, match=f"the unigram {WORDS[missing]} is missing"):
        make_model(UNIGRAMS, tuple(words))


def test_every_word_is_a_unigram() -> None:
    with pytest.raises(ValueError, match="level 1"):
        make_model(UNIGRAMS, (*WORDS, "c"))


def test_perplexity_worked_out_by_hand() -> None:
    model = make_model(UNIGRAMS | {(A, B): (-0.2, 0.0)})
    # <s> a b </s>: -0.5 - 1.5, -0.2, -0.125 - 1;  <s> zebra <unk> </s>: -0.5 - 5, -5, -1
    found = perplexity(model, [["a", "b"], ["zebra", "<unk>"]])
    assert (found.sentences, found.words, found.oov) == (2, 4, 2)
    assert found.log_prob == pytest.approx(-14.825)
    assert found.perplexity == pytest.approx(math.exp(14.825 / 6))
    assert found.perplexity_without_oov == pytest.approx(math.exp((14.825 - 10.5) / 4))
    assert found.as_dict()["perplexity"] == found.perplexity
    assert found.as_dict()["oov"] == 2


@given(models(), st.lists(st.lists(st.sampled_from([UNK, A, B]), max_size=6), min_size=1))
@settings(max_examples=30)
def test_perplexity_adds_up_over_sentences(ngrams: Ngrams, sentences: list[list[int]]) -> None:
    found = perplexity(make_model(ngrams), ([WORDS[i] for i in words] for words in sentences))
    log_probs = [score for words in sentences for score in score_sentence(ngrams, words)]
    assert found.log_prob == pytest.approx(sum(log_probs), abs=1e-3)
    assert found.words + found.sentences == len(log_probs)
    assert found.oov == sum(words.count(UNK) for words in sentences)


def test_perplexity_of_more_sentences_than_are_scored_at_once() -> None:
    model = make_model(UNIGRAMS | {(A, B): (-0.2, 0.0)})
    found = perplexity(model, itertools.repeat(["a", "b"], 25_000))
    assert (found.sentences, found.words) == (25_000, 50_000)
    assert found.perplexity == pytest.approx(math.exp(3.325 / 3))


def test_perplexity_of_nothing() -> None:
    with pytest.raises(LanguageModelError, match="no sentence"):
        perplexity(make_model(UNIGRAMS), [])


def test_order_of_long_ngrams_of_large_vocabularies() -> None:
    rows = np.random.default_rng(0).choice([0, 1, 2**30], (400, 6)).astype(np.int32)
    order = lexicographic_order(rows)
    assert rows[order].tolist() == sorted(rows.tolist())
    assert order.tolist() == sorted(range(400), key=lambda i: rows[i].tolist())  # stable


def test_the_perplexity_of_a_hopeless_model_is_finite() -> None:
    found = Perplexity(sentences=1, words=1, oov=0, log_prob=-1e5, oov_log_prob=0.0)
    assert found.perplexity == found.perplexity_without_oov == sys.float_info.max

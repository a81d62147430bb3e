"""LSTM language models: exact probabilities, whatever the batch; and files that are wrong."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from tiny_lstm import CHARACTERS, TINY, WORDS, save_experiment, tiny_model

import asr.lm.neural
from asr.checkpoint import create_experiment
from asr.config import Config, LmConfig, config_from_dict
from asr.errors import CheckpointError, ConfigError, LanguageModelError
from asr.lm.neural import (
    ROWS,
    STEPS,
    SentenceBatch,
    load_lstm,
    lstm_perplexity,
    token_log_probs,
)
from asr.lm.vocabulary import LmVocabulary
from asr.lstm import LstmWeights, lstm_reference
from asr.text import Vocabulary


@pytest.mark.parametrize("size", [3, 4, 5, 12, 40])
def test_all_continuations_sum_to_one_and_are_what_targets_get(
    size: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(asr.lm.neural, "SHORTLISTS", (4, 11))  # classes begin at these ranks
    model = tiny_model(size)
    ids = torch.arange(size)
    batch = SentenceBatch(torch.stack([0 * ids, ids, ids]).T, torch.full((size,), 2))
    log_probs, _ = model.log_probs(batch.tokens[:, :-1])  # (N, 2, V)
    torch.testing.assert_close(log_probs.exp().sum(2), torch.ones(size, 2))
    expected = log_probs.gather(2, batch.tokens[:, 1:, None]).squeeze(2)
    torch.testing.assert_close(model.target_log_probs(batch)[0], expected)


def test_probabilities_are_those_of_the_reference_lstm_and_a_softmax():
    model = tiny_model(5, LmConfig(embedding=6, hidden=16, layers=1, dropout=0.5))
    tokens = torch.tensor([[0, 3, 2, 4]])
    steps = lstm_reference(model.embedding(tokens), LstmWeights.of(model.network))
    hidden = torch.stack([step.hidden_state for step in steps], dim=1)
    expected = (hidden @ model.softmax.head.weight.T).log_softmax(2)
    torch.testing.assert_close(model.log_probs(tokens)[0], expected)


def test_the_state_carries_a_sentence_on():
    model = tiny_model(7)
    tokens = torch.randint(7, (3, 9))
    whole, (hidden, cell) = model.log_probs(tokens)
    first, state = model.log_probs(tokens[:, :4])
    second, last = model.log_probs(tokens[:, 4:], state)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)
    torch.testing.assert_close(last, (hidden, cell))
    assert hidden.shape == cell.shape == (2, 3, 16)


def test_what_follows_changes_nothing_before_it():
    model = tiny_model(7)
    one, other = (model.log_probs(torch.tensor([[0, 2, 3, last]]))[0] for last in (4, 5))
    assert torch.equal(one[:, :3], other[:, :3])
    assert not torch.equal(one[:, 3], other[:, 3])


@settings(max_examples=25)
@given(st.lists(st.lists(st.integers(1, 6), max_size=2 * STEPS + 3), max_size=6))
def test_a_batch_scores_as_its_sentences_do_alone(sentences: list[list[int]]):
    model = tiny_model(7)
    ended = [[*sentence, 0] for sentence in sentences]
    together = token_log_probs(model, ended)
    assert [len(row) for row in together] == [len(sentence) for sentence in ended]
    for sentence, row in zip(ended, together, strict=True):
        with torch.no_grad():
            log_probs = model.log_probs(torch.tensor([[0, *sentence[:-1]]]))[0][0]
        expected = log_probs[torch.arange(len(sentence)), torch.tensor(sentence)]
        np.testing.assert_allclose(row, expected, atol=1e-5)


def test_more_sentences_than_are_scored_at_a_time_keep_their_order():
    rng = np.random.default_rng(1)
    sentences = [[*rng.integers(1, 7, rng.integers(0, 20)), 0] for _ in range(2 * ROWS + 5)]
    model = tiny_model(7)
    for sentence, row in zip(sentences, token_log_probs(model, sentences), strict=True):
        np.testing.assert_allclose(row, token_log_probs(model, [sentence])[0], atol=1e-5)


@pytest.mark.parametrize("key", ["embedding", "hidden", "layers"])
def test_sizes_change_the_weights(key: str):
    shapes = {
        tuple(tuple(p.shape) for p in tiny_model(7, config).parameters())
        for config in (TINY, LmConfig(**{**vars(TINY), key: 2 * getattr(TINY, key)}))
    }
    assert len(shapes) == 2


def test_dropout_acts_in_training_only():
    model = tiny_model(7, LmConfig(**{**vars(TINY), "dropout": 0.5}))
    tokens = torch.tensor([[0, 2, 3]])
    assert torch.equal(model.log_probs(tokens)[0], model.log_probs(tokens)[0])
    model.train()
    assert not torch.equal(model.log_probs(tokens)[0], model.log_probs(tokens)[0])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("vocabulary_size", 0),
        ("embedding", 0),
        ("layers", 0),
        ("hidden", 15),
        ("dropout", 1.0),
        ("batch_tokens", 1),
        ("epoch_words", 0),
        ("unit", "phone"),
    ],
)
def test_values_that_are_refused(key: str, value: object):
    with pytest.raises(ConfigError, match=f"lm.{key} is .*allowed: "):
        config_from_dict({"lm": {key: value}})


def test_encoding():
    assert WORDS.encode(["CAT", "DOG", "<unk>", "THE"]) == [3, 1, 1, 2, 0]
    assert WORDS.split("  THE\tCAT ") == ["THE", "CAT"]
    assert CHARACTERS.split(" A  'B ") == ["A", "<space>", "'", "B"]
    assert CHARACTERS.encode(CHARACTERS.split("A B")) == [3, 2, 4, 0]


def test_where_words_end():
    assert WORDS.word_ends(np.array([2, 1, 0, 3, 0])).tolist() == [True, True, False, True, False]
    ids = np.array([3, 2, 4, 3, 0, 1, 0])  # A BA, and something unknown
    assert CHARACTERS.word_ends(ids).nonzero()[0].tolist() == [1, 4, 6]
    without_space = LmVocabulary(("</s>", "<unk>", "A"), "character")
    assert without_space.word_ends(np.array([2, 2, 0, 2, 0])).sum() == 2


@pytest.mark.parametrize("vocabulary", [WORDS, CHARACTERS])
def test_vocabulary_round_trip(tmp_path: Path, vocabulary: LmVocabulary):
    vocabulary.save(tmp_path / "tokens.txt")
    assert LmVocabulary.load(tmp_path / "tokens.txt", vocabulary.unit) == vocabulary


@pytest.mark.parametrize(
    "content",
    [b"", b"</s>\n<unk>\n", b"<unk>\n</s>\nA\n", b"<blank>\nA\nB\n", b"</s>\n<unk>\nA\nA\n"],
)
def test_a_vocabulary_of_something_else(tmp_path: Path, content: bytes):
    (tmp_path / "tokens.txt").write_bytes(content)
    with pytest.raises(LanguageModelError, match=r"tokens\.txt: begins with .*asr-lm train-lstm"):
        LmVocabulary.load(tmp_path / "tokens.txt", "word")


def test_a_vocabulary_that_cannot_be_read(tmp_path: Path):
    (tmp_path / "bytes.txt").write_bytes(b"\xff")
    for name in ("bytes.txt", "none.txt"):
        with pytest.raises(LanguageModelError, match=f"{name}: not a token file"):
            LmVocabulary.load(tmp_path / name, "word")


@pytest.mark.parametrize("vocabulary", [WORDS, CHARACTERS])
def test_perplexity_follows_from_the_scores(
    tmp_path: Path, vocabulary: LmVocabulary, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(asr.lm.neural, "SENTENCES_AT_ONCE", 2)
    model = save_experiment(tmp_path, vocabulary)
    sentences = [vocabulary.split(text) for text in ("THE CAT SAT", "CAT", "A 'B")]
    found = lstm_perplexity(*load_lstm(tmp_path), sentences)
    rows = token_log_probs(model, [vocabulary.encode(sentence) for sentence in sentences])
    assert found.perplexity == pytest.approx(math.exp(-sum(row.sum() for row in rows) / (6 + 3)))
    assert (found.sentences, found.words) == (3, 6)
    assert found.oov == {"word": 2, "character": 4}[vocabulary.unit]  # A 'B; THE CAT SAT CAT


@pytest.mark.parametrize(
    ("vocabulary", "lacked"), [(WORDS, [1, 3]), (CHARACTERS, [0, 1, 2, 3, 6, 7, 8])]
)
def test_words_that_the_model_lacks_are_told_apart(
    tmp_path: Path, vocabulary: LmVocabulary, lacked: list[int]
):
    model = save_experiment(tmp_path, vocabulary)
    text = {"word": "CAT DOG SAT B", "character": "CAT A AXE"}[vocabulary.unit]
    found = lstm_perplexity(model, vocabulary, [vocabulary.split(text)])
    (row,) = token_log_probs(model, [vocabulary.encode(vocabulary.split(text))])
    assert found.oov == 2
    assert found.oov_log_prob == pytest.approx(sum(row[i] for i in lacked))
    assert found.log_prob == pytest.approx(sum(row))


def test_perplexity_of_nothing(tmp_path: Path):
    save_experiment(tmp_path, WORDS)
    with pytest.raises(LanguageModelError, match="no sentence"):
        lstm_perplexity(*load_lstm(tmp_path), [])


def test_experiments_that_cannot_be_loaded(tmp_path: Path):
    with pytest.raises(CheckpointError, match=r"config\.json: cannot be read.*give the --out"):
        load_lstm(tmp_path / "none")
    save_experiment(tmp_path / "exp", WORDS)
    weights = next((tmp_path / "exp" / "best").glob("model-*"))
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1])
    with pytest.raises(CheckpointError, match="damaged"):
        load_lstm(tmp_path / "exp")
    weights.unlink()
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_lstm(tmp_path / "exp")
    weights.write_bytes(whole)
    LmVocabulary((*WORDS.tokens, "MAT"), "word").save(tmp_path / "exp" / "tokens.txt")
    with pytest.raises(CheckpointError, match=r"does not fit config\.json in \['embedding"):
        load_lstm(tmp_path / "exp")


def test_an_acoustic_model_is_no_language_model(tmp_path: Path):
    create_experiment(tmp_path, Config(), Vocabulary.from_texts(["A B"]))
    with pytest.raises(LanguageModelError, match=r"tokens\.txt: begins with \('<blank>'"):
        load_lstm(tmp_path)


def test_a_configuration_of_any_size_takes_no_memory(tmp_path: Path):
    save_experiment(tmp_path, WORDS)
    config = json.loads((tmp_path / "config.json").read_text())
    config["lm"] |= {"layers": 64, "hidden": 16_384, "embedding": 16_384}  # half a terabyte
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=r"does not fit config\.json"):
        load_lstm(tmp_path)

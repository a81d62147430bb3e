"""An LSTM that rescores, in numpy: the probabilities of torch's, its file, and where it is used."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from tiny_lstm import CHARACTERS, TINY, WORDS, save_experiment, tiny_model

import asr.lm.lstm_scorer
from asr.cli.lm import main
from asr.config import LmConfig
from asr.errors import CheckpointError, LanguageModelError
from asr.lm.lstm_arrays import LstmArrays
from asr.lm.lstm_scorer import LstmScorer
from asr.lm.neural import LstmLanguageModel, token_log_probs
from asr.lm.vocabulary import LmVocabulary

LISTS = st.lists(st.lists(st.sampled_from(["THE", "CAT", "SAT", "DOG"]), max_size=12), max_size=8)


def expected(model: LstmLanguageModel, vocabulary: LmVocabulary, texts: list[str]) -> list[float]:
    sentences = [vocabulary.encode(vocabulary.split(text)) for text in texts]
    return [float(row.sum()) for row in token_log_probs(model, sentences)]


@settings(max_examples=30, deadline=None)
@given(LISTS, st.sampled_from([1, 2]), st.sampled_from([WORDS, CHARACTERS]))
def test_scores_are_those_of_torch(lists: list[list[str]], layers: int, vocabulary: LmVocabulary):
    config = LmConfig(**{**vars(TINY), "layers": layers, "unit": vocabulary.unit})
    model = tiny_model(len(vocabulary), config)
    texts = [" ".join(words)[:30] for words in lists]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(asr.lm.lstm_scorer.LONGEST_HISTORY, "word", 20)
        found = LstmScorer(LstmArrays.of(model, vocabulary)).score(texts)
    assert found == pytest.approx(expected(model, vocabulary, texts), abs=1e-4)


@pytest.mark.parametrize("size", [3, 4, 5, 12, 40])
def test_each_class_of_the_softmax(size: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(asr.lm.neural, "SHORTLISTS", (4, 11))  # classes begin at these ranks
    model = tiny_model(size)
    arrays = LstmArrays.of(model, WORDS)
    behind = arrays.read(np.array([2]), arrays.start)
    hidden = np.repeat(behind[:, -1, 0], size, axis=0)
    found = arrays.log_probs(hidden, np.arange(size))
    with torch.no_grad():
        of_torch = model.log_probs(torch.tensor([[2]]))[0][0, 0]
    np.testing.assert_allclose(found, of_torch, atol=1e-5)
    assert np.exp(found).sum() == pytest.approx(1, abs=1e-5)


def test_histories_that_end_alike_share_what_the_first_one_knows(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(asr.lm.lstm_scorer.LONGEST_HISTORY, "word", 2)
    model = tiny_model(len(WORDS))
    scorer = LstmScorer(LstmArrays.of(model, WORDS))
    texts = ["THE CAT SAT", "CAT CAT SAT"]
    first, second = scorer.score(texts)
    exact = expected(model, WORDS, texts)
    assert first == pytest.approx(exact[0], abs=1e-5)
    assert second != pytest.approx(exact[1], abs=1e-5)
    # Behind CAT SAT both know the same, though other words came before.
    rows = token_log_probs(model, [WORDS.encode(text.split()) for text in texts])
    shared = sum(rows[1][:3]) + sum(rows[0][3:])
    assert second == pytest.approx(shared, abs=1e-5)
    assert scorer.score(texts[::-1])[0] == pytest.approx(exact[1], abs=1e-5)


def test_words_that_the_model_lacks_share_the_probability_of_unk():
    arrays = LstmArrays.of(tiny_model(len(WORDS)), WORDS)
    alone = LstmScorer(arrays)
    texts = ["THE CAT", "A CAT", "A DOG"]
    among = LstmScorer(arrays, ["THE", "CAT", "A", "DOG", "DOG", "MAT"])  # A, DOG, MAT are lacking
    shares = np.array([0, 1, 2]) * math.log(3)
    assert among.score(texts) == pytest.approx(np.array(alone.score(texts)) - shares)
    total = sum(math.exp(among.score([word])[0]) for word in ("A", "DOG", "MAT"))
    assert total == pytest.approx(math.exp(alone.score(["A"])[0]))
    assert LstmScorer(arrays, ["THE"]).score(texts) == alone.score(texts)


def test_no_text_and_no_words():
    model = tiny_model(len(WORDS))
    scorer = LstmScorer(LstmArrays.of(model, WORDS))
    assert scorer.score([]) == []
    assert scorer.score(["", ""]) == pytest.approx(2 * expected(model, WORDS, [""]))


@pytest.mark.parametrize("vocabulary", [WORDS, CHARACTERS])
def test_a_file_of_8_bits_says_nearly_the_same(tmp_path: Path, vocabulary: LmVocabulary):
    save_experiment(tmp_path / "exp", vocabulary)
    whole = LstmArrays.load(tmp_path / "exp")
    out = tmp_path / "lstm.npz"
    assert main(["convert", str(tmp_path / "exp"), "--out", str(out)]) == 0
    small = LstmArrays.load(out)
    assert small.vocabulary == whole.vocabulary
    for name, weight in whole.weights.items():
        coarse = np.abs(weight).max(axis=-1, keepdims=True) / 127 if weight.ndim == 2 else 0.0
        assert (np.abs(small.weights[name] - weight) <= coarse * 0.501).all()
    texts = ["THE CAT SAT", "A 'B"]
    assert LstmScorer(small).score(texts) == pytest.approx(LstmScorer(whole).score(texts), rel=0.01)


def test_a_file_that_is_none(tmp_path: Path):
    save_experiment(tmp_path / "exp", WORDS)
    path = tmp_path / "lstm.npz"
    LstmArrays.load(tmp_path / "exp").save(path)
    whole = path.read_bytes()
    stored = dict(np.load(path))
    lacking = {k: v for k, v in stored.items() if k != "softmax.head.weight"}
    narrow = {**stored, "network.weight_hh_l0": stored["network.weight_hh_l0"][:, :-1]}
    fewer = {**stored, "tokens": stored["tokens"][:-4]}
    for content in (b"", b"PK", whole[:-100], whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(LanguageModelError, match=r"lstm\.npz: not an LSTM language model"):
            LstmArrays.load(path)
    for arrays in (lacking, narrow, fewer):
        np.savez(path, **arrays)
        with pytest.raises(LanguageModelError, match=r"lstm\.npz: not an LSTM language model"):
            LstmArrays.load(path)
    with pytest.raises(LanguageModelError, match="No such file"):
        LstmArrays.load(tmp_path / "none.npz")
    with pytest.raises(CheckpointError, match=r"config\.json: cannot be read"):
        LstmArrays.load(tmp_path)


def test_a_file_cannot_run_code(tmp_path: Path):
    path = tmp_path / "lstm.npz"
    np.savez(path, tokens=np.array([print], object), unit=np.zeros(1))
    with pytest.raises(LanguageModelError, match="allow_pickle"):
        LstmArrays.load(path)


def test_where_it_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    save_experiment(tmp_path / "exp", WORDS)
    assert main(["convert", str(tmp_path / "exp"), "--out", str(tmp_path / "a.bin")]) == 2
    assert "a.bin; an LSTM is written as .npz: name it lstm.npz" in capsys.readouterr().err
    (tmp_path / "file").touch()
    assert main(["convert", str(tmp_path / "exp"), "--out", str(tmp_path / "file/a.npz")]) == 2
    assert "a.npz: cannot be written (" in capsys.readouterr().err

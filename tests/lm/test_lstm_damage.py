"""An LSTM language model is data: no file crashes rescoring, or floods the memory."""

import io
from pathlib import Path

import numpy as np
import pytest
from damage import damaged_npz, outcomes

from asr.errors import LanguageModelError
from asr.lm import LstmArrays, LstmScorer

SEEDS = 1000


def stored(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of the tiny model, saved as a file."""
    from tiny_lstm import WORDS, tiny_model  # torch, which the child need not import

    LstmArrays.of(tiny_model(len(WORDS)), WORDS).save(path)
    return dict(np.load(io.BytesIO(path.read_bytes())))


def attempt(seed: int, folder: Path) -> bool:
    """Read a damaged model and score with it, unless it is refused."""
    random = np.random.default_rng(seed)
    path = folder / "lstm.npz"
    path.write_bytes(damaged_npz((folder / "whole.npz").read_bytes(), random))
    try:
        with np.errstate(all="ignore"):
            scorer = LstmScorer.load(path)
    except LanguageModelError:
        return False
    scores = scorer.score(["THE CAT SAT", "CAT", "", "A THE THE"])
    assert np.isfinite(scores).all()
    return True


def test_no_damage_crashes_rescoring(tmp_path: Path):
    stored(tmp_path / "whole.npz")
    found = outcomes(attempt, tmp_path, SEEDS)
    assert found.total() == SEEDS
    assert found[False] > SEEDS / 4 and found[True] > SEEDS / 20


def test_arrays_that_break_a_rule(tmp_path: Path):
    path = tmp_path / "lstm.npz"
    arrays = stored(path)
    scale, name = arrays["embedding.weight.scale"], "embedding.weight.scale"
    rules = [
        ({name: scale.T.repeat(100, 1)}, "has scales of shape"),  # an outer product floods
        ({name: scale * np.nan}, "has a weight that is not within 10000"),
        ({"network.bias_ih_l0": arrays["network.bias_ih_l0"] + 1e9}, "not within 10000"),
        ({"network.bias_ih_l0": arrays["network.bias_ih_l0"][:1]}, "do not fit together"),
        ({"more": scale}, "do not fit together"),
        ({"unit": np.frombuffer(b"phone", np.uint8)}, "unit is 'phone'"),
    ]
    for change, message in rules:
        np.savez(path, **{**arrays, **change})
        with pytest.raises(LanguageModelError, match=message):
            LstmArrays.load(path)


def test_a_packed_file_may_not_be_larger_unpacked(tmp_path: Path):
    path = tmp_path / "lstm.npz"
    np.savez_compressed(path, **{**stored(path), "more": np.zeros(2**22, np.uint8)})
    with pytest.raises(LanguageModelError, match=r"it unpacks to .* allowed: 1000 of"):
        LstmArrays.load(path)

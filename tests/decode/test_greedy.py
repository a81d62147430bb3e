"""Best-path decoding: hand cases, and a collapse written another way."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from asr.decode.greedy import best_path


def log_probs_of(path: list[int], vocabulary: int = 4) -> np.ndarray:
    """Return (T, V) log-probabilities whose best path is the one given."""
    scores = np.full((len(path), vocabulary), 0.1, dtype=np.float32)
    scores[np.arange(len(path)), path] = 0.7
    return np.log(scores)


@pytest.mark.parametrize(
    ("path", "tokens"),
    [
        ([], []),
        ([0], []),
        ([0, 0, 0], []),
        ([1], [1]),
        ([1, 1, 1], [1]),
        ([1, 0, 1], [1, 1]),
        ([1, 2, 2, 0, 0, 2, 3, 3, 1], [1, 2, 2, 3, 1]),
        ([0, 3, 0, 0, 3, 0], [3, 3]),
    ],
)
def test_by_hand(path: list[int], tokens: list[int]):
    assert best_path(log_probs_of(path)) == tokens


@given(st.lists(st.integers(0, 3), max_size=30))
def test_equals_a_collapse_by_pairs(path: list[int]):
    before = [0, *path[:-1]]
    naive = [now for now, last in zip(path, before, strict=False) if now not in (0, last)]
    assert best_path(log_probs_of(path)) == naive


@given(st.lists(st.integers(1, 3), max_size=20))
def test_blanks_between_all_tokens_keep_them_all(tokens: list[int]):
    path = [x for token in tokens for x in (0, token, token)]
    assert best_path(log_probs_of(path)) == tokens


@pytest.mark.parametrize("shape", [(4,), (1, 5, 4)])
def test_wrong_axes(shape: tuple[int, ...]):
    with pytest.raises(ValueError, match=rf"log_probs has {len(shape)} axes; it must be \(T, V\)"):
        best_path(np.zeros(shape, dtype=np.float32))

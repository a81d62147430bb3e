"""Windows with context, whose parts join to the whole; segments that end in pauses."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, strategies as st

from asr.segmentation import Segmenter, quietest, windows

FRAME = 10  # samples; at 1000 Hz, 10 ms


def fake_acoustics(num_tokens: int = 3) -> SimpleNamespace:
    return SimpleNamespace(sample_rate_hz=1000, frame_shift_ms=10.0, vocabulary=[""] * num_tokens)


def frames_of(waveform: np.ndarray) -> np.ndarray:
    """As a model's frames: one for each FRAME samples begun, and one at a whole end; its number."""
    return waveform[::FRAME] if len(waveform) % FRAME else np.append(waveform[::FRAME], np.nan)


@given(
    st.lists(st.integers(1, 400), min_size=1, max_size=20),
    st.integers(2, 40),
    st.integers(0, 10),
    st.integers(0, 2**32 - 1),
)
def test_parts_join_to_the_frames_of_the_whole(
    sizes: list[int], longest: int, context: int, seed: int
):
    rng = np.random.default_rng(seed)
    blocks = [rng.standard_normal(size).astype(np.float32) for size in sizes]
    cut = list(windows(fake_acoustics(), blocks, window_s=longest / 100, context_s=context / 100))
    joined = np.concatenate([window.part(frames_of(window.waveform)) for window in cut])
    np.testing.assert_array_equal(joined, frames_of(np.concatenate(blocks)))
    for window in cut[:-1]:
        assert window.end - window.first <= longest
        assert len(window.waveform) == (window.end + context) * FRAME
    for window in cut:
        assert window.first <= context
    assert len(cut[-1].waveform) <= (longest + 2 * context) * FRAME


def test_all_but_the_first_window_have_the_context_before_them():
    blocks = [np.arange(10_000, dtype=np.float32)]
    cut = list(windows(fake_acoustics(), blocks, window_s=1.0, context_s=0.2))
    assert len(cut) > 5
    assert [window.first for window in cut] == [0] + [20] * (len(cut) - 1)


def test_a_short_recording_is_one_window_and_nothing_is_none():
    short = np.ones(1200, np.float32)
    (window,) = windows(fake_acoustics(), [short], window_s=1.0, context_s=0.2)
    assert window.waveform is not None
    assert (len(window.waveform), window.first, window.end) == (1200, 0, None)
    assert not list(windows(fake_acoustics(), []))


def test_cut_falls_into_the_pause():
    waveform = np.ones(1000, np.float32)
    waveform[600:700] = 0
    assert 61 <= quietest(waveform, FRAME) <= 70
    long = np.tile(waveform, 3)
    first, *_ = windows(fake_acoustics(), [long], window_s=1.0, context_s=0.2)
    assert 61 <= first.end <= 70


def spoken(text: str) -> np.ndarray:
    """Log-probabilities of 10 ms frames: . is a blank, - a doubtful one, others are tokens."""
    kinds = {".": [0.9, 0.05, 0.05], "-": [0.5, 0.25, 0.25]}
    probs = [kinds.get(kind, [0.1, 0.8, 0.1]) for kind in text]
    return np.log(np.array(probs, np.float32).reshape(-1, 3))


def segments_of(text: str, cuts: list[int]) -> list[int]:
    segmenter = Segmenter(fake_acoustics())
    parts = np.split(spoken(text), cuts)
    lengths = [len(segment) for part in parts for segment in segmenter.add(part)]
    return [*lengths, len(segmenter.held)]


def test_a_segment_ends_within_a_pause_of_a_second():
    text = "." * 300 + "a" + "." * 99 + "a" + "." * 100 + "a..."
    assert segments_of(text, []) == [300 + 101 + 50, 50 + 4]


def test_a_long_segment_ends_in_a_breath():
    text = "a" * 1400 + "." * 99 + "a" + "." * 29 + "a" * 100 + "-" * 30 + "a" * 100
    assert segments_of(text, []) == [1400 + 99 + 1 + 29 + 100 + 15, 15 + 100]


def test_a_segment_without_a_breath_ends_at_a_blank_all_the_same():
    text = "a" * 2980 + "-" * 5 + "." + "a" * 2500
    assert segments_of(text, []) == [2986, 2500]


@given(st.text("a.", max_size=40), st.lists(st.integers(0, 8000), max_size=5))
def test_segments_do_not_depend_on_how_frames_arrive(pattern: str, cuts: list[int]):
    text = "".join(c * (60 + 37 * (i % 5)) for i, c in enumerate(pattern))
    lengths = segments_of(text, [])
    assert segments_of(text, sorted(cuts)) == lengths
    assert sum(lengths) == len(text)
    assert max(lengths) <= 3000


@pytest.mark.parametrize("seconds", [40, 400])
def test_memory_is_that_of_a_window(seconds: int):
    blocks = (np.ones(1000, np.float32) for _ in range(seconds))
    cut = windows(fake_acoustics(), blocks, window_s=10.0, context_s=2.0)
    assert max(len(window.waveform) for window in cut) <= 14_000

"""Recordings to transcripts, with the model of the smoke recipe."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given
from hypothesis import strategies as st

import asr
from asr.errors import AudioError, CheckpointError
from asr.manifest import Utterance, read_manifest
from asr.recognize import Recognizer, pieces, quietest


@pytest.fixture(scope="module")
def model(smoke: Path) -> Recognizer:
    return asr.load_model(smoke / "exp")


@pytest.fixture(scope="module")
def spoken(smoke: Path) -> list[Utterance]:
    return read_manifest(smoke / "data" / "test.jsonl")


def test_path_bytes_and_stream_give_the_text(model: Recognizer, spoken: list[Utterance]):
    for utterance in spoken[:5]:
        content = utterance.audio.read_bytes()
        for source in (utterance.audio, str(utterance.audio), content, io.BytesIO(content)):
            assert model.transcribe(source).text == utterance.text


@pytest.mark.parametrize(
    ("suffix", "rate_hz", "subtype"),
    [
        ("wav", 44_100, "PCM_24"),
        ("flac", 48_000, "PCM_16"),
        ("ogg", 16_000, "OPUS"),
        ("mp3", 22_050, "MPEG_LAYER_III"),
        ("aiff", 16_000, "FLOAT"),
    ],
)
def test_formats_rates_and_channels(
    smoke: Path, tmp_path: Path, suffix: str, rate_hz: int, subtype: str
):
    model = asr.load_model(smoke / "exp")
    spoken = read_manifest(smoke / "data" / "test.jsonl")[0]
    waveform, _ = soundfile.read(spoken.audio)
    stereo = np.stack([soxr.resample(waveform, 16_000, rate_hz)] * 2, axis=1)
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, stereo, rate_hz, subtype=subtype)
    transcript = model.transcribe(path)
    assert transcript.text == spoken.text
    assert any("channels" in warning for warning in transcript.warnings)
    assert any("resampled" in warning for warning in transcript.warnings) == (rate_hz != 16_000)


def test_long_recording_is_the_sum_of_its_parts(
    model: Recognizer, spoken: list[Utterance], tmp_path: Path
):
    quiet = 0.005 * np.random.default_rng(0).standard_normal(8000)
    sounds = [sound for u in spoken for sound in (soundfile.read(u.audio)[0], quiet)]
    waveform = np.concatenate(sounds)
    assert len(waveform) > 60 * 16_000  # several pieces
    soundfile.write(tmp_path / "long.wav", waveform, 16_000)
    transcript = model.transcribe(tmp_path / "long.wav")
    assert transcript.duration == pytest.approx(len(waveform) / 16_000)
    assert transcript.text.split() == [word for u in spoken for word in u.text.split()]


def test_silence_has_no_text(model: Recognizer, tmp_path: Path):
    noise = 1e-4 * np.random.default_rng(0).uniform(-1, 1, 32_000)
    soundfile.write(tmp_path / "noise.wav", noise, 16_000, subtype="FLOAT")
    soundfile.write(tmp_path / "zeros.wav", np.zeros(16_000 * 70), 16_000)
    for name in ("noise.wav", "zeros.wav"):
        transcript = model.transcribe(tmp_path / name)
        assert transcript.text == ""
        assert any("silence" in warning for warning in transcript.warnings)


def test_log_probs_are_probabilities(model: Recognizer, spoken: list[Utterance]):
    waveform = soundfile.read(spoken[0].audio, dtype="float32")[0]
    log_probs = model.acoustics.log_probs(waveform)
    frames = -(-(1 + len(waveform) // 160) // 3)
    assert log_probs.shape == (frames, len(model.acoustics.vocabulary))
    np.testing.assert_allclose(np.exp(log_probs).sum(1), 1, atol=1e-5)


def test_bad_recording_and_bad_model(model: Recognizer, tmp_path: Path):
    with pytest.raises(AudioError, match="empty"):
        model.transcribe(b"")
    with pytest.raises(CheckpointError, match=r"config\.json"):
        asr.load_model(tmp_path)


@given(
    st.lists(st.integers(1, 400), min_size=1, max_size=20),
    st.integers(100, 300),
    st.integers(0, 2**32 - 1),
)
def test_pieces_join_to_the_whole_and_are_short(sizes: list[int], longest: int, seed: int):
    rng = np.random.default_rng(seed)
    blocks = [rng.standard_normal(size).astype(np.float32) for size in sizes]
    cut = list(pieces(iter(blocks), 100, longest / 100))
    assert np.array_equal(np.concatenate(cut), np.concatenate(blocks))
    assert all(0 < len(piece) <= longest for piece in cut)


def test_cut_falls_into_the_pause():
    waveform = np.ones(1000, np.float32)
    waveform[600:700] = 0
    assert quietest(waveform, 100) == 650

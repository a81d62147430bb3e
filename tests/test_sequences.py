"""Frames from files: read as written, learned, recognised; other files are refused."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from asr.config import Config, FeaturesConfig, config_from_dict
from asr.data import Frames
from asr.errors import ConfigError, FramesError
from asr.features import Mfcc
from asr.inference import open_acoustics
from asr.manifest import Utterance
from asr.model import AcousticModel
from asr.sequences import read_frames

FEATURES = FeaturesConfig(
    filterbank="none", num_mels=3, num_ceps=3, deltas=0, normalize="none", frame_shift_ms=10
)
FRAMES = np.arange(24, dtype=np.float32).reshape(8, 3)


def saved(folder: Path, array: np.ndarray, **changes: object) -> Utterance:
    np.save(folder / "pen.npy", array)
    fields = {"id": "pen", "audio": folder / "pen.npy", "duration": 0.08, "text": "UP"} | changes
    return Utterance(**fields)  # type: ignore[arg-type]


def test_frames_are_those_of_the_file(tmp_path: Path):
    for array in (FRAMES, FRAMES.astype(np.float64), np.asfortranarray(FRAMES)):
        read = read_frames(saved(tmp_path, array), FEATURES)
        assert read.dtype == np.float32
        assert np.array_equal(read, FRAMES)


def test_start_and_duration_choose_rows(tmp_path: Path):
    piece = read_frames(saved(tmp_path, FRAMES, start=0.02, duration=0.03), FEATURES)
    assert np.array_equal(piece, FRAMES[2:5])


def test_the_network_reads_them_unchanged(tmp_path: Path):
    utterance = saved(tmp_path, FRAMES)
    log_mel = Frames(Config(features=FEATURES))(utterance, 1.0)
    assert torch.equal(log_mel, torch.from_numpy(FRAMES))
    features = Mfcc(FEATURES).from_log_mel(log_mel[None], torch.tensor([8]))
    assert torch.equal(features[0], torch.from_numpy(FRAMES))


def changed(row: int, column: int, value: float) -> np.ndarray:
    array = FRAMES.copy()
    array[row, column] = value
    return array


@pytest.mark.parametrize(
    ("array", "complaint"),
    [
        (FRAMES[0], "an array of shape (3,) and type float32"),
        (FRAMES[None], "an array of shape (1, 8, 3) and type float32"),
        (FRAMES.astype(np.int64), "an array of shape (8, 3) and type int64"),
        (FRAMES.astype(object), "an array of shape (8, 3) and type object"),
        (FRAMES[:, :2], "frames have 2 values, features.num_mels is 3"),
        (FRAMES[:0], "holds no frames"),
        (changed(4, 1, np.nan), "value 1 of frame 4 is nan; allowed: -10000..10000"),
        (changed(0, 2, np.inf), "value 2 of frame 0 is inf; allowed: -10000..10000"),
        (changed(7, 0, -2e4), "value 0 of frame 7 is -20000.0; allowed: -10000..10000"),
    ],
)
def test_other_arrays_are_refused(array: np.ndarray, complaint: str, tmp_path: Path):
    with pytest.raises(FramesError) as raised:
        read_frames(saved(tmp_path, array), FEATURES)
    path = tmp_path / "pen.npy"
    assert str(raised.value) == f"{path}: {complaint}; save float32 (frames, width) by numpy.save"


def test_damaged_files_are_refused(tmp_path: Path):
    utterance = saved(tmp_path, FRAMES)
    whole = utterance.audio.read_bytes()
    huge = whole.replace(b"(8, 3)", b"(9999999999, 3)")
    for content in (b"", b"RIFF", whole[:50], whole[:-1], whole + b"\0", huge):
        utterance.audio.write_bytes(content)
        with pytest.raises(FramesError, match=r"pen.npy: .*; save float32"):
            read_frames(utterance, FEATURES)
    utterance.audio.unlink()
    with pytest.raises(FramesError, match=r"No such file"):
        read_frames(utterance, FEATURES)


def test_more_frames_than_the_file_has(tmp_path: Path):
    utterance = saved(tmp_path, FRAMES, start=0.01)
    with pytest.raises(
        FramesError, match=r"has 8 frames, and the manifest asks for 8 from frame 1"
    ):
        read_frames(utterance, FEATURES)


def test_frames_and_recordings_are_not_mixed(tmp_path: Path):
    utterance = saved(tmp_path, FRAMES)
    with pytest.raises(FramesError, match=r"pen.npy: features.filterbank is 'htk'; 'none' is for"):
        Frames(Config())(utterance, 1.0)
    recording = replace(utterance, audio=tmp_path / "talk.wav")
    with pytest.raises(FramesError, match=r"talk.wav: features.filterbank is 'none'"):
        Frames(Config(features=FEATURES))(recording, 1.0)
    model = AcousticModel(Config(features=FEATURES), 3)
    with pytest.raises(ConfigError, match=r"the model reads files of frames"):
        model.from_waveforms(torch.zeros(1, 1600), torch.tensor([1600]))


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("features", "num_ceps", 2),
        ("augment", "speeds", [0.9, 1.0]),
        ("augment", "freq_warp", 0.1),
        ("augment", "reverb_prob", 0.1),
        ("augment", "noise_prob", 0.1),
        ("augment", "babble_prob", 0.1),
        ("augment", "recorded_prob", 0.1),
        ("augment", "telephone_prob", 0.1),
        ("augment", "band_limit_prob", 0.1),
        ("features", "denoise", True),
        ("features", "dereverberate", True),
    ],
)
def test_settings_for_recordings_are_refused(section: str, key: str, value: object):
    features = {"filterbank": "none", "num_mels": 3, "num_ceps": 3}
    table = {"features": features, "augment": {"noises": "folder"}}
    table[section] = table.get(section, {}) | {key: value}
    with pytest.raises(ConfigError, match=rf"{section}\.{key} is .*features.filterbank 'none'"):
        config_from_dict(table)


SETTINGS = """
[text]
case = "lower"
[features]
filterbank = "none"
num_mels = 2
num_ceps = 2
deltas = 0
normalize = "none"
[model]
unit = "word"
layers = 1
hidden = 16
stack = 2
[data]
max_utterance_s = 1
batch_s = 2
[train]
epochs = 10
learning_rate = 2e-2
warmup_steps = 5
ema_decay = 0.5
processes = 1
"""


@pytest.fixture(scope="module")
def pen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiment of one label a sequence, and its manifest: the sum of a noisy series."""
    from asr.cli.train import main

    folder = tmp_path_factory.mktemp("pen")
    random = np.random.default_rng(0)
    lines = []
    for number in range(80):
        rising = number % 2
        steps = random.normal(1.0 if rising else -1.0, 0.5, (random.integers(10, 30), 2))
        np.save(folder / f"{number}.npy", steps.astype(np.float32))
        line = {"id": f"n{number}", "audio": f"{number}.npy", "duration": len(steps) / 100}
        lines.append(line | {"text": "rises" if rising else "falls"})
    manifest = folder / "all.jsonl"
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "pen.toml").write_text(SETTINGS)
    words = [str(folder / "pen.toml"), "--train", str(manifest), "--valid", str(manifest)]
    assert main([*words, "--out", str(folder / "exp")]) == 0
    return folder


def test_one_label_a_sequence_is_learned_and_evaluated(pen: Path):
    from asr.cli.evaluate import main

    out = pen / "exp" / "test"
    assert main([str(pen / "exp"), str(pen / "all.jsonl"), "--out", str(out)]) == 0
    score = json.loads((out / "score.json").read_text())
    assert score["words"] == 80
    assert score["wer"] <= 0.05


def test_log_probs_are_those_of_the_model(pen: Path):
    acoustics = open_acoustics(pen / "exp")
    utterance = Utterance(id="n0", audio=pen / "0.npy", duration=0.1, text="falls")
    frames = torch.from_numpy(np.load(pen / "0.npy")[:10])
    expected = acoustics.model.from_log_mel(frames[None], torch.tensor([10]))[0][0][0]
    found = acoustics.of_utterance(utterance)
    assert np.allclose(found, expected.detach().numpy(), atol=1e-6)


def test_such_a_model_is_not_exported(pen: Path, capsys: pytest.CaptureFixture[str]):
    from asr.cli.export import main

    assert main([str(pen / "exp"), str(pen / "bundle")]) == 2
    assert "the model reads files of frames (.npy)" in capsys.readouterr().err
    assert not (pen / "bundle" / "bundle.json").exists()

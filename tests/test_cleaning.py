"""What is done to a recording before its features is the same in all that hears or learns."""

from pathlib import Path

import numpy as np
import pytest
import torch
from speech import RATE_HZ, in_a_room, small_config, syllables

from asr.audio import Waveform
from asr.checkpoint import Checkpoint, create_experiment, save_checkpoint
from asr.cli import export
from asr.config import CLEANING
from asr.data import Frames
from asr.denoising import denoised
from asr.dereverberation import dereverberated
from asr.inference import open_acoustics
from asr.manifest import read_manifest
from asr.model import AcousticModel
from asr.text import Vocabulary

VOCABULARY = Vocabulary(("<blank>", " ", "A", "B"))
CHANGES = {"denoise": denoised, "dereverberate": dereverberated}
ALWAYS = {  # bounds with which every recording is changed
    "denoise": {"asr.denoising.LOUD_DB": np.inf, "asr.denoising.SHORTEST_S": 0.0},
    "dereverberate": {
        "asr.dereverberation.ROOM_DB": -200.0,
        "asr.dereverberation.SHORTEST_S": 0.1,
    },
}


def noisy(waveform: Waveform) -> Waveform:
    """The same in loud noise."""
    noise = np.random.default_rng(1).standard_normal(len(waveform))
    return waveform + (0.02 * noise).astype(np.float32)


def test_each_key_is_known():
    assert set(CLEANING) == set(CHANGES)


@pytest.mark.parametrize("key", CLEANING)
def test_a_bundle_and_its_experiment_hear_what_is_left(tmp_path: Path, key: str):
    heard = {"denoise": noisy, "dereverberate": in_a_room}[key](syllables(6))
    found = {}
    for on in (False, True):
        config = small_config(features={key: on}, model={"layers": 1})
        torch.manual_seed(1)
        model, folder = AcousticModel(config, len(VOCABULARY)).eval(), tmp_path / str(on)
        create_experiment(folder, config, VOCABULARY)
        weights = dict(model.named_parameters())
        save_checkpoint(folder / "best", Checkpoint({"model": weights}, {}))
        assert export.main([str(folder), str(tmp_path / f"bundle-{on}")]) == 0
        for name in (folder, tmp_path / f"bundle-{on}"):
            found[name.name] = open_acoustics(name).log_probs
    expected = found["False"](CHANGES[key](heard, RATE_HZ))
    assert np.abs(found["False"](heard) - expected).max() > 0.01
    np.testing.assert_array_equal(found["True"](heard), expected)
    np.testing.assert_allclose(found["bundle-True"](heard), expected, atol=1e-4)


@pytest.mark.parametrize("key", CLEANING)
def test_training_learns_from_what_recognition_hears(
    tones: Path, key: str, monkeypatch: pytest.MonkeyPatch
):
    utterance = read_manifest(tones)[0]
    usual, without = (
        Frames(small_config(features={key: on}, data={"cache": "none"})) for on in (False, True)
    )
    assert usual(utterance, 1.0).equal(without(utterance, 1.0))  # too short, and without noise
    for name, value in ALWAYS[key].items():
        monkeypatch.setattr(name, value)
    assert not usual(utterance, 1.0).equal(without(utterance, 1.0))

"""Augmentation: each key does what it says, and nothing else."""

import math
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor

from asr.augment import DIRECT_DB, Augmenter, mel_band_centres
from asr.config import AugmentConfig, FeaturesConfig
from asr.errors import ConfigError
from asr.features import LOG_OFFSET, Mfcc

FEATURES = FeaturesConfig(num_mels=30)
LENGTHS = torch.tensor([100, 40, 1, 73])


def log_mels() -> Tensor:
    """(4, 100, 30) log-mel frames like those of speech, padding zero."""
    generator = torch.Generator().manual_seed(5)
    frames = 2 * torch.randn(4, 100, 30, generator=generator)
    for row, length in zip(frames, LENGTHS, strict=True):
        row[length:] = 0
    return frames


def augmented(seed: int = 0, frames: Tensor | None = None, **config: object) -> Tensor:
    frames = log_mels() if frames is None else frames
    generator = torch.Generator().manual_seed(seed)
    return Augmenter(AugmentConfig(**config), FEATURES)(frames, LENGTHS, generator)


def spans(hidden: Tensor) -> list[int]:
    """Return the lengths of the runs of true values."""
    text = "".join("x" if value else " " for value in hidden.tolist())
    return [len(run) for run in text.split()]


def test_nothing_asked_for_changes_nothing():
    assert torch.equal(augmented(), log_mels())


EVERYTHING = {
    "freq_warp": 0.2,
    "reverb_prob": 0.5,
    "reverb_fluctuation": 0.5,
    "noise_prob": 0.5,
    "babble_prob": 0.5,
    "telephone_prob": 0.5,
    "band_limit_prob": 0.5,
    "codec_noise": 0.5,
    "freq_masks": 1,
    "time_masks": 1,
}


def test_same_seed_same_result():
    assert torch.equal(augmented(1, **EVERYTHING), augmented(1, **EVERYTHING))
    assert not torch.equal(augmented(1, **EVERYTHING), augmented(2, **EVERYTHING))


def test_padding_stays_zero_and_is_never_read():
    result = augmented(1, **EVERYTHING)
    dirty = log_mels()
    for row, length in zip(dirty, LENGTHS, strict=True):
        row[length:] = 50.0
    from_dirty = augmented(1, dirty, **EVERYTHING)
    for i, length in enumerate(LENGTHS.tolist()):
        assert not result[i, length:].any()
        torch.testing.assert_close(from_dirty[i], result[i])


@pytest.mark.parametrize(
    ("base", "key", "value"),
    [
        ({}, "freq_warp", 0.1),
        ({}, "reverb_prob", 1.0),
        ({"reverb_prob": 1.0}, "reverb_s", (0.1, 0.15)),
        ({"reverb_prob": 1.0}, "reverb_fluctuation", 0.5),
        ({}, "noise_prob", 1.0),
        ({"noise_prob": 1.0}, "noise_snr_db", (0.0, 5.0)),
        ({}, "babble_prob", 1.0),
        ({"babble_prob": 1.0}, "noise_snr_db", (0.0, 5.0)),
        ({}, "telephone_prob", 1.0),
        ({}, "band_limit_prob", 1.0),
        ({"band_limit_prob": 1.0}, "band_limit_hz", (1000.0, 2000.0)),
        ({"band_limit_prob": 1.0}, "codec_noise", 0.5),
        ({}, "freq_masks", 2),
        ({"freq_masks": 2}, "freq_mask_mels", 20),
        ({}, "time_masks", 2),
        ({"time_masks": 2}, "time_mask_ms", 50.0),
        ({"time_masks": 2}, "time_mask_fraction", 0.02),
    ],
)
def test_every_key_changes_the_frames(base: dict[str, object], key: str, value: object):
    assert not torch.equal(augmented(**base), augmented(**base, **{key: value}))


@pytest.mark.parametrize("snr_db", [0.0, 10.0, 20.0])
def test_noise_has_the_energy_asked_for(snr_db: float):
    noisy = augmented(noise_prob=1.0, noise_snr_db=(snr_db, snr_db))
    for before, after, length in zip(log_mels(), noisy, LENGTHS.tolist(), strict=True):
        if length < 40:
            continue  # one frame's noise fluctuates by more than can be measured
        speech = before[:length].double().exp().sum()
        noise = after[:length].double().exp().sum() - speech
        # the fluctuation of the noise (log-normal, 0.4 nats) raises its mean by 0.35 dB
        measured_db = float(10 * torch.log10(speech / noise)) + 0.35
        assert measured_db == pytest.approx(snr_db, abs=0.7)


def test_warping_moves_a_peak_by_at_most_its_share():
    """An energy at band m is found at m / factor; factors reach 1 - and 1 + freq_warp."""
    bands = FEATURES.num_mels
    peak = torch.zeros(400, 3, bands)
    peak[:, :, 20] = 1.0
    peak[:, :, 19] = peak[:, :, 21] = 0.5
    frames = torch.full((400,), 3)
    warped = Augmenter(AugmentConfig(freq_warp=0.25), FEATURES)(
        peak, frames, torch.Generator().manual_seed(0)
    )
    assert torch.equal(warped[:, 0], warped[:, 2])  # the same in all frames of an utterance
    found = warped[:, 0].argmax(1)
    assert 15 <= found.min() <= 17
    assert 25 <= found.max() <= 27
    assert warped.max() <= 1.0


@pytest.mark.parametrize("time_s", [0.2, 0.5])
def test_echoes_come_behind_a_sound_and_fall_by_60_db_in_the_reverberation_time(time_s: float):
    knock = torch.full((300, 100, 30), -60.0)
    knock[:, 10] = 0.0
    heard = Augmenter(AugmentConfig(reverb_prob=1.0, reverb_s=(time_s, time_s)), FEATURES)(
        knock, torch.full((300,), 100), torch.Generator().manual_seed(0)
    )
    torch.testing.assert_close(heard[:, 10], knock[:, 10])  # no echo in its own frame
    fallen_db = (heard[:, 11] - heard[:, 21]) * 10 / math.log(10)  # in 0.1 s, bands alike
    torch.testing.assert_close(fallen_db, torch.full((300, 30), 6 / time_s), rtol=0, atol=0.1)
    echoes_db = 10 * heard[:, 11:, 0].double().exp().sum(1).log10()
    assert DIRECT_DB[0] - 0.1 <= -echoes_db.max() < DIRECT_DB[0] + 0.5
    assert DIRECT_DB[1] - 0.5 < -echoes_db.min() <= DIRECT_DB[1] + 0.1


@pytest.mark.parametrize("key", ["reverb_prob", "noise_prob"])
def test_echoes_and_noise_take_no_energy_away(key: str):
    assert (augmented(**{key: 1.0}) >= log_mels() - 1e-6).all()


def test_probability_is_the_share_of_utterances():
    frames = torch.randn(1000, 2, 30, generator=torch.Generator().manual_seed(0))
    config = AugmentConfig(reverb_prob=0.3, noise_prob=0.3, band_limit_prob=0.3)
    augmenter = Augmenter(config, FEATURES)
    lengths, generator = torch.full((1000,), 2), torch.Generator().manual_seed(0)
    for change in (
        augmenter.reverberate(frames, lengths, generator),
        augmenter.add_noise(frames, lengths, generator),
        augmenter.limit_band(frames, generator),
    ):
        assert (change != frames).any(2).any(1).float().mean() == pytest.approx(0.3, abs=0.05)


def test_band_limit_leaves_the_floor_above_the_cutoff():
    limited = augmented(band_limit_prob=1.0, band_limit_hz=(3400.0, 3400.0))
    above = mel_band_centres(FEATURES) > 3400
    assert 0 < int(above.sum()) < 15
    floor = torch.tensor(LOG_OFFSET).log()
    for before, after, length in zip(log_mels(), limited, LENGTHS.tolist(), strict=True):
        assert (after[:length][:, above] == floor).all()
        assert torch.equal(after[:, ~above], before[:, ~above])


def test_codec_noise_is_below_the_cutoff_and_in_limited_utterances_alone():
    settings = {"band_limit_prob": 1.0, "band_limit_hz": (3400.0, 3400.0)}
    limited, coded = augmented(**settings), augmented(**settings, codec_noise=0.5)
    above = mel_band_centres(FEATURES) > 3400
    for before, after, length in zip(limited, coded, LENGTHS.tolist(), strict=True):
        assert torch.equal(after[:, above], before[:, above])
        change = (after - before)[:length][:, ~above]
        assert 0 < change.std() < 0.5
        assert change.abs().mean(0).gt(0).all()
    without = augmented(band_limit_prob=0.0, codec_noise=0.5)
    assert torch.equal(without, augmented())


def test_band_centres_are_those_of_the_filterbank(torchaudio: ModuleType):
    # a triangle of the HTK scale peaks at its centre: the bank's strongest bin is within half a bin
    bank = torchaudio.functional.melscale_fbanks(2001, 20.0, 8000.0, 30, 16000)
    peaks_hz = bank.argmax(0) * 4.0  # 2001 bins over 8000 Hz
    torch.testing.assert_close(mel_band_centres(FEATURES), peaks_hz, atol=2.1, rtol=0)
    assert Mfcc(FEATURES).filters.shape[1] == 30


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.integers(1, 3))
def test_time_masks_hold_their_widths(seed: int, masks: int):
    limits = {"time_mask_ms": 200.0, "time_mask_fraction": 0.15}
    result = augmented(seed, time_masks=masks, **limits)
    for before, after, length in zip(log_mels(), result, LENGTHS.tolist(), strict=True):
        hidden = (after != before).all(1)
        assert not hidden[length:].any()
        runs = spans(hidden)
        assert len(runs) <= masks
        # at most 20 frames, and the fraction rounded up
        assert sum(runs) <= masks * min(20, int(0.15 * length) + 1)
        assert torch.allclose(after[hidden], before[:length].mean(0), atol=1e-5)


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.integers(1, 3))
def test_frequency_masks_hold_their_widths(seed: int, masks: int):
    result = augmented(seed, freq_masks=masks, freq_mask_mels=5)
    for before, after, length in zip(log_mels(), result, LENGTHS.tolist(), strict=True):
        if length == 1:
            continue  # the mean of one frame is the frame
        hidden = (after != before)[:length].all(0)
        runs = spans(hidden)
        assert len(runs) <= masks
        assert sum(runs) <= masks * 5
        assert torch.equal(after[:, ~hidden], before[:, ~hidden])


def test_masks_reach_their_widest_and_every_place():
    width, seen = 0, torch.zeros(100, dtype=torch.bool)
    for seed in range(200):
        hidden = (augmented(seed, time_masks=1, time_mask_ms=100.0)[0] != log_mels()[0]).all(1)
        width = max(width, int(hidden.sum()))
        seen |= hidden
    assert width == 10
    assert seen.all()


def power(frames: Tensor, length: int) -> Tensor:
    return frames[:length].double().exp().sum()


def noise_folder(folder: Path) -> Path:
    """Write two recordings: a loud tone of 1 kHz, and a quiet noise."""
    times = np.arange(16_000) / 16_000
    noise = np.random.default_rng(1).normal(size=8000)
    soundfile.write(folder / "a.wav", 0.5 * np.sin(2 * np.pi * 1000 * times), 16_000)
    soundfile.write(folder / "b.wav", 0.01 * noise, 16_000)
    return folder


@pytest.mark.parametrize("snr_db", [0.0, 12.0])
def test_babble_and_recorded_noise_have_the_energy_asked_for(tmp_path: Path, snr_db: float):
    recorded = {"recorded_prob": 1.0, "noises": str(noise_folder(tmp_path))}
    for kind in ({"babble_prob": 1.0}, recorded):
        noisy = augmented(**kind, noise_snr_db=(snr_db, snr_db))
        for before, after, length in zip(log_mels(), noisy, LENGTHS.tolist(), strict=True):
            noise = power(after, length) - power(before, length)
            if noise > 1e-6 * power(before, length):  # a short utterance may meet no voice
                measured_db = 10 * torch.log10(power(before, length) / noise)
                assert float(measured_db) == pytest.approx(snr_db, abs=0.01)
            assert length < 40 or noise > 0


def test_recorded_noise_has_the_bands_of_its_recording(tmp_path: Path):
    folder = noise_folder(tmp_path)
    (folder / "b.wav").unlink()
    settings = {"recorded_prob": 1.0, "noises": str(folder), "noise_snr_db": (0.0, 0.0)}
    added = augmented(**settings)[0].exp() - log_mels()[0].exp()
    loudest = int(added.sum(0).argmax())
    assert float(mel_band_centres(FEATURES)[loudest]) == pytest.approx(1000, rel=0.1)


def test_babble_is_made_of_the_batch():
    """Where one utterance alone has a band, the others' babble has it, too."""
    frames = torch.full((4, 100, 30), math.log(LOG_OFFSET))
    frames[:, :, 3] = 0.0
    frames[0, :, 20] = 0.0
    batch = torch.full((4,), 100)
    config = AugmentConfig(babble_prob=1.0, noise_snr_db=(0.0, 0.0))
    heard = Augmenter(config, FEATURES)(frames, batch, torch.Generator().manual_seed(1))
    assert (heard[1:, :, 20].exp().sum(1) > 1).any()
    assert heard[:, :, 10].max() < math.log(1e-3)


def test_a_telephone_passes_a_narrow_band_with_noise_that_follows_the_speech():
    frames = torch.full((500, 2, 30), -10.0)
    frames[:, 0, 10] = 10.0  # a loud frame, and a quiet one
    heard = Augmenter(AugmentConfig(telephone_prob=1.0), FEATURES)(
        frames, torch.full((500,), 2), torch.Generator().manual_seed(1)
    )
    centres = mel_band_centres(FEATURES)
    floor = math.log(LOG_OFFSET)
    assert torch.equal(
        heard[:, :, centres > 4000], torch.full_like(heard[:, :, centres > 4000], floor)
    )
    assert (heard[:, :, (centres > 350) & (centres < 3300)] > -11).all()
    torch.testing.assert_close(heard[:, 0, 10], frames[:, 0, 10], atol=0.05, rtol=0)
    below_db = 10 * torch.log10(heard[:, 0, 10].exp() / (heard[:, 0, 12].exp()))
    below_db -= 10 * math.log10(float((700 + centres[centres <= 4000]).sum() / (700 + centres[12])))
    low, middle, high = below_db.quantile(torch.tensor([0.05, 0.5, 0.95])).tolist()
    assert (low, middle, high) == pytest.approx((21, 30, 39), abs=1.5)  # dB, 20 to 40 evenly
    assert (heard[:, 1, 12] < heard[:, 0, 12] - 5).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"recorded_prob": 0.5}, "there are no recordings"),
        ({"recorded_prob": 0.5, "noises": "gone"}, "No such file"),
        ({"recorded_prob": 0.5, "noises": "."}, "no files"),
    ],
)
def test_noise_that_is_not_there_is_named(tmp_path: Path, settings: dict, message: str):
    if "noises" in settings:
        settings = settings | {"noises": str(tmp_path / settings["noises"])}
    with pytest.raises(ConfigError, match=message):
        augmented(**settings)

"""Golden tests of the front end against librosa, torchaudio and Kaldi, and its batch rules."""

from types import ModuleType

import librosa
import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from asr.config import FeaturesConfig
from asr.features import Mfcc, add_deltas, dct_matrix, normalize

PLAIN = {"deltas": 0, "normalize": "none"}


def noise(length: int, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(1, length, generator=torch.Generator().manual_seed(seed))


def lengths(*values: int) -> torch.Tensor:
    return torch.tensor(values)


@pytest.mark.parametrize("filterbank", ["htk", "slaney"])
def test_equals_librosa(filterbank: str):
    waveform = noise(16000)
    config = FeaturesConfig(num_ceps=20, num_mels=40, filterbank=filterbank, **PLAIN)
    ours, num_frames = Mfcc(config)(waveform, lengths(16000))
    mel = librosa.feature.melspectrogram(
        y=waveform[0].numpy(),
        sr=16000,
        n_fft=512,
        win_length=400,
        hop_length=160,
        n_mels=40,
        fmin=20.0,
        htk=filterbank == "htk",
        norm="slaney" if filterbank == "slaney" else None,
        pad_mode="constant",
    )
    theirs = librosa.feature.mfcc(S=np.log(mel + 1e-6), n_mfcc=20)
    assert num_frames.tolist() == [101]
    np.testing.assert_allclose(ours[0].numpy().T, theirs, atol=2e-3, rtol=1e-4)


def test_equals_kaldi(torchaudio: ModuleType):
    waveform = noise(16000)
    config = FeaturesConfig(num_ceps=13, num_mels=23, filterbank="kaldi", **PLAIN)
    mfcc = Mfcc(config)
    # Kaldi's window is symmetric and its first frame starts at sample 0, ours is centred there.
    mfcc.window = torch.hann_window(400, periodic=False)
    ours, _ = mfcc(waveform, lengths(16000))
    theirs = torchaudio.compliance.kaldi.mfcc(
        torch.nn.functional.pad(waveform, (200, 200)),
        window_type="hanning",
        num_ceps=13,
        num_mel_bins=23,
        dither=0.0,
        preemphasis_coefficient=0.0,
        remove_dc_offset=False,
        cepstral_lifter=0.0,
        low_freq=20.0,
    )
    assert theirs.shape[0] >= 98
    torch.testing.assert_close(ours[0, : len(theirs)], theirs, atol=2e-3, rtol=1e-4)


@pytest.mark.parametrize("rate_hz", [8000, 11_025, 16_000])
@pytest.mark.parametrize("filterbank", ["htk", "slaney"])
def test_equals_torchaudio_bit_by_bit(torchaudio: ModuleType, filterbank: str, rate_hz: int):
    waveform = noise(rate_hz)
    config = FeaturesConfig(sample_rate_hz=rate_hz, filterbank=filterbank, **PLAIN)
    ours, _ = Mfcc(config)(waveform, lengths(rate_hz))
    win_length = round(rate_hz / 40)
    transform = torchaudio.transforms.MFCC(
        rate_hz,
        n_mfcc=13,
        log_mels=True,
        melkwargs={
            "n_fft": 256 if rate_hz == 8000 else 512,
            "win_length": win_length,
            "hop_length": round(rate_hz / 100),
            "f_min": 20.0,
            "f_max": rate_hz / 2,
            "n_mels": 40,
            "mel_scale": filterbank,
            "norm": "slaney" if filterbank == "slaney" else None,
            "pad_mode": "constant",
        },
    )
    assert torch.equal(ours, transform(waveform).transpose(1, 2))


@pytest.mark.parametrize("high_hz", [0.0, 7000.0])
def test_filters_equal_kaldi_bit_by_bit(torchaudio: ModuleType, high_hz: float):
    config = FeaturesConfig(filterbank="kaldi", num_mels=23, high_hz=high_hz)
    theirs, _ = torchaudio.compliance.kaldi.get_mel_banks(
        23, 512, 16_000, 20.0, high_hz or 8000.0, 100, -500, 1
    )
    ours = Mfcc(config).filters
    assert torch.equal(ours[:-1], theirs.T)
    assert not ours[-1].any()  # Kaldi leaves out the bin at half the sample rate


def test_dct_equals_torchaudio_and_is_orthonormal(torchaudio: ModuleType):
    assert torch.equal(dct_matrix(40, 13), torchaudio.functional.create_dct(13, 40, "ortho"))
    square = dct_matrix(40, 40)
    torch.testing.assert_close(square.T @ square, torch.eye(40), atol=1e-5, rtol=0)


def test_deltas_equal_torchaudio_bit_by_bit(torchaudio: ModuleType):
    features = torch.randn(2, 30, 13, generator=torch.Generator().manual_seed(0))
    _, ours = add_deltas(features, lengths(30, 30), 1).chunk(2, dim=2)
    theirs = torchaudio.functional.compute_deltas(features.transpose(1, 2)).transpose(1, 2)
    assert torch.equal(ours, theirs)


def test_deltas_equal_librosa():
    features = torch.randn(1, 30, 13, generator=torch.Generator().manual_seed(0))
    ours = add_deltas(features, lengths(30), 2)
    # HTK's regression over 5 frames is the slope of a straight line fitted to them.
    first = librosa.feature.delta(features[0].numpy().T, width=5, mode="nearest")
    second = librosa.feature.delta(first, width=5, mode="nearest")
    expected = np.concatenate([features[0].numpy().T, first, second]).T
    np.testing.assert_allclose(ours[0].numpy(), expected, atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(1, 6000), min_size=2, max_size=4),
    st.integers(0, 2),
    st.sampled_from(["none", "mean", "mean_variance"]),
)
def test_batch_gives_what_each_gives_alone(sizes: list[int], deltas: int, how: str):
    # in 64 bits, as a variance of two frames that are alike is a matter of rounding in 32
    mfcc = Mfcc(FeaturesConfig(deltas=deltas, normalize=how)).double()
    alone = [noise(size, seed).double() for seed, size in enumerate(sizes)]
    batch = torch.zeros(len(sizes), max(sizes), dtype=torch.float64)
    for row, waveform in zip(batch, alone, strict=True):
        row[: waveform.shape[1]] = waveform[0]
    together, num_frames = mfcc(batch, lengths(*sizes))
    for i, waveform in enumerate(alone):
        single, count = mfcc(waveform, lengths(sizes[i]))
        assert count[0] == num_frames[i]
        torch.testing.assert_close(together[i, : count[0]], single[0], atol=1e-5, rtol=1e-5)
        assert not together[i, count[0] :].any()


def test_normalized_utterance_has_mean_0_and_variance_1():
    features = 5 + 3 * torch.randn(2, 200, 4, generator=torch.Generator().manual_seed(0))
    result = normalize(features, lengths(200, 150), "mean_variance")
    for row, count in zip(result, (200, 150), strict=True):
        torch.testing.assert_close(row[:count].mean(0), torch.zeros(4), atol=1e-5, rtol=0)
        torch.testing.assert_close(row[:count].var(0, correction=0), torch.ones(4))


def test_digital_silence_is_finite():
    features, _ = Mfcc(FeaturesConfig())(torch.zeros(1, 16000), lengths(16000))
    assert torch.isfinite(features).all()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("frame_length_ms", 20.0),
        ("frame_shift_ms", 8.0),
        ("num_mels", 30),
        ("num_ceps", 10),
        ("filterbank", "kaldi"),
        ("low_hz", 100.0),
        ("high_hz", 4000.0),
        ("deltas", 1),
        ("normalize", "mean"),
        ("sample_rate_hz", 8000),
    ],
)
def test_every_key_changes_the_frames(key: str, value: object):
    waveform = noise(8000)
    default, _ = Mfcc(FeaturesConfig())(waveform, lengths(8000))
    changed, _ = Mfcc(FeaturesConfig(**{key: value}))(waveform, lengths(8000))
    assert default.shape != changed.shape or not torch.allclose(default, changed)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_gpu_equals_cpu():
    mfcc, waveform = Mfcc(FeaturesConfig()), noise(8000)
    on_cpu, _ = mfcc(waveform, lengths(8000))
    on_gpu, _ = mfcc.cuda()(waveform.cuda(), lengths(8000).cuda())
    torch.testing.assert_close(on_gpu.cpu(), on_cpu, atol=1e-3, rtol=1e-3)

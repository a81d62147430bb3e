"""MFCC with deltas and normalisation: the one definition of a frame.

waveform -> power spectrum -> mel energies -> log -> DCT -> deltas -> mean and variance of the
utterance removed. The log-mel stage has a door of its own, because augmentation works there.

Frame t is centred on sample t * frame_shift; outside the recording there are zeros, so an utterance
of L samples has 1 + L // frame_shift frames, and padding in a batch changes none of them.
There is no pre-emphasis: it is a fixed gain for each mel band, which the mean removal takes out.

Shapes: N utterances, L samples, T frames, M mel bands, C cepstra, F features. Padded frames are 0.
"""

import torch
from torch import Tensor, nn

from asr._torchaudio import torchaudio
from asr.config import FeaturesConfig

LOG_OFFSET = 1e-6  # torchaudio.transforms.MFCC(log_mels=True): log(energy + 1e-6)
DELTA_WIN = 5  # frames in the regression of a delta, as in HTK and Kaldi
VARIANCE_FLOOR = 1e-5


class Mfcc(nn.Module):
    """Waveforms to normalised MFCC frames; on the CPU or a GPU, wherever the module was moved.

    Source: Davis and Mermelstein 1980; deltas by regression, HTK Book eq. 5.16.
    """

    def __init__(self, config: FeaturesConfig) -> None:
        super().__init__()
        self.config = config
        per_ms = config.sample_rate_hz / 1000
        win_length = round(config.frame_length_ms * per_ms)
        self.hop_length = round(config.frame_shift_ms * per_ms)
        high_hz = config.high_hz or config.sample_rate_hz / 2
        self.mfcc = torchaudio.transforms.MFCC(
            config.sample_rate_hz,
            n_mfcc=config.num_ceps,
            log_mels=True,
            melkwargs={
                "n_fft": 1 << (win_length - 1).bit_length(),
                "win_length": win_length,
                "hop_length": self.hop_length,
                "f_min": config.low_hz,
                "f_max": high_hz,
                "n_mels": config.num_mels,
                "mel_scale": "slaney" if config.filterbank == "slaney" else "htk",
                "norm": "slaney" if config.filterbank == "slaney" else None,
                "center": True,
                "pad_mode": "constant",
            },
        )
        if config.filterbank == "kaldi":
            self._use_kaldi_filterbank(high_hz)

    def _use_kaldi_filterbank(self, high_hz: float) -> None:
        """Replace triangles that are straight over Hz by Kaldi's, straight over mel."""
        config, mel = self.config, self.mfcc.MelSpectrogram
        banks, _ = torchaudio.compliance.kaldi.get_mel_banks(
            config.num_mels, mel.n_fft, config.sample_rate_hz, config.low_hz, high_hz, 100, -500, 1
        )
        mel.mel_scale.fb = nn.functional.pad(banks, (0, 1)).T.contiguous()  # + the Nyquist bin

    def num_frames(self, num_samples: Tensor) -> Tensor:
        """int64 (N,) samples to int64 (N,) frames."""
        return 1 + num_samples // self.hop_length

    def log_mel(self, waveforms: Tensor, num_samples: Tensor) -> tuple[Tensor, Tensor]:
        """Logarithms of mel energies.

        Args:
            waveforms: float (N, L), full scale 1; samples after an utterance's end are zero.
            num_samples: int64 (N,), 1..L.

        Returns:
            float (N, T, M) and the int64 (N,) valid frames of each utterance.
        """
        num_frames = self.num_frames(num_samples)
        energies = self.mfcc.MelSpectrogram(waveforms).transpose(1, 2)  # (N, M, T) -> (N, T, M)
        return mask_frames(torch.log(energies + LOG_OFFSET), num_frames), num_frames

    def from_log_mel(self, log_mel: Tensor, num_frames: Tensor) -> Tensor:
        """(N, T, M) log-mel frames to (N, T, F) features: cepstra, deltas, normalisation."""
        features = log_mel @ self.mfcc.dct_mat  # (N, T, M) -> (N, T, C)
        features = add_deltas(features, num_frames, self.config.deltas)
        return normalize(features, num_frames, self.config.normalize)

    def forward(self, waveforms: Tensor, num_samples: Tensor) -> tuple[Tensor, Tensor]:
        """(N, L) waveforms to (N, T, F) features and the int64 (N,) valid frames of each."""
        log_mel, num_frames = self.log_mel(waveforms, num_samples)
        return self.from_log_mel(log_mel, num_frames), num_frames


def frame_mask(num_frames: Tensor, length: int) -> Tensor:
    """int64 (N,) valid frames to bool (N, length), true where a frame is valid."""
    return torch.arange(length, device=num_frames.device) < num_frames[:, None]


def mask_frames(frames: Tensor, num_frames: Tensor) -> Tensor:
    """Set the padded frames of (N, T, F) to zero."""
    return frames * frame_mask(num_frames, frames.shape[1]).unsqueeze(2)


def mel_warp(factors: Tensor, num_mels: int) -> Tensor:
    """Float (K,) factors to (K, M, M) matrices by which log-mel frames are stretched.

    Frames times a matrix have in band m what was in band m * factor, between two bands linearly
    interpolated, as if the vocal tract were that much longer; above the highest band, that one.
    Linear on mel bands instead of hertz, otherwise the vocal tract length perturbation of Jaitly
    and Hinton 2013.
    """
    bands = torch.arange(num_mels)
    place = (bands * factors[:, None]).clamp(max=num_mels - 1)  # (K, M)
    return (1 - (place[:, None] - bands[:, None]).abs()).clamp(min=0)


def add_deltas(features: Tensor, num_frames: Tensor, order: int) -> Tensor:
    """(N, T, C) to (N, T, C * (1 + order)); an utterance's own edge frames are repeated."""
    if order == 0:
        return features
    time = torch.arange(features.shape[1], device=features.device)
    nearest = torch.minimum(time, num_frames[:, None] - 1)  # (N, T)
    streams = [features]
    for _ in range(order):
        held = streams[-1].gather(1, nearest.unsqueeze(2).expand_as(features))
        delta = torchaudio.functional.compute_deltas(held.transpose(1, 2), DELTA_WIN)
        streams.append(delta.transpose(1, 2))
    return torch.cat(streams, dim=2)


def normalize(features: Tensor, num_frames: Tensor, what: str) -> Tensor:
    """Remove the mean of each feature over the utterance's frames, and divide by its deviation.

    Args:
        features: float (N, T, F).
        num_frames: int64 (N,), at least 1.
        what: 'none', 'mean' or 'mean_variance'.
    """
    if what != "none":
        count = num_frames[:, None, None]
        mean = mask_frames(features, num_frames).sum(1, keepdim=True) / count
        features = features - mean
    if what == "mean_variance":
        squares = mask_frames(features, num_frames).square()
        variance = squares.sum(1, keepdim=True) / count
        features = features / (variance + VARIANCE_FLOOR).sqrt()
    return mask_frames(features, num_frames)

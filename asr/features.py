"""MFCC with deltas and normalisation: the one definition of a frame.

waveform -> window -> power spectrum -> mel triangles -> log -> DCT -> deltas -> mean and variance
of the utterance removed. Augmentation works on log-mel frames, so they can be had by themselves.
The exported graph (asr/export/graph.py) is traced from `Mfcc` and shares every step but the FFT.

Frame t is centred on sample t * frame_shift; outside the recording there are zeros, so an utterance
of L samples has 1 + L // frame_shift frames, and padding in a batch changes none of them.
There is no pre-emphasis: it is a fixed gain for each mel band, which the mean removal takes out.

Shapes: N utterances, L samples, T frames, B bins of the spectrum, M mel bands, C cepstra,
F = C * (1 + deltas) features. Padded frames are 0.
"""

import math

import torch
from torch import Tensor, nn

from asr.config import FeaturesConfig
from asr.errors import ConfigError

LOG_OFFSET = 1e-6  # log(energy + 1e-6): digital silence has a logarithm
DELTA_REACH = 2  # a delta is a regression over 5 frames, as in HTK and Kaldi
VARIANCE_FLOOR = 1e-5


class Mfcc(nn.Module):
    """A module that turns waveforms into normalised MFCC (Davis and Mermelstein 1980)."""

    window: Tensor  # (samples of a frame,)
    filters: Tensor  # (B, M)
    dct: Tensor  # (M, C)

    def __init__(self, config: FeaturesConfig) -> None:
        super().__init__()
        self.config = config
        per_ms = config.sample_rate_hz / 1000
        frame_length = round(config.frame_length_ms * per_ms)
        self.hop_length = round(config.frame_shift_ms * per_ms)
        self.n_fft = 1 << (frame_length - 1).bit_length()  # the next power of two
        self.register_buffer("window", torch.hann_window(frame_length), persistent=False)
        self.register_buffer("filters", mel_filters(config, self.n_fft), persistent=False)
        self.register_buffer("dct", cepstra_matrix(config), persistent=False)

    def num_frames(self, num_samples: Tensor) -> Tensor:
        """Return the int64 (N,) frames of utterances of int64 (N,) samples."""
        return 1 + num_samples // self.hop_length

    def power_spectrum(self, waveforms: Tensor) -> Tensor:
        """Return the squared magnitudes (N, T, B) of the Fourier transform of windowed frames."""
        spectrum = torch.stft(
            waveforms,
            self.n_fft,
            self.hop_length,
            len(self.window),
            self.window,
            pad_mode="constant",
            return_complex=True,
        )
        return spectrum.abs().square().transpose(1, 2)  # (N, B, T) -> (N, T, B)

    def log_mel(self, waveforms: Tensor, num_samples: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logarithms of mel energies.

        Args:
            waveforms: float (N, L), full scale 1; samples after an utterance's end are zero.
            num_samples: int64 (N,), 1..L.

        Returns:
            float (N, T, M) and the int64 (N,) valid frames of each utterance.

        Raises:
            ConfigError: the model reads frames from files.
        """
        if self.config.filterbank == "none":
            raise ConfigError(
                "features.filterbank is 'none': the model reads files of frames (.npy) that a "
                "manifest names, no recordings; use asr-evaluate, or a model of speech"
            )
        num_frames = self.num_frames(num_samples)
        energies = self.power_spectrum(waveforms) @ self.filters  # (N, T, B) -> (N, T, M)
        return mask_frames(torch.log(energies + LOG_OFFSET), num_frames), num_frames

    def from_log_mel(self, log_mel: Tensor, num_frames: Tensor) -> Tensor:
        """Return the features (N, T, F) of log-mel frames (N, T, M)."""
        return self.from_cepstra(log_mel @ self.dct, num_frames)  # (N, T, M) -> (N, T, C)

    def from_cepstra(self, cepstra: Tensor, num_frames: Tensor) -> Tensor:
        """Return the features (N, T, F) of cepstra (N, T, C): deltas added, then normalised."""
        features = add_deltas(cepstra, num_frames, self.config.deltas)
        return normalize(features, num_frames, self.config.normalize)

    def forward(self, waveforms: Tensor, num_samples: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features (N, T, F) of waveforms (N, L), and the int64 (N,) valid frames."""
        log_mel, num_frames = self.log_mel(waveforms, num_samples)
        return self.from_log_mel(log_mel, num_frames), num_frames


def mel_filters(config: FeaturesConfig, n_fft: int) -> Tensor:
    """Return the triangles, float (B, M), that gather the bins of a spectrum in mel bands.

    Band m rises from corner m to corner m + 1 and falls to corner m + 2. Corners are equally spaced
    in mel. The sides are straight over hertz; Kaldi's are straight over mel.
    """
    scale, rate_hz, bands = config.filterbank, config.sample_rate_hz, config.num_mels
    low, high = (hz_to_mel(hz, scale) for hz in (config.low_hz, config.high_hz or rate_hz / 2))
    if scale == "kaldi":
        corners = low + torch.arange(bands + 2) * ((high - low) / (bands + 1))
        bins = 1127 * torch.log(1 + torch.arange(n_fft // 2 + 1) * (rate_hz / n_fft) / 700)
        bins[-1] = torch.inf  # Kaldi leaves out the bin at half the sample rate
    else:
        corners = mel_to_hz(torch.linspace(low, high, bands + 2), scale)
        bins = torch.linspace(0, rate_hz // 2, n_fft // 2 + 1)
    rising = (bins[:, None] - corners[:-2]) / (corners[1:-1] - corners[:-2])  # (B, M)
    falling = (corners[2:] - bins[:, None]) / (corners[2:] - corners[1:-1])
    filters = torch.minimum(rising, falling).clamp(min=0)
    return filters * (2 / (corners[2:] - corners[:-2])) if scale == "slaney" else filters


def hz_to_mel(hz: float, scale: str) -> float:
    """Return a frequency in mel; Slaney's scale is linear below 1000 Hz, where it is 15."""
    if scale == "slaney":
        return hz * 3 / 200 if hz < 1000 else 15 + 27 * math.log(hz / 1000, 6.4)
    return 1127 * math.log(1 + hz / 700) if scale == "kaldi" else 2595 * math.log10(1 + hz / 700)


def mel_to_hz(mels: Tensor, scale: str) -> Tensor:
    """Return the frequencies of float mels: the inverse of `hz_to_mel`, for 'htk' and 'slaney'."""
    if scale == "slaney":
        logarithmic = 1000 * torch.exp(math.log(6.4) / 27 * (mels - 15))
        return torch.where(mels < 15, mels * (200 / 3), logarithmic)
    return 700 * (10 ** (mels / 2595) - 1)


def cepstra_matrix(config: FeaturesConfig) -> Tensor:
    """Return the float (M, C) matrix that turns log-mel frames into cepstra.

    It is the identity where frames come from files.
    """
    if config.filterbank == "none":
        return torch.eye(config.num_mels)
    return dct_matrix(config.num_mels, config.num_ceps)


def dct_matrix(num_mels: int, num_ceps: int) -> Tensor:
    """Return the first columns, float (M, C), of the orthonormal discrete cosine transform II."""
    band, order = torch.arange(num_mels), torch.arange(num_ceps)[:, None]
    dct = torch.cos(math.pi / num_mels * (band + 0.5) * order)  # (C, M)
    dct[0] *= math.sqrt(0.5)
    return (dct * math.sqrt(2 / num_mels)).T


def frame_mask(num_frames: Tensor, length: int) -> Tensor:
    """Return the bool (N, length) mask of int64 (N,) valid frames, true where a frame is valid."""
    return torch.arange(length, device=num_frames.device) < num_frames[:, None]


def mask_frames(frames: Tensor, num_frames: Tensor) -> Tensor:
    """Return (N, T, F) frames with zeros in the padded ones."""
    return frames * frame_mask(num_frames, frames.shape[1]).unsqueeze(2)


def add_deltas(features: Tensor, num_frames: Tensor, order: int) -> Tensor:
    """Append the deltas of each order to (N, T, C) features: (N, T, C * (1 + order)).

    A delta is the slope of a line fitted to 5 frames: the sum of n * c[t + n], n = -2..2, over that
    of n * n (HTK Book, eq. 5.16). Beyond its ends, an utterance's first and last frame are held.
    """
    if order == 0:
        return features
    length, offsets = features.shape[1], range(-DELTA_REACH, DELTA_REACH + 1)
    time = torch.arange(-DELTA_REACH, length + DELTA_REACH, device=features.device)
    nearest = torch.minimum(time.clamp(min=0), num_frames[:, None] - 1)  # (N, T + 4)
    index = nearest.unsqueeze(2).expand(-1, -1, features.shape[2])
    streams = [features]
    for _ in range(order):
        held = streams[-1].gather(1, index)  # (N, T + 4, C)
        delta = torch.zeros_like(features)
        for n in offsets:
            delta = torch.add(delta, held[:, DELTA_REACH + n :][:, :length], alpha=n)  # n c[t + n]
        streams.append(delta / sum(n * n for n in offsets))
    return torch.cat(streams, dim=2)


def normalize(features: Tensor, num_frames: Tensor, what: str) -> Tensor:
    """Remove the mean of each feature over the utterance, and divide by its standard deviation.

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

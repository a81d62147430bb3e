"""Augmentation of log-mel frames: warping, rooms, noise, band limits, masks.

Speed perturbation alone works on samples (asr/data.py). All else works on mel energies, so that the
frames of a recording are computed once and kept. Every random number comes from the generator that
is passed in, so a batch can be reproduced exactly.

Shapes: N utterances, T frames, M mel bands.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Generator, Tensor, nn

from asr._progress import progress
from asr.audio import read_audio
from asr.config import AugmentConfig, FeaturesConfig
from asr.errors import ConfigError
from asr.features import LOG_OFFSET, Mfcc, mask_frames

DIRECT_DB = (-5.0, 8.0)  # direct sound over the echoes that arrive a frame or more later
NOISE_FLUCTUATION = 0.4  # deviation of a noise band's log energy from frame to frame, in nats
STEEPEST_NOISE = 2.0  # noise power falls as 1 / f^a with a in 0..2: white, pink, brown
VOICES = 4  # of babble
LOWER_END_HZ, UPPER_END_HZ = (0.0, 300.0), (3400.0, 4000.0)  # of a telephone's band
CODING_DB = (20.0, 40.0)  # speech over a codec's noise; 38 with mu-law (ITU-T G.711)


class Augmenter:
    """A function of log-mel frames that applies the configured steps, in the world's order."""

    def __init__(self, config: AugmentConfig, features: FeaturesConfig) -> None:
        self.config = config
        self.band_hz = mel_band_centres(features)
        self.longest_mask = int(config.time_mask_ms / features.frame_shift_ms)
        self.frame_shift_s = features.frame_shift_ms / 1000
        self.noises = noise_frames(Path(config.noises), features) if config.recorded_prob else []

    def __call__(self, log_mel: Tensor, num_frames: Tensor, generator: Generator) -> Tensor:
        """Return augmented (N, T, M) log-mel frames, of int64 (N,) valid frames; padding is 0."""
        config = self.config
        if config.freq_warp:
            log_mel = self.warp(log_mel, generator)
        if config.reverb_prob:
            log_mel = self.reverberate(log_mel, num_frames, generator)
        if config.noise_prob:
            log_mel = self.add_noise(log_mel, num_frames, generator)
        if config.babble_prob:
            log_mel = self.add_babble(log_mel, num_frames, generator)
        if config.recorded_prob:
            log_mel = self.add_recorded(log_mel, num_frames, generator)
        if config.telephone_prob:
            log_mel = self.telephone(log_mel, generator)
        if config.band_limit_prob:
            log_mel = self.limit_band(log_mel, generator)
        if config.freq_masks or config.time_masks:
            log_mel = self.mask(log_mel, num_frames, generator)
        return mask_frames(log_mel, num_frames)

    def warp(self, log_mel: Tensor, generator: Generator) -> Tensor:
        """Stretch the mel axis by a random factor, as a longer or shorter vocal tract does."""
        batch, _, bands = log_mel.shape
        factors = 1 + self.config.freq_warp * (2 * _uniform(batch, generator) - 1)
        return log_mel @ mel_warp(factors, bands).to(log_mel)

    def reverberate(self, log_mel: Tensor, num_frames: Tensor, generator: Generator) -> Tensor:
        """Add the echoes of a room to some utterances: energies that decay exponentially.

        Late echoes resemble noise that falls by 60 dB in the reverberation time (Polack 1988), so
        their energies add to those of the frames that follow.
        """
        batch, length, _ = log_mel.shape
        time_s = _between(self.config.reverb_s, batch, generator)
        direct_db = _between(DIRECT_DB, batch, generator)
        behind = math.ceil(max(self.config.reverb_s) / self.frame_shift_s)  # frames of an echo
        delay_s = self.frame_shift_s * torch.arange(1, behind + 1)
        decay = 10 ** (-6 * delay_s / time_s[:, None])  # (N, behind)
        decay *= 10 ** (-direct_db / 10)[:, None] / decay.sum(1, keepdim=True)
        size = length + behind  # so that the convolution, by FFT, does not wrap round
        speech = torch.fft.rfft(mask_frames(log_mel.exp(), num_frames), size, dim=1)
        room = torch.fft.rfft(decay.to(log_mel), size)[..., None]
        echoes = torch.fft.irfft(speech * room, size, dim=1)[:, : length - 1].clamp(min=0)
        echoes = nn.functional.pad(echoes, (0, 0, 1, 0))  # the first comes a frame later
        if deviation := self.config.reverb_fluctuation:
            jitter = deviation * _normal(log_mel, generator)
            echoes *= torch.exp(jitter - deviation**2 / 2)  # the mean stays
        chosen = self._chosen(self.config.reverb_prob, log_mel, generator)
        return torch.where(chosen, torch.log(log_mel.exp() + echoes), log_mel)

    def add_noise(self, log_mel: Tensor, num_frames: Tensor, generator: Generator) -> Tensor:
        """Add stationary noise of a random colour to some utterances, at a random SNR.

        Energies of independent signals add: log(exp(speech) + exp(noise)).
        """
        batch = len(log_mel)
        snr_db = _between(self.config.noise_snr_db, batch, generator)
        steepness = STEEPEST_NOISE * _uniform(batch, generator)
        # White noise fills a mel band in proportion to its width, which grows as 700 Hz + f.
        colour = torch.log(700 + self.band_hz) - steepness[:, None] * torch.log(self.band_hz)
        speech = mask_frames(log_mel.exp(), num_frames).sum((1, 2)) / num_frames  # mean power
        level = speech.log() - colour.logsumexp(1).to(speech) - snr_db.to(speech) / 10 * 2.302585
        noise = (colour.to(log_mel) + level[:, None])[:, None]  # (N, 1, M)
        jitter = NOISE_FLUCTUATION * _normal(log_mel, generator)
        noisy = torch.logaddexp(log_mel, noise + jitter)
        return torch.where(self._chosen(self.config.noise_prob, log_mel, generator), noisy, log_mel)

    def add_babble(self, log_mel: Tensor, num_frames: Tensor, generator: Generator) -> Tensor:
        """Add voices to some utterances, at a random SNR: utterances of the batch, shifted."""
        batch, length, _ = log_mel.shape
        energies = mask_frames(log_mel.exp(), num_frames)
        voices = torch.zeros_like(energies)
        for _ in range(VOICES):
            whose = torch.randperm(batch, generator=generator)
            by = int(torch.randint(length, (1,), generator=generator))
            voices += energies[whose.to(log_mel.device)].roll(by, dims=1)
        return self._mixed(log_mel, num_frames, voices, self.config.babble_prob, generator)

    def add_recorded(self, log_mel: Tensor, num_frames: Tensor, generator: Generator) -> Tensor:
        """Add a piece of recorded noise to some utterances, at a random SNR."""
        batch, length, _ = log_mel.shape
        which = torch.randint(len(self.noises), (batch,), generator=generator).tolist()
        begins = _uniform(batch, generator).tolist()
        pieces = []
        for index, begin in zip(which, begins, strict=True):
            noise = self.noises[index]  # a short one is repeated
            pieces.append(noise[(int(begin * len(noise)) + torch.arange(length)) % len(noise)])
        energies = torch.stack(pieces).to(log_mel).exp()
        return self._mixed(log_mel, num_frames, energies, self.config.recorded_prob, generator)

    def _mixed(
        self,
        log_mel: Tensor,
        num_frames: Tensor,
        noise: Tensor,
        probability: float,
        generator: Generator,
    ) -> Tensor:
        """Add the energies (N, T, M) of a noise to some utterances, at a random SNR."""
        snr_db = _between(self.config.noise_snr_db, len(log_mel), generator).to(log_mel)
        chosen = self._chosen(probability, log_mel, generator)
        speech = log_mel.exp()
        powers = [mask_frames(e, num_frames).sum((1, 2)) for e in (speech, noise)]
        gain = powers[0] / powers[1].clamp(min=1e-20) / 10 ** (snr_db / 10)
        return torch.where(chosen, torch.log(speech + gain[:, None, None] * noise), log_mel)

    def telephone(self, log_mel: Tensor, generator: Generator) -> Tensor:
        """Make some utterances sound as over a telephone: a narrow band, coarsely quantised.

        The noise of quantisation is white, and as far below the speech in each frame.
        """
        batch = len(log_mel)
        from_hz = _between(LOWER_END_HZ, batch, generator)
        to_hz = _between(UPPER_END_HZ, batch, generator)
        snr_db = _between(CODING_DB, batch, generator)
        chosen = self._chosen(self.config.telephone_prob, log_mel, generator)
        passed = (self.band_hz >= from_hz[:, None]) & (self.band_hz <= to_hz[:, None])  # (N, M)
        width = 700 + self.band_hz  # of a mel band
        share = width / width[self.band_hz <= UPPER_END_HZ[1]].sum() * 10 ** (-snr_db[:, None] / 10)
        heard = log_mel.exp() * passed[:, None].to(log_mel)
        jitter = NOISE_FLUCTUATION * _normal(log_mel, generator)
        noise = heard.sum(2, keepdim=True) * share[:, None].to(log_mel) * jitter.exp()
        coded = torch.log(heard + noise + LOG_OFFSET)
        return torch.where(chosen, self._silent_above(to_hz, coded), log_mel)

    def limit_band(self, log_mel: Tensor, generator: Generator) -> Tensor:
        """Silence all bands above a random cut-off in some utterances, as codecs and phones do.

        With codec_noise, the bands below it get a little noise in each frame, as from a coarse
        quantiser: MP3 at 24 kbit/s deviates by 0.5 nats, and by more where there is little energy.
        """
        cutoff_hz = _between(self.config.band_limit_hz, len(log_mel), generator)
        chosen = self._chosen(self.config.band_limit_prob, log_mel, generator)
        coded = log_mel
        if self.config.codec_noise:
            deviation = self.config.codec_noise * _uniform(len(log_mel), generator)[:, None, None]
            jitter = deviation.to(log_mel) * _normal(log_mel, generator)
            floor = log_mel.new_tensor(LOG_OFFSET).log()
            coded = (log_mel + jitter).clamp(min=floor)
        return torch.where(chosen, self._silent_above(cutoff_hz, coded), log_mel)

    def _silent_above(self, cutoff_hz: Tensor, log_mel: Tensor) -> Tensor:
        """Return (N, T, M) log-mel frames without energy in the bands above (N,) cut-offs."""
        above = (self.band_hz > cutoff_hz[:, None])[:, None].to(log_mel.device)  # (N, 1, M)
        return torch.where(above, log_mel.new_tensor(LOG_OFFSET).log(), log_mel)

    def mask(self, log_mel: Tensor, num_frames: Tensor, generator: Generator) -> Tensor:
        """Mask spans of frames and of bands with the utterance's mean.

        Source: Park et al. 2019, 'SpecAugment', without its time warping.
        """
        config = self.config
        batch, length, bands = log_mel.shape
        frames = num_frames.cpu()
        widest = (frames * config.time_mask_fraction).clamp(max=self.longest_mask)
        everywhere = torch.full((batch,), bands)
        times = _spans(config.time_masks, widest, frames, length, generator)
        freqs = _spans(
            config.freq_masks,
            torch.full((batch,), float(config.freq_mask_mels)),
            everywhere,
            bands,
            generator,
        )
        mean = mask_frames(log_mel, num_frames).sum(1, keepdim=True) / num_frames[:, None, None]
        hidden = (times[:, :, None] | freqs[:, None, :]).to(log_mel.device)  # (N, T, M)
        return torch.where(hidden, mean, log_mel)

    @staticmethod
    def _chosen(probability: float, log_mel: Tensor, generator: Generator) -> Tensor:
        chosen = _uniform(len(log_mel), generator) < probability
        return chosen[:, None, None].to(log_mel.device)


def noise_frames(folder: Path, features: FeaturesConfig) -> list[Tensor]:
    """Return the log-mel frames (T, M) of each recording in a folder, in the order of their names.

    Raises:
        ConfigError: the folder cannot be read, or is empty.
        AudioError: a file in it cannot be read as a recording.
    """
    try:
        files = sorted(path for path in folder.iterdir() if path.is_file())
    except OSError as error:
        raise ConfigError(f"augment.noises is {folder}: {error.strerror}; give a folder") from error
    if not files:
        raise ConfigError(f"augment.noises is {folder}, which has no files; put recordings there")
    frontend, frames = Mfcc(features), list[Tensor]()
    for path in progress(files, "noises"):
        recording = read_audio(path, sample_rate_hz=features.sample_rate_hz)
        waveform = torch.from_numpy(recording.waveform)
        log_mel, _ = frontend.log_mel(waveform[None], torch.tensor([len(waveform)]))
        frames.append(log_mel[0].detach())
    return frames


def mel_warp(factors: Tensor, num_mels: int) -> Tensor:
    """Return the matrices (K, M, M) that stretch the mel axis of log-mel frames by (K,) factors.

    Band m of `frames @ matrix` is what the frames hold at band m * factor, interpolated linearly
    between two bands, as if the vocal tract were longer by the factor. Above the highest band, the
    highest is repeated. This is the vocal tract length perturbation of Jaitly and Hinton 2013, but
    linear in mel bands instead of hertz.
    """
    bands = torch.arange(num_mels)
    place = (bands * factors[:, None]).clamp(max=num_mels - 1)  # (K, M)
    return (1 - (place[:, None] - bands[:, None]).abs()).clamp(min=0)


def mel_band_centres(features: FeaturesConfig) -> Tensor:
    """Return the centre frequencies of the mel bands on HTK's scale, float (M,), in Hz."""
    high_hz = features.high_hz or features.sample_rate_hz / 2
    ends = 2595 * torch.log10(1 + torch.tensor([features.low_hz, high_hz]) / 700)
    mels = torch.linspace(float(ends[0]), float(ends[1]), features.num_mels + 2)[1:-1]
    return 700 * (10 ** (mels / 2595) - 1)


def _uniform(count: int, generator: Generator) -> Tensor:
    return torch.rand(count, generator=generator)


def _normal(like: Tensor, generator: Generator) -> Tensor:
    """Draw a normal value for each of `like`, on its device.

    On a GPU they come from a generator of its own, whose seed is drawn: there are too many to copy.
    """
    if like.device != generator.device:
        seed = int(torch.randint(2**62, (1,), generator=generator))
        generator = Generator(like.device).manual_seed(seed)
    return torch.randn(like.shape, generator=generator, device=like.device).to(like)


def _between(bounds: Sequence[float], count: int, generator: Generator) -> Tensor:
    """Draw (count,) values evenly between the lowest and the highest."""
    low, high = bounds
    return low + (high - low) * _uniform(count, generator)


def _spans(count: int, widest: Tensor, extent: Tensor, length: int, generator: Generator) -> Tensor:
    """Return bool (N, length), true in `count` random spans, each within 0..extent (N,).

    A span has at most `widest` (N,) places, rounded up.
    """
    batch = len(extent)
    width = (torch.rand(batch, count, generator=generator) * (widest[:, None] + 1)).long()
    room = (extent[:, None] - width + 1).clamp(min=1)
    start = (torch.rand(batch, count, generator=generator) * room).long()
    index = torch.arange(length)
    inside = (index >= start[:, :, None]) & (index < (start + width)[:, :, None])  # (N, K, length)
    return inside.any(1)

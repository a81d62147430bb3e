"""Turn down loud, steady noise in a recording, as of traffic, trains and machines.

The power of the noise is followed in each band of the spectrum, while no speech is likely there.
Each frame of a band is then turned down by how little it stands out, to a bound: what is left of
the noise hides that some weak speech went with it. The networks know noise from training, so a
recording whose noise is not loud stays as it is.

Sources: Gerkmann and Hendriks 2012, 'Unbiased MMSE-based noise power estimation with low complexity
and low tracking delay', IEEE Transactions on Audio, Speech, and Language Processing 20(4), for the
noise; Ephraim and Malah 1984, 'Speech enhancement using a minimum mean-square error short-time
spectral amplitude estimator', IEEE Transactions on Acoustics, Speech, and Signal Processing 32(6),
for the "decision-directed" ratio of speech to noise. Shapes: L samples, T frames, F bands.
"""

import numpy as np
from numpy.typing import NDArray

from asr.audio import Waveform
from asr.spectrum import changed_where, power_of, samples_of, spectrum

SHORTEST_S = 1.0  # less tells too little of the noise
LOUD_DB = 20.0  # of the whole recording over its quietest frames: below it, noise is loud
NOISY_DB = 24.0  # below it, networks for noise hear the recording, if a model has some
_QUIETEST, _QUIET = 0.1, 0.2  # of the frames of a band
_OFFSET_BANDS = 2  # that a Hann window spreads a constant over
_FEWEST = 30  # frames that are judged: about a second
_JUDGE_MS, _HOP_MS = 32.0, 8.0  # between frames, which last two and four times as long
_WINDOW = 4
_SPEECH = 10**1.5  # over noise, as power, where there is speech
_KEPT_NOISE = 0.9  # of the power of noise, from one frame to the next
_LASTING = 0.9  # of the mean probability of speech, from one frame to the next
_SURE = 0.99  # a probability of speech that lasts is held below it, so that noise may grow
_KEPT_RATIO = 0.92  # of the ratio of speech to noise, from one frame to the next
_LEAST_GAIN = 0.4  # 8 dB less
_LOUDEST = 1e4  # power over that of the noise
_SILENCE = 1e-20
_SOUNDING = 1e-9  # power of a frame over that of the loudest; less is digital silence
_HOLE_MS = 300  # of digital silence that is left out; a noise gate leaves shorter ones in speech


def denoised(waveform: Waveform, sample_rate_hz: int) -> Waveform:
    """Return float32 (L,) samples with less noise; unchanged where noise is not loud.

    Args:
        waveform: float32 (L,), of one channel; each minute of it is judged by itself.
        sample_rate_hz: their rate.
    """
    return changed_where(_is_loud, _turned_down, waveform, sample_rate_hz)


def is_noisy(waveform: Waveform, sample_rate_hz: int, bound_db: float) -> bool:
    """Return whether samples (L,) are less than a bound over their noise."""
    if len(waveform) < SHORTEST_S * sample_rate_hz:
        return False
    return above_noise_db(waveform, sample_rate_hz) < bound_db


def _is_loud(waveform: Waveform, sample_rate_hz: int) -> bool:
    return is_noisy(waveform, sample_rate_hz, LOUD_DB)


def above_noise_db(waveform: Waveform, sample_rate_hz: int) -> float:
    """Return the level of samples (L,) over that of their quietest frames, in decibels.

    The quietest frames are those of each band by itself. Long digital silence, and the lowest
    bands, where a constant offset is, do not count. It is inf where too little is left.
    """
    frames = spectrum(waveform, round(_JUDGE_MS * sample_rate_hz / 1000), 2)
    power = power_of(frames[_OFFSET_BANDS:, 2:-2])
    power = power[:, _heard(power, _JUDGE_MS)]
    if power.shape[1] < _FEWEST:
        return np.inf
    rank = int(_QUIETEST * power.shape[1])
    noise = np.partition(power, rank, axis=1)[:, rank].sum()
    return float(10 * np.log10(power.mean(axis=1).sum() / noise)) if noise else np.inf


def _turned_down(waveform: Waveform, sample_rate_hz: int) -> Waveform:
    hop = round(_HOP_MS * sample_rate_hz / 1000)
    frames = spectrum(waveform, hop, _WINDOW)  # (F, T)
    power = power_of(frames)
    heard = _heard(power, _HOP_MS)
    frames[:, heard] *= _gains(power[:, heard].T).T
    return samples_of(frames, hop, _WINDOW, len(waveform))


def _heard(power: NDArray[np.float32], hop_ms: float) -> NDArray[np.bool_]:
    """Return which frames (T,) of power (F, T) are in no long digital silence, as of a muted call.

    It tells nothing of the noise around it.
    """
    of_frames = power.sum(axis=0)
    silent = of_frames <= _SOUNDING * of_frames.max(initial=0.0)
    edges = np.flatnonzero(np.diff(silent, prepend=False, append=False))
    heard = np.ones(len(silent), bool)
    for first, end in edges.reshape(-1, 2):
        heard[first:end] = (end - first) * hop_ms < _HOLE_MS
    return heard


def _gains(power: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return factors (T, F), of at most 1, for frames of this power."""
    quiet = np.quantile(power, _QUIET, axis=0) / -np.log(1 - _QUIET)  # noise has this mean
    noise = quiet.astype(np.float32) + np.float32(_SILENCE)
    lasting = np.full_like(noise, 0.5)  # mean probability of speech in the frames before
    ratio = np.ones_like(noise)  # of speech to noise in the frame before
    gains = np.empty_like(power)
    for frame, gain in zip(power, gains, strict=True):
        above = frame / noise
        speech = 1 / (1 + (1 + _SPEECH) * np.exp(-above * (_SPEECH / (1 + _SPEECH))))
        lasting += (1 - _LASTING) * (speech - lasting)
        speech[lasting > _SURE] *= _SURE
        noise += (1 - _KEPT_NOISE) * (1 - speech) * (frame - noise)
        np.maximum(noise, _SILENCE, out=noise)  # digital silence leaves less and less of it
        above = np.minimum(frame / noise, _LOUDEST)
        prior = _KEPT_RATIO * ratio + (1 - _KEPT_RATIO) * np.maximum(above - 1, 0)
        np.maximum(np.sqrt(prior / (1 + prior)), _LEAST_GAIN, out=gain)
        ratio = gain * gain * above
    return gains

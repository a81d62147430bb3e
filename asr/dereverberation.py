"""Take the echoes of a room out of a recording, by weighted prediction error (WPE).

What a room sends back late is, in each band of the spectrum, a sum of earlier frames. So a filter
predicts a frame from some that came before it, and what it predicts is subtracted. It is fitted to
the recording itself by least squares, in which a frame weighs the less, the louder it is: else the
filter would predict the speech. Speech without echoes can hardly be predicted, which is how a
recording from a room is known.

Source: Nakatani, Yoshioka, Kinoshita, Miyoshi and Juang 2010, 'Speech dereverberation based on
variance-normalized delayed linear prediction', IEEE Transactions on Audio, Speech, and Language
Processing 18(7). Shapes: L samples, T frames, F bands of the spectrum, K taps of the filter.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asr.audio import Waveform
from asr.spectrum import changed_where, power_of, samples_of, spectrum

SHORTEST_S = 2.0  # less tells too little of a room
ROOM_DB = -18.0  # predicted over whole energy: clear speech is nearly always below, rooms above
FITTED_DB = 40.0  # more for each tap over frame, as a filter fits also what cannot be predicted
_BANDS = 64  # that are handled at once, so that they fit into the processor's cache
_RIDGE = 1e-5  # keeps taps small where frames are too few, or all alike
_FLOOR = 1e-3  # of the loudest power in a band: a frame weighs no more than if it had that
_SILENCE = 1e-20


@dataclass(frozen=True)
class _Prediction:
    """Which frames predict a frame: `taps` of them, `delay` frames and more before it."""

    window: int  # hops in a frame
    hop_ms: float
    taps: int
    delay: int
    rounds: int  # how often the filter is fitted, each time to the loudness that the last one left


# To judge, frames do not overlap those that predict them. To remove, filters of a third of a second
# in long frames took away the most errors (recipes/english/LOG.md, "Dereverberation").
_JUDGE = _Prediction(window=2, hop_ms=16.0, taps=8, delay=2, rounds=1)
_REMOVE = _Prediction(window=4, hop_ms=32.0, taps=10, delay=1, rounds=2)
_JUDGED_HZ, _EVERY = (200.0, 4000.0), 4  # bands in which a room is looked for


def dereverberated(waveform: Waveform, sample_rate_hz: int) -> Waveform:
    """Return float32 (L,) samples without late echoes; unchanged where there are hardly any.

    Args:
        waveform: float32 (L,), of one channel; each minute of it is judged by itself.
        sample_rate_hz: their rate.
    """
    return changed_where(is_from_a_room, _without_echoes, waveform, sample_rate_hz)


def is_from_a_room(waveform: Waveform, sample_rate_hz: int) -> bool:
    """Return whether earlier frames predict so much as only echoes let them."""
    seconds = len(waveform) / sample_rate_hz
    if seconds < SHORTEST_S:
        return False
    frames = 1000 * seconds / _JUDGE.hop_ms
    return echo_db(waveform, sample_rate_hz) > ROOM_DB + FITTED_DB * _JUDGE.taps / frames


def echo_db(waveform: Waveform, sample_rate_hz: int) -> float:
    """Return how much of the energy earlier frames predict, in decibels; -inf for silence."""
    hop = round(_JUDGE.hop_ms * sample_rate_hz / 1000)
    low, high = (round(hz * _JUDGE.window * hop / sample_rate_hz) for hz in _JUDGED_HZ)
    frames = spectrum(waveform, hop, _JUDGE.window)[low:high:_EVERY]
    energy = np.square(np.abs(frames)).sum()
    if not energy:
        return -np.inf
    predicted = np.square(np.abs(_predicted(frames, _JUDGE))).sum()
    return float(10 * np.log10(predicted / energy + _FLOOR))


def _without_echoes(waveform: Waveform, sample_rate_hz: int) -> Waveform:
    hop = round(_REMOVE.hop_ms * sample_rate_hz / 1000)
    frames = spectrum(waveform, hop, _REMOVE.window)  # (F, T)
    for first in range(0, len(frames), _BANDS):
        some = frames[first : first + _BANDS]
        some -= _predicted(some, _REMOVE)
    return samples_of(frames, hop, _REMOVE.window, len(waveform))


def _predicted(frames: NDArray[np.complex64], how: _Prediction) -> NDArray[np.complex64]:
    """Return what earlier frames predict of (F, T) frames, each band from its own."""
    bands, length = frames.shape
    before = np.zeros((bands, how.delay + how.taps - 1), np.complex64)
    past = np.lib.stride_tricks.sliding_window_view(
        np.concatenate([before, frames], axis=1), length, axis=1
    )[:, : how.taps]  # (F, K, T): row k is delay + K - 1 - k frames behind
    predicted = np.zeros_like(frames)
    for _ in range(how.rounds):
        weighted = past / _loudness(frames - predicted)[:, None]
        squares = weighted @ past.conj().transpose(0, 2, 1)  # (F, K, K)
        trace = np.trace(squares, axis1=1, axis2=2).real + _SILENCE
        squares += (_RIDGE / how.taps * trace)[:, None, None] * np.eye(how.taps, dtype=np.complex64)
        products = weighted @ frames.conj()[:, :, None]  # (F, K, 1)
        taps = np.linalg.solve(squares, products)
        predicted = (taps.conj().transpose(0, 2, 1) @ past)[:, 0]
    return predicted


def _loudness(frames: NDArray[np.complex64]) -> NDArray[np.float32]:
    """Return the power of (F, T) frames, as a mean of each with its two neighbours."""
    power = power_of(frames)
    padded = np.pad(power, ((0, 0), (1, 1)), mode="edge")
    smooth = (padded[:, :-2] + power + padded[:, 2:]) / 3
    loudest = smooth.max(axis=1, keepdims=True)
    least = np.float32(_FLOOR) * loudest + np.float32(_SILENCE)
    floored: NDArray[np.float32] = np.maximum(smooth, least)
    return floored

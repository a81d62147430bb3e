"""The spectrum of a recording in overlapping frames, and a recording that is changed in it.

Shapes: L samples, T frames, F bands of the spectrum.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from asr.audio import Waveform

LONGEST_S = 60.0  # pieces of a recording that are judged and changed at once


def changed_where(
    needed: Callable[[Waveform, int], bool],
    change: Callable[[Waveform, int], Waveform],
    waveform: Waveform,
    sample_rate_hz: int,
) -> Waveform:
    """Return float32 (L,) samples, changed in each minute that needs it, by what this minute has.

    They are the same array where no minute needs it.
    """
    size = round(LONGEST_S * sample_rate_hz)
    pieces = np.array_split(waveform, max(1, -(-len(waveform) // size)))
    chosen = [needed(piece, sample_rate_hz) for piece in pieces]
    if not any(chosen):
        return waveform
    return np.concatenate(
        [
            change(piece, sample_rate_hz) if wanted else piece
            for piece, wanted in zip(pieces, chosen, strict=True)
        ]
    )


def spectrum(waveform: Waveform, hop: int, window: int) -> NDArray[np.complex64]:
    """Return the Fourier transforms (F, T) of overlapping frames of `window` hops."""
    size = window * hop
    padded = np.pad(waveform, (size, size + -len(waveform) % hop))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
    return np.ascontiguousarray(np.fft.rfft(frames * _hann(size), axis=1).T, np.complex64)


def samples_of(
    frames: NDArray[np.complex64], hop: int, window: int, length: int
) -> NDArray[np.float32]:
    """Return the samples (L,) of the frames that `spectrum` made, added where they overlap."""
    size = window * hop
    pieces = np.fft.irfft(frames.T, size, axis=1) * _hann(size)  # (T, window * hop)
    waveform = np.zeros((len(pieces) + window - 1, hop), np.float32)
    for part, piece in enumerate(pieces.reshape(-1, window, hop).transpose(1, 0, 2)):
        waveform[part : part + len(pieces)] += piece
    overlap = float(np.square(_hann(size)).sum()) / hop  # of both windows, for each sample
    samples: NDArray[np.float32] = waveform.reshape(-1)[size : size + length] / overlap
    return samples


def power_of(frames: NDArray[np.complex64]) -> NDArray[np.float32]:
    """Return the squared magnitudes (F, T) of frames."""
    power: NDArray[np.float32] = np.square(frames.real) + np.square(frames.imag)
    return power


def _hann(size: int) -> NDArray[np.float32]:
    window: NDArray[np.float64] = 0.5 - 0.5 * np.cos(2 * np.pi / size * np.arange(size))
    return window.astype(np.float32)

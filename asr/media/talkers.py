"""Find out from levels whether two channels hold a speaker each, as many recorded calls do."""

import numpy as np
from numpy.typing import NDArray

_WINDOW_S = 0.1
_FLOOR_DB = -100
_LOUD_SHARE = 0.95  # the quantile of the levels of a channel that is its loud speech
_SPEECH_DB = 20  # below loud speech, speech ends
_APART_DB = 12  # by which a channel is louder while its speaker talks, each against its own speech
_LEAST_SHARE = 0.05  # of the windows with speech, for each of the two
_LEAST_S = 2.0  # of speech, for each of the two


class Talkers:
    """A comparison of two channels, window by window, in memory that does not grow.

    Levels are counted relative to the loud speech of their own channel. A speaker of his own on
    each channel makes now one, now the other much louder; the two microphones of a room, a pan, a
    channel of noise and a silent channel do not.
    """

    def __init__(self, rate_hz: int) -> None:
        self._size = round(rate_hz * _WINDOW_S)
        self._held = np.empty((0, 2), np.float32)  # samples of a window that has begun
        self._counts = np.zeros((1 - _FLOOR_DB, 1 - _FLOOR_DB), np.int64)  # by level of each, in dB

    def add(self, frames: NDArray[np.float32]) -> None:
        """Add a block of frames (n, 2)."""
        held = np.concatenate((self._held, frames))
        whole = len(held) // self._size * self._size
        self._held = held[whole:]
        power = np.square(held[:whole].reshape(-1, self._size, 2)).mean(axis=1)  # (windows, 2)
        levels = 10 * np.log10(np.maximum(power, 10.0 ** (_FLOOR_DB / 10)))
        places = np.clip(np.rint(levels).astype(np.int64) - _FLOOR_DB, 0, -_FLOOR_DB)
        np.add.at(self._counts, tuple(places.T), 1)

    @property
    def are_apart(self) -> bool:
        """Whether the channels seem to hold a speaker each."""
        if not self._counts.any():
            return False
        loud = [_quantile(self._counts.sum(axis=1 - axis), _LOUD_SHARE) for axis in (0, 1)]
        places = np.arange(1 - _FLOOR_DB)
        first, second = np.meshgrid(places - loud[0], places - loud[1], indexing="ij")
        spoken = self._counts * (np.maximum(first, second) > -_SPEECH_DB)
        alone = [int(spoken[apart > _APART_DB].sum()) for apart in (first - second, second - first)]
        return min(alone) >= max(_LEAST_S / _WINDOW_S, _LEAST_SHARE * int(spoken.sum()))


def _quantile(counts: NDArray[np.int64], share: float) -> int:
    """Return the first place up to which this share of the counts lies."""
    return int(np.searchsorted(np.cumsum(counts), share * counts.sum()))

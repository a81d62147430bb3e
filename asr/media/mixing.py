"""Mix channels to mono, or take what carries the speech where a mix would lose it.

Axes: n frames, C channels, T windows, B bands.
"""

import numpy as np
from numpy.typing import NDArray

_WINDOW_S = 0.032
_LOW_HZ, _HIGH_HZ = 300, 4_000  # where speech has most of its energy
_BANDS = 12  # between these, equally wide on a logarithmic scale
_NOISE_SHARE = 0.1  # the quantile of the levels of a band that is its noise
_ABOVE_NOISE = 10.0  # as a factor of power: 10 dB
_FLOOR = 1e-10  # power: below -100 dBFS is nothing
_LEAK = 1e-6  # power: what is 60 dB below the strongest may be a leak of the window
_BETTER = 2.0
_LEAST_SHARE = 0.1  # of all tiles; clicks and chance have fewer, speech has 0.4
_FEWEST_WINDOWS = 16


class Mixer:
    """A mixer that decides block by block, and keeps its choice in pauses.

    The rule: cut the sound into tiles, windows of 32 ms by bands between 300 and 4,000 Hz. A tile
    stands out if it is 10 dB above the noise in its band, as speech is and as hum and steady noise
    are not. The mix is used unless twice as many tiles stand out in a single channel, or in half
    the difference of two. Two people on two channels stand out in the mix together, so none of
    them is lost.

    Before that, a simpler rule: unrelated channels of power P leave P / C in their mean. Much less
    means opposite phase, a miswired cable as a rule, and the first of the louder channels is used.

    Attributes:
        findings: a line for each other choice than the mix, in order.
    """

    def __init__(self, rate_hz: int, num_channels: int) -> None:
        size = 1 << round(np.log2(rate_hz * _WINDOW_S))
        self._window = np.blackman(size).astype(np.float32)
        hz = np.arange(size // 2 + 1) * rate_hz / size
        high = min(_HIGH_HZ, 0.45 * rate_hz)
        self._edges = np.searchsorted(hz, np.geomspace(_LOW_HZ, high, _BANDS + 1))
        self._num_channels = num_channels
        self._choice = 0  # 0: the mix; 1..C: a channel; C + 1: half the difference
        self.findings: list[str] = []

    def mix(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the mono signal (n,) of frames (n, C)."""
        if self._num_channels == 1:
            only: NDArray[np.float32] = frames[:, 0]
            return only
        mono: NDArray[np.float32] = frames.mean(axis=1)
        power = np.square(frames).mean(axis=0)  # (C,)
        if np.square(mono).mean() < 0.1 * power.mean() / self._num_channels:
            self._note(f"{self._num_channels} channels cancel each other: used one channel alone")
            first_loud: NDArray[np.float32] = frames[:, np.argmax(power >= power.max() / 2)]
            return first_loud
        candidates = [mono, *frames.T]
        if self._num_channels == 2:
            candidates.append((frames[:, 0] - frames[:, 1]) / 2)
        self._choose(candidates)
        chosen: NDArray[np.float32] = candidates[self._choice]
        return chosen

    def _choose(self, candidates: list[NDArray[np.float32]]) -> None:
        shares = [self._standing_out(candidate) for candidate in candidates]
        best = int(np.argmax(shares))
        if shares[0] > _LEAST_SHARE and shares[0] >= shares[self._choice]:
            self._choice = 0
        if shares[best] > max(_LEAST_SHARE, _BETTER * shares[self._choice]):
            self._choice = best
        if self._choice == 0:
            return
        how = "half their difference"
        if self._choice <= self._num_channels:
            how = f"channel {self._choice} alone"
        self._note(f"speech gets lost in the mix of {self._num_channels} channels: used {how}")

    def _note(self, finding: str) -> None:
        if finding not in self.findings:
            self.findings.append(finding)

    def _standing_out(self, waveform: NDArray[np.float32]) -> float:
        """Return the share of the tiles of samples (n,) that stand out of the noise."""
        size = len(self._window)
        windows = waveform[: len(waveform) // size * size].reshape(-1, size)  # (T, size)
        if len(windows) < _FEWEST_WINDOWS:
            return 0.0
        power = np.square(np.abs(np.fft.rfft(windows * self._window))) / size**2  # (T, bins)
        sums = np.concatenate((np.zeros((len(power), 1)), np.cumsum(power, axis=1)), axis=1)
        bands = np.diff(sums[:, self._edges], axis=1)  # (T, B)
        noise = np.quantile(bands, _NOISE_SHARE, axis=0) + _FLOOR + _LEAK * power.max()
        return float((bands > _ABOVE_NOISE * noise).mean())

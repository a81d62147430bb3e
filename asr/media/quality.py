"""Measure a recording while it is read: sample rate, bandwidth, level, clipping, DC offset.

A recogniser fails quietly on audio that differs from its training speech; these figures show it.
Axes: n frames, C channels. Full scale is 1.0; decibels are relative to it (dBFS).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from asr.media.talkers import Talkers

FLOOR_DB = -120.0  # reported for digital silence, whose level in decibels is minus infinity
_FULL_SCALE = 0.999  # 16-bit clipping decodes to 0.99997, clipping kept by a codec to a little less
_WINDOW_S = 0.032  # of the spectrum
_BAND_DB = -70.0  # below the strongest band; speech stays above it, a low-pass falls to -110 dB
_BAND_SHARE = 0.8  # of the highest frequency that the rates allow; less is a narrow band
_CLIPPED_SHARE = 1e-4  # a loud but whole recording touches full scale less often
_DC_SHARE = 0.01
_SILENCE_DB = -60.0
_SHORT_S = 0.1  # shorter than any word


@dataclass(frozen=True, kw_only=True)
class SoundQuality:
    """Measurements of one recording, or of the piece of it that was read."""

    original_rate_hz: int
    channels: int
    duration: float  # seconds
    format: str  # container and coding, such as "WAV/PCM_16"
    resampled: bool
    bandwidth_hz: float  # highest frequency with energy; 0 for digital silence
    clipped_fraction: float  # samples at or beyond full scale, 0..1
    dc_offset: float  # mean of the mono signal, -1..1
    peak_db: float  # of all channels, before anything is limited to full scale
    rms_db: float  # of the mono signal
    sample_rate_hz: int = 16_000  # what it was resampled to
    channels_cancel: bool = False  # the mono mix would have lost the speech; it was not used
    mixing: tuple[str, ...] = ()  # what was used instead of the mono mix
    speakers_apart: bool = False  # two channels were mixed that seem to hold a speaker each
    gain_db: float = 0.0  # by which a very quiet recording was raised
    repairs: tuple[str, ...] = ()  # about a wrong header, several recordings in one file ...
    losses: tuple[str, ...] = ()  # about sound that is missing, with its place

    def as_dict(self) -> dict[str, object]:
        """Return the figures by name; every value is fit for JSON."""
        return asdict(self)

    @property
    def is_silent(self) -> bool:
        """Whether the peak is so low that nothing can be heard."""
        return self.peak_db < _SILENCE_DB

    def is_narrow(self, sample_rate_hz: int) -> bool:
        """Return whether the band ends well below half of this rate and of the recording's own."""
        allowed_hz = min(self.original_rate_hz, sample_rate_hz) / 2
        return not self.is_silent and self.bandwidth_hz < _BAND_SHARE * allowed_hz

    def warnings(self) -> list[str]:
        """Return one line for each fault or conversion, in the order of processing."""
        found = [*self._mixed(), *self._resampled(), *self._banded(), *self._levelled()]
        return [*self.losses, *self.repairs, *found]

    def _mixed(self) -> list[str]:
        found = [f"mixed {self.channels} channels to mono"] if self.channels > 1 else []
        if self.channels_cancel:
            found = list(self.mixing)
        if self.speakers_apart:
            found.append(
                "its channels seem to hold a speaker each: asr-transcribe --channels split writes "
                "who said what"
            )
        return found

    def _resampled(self) -> list[str]:
        if not self.resampled:
            return []
        line = f"resampled from {self.original_rate_hz} Hz to {self.sample_rate_hz} Hz"
        if self.original_rate_hz < self.sample_rate_hz:
            line += f" (up-sampled: nothing above {self.original_rate_hz / 2000:.3g} kHz is there)"
        return [line]

    def _banded(self) -> list[str]:
        if not self.is_narrow(self.sample_rate_hz):
            return []
        allowed_hz = min(self.original_rate_hz, self.sample_rate_hz) / 2
        return [
            f"band-limited: nothing above {self.bandwidth_hz / 1000:.1f} kHz of "
            f"{allowed_hz / 1000:.3g} kHz (narrow-band codec, or up-sampled before)"
        ]

    def _levelled(self) -> list[str]:
        facts = [
            (
                self.clipped_fraction > _CLIPPED_SHARE,
                f"clipping: {100 * self.clipped_fraction:.3g} % of samples, "
                f"peak {round(self.peak_db, 1) + 0.0:+} dBFS",  # + 0.0: no minus zero
            ),
            (abs(self.dc_offset) > _DC_SHARE, f"DC offset {self.dc_offset:+.3f} of full scale"),
            (self.is_silent, f"near silence: peak {self.peak_db:.0f} dBFS"),
            (
                self.gain_db > 0,
                f"very quiet: peak {self.peak_db:.0f} dBFS; raised by {self.gain_db:.0f} dB",
            ),
            (self.duration < _SHORT_S, f"short: {self.duration:.3f} s"),
        ]
        return [line for true, line in facts if true]


class Meter:
    """A meter that sums over the blocks of a recording, in memory for one block."""

    def __init__(self, rate_hz: int) -> None:
        self.num_frames = 0
        self._rate_hz = rate_hz
        self._peak = 0.0
        self._clipped_share = 0.0  # summed over frames
        self._sum = 0.0
        self._sum_squares = 0.0
        window_frames = 1 << round(np.log2(rate_hz * _WINDOW_S))
        self._window = np.hanning(window_frames).astype(np.float32)
        self._power = np.zeros(window_frames // 2 + 1)
        self._talkers = Talkers(rate_hz)

    def add(self, frames: NDArray[np.float32], mono: NDArray[np.float32]) -> None:
        """Add one block: float32 (n, C) as decoded, and (n,) as mixed."""
        magnitude = np.abs(frames)
        self.num_frames += len(frames)
        self._peak = max(self._peak, float(magnitude.max()))
        self._clipped_share += float((magnitude >= _FULL_SCALE).mean()) * len(frames)
        self._sum += float(mono.sum(dtype=np.float64))
        self._sum_squares += float(np.square(mono, dtype=np.float64).sum())
        self._add_spectrum(mono)
        if frames.shape[1] == 2:
            self._talkers.add(frames)

    def _add_spectrum(self, mono: NDArray[np.float32]) -> None:
        size = len(self._window)
        windows = mono[: len(mono) // size * size].reshape(-1, size)  # (windows, size)
        windows = windows - windows.mean(axis=1, keepdims=True)  # an offset is not a band
        self._power += np.square(np.abs(np.fft.rfft(windows * self._window))).sum(axis=0)

    def quality(
        self,
        *,
        channels: int,
        form: str,
        sample_rate_hz: int,
        mixing: Sequence[str] = (),
        gain: float = 1.0,
        repairs: Sequence[str] = (),
        losses: Sequence[str] = (),
    ) -> SoundQuality:
        """Return the figures of all blocks so far; at least one frame must have been added."""
        return SoundQuality(
            original_rate_hz=self._rate_hz,
            channels=channels,
            duration=self.num_frames / self._rate_hz,
            format=form,
            resampled=sample_rate_hz != self._rate_hz,
            bandwidth_hz=self._bandwidth_hz(),
            clipped_fraction=self._clipped_share / self.num_frames,
            dc_offset=self._sum / self.num_frames,
            peak_db=_decibels(self._peak),
            rms_db=_decibels((self._sum_squares / self.num_frames) ** 0.5),
            sample_rate_hz=sample_rate_hz,
            channels_cancel=bool(mixing),
            mixing=tuple(mixing),
            speakers_apart=self._talkers.are_apart,
            gain_db=_decibels(gain),
            repairs=tuple(repairs),
            losses=tuple(losses),
        )

    def _bandwidth_hz(self) -> float:
        if self._peak == 0:
            return 0.0
        if not self._power.any():  # shorter than one window: cannot be judged
            return self._rate_hz / 2
        heard = np.flatnonzero(self._power >= self._power.max() * 10 ** (_BAND_DB / 10))
        return float(heard[-1]) * self._rate_hz / len(self._window)


def _decibels(amplitude: float) -> float:
    return max(FLOOR_DB, 20 * float(np.log10(max(amplitude, 1e-30))))

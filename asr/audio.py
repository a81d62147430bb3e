"""Read any recording that libsndfile knows, as mono float32 at the model's sample rate.

    recording = read_audio("talk.mp3")
    recording.waveform             # float32 (L,), 16 kHz, within [-1, 1]
    recording.quality.warnings()  # ["resampled from 44100 Hz to 16000 Hz", ...]

Axes: L samples, n frames, C channels. There is one way to decode, block by block: `read_audio`
joins the blocks of an `AudioStream`, which itself keeps no more than one, however long the audio.

A header that promises more than the file holds is an error, never a shorter transcript. Ogg and
a few old formats (VOC, MAT, PVF, IRCAM ...) promise nothing: a cut one ends where it was cut.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

from asr.errors import AudioError
from asr.manifest import Utterance
from asr.media import (
    UNKNOWN_FRAMES,
    Meter,
    Mixer,
    Sound,
    SoundQuality,
    Source,
    open_sound,
    source_name,
)

SAMPLE_RATE_HZ = 16_000

_CHUNK_FRAMES = 1 << 16  # decoded at a time: 16 MB for 64 channels
_QUIET_PEAK = 10 ** (-45 / 20)  # -45 dBFS: recordings that never get louder are raised
_USUAL_PEAK = 0.5  # to this
_LEAST_PEAK = 10 ** (-96 / 20)  # less than the last bit of 16: nothing
LATE_S = 0.1  # how far a piece may reach beyond the end: durations get rounded
_MAX_PEAK = 10.0  # codecs and mixes overshoot full scale a little; integers kept as floats do not

Waveform = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Recording:
    """A waveform, float32 (L,) within [-1, 1], and its measured sound quality."""

    waveform: Waveform
    sample_rate_hz: int
    quality: SoundQuality


def read_audio(
    source: Source,
    *,
    sample_rate_hz: int = SAMPLE_RATE_HZ,
    start: float = 0.0,
    duration: float | None = None,
) -> Recording:
    """Read a recording, or a piece of it, as mono at `sample_rate_hz`.

    Args:
        source: a path, the bytes of a file, or a binary stream such as `sys.stdin.buffer`.
        sample_rate_hz: of the result; another rate is resampled by soxr, and `quality` says so.
        start: seconds to skip; nothing is decoded for them where the format can seek.
        duration: seconds to read; None reads to the end.

    Raises:
        AudioError: the source is missing, not audio, empty, cut short or damaged, holds samples
            that are not numbers or far beyond full scale, or ends before the piece does.
    """
    stream = AudioStream(
        source, sample_rate_hz=sample_rate_hz, start=start, duration=duration, block_s=60.0
    )
    return Recording(np.concatenate(list(stream)), sample_rate_hz, stream.quality)


def read_utterance(utterance: Utterance, sample_rate_hz: int) -> Recording:
    """Read the piece of a recording that an utterance covers, as `read_audio` does.

    Raises:
        AudioError: as read_audio.
    """
    return read_audio(
        utterance.audio,
        sample_rate_hz=sample_rate_hz,
        start=utterance.start,
        duration=utterance.duration,
    )


class AudioStream:
    """A recording as blocks, in memory that does not grow with its length.

    Iterating yields float32 arrays of `block_s` seconds at `sample_rate_hz`, the last one shorter,
    at least one in all; their join is what `read_audio` returns. It raises AudioError as
    `read_audio` does, which for damage in the middle means after some blocks.
    """

    def __init__(
        self,
        source: Source,
        *,
        sample_rate_hz: int = SAMPLE_RATE_HZ,
        start: float = 0.0,
        duration: float | None = None,
        block_s: float = 10.0,
        channel: int | None = None,  # the only one to be read, from 1; None: a mix of all
    ) -> None:
        self._source = source
        self._name = source_name(source)
        self._sample_rate_hz = sample_rate_hz
        self._start = start
        self._duration = duration
        self._channel = channel
        self._block_samples = max(1, round(block_s * sample_rate_hz))
        self._quality: SoundQuality | None = None
        self.promised_s: float | None = None  # known once a block was taken, if the header tells
        self._check_piece()

    @property
    def is_read(self) -> bool:
        """Whether the last block has been taken."""
        return self._quality is not None

    @property
    def quality(self) -> SoundQuality:
        """The sound quality of the whole recording; ValueError before the last block is taken."""
        if self._quality is None:
            raise ValueError(f"{self._name}: the quality is known after the last block")
        return self._quality

    def __iter__(self) -> Iterator[Waveform]:
        pending = np.empty(0, np.float32)
        for waveform in self._waveforms():
            pending = np.concatenate((pending, waveform))
            while len(pending) >= self._block_samples:
                yield pending[: self._block_samples]
                pending = pending[self._block_samples :]
        if len(pending):
            yield pending

    def _waveforms(self) -> Iterator[Waveform]:
        """Yield mono at the wanted rate, in arrays of any length; then set the quality."""
        with open_sound(self._source, self._channel) as sound:
            meter, mixer = Meter(sound.samplerate), Mixer(sound.samplerate, sound.channels)
            resample = resampler(sound.samplerate, self._sample_rate_hz)
            gain = self._gain(sound)
            for frames in self._decode(sound):
                mono = mixer.mix(frames)
                meter.add(frames, mono)
                yield resample(mono if gain == 1 else mono * np.float32(gain), False)
            self._check_sound(meter.num_frames, sound.samplerate)
            yield resample(np.empty(0, np.float32), True)
            self._quality = meter.quality(
                channels=sound.channels,
                form=f"{sound.format}/{sound.subtype}",
                sample_rate_hz=self._sample_rate_hz,
                mixing=mixer.findings,
                gain=gain,
                repairs=sound.repairs,
                losses=sound.losses,
            )

    def _gain(self, sound: Sound) -> float:
        """Return the factor that raises a very quiet piece to a usual level, else 1.

        Features lose quiet speech in the offset of their logarithm. All of the piece is looked
        at, unless a louder sample comes first, and then the sound is at its beginning again.
        """
        peak = 0.0
        for frames in self._decode(sound):
            peak = max(peak, float(np.abs(frames).max()))
            if peak >= _QUIET_PEAK:
                break
        sound.rewind()
        return _USUAL_PEAK / peak if _LEAST_PEAK < peak < _QUIET_PEAK else 1.0

    def _decode(self, sound: Sound) -> Iterator[Waveform]:
        """Yield the piece as float32 (n, C) at the rate of the file."""
        first, stop = self._locate(sound)
        end = first
        if stop < UNKNOWN_FRAMES:
            self.promised_s = (stop - first) / sound.samplerate
        if first:
            sound.seek(first)
        while len(frames := sound.read(min(_CHUNK_FRAMES, stop - end))):
            self._check_samples(frames, end / sound.samplerate)
            end += len(frames)
            yield frames
        self._check_whole(sound, end, stop)

    def _locate(self, sound: Sound) -> tuple[int, int]:
        """Return the first frame of the piece and the one after its last."""
        first = round(self._start * sound.samplerate)
        left = sound.frames - first
        wanted = left if self._duration is None else round(self._duration * sound.samplerate)
        if (first and left <= 0) or wanted > left + LATE_S * sound.samplerate:
            raise AudioError(
                f"{self._name}: lasts {sound.frames / sound.samplerate:.2f} s, but is wanted from "
                f"{self._start:.2f} s to {(first + wanted) / sound.samplerate:.2f} s; "
                "correct the start and duration"
            )
        return first, first + min(wanted, left)

    def _check_piece(self) -> None:
        if not (math.isfinite(self._start) and self._start >= 0):
            raise AudioError(f"{self._name}: start is {self._start} s; allowed: 0 or more")
        if self._duration is not None and not (
            math.isfinite(self._duration) and self._duration > 0
        ):
            raise AudioError(f"{self._name}: duration is {self._duration} s; allowed: above 0")

    def _check_samples(self, frames: Waveform, at: float) -> None:
        peak = float(np.abs(frames).max())
        if not math.isfinite(peak):
            raise AudioError(
                f"{self._name}: holds samples that are not numbers (NaN or infinite) after "
                f"{at:.2f} s; write it again from its source"
            )
        if peak > _MAX_PEAK:
            raise AudioError(
                f"{self._name}: holds a sample of {peak:.6g}, where full scale is 1.0; floats at "
                "the scale of integers? divide them by 32768 and write it again"
            )

    def _check_sound(self, num_frames: int, rate_hz: int) -> None:
        if round(num_frames * self._sample_rate_hz / rate_hz) == 0:
            raise AudioError(
                f"{self._name}: holds {num_frames} sample(s), which is no sound; record it again"
            )

    def _check_whole(self, sound: Sound, end: int, promised: int) -> None:
        rate_hz = sound.samplerate
        known = sound.frames < UNKNOWN_FRAMES
        if promised >= UNKNOWN_FRAMES or end >= promised - (0 if known else LATE_S * rate_hz):
            return
        raise AudioError(
            f"{self._name}: is cut short: promises {promised / rate_hz:.2f} s, "
            f"ends after {end / rate_hz:.2f} s; copy or convert it again"
        )


def resampler(from_hz: int, to_hz: int) -> Callable[[Waveform, bool], Waveform]:
    """Return a function of (waveform, whether it is the last) that resamples to [-1, 1].

    Resampling can overshoot full scale, so the result is clipped.
    """
    if from_hz == to_hz:
        return lambda waveform, last: np.clip(waveform, -1, 1)
    stream = soxr.ResampleStream(from_hz, to_hz, 1, dtype="float32", quality="HQ")
    return lambda waveform, last: np.clip(stream.resample_chunk(waveform, last=last), -1, 1)

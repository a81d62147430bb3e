"""What all recognisers hear: recordings as WAV files, read once by asr.audio, and their texts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import soundfile
from listener import RATE_HZ

from asr._progress import progress
from asr.audio import read_audio
from asr.batch import list_audio
from asr.errors import ConfigError
from asr.manifest import read_manifest

SHORT_S = 8.0  # of the recording that a command is started for


@dataclass(frozen=True, kw_only=True)
class Recordings:
    """All in one order; references and speakers are empty where nobody knows them."""

    wavs: Sequence[Path]
    seconds: Sequence[float]
    references: Sequence[str] = ()
    speakers: Sequence[str | None] = ()

    @property
    def audio_s(self) -> float:
        """Seconds of all."""
        return sum(self.seconds)

    @property
    def short(self) -> int:
        """Which is nearest to SHORT_S."""
        return min(range(len(self.wavs)), key=lambda n: abs(self.seconds[n] - SHORT_S))


def gather(inputs: Sequence[str], folder: Path) -> Recordings:
    """Write recordings, or the utterances of one manifest, to a folder as 0.wav, 1.wav ...

    Raises:
        AudioError, ManifestError: one cannot be read.
        ConfigError: a manifest is not the only input.
    """
    manifests = [name for name in inputs if name.endswith(".jsonl")]
    if not manifests:
        wavs, seconds = _write([(path, 0.0, None) for path in list_audio(inputs)], folder)
        return Recordings(wavs=wavs, seconds=seconds)
    if len(inputs) > 1:
        raise ConfigError(f"AUDIO: {manifests[0]} is a manifest; give it alone, or audio files")
    utterances = read_manifest(manifests[0])
    wavs, seconds = _write([(u.audio, u.start, u.duration) for u in utterances], folder)
    return Recordings(
        wavs=wavs,
        seconds=seconds,
        references=[u.text for u in utterances],
        speakers=[u.speaker for u in utterances],
    )


def _write(
    pieces: Sequence[tuple[Path, float, float | None]], folder: Path
) -> tuple[list[Path], list[float]]:
    """Files and their seconds, of pieces that are (path, start, duration)."""
    folder.mkdir(parents=True, exist_ok=True)
    wavs, seconds = [], []
    for number, (path, start, duration) in enumerate(progress(pieces, "reading")):
        recording = read_audio(path, sample_rate_hz=RATE_HZ, start=start, duration=duration)
        wavs.append(folder / f"{number}.wav")
        seconds.append(len(recording.waveform) / RATE_HZ)
        soundfile.write(wavs[-1], recording.waveform, RATE_HZ, subtype="PCM_16")
    return wavs, seconds


def join(recordings: Recordings, hours: float, target: Path) -> None:
    """Write one recording of so many hours: all, again and again."""
    remaining = round(hours * 3600 * RATE_HZ)
    target.parent.mkdir(parents=True, exist_ok=True)
    with soundfile.SoundFile(target, "w", RATE_HZ, 1, "PCM_16") as sound:
        while remaining:
            for wav in recordings.wavs:
                samples, _ = soundfile.read(wav, frames=remaining, dtype="int16")
                sound.write(samples)
                remaining -= len(samples)

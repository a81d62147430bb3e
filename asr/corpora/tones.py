"""Generate a corpus of tones that a model learns in seconds, as a first test without download.

A word is a steady tone with soft edges, a sentence is one to four of them with pauses, and a
little noise lies over all. The words are the first syllables of the solfege.
"""

from pathlib import Path

import numpy as np
import soundfile

from asr.corpora.entries import CorpusEntry, to_utterances
from asr.manifest import Utterance

SAMPLE_RATE_HZ = 16_000
WORD_HZ = {"do": 300.0, "re": 600.0, "mi": 1200.0, "fa": 2400.0, "so": 4800.0}
SIZES = {"train": 300, "valid": 40, "test": 40}  # utterances of each part
_EDGE_S = 0.01


def make_tones(folder: Path, seed: int = 0) -> dict[str, list[Utterance]]:
    """Write WAV files into a folder; return the utterances of each part."""
    parts = {}
    for part_seed, (part, size) in enumerate(SIZES.items()):
        rng = np.random.default_rng([seed, part_seed])
        audio = folder / part
        audio.mkdir(parents=True, exist_ok=True)
        entries = [_make(rng, audio / f"{part}-{number:03d}.wav") for number in range(size)]
        parts[part] = to_utterances(folder, entries)
    return parts


def _make(rng: np.random.Generator, path: Path) -> CorpusEntry:
    words = rng.choice(list(WORD_HZ), rng.integers(1, 5)).tolist()
    sounds = [_pause(rng)]
    for word in words:
        sounds += [_tone(rng, WORD_HZ[word]), _pause(rng)]
    waveform = np.concatenate(sounds)
    waveform += 0.005 * rng.standard_normal(len(waveform))
    soundfile.write(path, waveform, SAMPLE_RATE_HZ)
    return CorpusEntry(id=path.stem, audio=path, text=" ".join(words), speaker="tones")


def _tone(rng: np.random.Generator, frequency_hz: float) -> np.ndarray:
    duration = rng.uniform(0.15, 0.35)
    time = np.arange(0, duration, 1 / SAMPLE_RATE_HZ)
    envelope = np.minimum(1, np.minimum(time, duration - time) / _EDGE_S)
    tone: np.ndarray = rng.uniform(0.1, 0.5) * envelope * np.sin(2 * np.pi * frequency_hz * time)
    return tone


def _pause(rng: np.random.Generator) -> np.ndarray:
    return np.zeros(int(rng.uniform(0.12, 0.25) * SAMPLE_RATE_HZ))

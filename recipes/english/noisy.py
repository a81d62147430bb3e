"""Noisy copies of the recordings of a manifest, to train the networks for noise on.

usage: PYTHONPATH=../../scripts/bench python noisy.py MANIFEST NOISES OUT SEED    OUT/noisy.jsonl

Half of the copies have steady noise, 0 to 12 dB below the speech; a quarter have babble, 4 to 16
dB, which is made of four to eight recordings of the manifest; the others have any recording of
NOISES, 2 to 16 dB. Each is up to 20 dB less loud than it was. NOISES is a folder of files, those of
remvze/moodist as README.md says: their names tell which noise is steady (wind chimes and wipers
pass for it, as they did for the networks that ship), and what is no noise is left out. Where no
name tells it, any noise counts as steady.
"""

import re
import sys
from pathlib import Path

import numpy as np
from conditions import RATE_HZ, record_anew
from numpy.random import Generator
from numpy.typing import NDArray

from asr.audio import Waveform, read_audio, read_utterance
from asr.manifest import read_manifest

NOT_NOISE = re.compile("silence|binaural|morse|singing-bowl|tuning-radio|alarm|droplets")
STEADY = re.compile(
    "brown-noise|pink-noise|white-noise|heavy-rain|light-rain|rain-on|howling-wind|wind|waterfall|"
    "river|waves|laundry|boiling|ceiling-fan|dryer|vinyl|washing|slide-projector|airplane|"
    "inside-a-train|sailboat|submarine|transport-train|highway|road|traffic|busy-street|underwater|"
    "construction|campfire|laboratory|subway|supermarket"
)


def main() -> None:
    """Write the copies of all recordings."""
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    manifest, noises, out = (Path(given) for given in sys.argv[1:4])
    made = record_anew(manifest, out, "noisy", Noise(manifest, noises), seed=int(sys.argv[4]))
    print(f"{out}: {made} copies")


class Noise:
    """A function that adds noise to speech."""

    def __init__(self, manifest: Path, noises: Path) -> None:
        recordings = {
            name: read_audio(path, sample_rate_hz=RATE_HZ).waveform
            for name, path in sorted((path.name, path) for path in noises.iterdir())
            if path.is_file() and not NOT_NOISE.search(name)
        }
        if not recordings:
            sys.exit(f"{noises}: holds no recordings of noise; put some there")
        self.any = list(recordings.values())
        steady = [noise for name, noise in recordings.items() if STEADY.search(name)]
        self.steady = steady or self.any
        utterances = read_manifest(manifest)
        self.speech = [  # in half of the memory
            read_utterance(each, RATE_HZ).waveform.astype(np.float16) for each in utterances
        ]

    def __call__(self, speech: Waveform, rng: Generator) -> tuple[Waveform, int]:
        """Return noisy speech, scaled down where it would be clipped, and its rate."""
        kind = rng.random()
        if 0.5 <= kind < 0.75:
            snr_db = rng.uniform(4, 16)
            noise = self._babble(len(speech), rng)
        else:
            noises, least_db, most_db = (self.steady, 0, 12) if kind < 0.5 else (self.any, 2, 16)
            chosen = noises[rng.integers(len(noises))]
            snr_db = rng.uniform(least_db, most_db)
            noise = _piece(chosen, len(speech), rng)
        wanted = np.mean(speech**2) / 10 ** (snr_db / 10)
        noisy = speech + noise * np.sqrt(wanted / max(np.mean(noise**2), 1e-20))
        return noisy / max(1.0, np.abs(noisy).max() / 0.99) * 10 ** rng.uniform(-1, 0), RATE_HZ

    def _babble(self, length: int, rng: Generator) -> NDArray[np.float32]:
        """Return what several other people say at once, not all of them as loud."""
        babble = np.zeros(length, np.float32)
        for _ in range(rng.integers(4, 9)):
            voice = self.speech[rng.integers(len(self.speech))].astype(np.float32)
            loudness = max(1e-4, float(np.sqrt(np.mean(voice**2))))
            babble += _piece(voice, length, rng) / loudness * np.float32(rng.uniform(0.3, 1))
        return babble


def _piece(noise: Waveform, length: int, rng: Generator) -> Waveform:
    """Return a stretch of a recording, which begins anew where it ends."""
    return noise[(rng.integers(len(noise)) + np.arange(length)) % len(noise)]


if __name__ == "__main__":
    main()

"""A manifest's recordings with noise added, or as over the telephone.

python scripts/bench/noise.py MANIFEST OUT --noises FOLDER --snr 10    # OUT/noisy.jsonl
python scripts/bench/noise.py MANIFEST OUT --telephone                 # OUT/telephone.jsonl

Each utterance gets another piece of another recording in FOLDER; its power, over the utterance, is
so many dB below that of the speech. A telephone keeps 8,000 samples a second in 8 bits of mu-law.
"""

import argparse
from pathlib import Path

import numpy as np
import soxr
from conditions import RATE_HZ, record_anew
from numpy.random import Generator

from asr.audio import Waveform, read_audio
from asr.cli.run import run

TELEPHONE_HZ = 8000


def main() -> int:
    """Write recordings and their manifest; return the exit status."""
    parser = argparse.ArgumentParser("noise.py", description=__doc__.splitlines()[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument("--noises", type=Path, metavar="FOLDER", help="recordings of noise")
    kind.add_argument("--telephone", action="store_true")
    parser.add_argument("--snr", type=float, default=10.0, metavar="DB")
    return run("noise.py", lambda: write(parser.parse_args()))


def write(arguments: argparse.Namespace) -> int:
    """Write what was asked for."""
    where = arguments.manifest, arguments.out
    if arguments.telephone:
        done = record_anew(*where, "telephone", _telephone, seed=arguments.seed, subtype="ULAW")
    else:
        files = sorted(path for path in arguments.noises.iterdir() if path.is_file())
        noises = [read_audio(path, sample_rate_hz=RATE_HZ).waveform for path in files]
        mix = _Mixer(noises, arguments.snr)
        done = record_anew(*where, "noisy", mix, seed=arguments.seed)
    print(f"{done} utterances")
    return 0


def _telephone(speech: Waveform, _: Generator) -> tuple[Waveform, int]:
    return soxr.resample(speech, RATE_HZ, TELEPHONE_HZ), TELEPHONE_HZ


class _Mixer:
    """A function that adds pieces of recordings to speech."""

    def __init__(self, noises: list[Waveform], snr_db: float) -> None:
        self.noises = noises
        self.snr_db = snr_db

    def __call__(self, speech: Waveform, rng: Generator) -> tuple[Waveform, int]:
        """Return noisy speech, scaled down where it would be clipped, and its rate."""
        noise = self.noises[rng.integers(len(self.noises))]
        begin = rng.integers(len(noise))
        piece = noise[(begin + np.arange(len(speech))) % len(noise)]
        wanted = np.mean(speech**2) / 10 ** (self.snr_db / 10)
        noisy = speech + piece * np.sqrt(wanted / max(np.mean(piece**2), 1e-20))
        return noisy / max(1.0, np.abs(noisy).max() / 0.99), RATE_HZ


if __name__ == "__main__":
    raise SystemExit(main())

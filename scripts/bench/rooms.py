"""A manifest's recordings as they sound in rooms, each in another one, one to three metres away.

pip install pyroomacoustics
python scripts/bench/rooms.py MANIFEST OUT    # OUT/rooms.jsonl, and OUT/<utterance>.flac

Rooms are boxes of 3 x 3 x 2.4 to 7 x 6 x 3.2 m, with walls such that sound falls by 60 dB in 0.25
to 0.6 s; echoes by the image-source method (Allen and Berkley 1979). Speech begins where it did.
"""

import argparse
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyroomacoustics
from conditions import RATE_HZ, record_anew
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.signal import fftconvolve

from asr.audio import Waveform
from asr.cli.run import run

SMALLEST_M, LARGEST_M = (3.0, 3.0, 2.4), (7.0, 6.0, 3.2)
FROM_WALLS_M, DISTANCE_M = 0.6, (1.0, 3.0)
FALL_S = (0.25, 0.6)  # by 60 dB


def main() -> int:
    """Write recordings and their manifest; return the exit status."""
    parser = argparse.ArgumentParser("rooms.py", description=__doc__.splitlines()[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    return run("rooms.py", lambda: write(arguments.manifest, arguments.out, arguments.seed))


def write(manifest: Path, out: Path, seed: int) -> int:
    """One room for each utterance, the same whatever else is in the manifest before it."""
    done = record_anew(manifest, out, "rooms", _in_a_room, seed=seed)
    print(f"{done} utterances, pyroomacoustics {version('pyroomacoustics')}")
    return 0


def _in_a_room(speech: Waveform, rng: Generator) -> tuple[Waveform, int]:
    echoed = fftconvolve(speech, _response(rng))[: len(speech)]
    loudness = np.abs(speech).max() / max(np.abs(echoed).max(), 1e-9)  # the recorder's level
    return echoed * loudness, RATE_HZ


def _response(rng: Generator) -> Waveform:
    """Impulse response of a room, from the direct sound on."""
    size_m, fall_s = rng.uniform(SMALLEST_M, LARGEST_M), rng.uniform(*FALL_S)
    absorbed, reflections = pyroomacoustics.inverse_sabine(fall_s, size_m)
    room = pyroomacoustics.ShoeBox(
        size_m,
        fs=RATE_HZ,
        materials=pyroomacoustics.Material(absorbed),
        max_order=reflections,
    )
    speaker_m, recorder_m = _places(size_m, rng)
    room.add_source(speaker_m)
    room.add_microphone(recorder_m)
    room.compute_rir()
    response = room.rir[0][0].astype(np.float32)
    return response[np.abs(response).argmax() :]


def _places(size_m: NDArray[np.float64], rng: Generator) -> NDArray[np.float64]:
    """Of speaker and recorder."""
    while True:
        places = rng.uniform(FROM_WALLS_M, size_m - FROM_WALLS_M, (2, 3))
        if DISTANCE_M[0] <= np.linalg.norm(places[0] - places[1]) <= DISTANCE_M[1]:
            return places


if __name__ == "__main__":
    raise SystemExit(main())

"""A manifest's recordings as they sound in rooms, each in another one, one to three metres away.

pip install pyroomacoustics
python scripts/bench/rooms.py MANIFEST OUT    # OUT/rooms.jsonl, and OUT/<utterance>.flac

Rooms are boxes of 3 x 3 x 2.4 to 7 x 6 x 3.2 m, with walls such that sound falls by 60 dB in 0.25
to 0.6 s; echoes by the image-source method (Allen and Berkley 1979). Speech begins where it did.
"""

import argparse
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyroomacoustics
import soundfile
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.signal import fftconvolve

from asr.audio import Waveform, read_utterance
from asr.cli.run import run
from asr.manifest import Utterance, read_manifest, write_manifest

RATE_HZ = 16_000
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
    out.mkdir(parents=True, exist_ok=True)
    heard = []
    for utterance in read_manifest(manifest):
        rng = np.random.default_rng([seed, *utterance.id.encode()])
        heard.append(_in_a_room(utterance, out / f"{utterance.id}.flac", rng))
    write_manifest(out / "rooms.jsonl", heard)
    print(f"{len(heard)} utterances, pyroomacoustics {version('pyroomacoustics')}")
    return 0


def _in_a_room(utterance: Utterance, path: Path, rng: Generator) -> Utterance:
    speech = read_utterance(utterance, RATE_HZ).waveform
    echoed = fftconvolve(speech, _response(rng))[: len(speech)]
    loudness = np.abs(speech).max() / max(np.abs(echoed).max(), 1e-9)  # the recorder's level
    soundfile.write(path, (echoed * loudness).astype(np.float32), RATE_HZ)
    return replace(utterance, audio=path.resolve(), start=0.0, duration=len(speech) / RATE_HZ)


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

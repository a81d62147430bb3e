"""Make the recordings of a manifest anew under other conditions, such as noise or a room."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile
from numpy.random import Generator

from asr.audio import Waveform, read_utterance
from asr.manifest import read_manifest, write_manifest

RATE_HZ = 16_000
Change = Callable[[Waveform, Generator], tuple[Waveform, int]]  # to samples, and their rate in Hz


def record_anew(
    manifest: Path, out: Path, name: str, change: Change, *, seed: int, subtype: str = "PCM_16"
) -> int:
    """Write OUT/NAME.jsonl and a recording of each utterance; return how many.

    What happens to an utterance depends on the seed and its id alone.
    """
    out.mkdir(parents=True, exist_ok=True)
    heard = []
    for utterance in read_manifest(manifest):
        rng = np.random.default_rng([seed, *utterance.id.encode()])
        speech = read_utterance(utterance, RATE_HZ).waveform
        changed, rate_hz = change(speech, rng)
        path = out / f"{utterance.id}.{'flac' if subtype == 'PCM_16' else 'wav'}"
        soundfile.write(path, changed.astype(np.float32), rate_hz, subtype=subtype)
        seconds = len(changed) / rate_hz
        heard.append(replace(utterance, audio=path.resolve(), start=0.0, duration=seconds))
    write_manifest(out / f"{name}.jsonl", heard)
    return len(heard)

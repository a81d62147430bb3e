"""Generated speech for tests.

A word is a tone, an utterance a few of them with pauses between. Where no network learns it, speech
is bursts of noise, which may be heard in a room.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from asr.audio import Waveform
from asr.config import Config, config_from_dict
from asr.manifest import Utterance, write_manifest

RATE_HZ = 8000
WORDS = {"A": 400.0, "B": 900.0, "C": 2000.0}  # Hz
SMALL = {
    "features": {"sample_rate_hz": RATE_HZ, "num_mels": 16, "num_ceps": 13, "deltas": 0},
    "model": {"layers": 2, "hidden": 16, "stack": 3, "dropout": 0.0},
    "data": {"batch_s": 6.0, "max_utterance_s": 3.0},
    "train": {"epochs": 4, "learning_rate": 0.02, "warmup_steps": 5, "processes": 1},
}


def small_config(**sections: dict[str, Any]) -> Config:
    """Return a configuration for a network that trains within seconds, with changes to it."""
    names = SMALL.keys() | sections.keys()
    return config_from_dict({n: {**SMALL.get(n, {}), **sections.get(n, {})} for n in names})


def write_conf(folder: Path, table: dict[str, dict[str, Any]] = SMALL) -> Path:
    """Write a configuration as TOML, the small one unless told otherwise; return its path."""
    path = folder / "small.toml"
    with path.open("w", encoding="utf-8") as file:
        for section, values in table.items():
            lines = (f"{key} = {json.dumps(value)}\n" for key, value in values.items())
            file.write(f"[{section}]\n" + "".join(lines))
    return path


def tone(hz: float, seconds: float) -> np.ndarray:
    """Return a sine with soft edges, float32."""
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    edge = np.minimum(1, np.minimum(time, time[::-1]) / 0.02)
    return (0.3 * edge * np.sin(2 * np.pi * hz * time)).astype(np.float32)


def utter(text: str, rng: np.random.Generator) -> np.ndarray:
    """Return the tones of a text in faint noise, with pauses of random length."""
    pieces = []
    for word in text.split():
        pieces += [np.zeros(round(rng.uniform(0.08, 0.15) * RATE_HZ), np.float32)]
        pieces += [tone(WORDS[word], rng.uniform(0.12, 0.2))]
    waveform = np.concatenate([*pieces, pieces[0]])
    return (waveform + 1e-3 * rng.standard_normal(len(waveform))).astype(np.float32)


def syllables(seconds: float, seed: int = 0, rate_hz: int = RATE_HZ) -> Waveform:
    """Bursts of noise with pauses between, as loud as speech."""
    rng = np.random.default_rng(seed)
    length = round(seconds * rate_hz)
    bursts = np.repeat(rng.random(length // (rate_hz // 10) + 1) < 0.5, rate_hz // 10)[:length]
    return (0.1 * bursts * rng.standard_normal(length)).astype(np.float32)


def in_a_room(waveform: Waveform, rate_hz: int = RATE_HZ, falls_s: float = 0.5) -> Waveform:
    """The same with echoes that fall by 60 dB in `falls_s`, and as much energy as the direct sound.

    Late echoes are noise that decays exponentially (Polack 1988).
    """
    time = np.arange(round(falls_s * rate_hz)) / rate_hz
    echo = np.random.default_rng(1).standard_normal(len(time)) * 10 ** (-3 * time / falls_s)
    echo /= np.sqrt(np.square(echo).sum())
    echo[0] = 1.0
    size = len(waveform) + len(echo)
    heard = np.fft.irfft(np.fft.rfft(waveform, size) * np.fft.rfft(echo, size), size)
    return heard[: len(waveform)].astype(np.float32)


def level_db(waveform: NDArray[np.floating]) -> float:
    """Return the level of samples, in decibels of full scale."""
    return float(10 * np.log10(np.square(waveform, dtype=np.float64).mean()))


def write_tones(folder: Path, count: int, seed: int = 0) -> Path:
    """Write WAV files and their manifest; return the manifest's path."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    utterances = []
    for number in range(count):
        text = " ".join(rng.choice(list(WORDS), rng.integers(1, 5)))
        audio = folder / f"{number}.wav"
        waveform = utter(text, rng)
        soundfile.write(audio, waveform, RATE_HZ)
        duration = len(waveform) / RATE_HZ
        utterances.append(Utterance(id=f"u{number}", audio=audio, duration=duration, text=text))
    write_manifest(folder / "tones.jsonl", utterances)
    return folder / "tones.jsonl"

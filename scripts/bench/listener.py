"""Recordings to texts by one system, in a process of its own, started by transcribe.py.

    python listener.py NAME      NAME is one of SYSTEMS

reads {"model": FOLDER, "wavs": [FILE, ...]}, 16 kHz, 16 bit, one channel, and answers by {"texts",
"cpu_s", "versions"}, the seconds of CPU for each recording; or by {"not_available"}, the reason. It
imports nothing but its system, which lives in an environment of its own.
"""

import io
import json
import sys
import time
import wave
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from versions import version_of

RATE_HZ = 16_000


class System(Protocol):
    """A recogniser with its model."""

    packages: tuple[str, ...]  # whose versions matter

    def hear(self, wav: bytes) -> str:
        """The text of a recording."""


class _Asr:
    """This toolkit with a bundle; everything that asr-transcribe does counts, intake as well."""

    packages: tuple[str, ...] = ("asr", "onnxruntime", "numpy")

    def __init__(self, model: Path) -> None:
        from asr import load_model

        self.recognizer = load_model(model)

    def hear(self, wav: bytes) -> str:
        return self.recognizer.transcribe(wav).spoken


class _AsrGreedy(_Asr):
    """The same without the bundle's language model."""

    def __init__(self, model: Path) -> None:
        from asr import DecodingOptions, load_model

        self.recognizer = load_model(model, DecodingOptions(decoder="greedy"))


class _PocketSphinx:
    """PocketSphinx with the English model, dictionary and 3-gram of its wheel, as it is set up."""

    packages: tuple[str, ...] = ("pocketsphinx",)

    def __init__(self, model: Path) -> None:
        self.decoder = import_module("pocketsphinx").Decoder(samprate=RATE_HZ)

    def hear(self, wav: bytes) -> str:
        with wave.open(io.BytesIO(wav)) as recording:
            samples = recording.readframes(recording.getnframes())
        self.decoder.start_utt()
        self.decoder.process_raw(samples, full_utt=True)
        self.decoder.end_utt()
        best = self.decoder.hyp()
        return best.hypstr if best else ""


SYSTEMS: dict[str, Callable[[Path], System]] = {
    "asr-beam": _Asr,
    "asr-greedy": _AsrGreedy,
    "pocketsphinx": _PocketSphinx,
}


def answer(name: str, model: Path, wavs: list[Path]) -> dict[str, Any]:
    """What is printed."""
    try:
        system = SYSTEMS[name](model)
    except ImportError as error:
        return {"not_available": f"{type(error).__name__}: {error}"}
    texts, seconds = [], []
    for wav in wavs:
        content = wav.read_bytes()
        # CPU time: the wall clock's on an idle machine, and on a busy one still true
        started = time.process_time()
        texts.append(system.hear(content))
        seconds.append(time.process_time() - started)
    versions = {package: version_of(package) for package in system.packages}
    return {"texts": texts, "cpu_s": seconds, "versions": versions}


if __name__ == "__main__":
    request = json.load(sys.stdin)
    found = answer(sys.argv[1], Path(request["model"]), list(map(Path, request["wavs"])))
    print(json.dumps(found))

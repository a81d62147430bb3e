"""The environment of the peers, and the processes that decode: see worker.py for what they say."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from asr._progress import say
from asr.errors import AsrError

PACKAGES = (
    "numpy<2",  # pyctcdecode demands it
    "pyctcdecode==0.5.0",
    "kenlm==0.3.0",  # is compiled here: it has no wheels
    "flashlight-text==0.0.7",
    "fast-ctc-decode==0.3.7",
)
WORKER = Path(__file__).with_name("worker.py")
ONE_THREAD = {
    f"{library}_NUM_THREADS": "1" for library in ("OMP", "MKL", "OPENBLAS", "NUMBA", "RAYON")
}


class WorkerError(AsrError):
    """A decoder whose process ended before its answer."""


def make_environment(folder: Path, packages: Sequence[str] = PACKAGES) -> Path:
    """Make a virtual environment of peers, or what it lacks; return its Python.

    A package that cannot be installed is left out: its worker will say that it is not available.
    """
    python = folder / "bin" / "python"
    stamp = folder / "installed.json"
    if stamp.exists() and json.loads(stamp.read_text()) == list(packages):
        return python
    say(f"installing {', '.join(packages)} (some minutes, once)")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    for package in packages:
        pip = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        if subprocess.run((*pip, package), check=False, stdout=sys.stderr).returncode:
            say(f"{package} cannot be installed")
    stamp.write_text(json.dumps(packages))
    return python


def packages_of(python: Path) -> Path:
    """The folder that an environment's packages are in."""
    return next(python.parents[1].glob("lib/python*/site-packages"))


class Worker:
    """A decoder in its own process; `not_available` says why, where it cannot be used."""

    def __init__(self, system: str, python: Path, setup: Path, log: Path) -> None:
        self.system, self.log = system, log
        own = Path(__file__).parents[2]  # for those that run beside asr
        with log.open("w") as errors:
            self.process = subprocess.Popen(
                [python, WORKER, system, setup],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, **ONE_THREAD, "PYTHONPATH": str(own)},
            )
        if self.process.stdin is None or self.process.stdout is None:
            raise RuntimeError("pipes were asked for")
        self.requests, self.answers = self.process.stdin, self.process.stdout
        hello = self._answer()
        self.versions: dict[str, str] = hello.get("versions", {})
        self.not_available: str | None = hello.get("not_available")

    def decode(
        self,
        part: slice,
        lm_weight: float = 0.0,
        word_score: float = 0.0,
        hotwords: Sequence[str] = (),
    ) -> tuple[list[str], float]:
        """Texts of a part of the utterances, and the seconds of CPU that they took.

        Raises:
            WorkerError: the process ended.
        """
        request = {
            "first": part.start,
            "last": part.stop,
            "lm_weight": lm_weight,
            "word_score": word_score,
            "hotwords": list(hotwords),
        }
        self.requests.write(json.dumps(request) + "\n")
        self.requests.flush()
        answer = self._answer()
        return answer["texts"], answer["cpu_s"]

    def close(self) -> None:
        """End the process."""
        self.process.communicate()

    def _answer(self) -> dict[str, Any]:
        line = self.answers.readline()
        if not line:
            self.close()
            raise WorkerError(f"{self.system}: its process ended; see {self.log}")
        answer: dict[str, Any] = json.loads(line)
        return answer

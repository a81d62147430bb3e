"""The recognisers of transcribe.py: environments, processes, and what those take."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peers import ONE_THREAD, WorkerError

from asr._progress import say

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BUILD = HERE / "build"
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
INSTALLERS = ("pip", "setuptools", "pkg_resources", "_distutils_hack")  # of every environment


@dataclass(frozen=True)
class Usage:
    """What a process took; peak memory in millions of bytes."""

    wall_s: float
    cpu_s: float
    peak_mb: float


@dataclass(frozen=True)
class Entrant:
    """A recogniser: the Python that has it, its name in listener.py, its model if it has none."""

    python: Path
    system: str
    model: Path

    def hear(self, wavs: Sequence[Path]) -> tuple[dict[str, Any], Usage]:
        """The answer of listener.py.

        Raises:
            WorkerError: it has none.
        """
        request = {"model": str(self.model), "wavs": list(map(str, wavs))}
        command = (self.python, HERE / "listener.py", self.system)
        said, usage = timed(command, json.dumps(request))
        return json.loads(said), usage


def core_environment() -> Path:
    """Make an environment with what is in the working tree now, without torch; its Python."""
    folder = BUILD / "core-venv"
    python = folder / "bin" / "python"
    say("pip install . (a minute, the first time)")
    if not python.exists():
        _do(sys.executable, "-m", "venv", folder)
    _do(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", ROOT)
    return python


def float_bundle(model: Path) -> Path:
    """Export an experiment without rounding its weights, where torch is; the bundle's folder."""
    folder = BUILD / "float-bundle"
    export = "import sys; from asr.cli.export import main; sys.exit(main())"
    options = ("--warps", "0.96", "1.04")  # as the model that ships has it
    command = (sys.executable, "-c", export, model, folder, *options)
    _do(*command, environment={"PYTHONPATH": str(ROOT)})
    return folder


def _do(*command: str | Path, environment: Mapping[str, str] | None = None) -> None:
    """Run a command; what it prints goes to stderr."""
    done = subprocess.run(
        command, check=False, stdout=sys.stderr, env={**ENVIRONMENT, **(environment or {})}
    )
    if done.returncode:
        raise WorkerError(
            f"{' '.join(map(str, command))}: status {done.returncode}; see above, and try again"
        )


def size_mb(folder: Path) -> float:
    """Millions of bytes of an environment's packages, without those that install others."""
    files = (file for file in folder.rglob("*") if file.is_file() and not file.is_symlink())
    return sum(
        file.stat().st_size / 1e6
        for file in files
        if not file.relative_to(folder).parts[0].startswith(INSTALLERS)
    )


def timed(command: Sequence[str | Path], request: str = "") -> tuple[str, Usage]:
    """Run a command on one thread; what it printed, and what it took.

    Raises:
        WorkerError: it failed.
    """
    done = subprocess.run(
        [sys.executable, "-S", HERE / "stopwatch.py", *command],
        input=request,
        capture_output=True,
        text=True,
        check=False,
        env=ENVIRONMENT | ONE_THREAD,
    )
    if done.returncode:
        said = done.stderr.strip().rpartition("\n")[2]
        raise WorkerError(f"{Path(command[0]).name}: status {done.returncode}: {said}")
    printed, _, usage = done.stdout.rstrip().rpartition("\n")
    return printed, Usage(**json.loads(usage))

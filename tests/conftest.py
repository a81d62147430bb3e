"""What all tests share: one thread, and properties that are not timed."""

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when numpy and torch are imported

settings.register_profile("asr", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("asr")


BENCH = Path(__file__).parents[1] / "scripts" / "bench"


@pytest.fixture
def torchaudio(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """torchaudio for golden numbers, also beside a torch for CPUs."""
    monkeypatch.syspath_prepend(BENCH)
    return import_module("cpu_torchaudio").torchaudio


@pytest.fixture
def tones(tmp_path: Path) -> Path:
    """A manifest of 24 utterances in which words are tones."""
    from speech import write_tones

    return write_tones(tmp_path / "tones", 24)


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which recipes/smoke/run.sh has left data/ and the experiment exp/."""
    folder = tmp_path_factory.mktemp("smoke")
    recipe = Path(__file__).parents[1] / "recipes" / "smoke" / "run.sh"
    commands = Path(sys.executable).parent  # asr-train and its like
    environment = os.environ | {
        "DATA": str(folder / "data"),
        "EXP": str(folder / "exp"),
        "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
    }
    subprocess.run([recipe], env=environment, check=True, timeout=600, capture_output=True)
    return folder

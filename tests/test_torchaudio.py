"""torchaudio beside a torch that its compiled extension does not load for."""

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from asr._install import install
from asr.errors import MissingDependencyError

BENCH = Path(__file__).parents[1] / "scripts" / "bench"


@pytest.fixture
def cpu_torchaudio(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCH)
    return import_module("cpu_torchaudio")


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(BENCH)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_pure_python_parts_work(torchaudio: ModuleType):
    waveform = torch.sin(torch.arange(800) / 5)
    power = torchaudio.transforms.Spectrogram(n_fft=128)(waveform[None])
    assert power.shape == (1, 65, 13)
    assert np.isfinite(power.numpy()).all()
    assert torchaudio.compliance.kaldi is not None


def test_a_missing_torchaudio_names_the_remedy():
    code = """
import sys
sys.modules["torchaudio"] = None
from asr.errors import MissingDependencyError
try:
    import cpu_torchaudio
except MissingDependencyError as error:
    print(error)
"""
    assert run(code).endswith(f"install it: {install('test')}")


def fake_import(error: str) -> str:
    """A program in which loading the extension raises an error once."""
    return f"""
import importlib, sys
real, calls = importlib.import_module, []
def import_module(name, package=None):
    if name == "torchaudio" and not calls:
        calls.append(name)
        raise {error}
    return real(name, package)
importlib.import_module = import_module
"""


def test_an_extension_that_does_not_load_is_tolerated():
    code = fake_import('OSError("libcudart.so.13: cannot open shared object file")') + (
        "from cpu_torchaudio import EXTENSION_LOADED, torchaudio\n"
        "import torch\n"
        "print(EXTENSION_LOADED, torchaudio.transforms.Spectrogram(64)(torch.ones(64)).shape[0])"
    )
    assert run(code) == "False 33"


def test_other_errors_are_passed_on():
    code = fake_import('RuntimeError("something else")') + (
        "try:\n    import cpu_torchaudio\nexcept RuntimeError as error:\n    print(error)"
    )
    assert run(code) == "something else"


def test_what_needs_the_extension_says_so(cpu_torchaudio: ModuleType):
    def forced_align() -> None:
        raise AssertionError("must not run")

    with pytest.raises(
        MissingDependencyError, match=r"functional\.forced_align needs .*CUDA build"
    ):
        cpu_torchaudio._fail_when_called(forced_align)()


def test_the_stand_in_has_what_torchaudio_reads(cpu_torchaudio: ModuleType):
    if cpu_torchaudio.EXTENSION_LOADED:
        pytest.skip("torchaudio's extension loads here")
    torchaudio, stand_in = cpu_torchaudio.torchaudio, cpu_torchaudio._stand_in()
    assert torchaudio._extension.__dict__.keys() >= stand_in.__dict__.keys()
    with pytest.raises(MissingDependencyError, match="forced_align"):
        torchaudio.functional.forced_align(torch.zeros(1, 2, 2), torch.ones(1, 1))

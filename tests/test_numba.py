"""The cache of compiled kernels: damage, unwritable folders and changed sources are no trouble."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PARTS = """
from asr._numba import inlined

@inlined
def scaled(value):
    return {factor} * value
"""
KERNEL = """
import numpy as np
from parts import scaled
from asr._numba import is_cached, is_kept, kernel

@kernel
def total(values):
    found = 0
    for value in values:
        found += twice(scaled(value))
    return found

@kernel
def twice(value):
    return 2 * value

cached = is_cached(total)
print(total(np.arange(4)), is_kept(total), cached)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A program whose kernel calls one of another module."""
    (tmp_path / "parts.py").write_text(PARTS.format(factor=3))
    (tmp_path / "kernels.py").write_text(KERNEL)
    return tmp_path


def run(folder: Path, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", "import kernels"],
        cwd=folder,
        env={"NUMBA_CACHE_DIR": str(folder / "cache"), **os.environ} | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.strip()


def cache_files(folder: Path, suffix: str) -> list[Path]:
    return [path for path in folder.rglob(f"*.{suffix}") if "total" in path.name]


def test_machine_code_is_kept(folder: Path):
    assert run(folder) == "36 True False"
    states = [path.stat().st_mtime_ns for path in cache_files(folder, "nbc")]
    assert run(folder) == "36 True True"
    assert states == [path.stat().st_mtime_ns for path in cache_files(folder, "nbc")]


@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
@pytest.mark.parametrize("length", [0, 5, 60])
def test_a_file_cut_short_is_replaced(folder: Path, suffix: str, length: int):
    run(folder)
    (path,) = cache_files(folder, suffix)
    whole = path.read_bytes()
    path.write_bytes(whole[:length])
    assert run(folder).startswith("36 True")
    assert len(cache_files(folder, suffix)[0].read_bytes()) == len(whole)


def test_a_change_in_another_file_is_seen(folder: Path):
    assert run(folder).startswith("36")
    (folder / "parts.py").write_text(PARTS.format(factor=50))
    assert run(folder).startswith("600")


def test_without_a_folder_it_is_compiled_in_memory(folder: Path):
    (folder / "__pycache__").write_text("no folder")
    nowhere = str(folder / "kernels.py" / "no folder")
    homeless = {"HOME": nowhere, "XDG_CACHE_HOME": nowhere, "NUMBA_CACHE_DIR": ""}
    assert run(folder, **homeless) == "36 False False"


def test_a_switch_for_other_packages_does_not_reach_us(folder: Path):
    assert run(folder, NUMBA_DISABLE_JIT="1") == "36 True False"

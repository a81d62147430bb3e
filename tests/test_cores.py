"""The cores that a process may use: of its mask, and of the quotas of its cgroups."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from asr import _cores
from asr._cores import usable_cores

COUNT = [sys.executable, "-c", "from asr._cores import usable_cores; print(usable_cores())"]
needs_masks = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no masks of cores")


@pytest.fixture
def cgroups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of 64 cores, without a limit so far."""
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(64)), raising=False)
    monkeypatch.setattr(_cores, "CGROUPS", tmp_path)
    monkeypatch.setattr(_cores, "OWN_CGROUP", tmp_path / "own")
    return tmp_path


@needs_masks
def test_a_process_on_one_core_counts_one():
    core = min(os.sched_getaffinity(0))
    done = subprocess.run(
        COUNT,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        capture_output=True,
        check=True,
    )
    assert done.stdout.split() == [b"1"]


def test_without_masks_and_cgroups_all_cores_count(cgroups: Path, monkeypatch: pytest.MonkeyPatch):
    assert usable_cores() == 64
    monkeypatch.delattr("os.sched_getaffinity")
    monkeypatch.setattr("os.cpu_count", lambda: 6)
    assert usable_cores() == 6
    monkeypatch.setattr("os.cpu_count", lambda: None)
    assert usable_cores() == 1


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("100000 100000\n", 1),  # docker --cpus=1
        ("150000 100000\n", 2),
        ("20000 100000\n", 1),
        ("9900000 100000\n", 64),
        ("max 100000\n", 64),
        ("", 64),
        ("100000 0\n", 64),
    ],
)
def test_the_quota_of_a_container(cgroups: Path, content: str, expected: int):
    (cgroups / "cpu.max").write_text(content)
    assert usable_cores() == expected


def test_the_tightest_quota_of_nested_cgroups_counts(cgroups: Path):
    (cgroups / "own").write_text("1:cpuset:/\n0::/user.slice/session.scope\n")
    inner = cgroups / "user.slice" / "session.scope"
    inner.mkdir(parents=True)
    (inner.parent / "cpu.max").write_text("200000 100000\n")
    (inner / "cpu.max").write_text("max 100000\n")
    assert usable_cores() == 2
    (inner / "cpu.max").write_text("100000 100000\n")
    assert usable_cores() == 1


@pytest.mark.parametrize(("quota_us", "expected"), [(300_000, 3), (-1, 64)])
def test_the_quota_of_version_1(cgroups: Path, quota_us: int, expected: int):
    (cgroups / "cpu").mkdir()
    (cgroups / "cpu" / "cpu.cfs_quota_us").write_text(f"{quota_us}\n")
    (cgroups / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert usable_cores() == expected

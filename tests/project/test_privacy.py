"""Nothing leaves the machine: recognition opens no socket and writes nothing but the output.

The wheels of onnxruntime would otherwise look up a telemetry host and keep a device id in the
user's cache folder.
"""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "asr" / "samples" / "quickstart.flac"
# What runs in the process that is watched: recognise, then say which sockets are open.
RECOGNISE = f"""
import os, pathlib
import asr
assert asr.load_model().transcribe({str(SAMPLE)!r}).text
fds = pathlib.Path("/proc/self/fd")
print([os.readlink(fd) for fd in fds.iterdir() if fd.exists() and "socket" in os.readlink(fd)])
"""


def without_opt_out(home: Path) -> dict[str, str]:
    """The environment of a user who has switched nothing off, with an empty home folder."""
    kept = {"PATH", "LANG", "NUMBA_CACHE_DIR", "VIRTUAL_ENV"}
    return {name: value for name, value in os.environ.items() if name in kept} | {
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / "cache"),
        "ORT_DISABLE_TELEMETRY": "0",
    }


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="looks for sockets in /proc")
def test_recognition_leaves_no_file_and_no_socket(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-c", RECOGNISE],
        env=without_opt_out(tmp_path),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
    assert not list(tmp_path.rglob("*"))


@pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")
@pytest.mark.parametrize("workers", ["1", "2"])
def test_recognition_makes_no_network_call(tmp_path: Path, workers: str):
    for name in "ab":
        shutil.copy(SAMPLE, tmp_path / f"{name}.flac")
    log, home = tmp_path / "trace", tmp_path / "home"
    home.mkdir()
    watched = ["strace", "-f", "-qq", "-e", "trace=socket,connect,sendto", "-o", str(log)]
    command = [sys.executable, "-m", "asr.cli.transcribe", "a.flac", "b.flac"]
    subprocess.run(
        [*watched, *command, "--workers", workers],
        env=without_opt_out(home),
        cwd=tmp_path,
        capture_output=True,
        check=True,
    )
    calls = [line for line in log.read_text().splitlines() if "AF_INET" in line or "nscd" in line]
    assert not calls
    assert not list(home.rglob("*"))


def test_onnxruntime_is_loaded_in_one_place():
    for path in (ROOT / "asr").rglob("*.py"):
        if path.name == "_onnxruntime.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert "onnxruntime" not in names, path
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("onnxruntime"):
                # quantisation runs no model; the type alone is for the type checker
                assert path.name in ("graph.py", "inference.py"), path

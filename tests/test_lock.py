"""One process at a time writes to a folder."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from asr._lock import LOCK, lock_descriptor, locked_folder
from asr.errors import ConfigError

HOLD = (
    "import sys, time; from pathlib import Path; from asr._lock import locked_folder\n"
    "with locked_folder(Path(sys.argv[1]), '--out'):\n"
    "    print('held', flush=True); time.sleep(60)"
)


def test_the_process_that_writes_is_named_and_a_killed_one_is_forgotten(tmp_path: Path):
    folder = tmp_path / "new" / "out"
    with subprocess.Popen([sys.executable, "-c", HOLD, folder], stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(ConfigError) as refused, locked_folder(folder, "--out"):
            pass
        holder.send_signal(signal.SIGKILL)
    who = f"process {holder.pid} of {socket.gethostname()}"
    assert str(refused.value) == (
        f"--out {folder}: {who} writes to this folder; wait until it ends, or give another folder"
    )
    assert (folder / LOCK).exists()
    with locked_folder(folder, "--out"):
        assert (folder / LOCK).read_text().startswith(f"process {os.getpid()} of ")
    assert folder.exists()
    assert not [*folder.iterdir()]


def test_windows_keeps_no_two_runs_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setitem(sys.modules, "fcntl", None)  # which an import then does not find
    with (tmp_path / "file").open("wb") as file:
        assert not lock_descriptor(file.fileno())
    for _ in range(2):
        with locked_folder(tmp_path / "out", "--out"), locked_folder(tmp_path / "out", "--out"):
            pass


def test_a_folder_that_was_made_goes_if_nothing_is_in_it(tmp_path: Path):
    for file, left in ((None, False), ("result", True)):
        folder = tmp_path / "out"
        with locked_folder(folder, "--out"):
            if file:
                (folder / file).touch()
        assert folder.exists() == left


def test_a_folder_that_cannot_be_written(tmp_path: Path):
    (tmp_path / "file").touch()
    message = "file: cannot be written .*; give another --out"
    with pytest.raises(ConfigError, match=message), locked_folder(tmp_path / "file", "--out"):
        pass

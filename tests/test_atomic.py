"""Files that are whole or not there, and what killed processes leave."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from asr import _atomic
from asr._atomic import check_file, check_folder, created_atomically, write_atomically

HOLD = (
    "import sys, time; from asr._atomic import created_atomically\n"
    "with created_atomically(sys.argv[1]) as file:\n"
    "    file.write(b'half'); file.flush(); print('open', flush=True); time.sleep(60)"
)


@pytest.fixture(autouse=True)
def anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each test look for leftovers like a process that has just begun."""
    monkeypatch.setattr(_atomic, "_cleaned", set())


def temporary(folder: Path) -> list[Path]:
    return sorted(folder.glob(".*.tmp"))


def test_leftovers_of_killed_processes_go_and_files_of_living_ones_stay(tmp_path: Path):
    writers = [
        subprocess.Popen([sys.executable, "-c", HOLD, tmp_path / name], stdout=subprocess.PIPE)
        for name in ("killed", "living")
    ]
    for writer in writers:
        assert writer.stdout.readline() == b"open\n"
    writers[0].send_signal(signal.SIGKILL)
    writers[0].communicate()
    (tmp_path / ".note.tmp").write_text("of somebody else")
    assert len(temporary(tmp_path)) == 3
    write_atomically(tmp_path / "mine", "whole")
    names = [path.name.split(".")[1] for path in temporary(tmp_path)]
    writers[1].kill()
    writers[1].communicate()
    assert names == ["living", "note"]
    assert (tmp_path / "mine").read_text() == "whole"
    assert not (tmp_path / "killed").exists()


def test_a_pipe_among_leftovers_is_left_alone(tmp_path: Path):
    pipe = tmp_path / ".x.0123abcd.tmp"
    os.mkfifo(pipe)
    write_atomically(tmp_path / "a", "whole")
    assert pipe.exists()


def test_a_name_may_be_as_long_as_the_disk_allows(tmp_path: Path):
    for name in ("n" * 255, "\u00e9" * 127):
        write_atomically(tmp_path / name, "whole")
        assert (tmp_path / name).read_text() == "whole"
    with pytest.raises(OSError, match="too long"):
        write_atomically(tmp_path / ("n" * 256), "whole")
    assert not temporary(tmp_path)


def test_a_device_is_written_and_stays_one(tmp_path: Path):
    write_atomically(os.devnull, "gone")
    assert Path(os.devnull).is_char_device()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE) as reader:
        write_atomically(pipe, "through")
        assert reader.communicate()[0] == b"through"
    assert pipe.is_fifo()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is full")
def test_a_full_device_is_an_error():
    with pytest.raises(OSError, match="No space left"), created_atomically("/dev/full") as file:
        file.write(b"x")
    assert Path("/dev/full").is_char_device()


def test_what_cannot_be_written_is_known_before(tmp_path: Path):
    (tmp_path / "file").touch()
    check_folder(tmp_path / "new" / "folder")
    check_file(tmp_path / "new" / "file")
    check_file(tmp_path / "file")
    check_file(os.devnull)
    for path in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/asr")):
        with pytest.raises(OSError):
            check_folder(path)
    for path in (tmp_path, tmp_path / "file" / "below", Path("/proc/asr")):
        with pytest.raises(OSError):
            check_file(path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]

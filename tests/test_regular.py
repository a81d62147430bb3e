"""Files of holes: 100 GB that take no room on a disk are refused before they are read."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from asr._regular import _move_and_read, open_regular, read_at

HUGE = 100 * 10**9  # bytes
CHILD = """
import resource, sys
from pathlib import Path
from asr.checkpoint import load_checkpoint, load_trigram, read_config
from asr.decode import load_calibration, load_settings
from asr.errors import AsrError
from asr.lexicon import Pronunciations
from asr.lm import LstmArrays, read_binary
from asr.readable import Tagger
resource.setrlimit(resource.RLIMIT_AS, (3 * 2**30,) * 2)
folder = Path(sys.argv[1])
for load in (
    lambda: load_checkpoint(folder),
    lambda: load_trigram(folder, 9),
    lambda: read_config(folder),
    lambda: load_calibration(folder),
    lambda: load_settings(folder),
    lambda: Pronunciations.load(folder),
    lambda: LstmArrays.load(folder / "lstm.npz"),
    lambda: read_binary(folder / "lm.bin"),
    lambda: Tagger.load(folder / "tagger.npz"),
):
    try:
        print("read", load())
    except AsrError as error:
        print(error)
"""


def test_a_file_has_a_size_that_may_be_read(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"12345")
    with open_regular(tmp_path / "file", 5) as file:
        assert file.read() == b"12345"
    with pytest.raises(OSError, match="has 5 bytes; at most 4 are read"):
        open_regular(tmp_path / "file", 4)


@pytest.mark.parametrize("read", [read_at, _move_and_read])  # the latter is that of Windows
def test_reading_at_a_place_does_not_move_the_file(read, tmp_path: Path):
    (tmp_path / "file").write_bytes(b"0123456789")
    with (tmp_path / "file").open("rb", buffering=0) as file:
        file.seek(3)
        assert read(file.fileno(), 4, 5) == b"5678"
        assert read(file.fileno(), 4, 8) == b"89"
        assert read(file.fileno(), 4, 20) == b""
        with pytest.raises(OSError, match="Invalid argument"):
            read(file.fileno(), 4, -1)
        assert file.read() == b"3456789"


def test_no_loader_reads_a_file_of_holes(tmp_path: Path):
    names = [f"{name}.safetensors" for name in ("model", "trigram")]
    names += [f"{name}.json" for name in ("config", "calibration", "decoder")]
    names += ["lexicon.npz", "lstm.npz", "lm.bin", "tagger.npz"]
    for name in names:
        (tmp_path / name).touch()
        os.truncate(tmp_path / name, HUGE)
    index = '{"files": {"model": {"name": "model.safetensors", "sha256": "0"}}, "state": {}}'
    (tmp_path / "checkpoint.json").write_text(index)
    (tmp_path / "phones.txt").write_text("<blank>\nAH\n")
    done = subprocess.run(
        [sys.executable, "-c", CHILD, tmp_path],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    lines = done.stdout.splitlines()
    assert len(lines) == len(names)
    for name, line in zip(names, lines, strict=True):
        assert line.startswith(f"{tmp_path / name}: "), line

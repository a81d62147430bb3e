"""Which recordings the arguments of a command name."""

import os
import sys
import unicodedata
from pathlib import Path

import pytest

from asr._install import install
from asr.batch.inputs import describe_left_out, list_audio, read_list
from asr.errors import ConfigError


@pytest.fixture
def folder(tmp_path):
    names = (
        "b.wav",
        "a.FLAC",
        "deep/er/c.opus",
        "notes.txt",
        ".hidden.wav",
        ".git/d.wav",
        "x[1].wav",
    )
    for name in (*names, "empty/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def listed(folder, *arguments):
    found = list_audio([str(folder / argument) for argument in arguments])
    return [path.relative_to(folder).as_posix() for path in found]


def test_list_audio(folder):
    everything = ["a.FLAC", "b.wav", "deep/er/c.opus", "x[1].wav"]
    assert listed(folder, ".") == everything
    assert listed(folder, "b.wav", ".") == ["b.wav", "a.FLAC", "deep/er/c.opus", "x[1].wav"]
    assert listed(folder, "*.wav") == ["b.wav", "x[1].wav"]
    assert listed(folder, "**/*.opus") == ["deep/er/c.opus"]
    assert listed(folder, "d*") == ["deep/er/c.opus"]
    assert listed(folder, "x[1].wav") == ["x[1].wav"]
    assert listed(folder, "notes.txt", ".hidden.wav") == ["notes.txt", ".hidden.wav"]


@pytest.mark.parametrize("kept", ["missing.wav", "*.mp3", "empty", "a\0b", "n" * 5000])
def test_list_audio_keeps_what_gives_nothing(folder, kept):
    assert listed(folder, kept, "b.wav") == [kept, "b.wav"]


def test_a_list_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("asr.batch.inputs.MOST_BYTES", 10)
    (tmp_path / "list").write_text("one.wav\n")
    assert read_list(str(tmp_path / "list")) == [Path("one.wav")]
    (tmp_path / "list").write_text("one.wav\ntwo.wav\n")
    with pytest.raises(ConfigError, match="has more than 10 bytes"):
        read_list(str(tmp_path / "list"))


@pytest.fixture
def without_pyav(monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)


def test_what_a_folder_leaves_out_is_counted_and_named_once(folder, without_pyav):
    for name in ("m.m4a", "deep/n.webm", "deep/o.WEBM", ".hidden.m4a", "empty/p.mp4"):
        (folder / name).touch()
    (folder / "talk.dat").write_bytes(b"RIFF\0\0\0\0WAVEfmt ")
    left_out = []
    list_audio([str(folder)], left_out)
    names = {path.relative_to(folder).as_posix() for path in left_out}
    assert names == {"m.m4a", "deep/n.webm", "deep/o.WEBM", "empty/p.mp4", "talk.dat"}
    line = describe_left_out(sorted(left_out))
    assert line.startswith("5 files in folders left out (1 .dat, 1 .m4a, 1 .mp4, 2 .webm): ")
    assert install("media") in line
    assert "files without the suffix of a sound are read if they are named" in line
    assert "\n" not in line


def test_with_pyav_a_folder_gives_its_recordings(folder):
    pytest.importorskip("av", reason="PyAV is not installed")
    (folder / "m.m4a").touch()
    (folder / "deep" / "n.webm").touch()
    left_out = []
    found = list_audio([str(folder)], left_out)
    assert {folder / "m.m4a", folder / "deep" / "n.webm"} <= set(found)
    assert left_out == []


def test_links_to_folders_are_followed_once_and_without_end(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    (other / "z.wav").touch()
    (other / "back").symlink_to(folder)  # a loop through another folder
    (folder / "deep" / "up").symlink_to("..")  # a loop
    (folder / "again").symlink_to("deep")  # what has been walked
    (folder / "elsewhere").symlink_to(other)
    (folder / "broken.wav").symlink_to("nowhere.wav")
    expected = ["a.FLAC", "b.wav", "broken.wav", "deep/er/c.opus", "elsewhere/z.wav", "x[1].wav"]
    assert listed(folder, ".") == expected
    assert listed(folder, "**/*.opus") == ["deep/er/c.opus"]
    assert listed(folder, "elsewhere") == [
        "elsewhere/back/" + name if "z.wav" not in name else "elsewhere/z.wav"
        for name in ("a.FLAC", "b.wav", "broken.wav", "deep/er/c.opus", "x[1].wav", "z.wav")
    ]


def test_a_folder_that_may_not_be_read_is_kept(folder, monkeypatch):
    scandir = os.scandir

    def refuse(path="."):
        if "deep" in str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert listed(folder, ".") == ["a.FLAC", "b.wav", "deep", "x[1].wav"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_lists_as_other_systems_write_them(tmp_path, encoding):
    stored = tmp_path / unicodedata.normalize("NFD", "Größe.wav")
    stored.touch()
    written = f"{tmp_path}\\{unicodedata.normalize('NFC', stored.name)}\r\n{stored}\r\nx.wav\r\n"
    (tmp_path / "list").write_bytes(written.encode(encoding))
    found = read_list(str(tmp_path / "list"))
    assert [path.name for path in found] == [stored.name, stored.name, "x.wav"]
    assert found[0].samefile(stored)

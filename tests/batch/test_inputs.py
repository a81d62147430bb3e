"""Which recordings the arguments of a command name."""

import unicodedata

import pytest

from asr.batch.inputs import list_audio, read_list


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


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_lists_as_other_systems_write_them(tmp_path, encoding):
    stored = tmp_path / unicodedata.normalize("NFD", "Größe.wav")
    stored.touch()
    written = f"{tmp_path}\\{unicodedata.normalize('NFC', stored.name)}\r\n{stored}\r\nx.wav\r\n"
    (tmp_path / "list").write_bytes(written.encode(encoding))
    found = read_list(str(tmp_path / "list"))
    assert [path.name for path in found] == [stored.name, stored.name, "x.wav"]
    assert found[0].samefile(stored)

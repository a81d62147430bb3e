"""Which recordings the arguments of a command name."""

from pathlib import Path

import pytest

from asr.batch.inputs import list_audio, read_list
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

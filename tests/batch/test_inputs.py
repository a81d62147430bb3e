"""Which recordings the arguments of a command name."""

import pytest

from asr.batch.inputs import list_audio


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

"""asr-transcribe -o FILE."""

from pathlib import Path

import pytest
from folders import SAMPLES

from asr.cli import explain
from asr.cli.output import printed_into
from asr.cli.transcribe import main

SPEECH = str(SAMPLES / "quickstart.flac")


def test_a_transcript_goes_into_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([SPEECH, "--quiet"]) == 0
    printed = capsys.readouterr().out
    out = tmp_path / "new" / "talk.txt"
    assert main([SPEECH, "--quiet", "-o", str(out)]) == 0
    assert capsys.readouterr().out == ""
    assert out.read_text() == printed
    assert [path.name for path in out.parent.iterdir()] == ["talk.txt"]


def test_a_file_is_whole_or_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")

    def fail() -> int:
        print("half")
        raise ValueError

    with pytest.raises(ValueError):
        printed_into(path, fail)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("linked", [False, True])
def test_a_recording_is_not_replaced_by_its_transcript(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], linked: bool
) -> None:
    talk, out = tmp_path / "talk.flac", tmp_path / ("link" if linked else "talk.flac")
    talk.write_bytes(Path(SPEECH).read_bytes())
    if linked:
        out.symlink_to(talk)
    assert main([str(tmp_path), "-o", str(out)]) == 2
    assert f"-o {out}: is to be read, not replaced" in capsys.readouterr().err
    assert explain.main([str(talk), "--out", str(out)]) == 2
    assert f"--out {out}: is to be read, not replaced" in capsys.readouterr().err
    assert talk.read_bytes() == Path(SPEECH).read_bytes()


def test_a_folder_is_refused_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([SPEECH, "-o", str(tmp_path)]) == 2
    output = capsys.readouterr()
    assert output.err.startswith(f"asr-transcribe: error: -o {tmp_path}: cannot be written (Is a")
    assert len(output.err.splitlines()) == 1


def test_two_places_to_write_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [SPEECH, "-o", str(tmp_path / "a"), "--output-dir", str(tmp_path / "b")]
    assert main(words) == 2
    assert "give one of them" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    assert main([SPEECH, "-o", str(tmp_path / "file" / "a")]) == 2
    assert "cannot be written" in capsys.readouterr().err

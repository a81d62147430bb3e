"""Files that commands write: whole, not in place of what is read, not one for two."""

from pathlib import Path

import pytest
from folders import SAMPLES

from asr.cli import doctor, explain, prepare
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


@pytest.mark.parametrize(
    "words",
    [
        "audacity labels.txt --audio talk.flac --out talk.flac",
        "audacity labels.txt --audio talk.flac --out labels.txt",
        "csv table.csv --out table.csv",
        "to-csv m.jsonl --out m.jsonl",
    ],
)
def test_a_corpus_is_not_replaced_by_its_manifest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "talk.flac").write_bytes(Path(SPEECH).read_bytes())
    (tmp_path / "labels.txt").write_text("0.0\t1.0\thello\n")
    (tmp_path / "table.csv").write_text("audio,text\ntalk.flac,hello\n")
    assert prepare.main(["csv", "table.csv", "--out", "m.jsonl"]) == 0
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert prepare.main(words.split()) == 2
    name = words.rsplit(maxsplit=1)[-1]
    assert f"--out {name}: is to be read, not replaced" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--html m.jsonl", "--html m.jsonl: is to be read, not replaced"),
        ("--fix m.jsonl", "--fix m.jsonl: is to be read, not replaced"),
        ("--fix new --html ./new", "--html new: is the file of --fix, too; give another file"),
    ],
)
def test_a_report_replaces_nothing(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: str,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "table.csv").write_text(f"audio,text\n{SPEECH},hello\n")
    assert prepare.main(["csv", "table.csv", "--out", "m.jsonl"]) == 0
    before = (tmp_path / "m.jsonl").read_bytes()
    assert doctor.main(["m.jsonl", *words.split()]) == 2
    assert message in capsys.readouterr().err
    assert (tmp_path / "m.jsonl").read_bytes() == before


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

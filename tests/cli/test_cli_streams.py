"""Standard streams that are closed, full, narrow or abandoned, in every command."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from folders import ROOT

from asr._streams import escaped

COMMANDS = sorted(
    path.stem
    for path in (ROOT / "asr" / "cli").glob("*.py")
    if path.stem != "train_lstm" and "def main(" in path.read_text()
)
FULL = Path("/dev/full")
NASTY = "a\x1b[31m\x7f\x9b\u202e b"
SHOWN = "a\\u001b[31m\\u007f\\u009b\\u202e b"
needs_full = pytest.mark.skipif(not FULL.exists(), reason="there is no device that is full")


def shell(line: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a line of a shell, in which $ASR is `python -m asr.cli`, and "$@" the arguments."""
    return subprocess.run(
        ["sh", "-c", line, "sh", *map(str, arguments)],
        capture_output=True,
        text=True,
        errors="surrogateescape",
        check=False,
        timeout=120,
        env=os.environ | {"ASR": f"{sys.executable} -m asr.cli"} | environment,
    )


def complaints(done: subprocess.CompletedProcess[str]) -> list[str]:
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    return [line for line in done.stderr.splitlines() if ": error: " in line]


@pytest.fixture
def texts(tmp_path: Path) -> tuple[Path, Path]:
    """Return a reference and a hypothesis, of an utterance with a nasty id."""
    for name, text in (("ref.jsonl", "one two"), ("hyp.jsonl", "one")):
        (tmp_path / name).write_text(json.dumps({"id": NASTY, "text": text}) + "\n")
    return tmp_path / "ref.jsonl", tmp_path / "hyp.jsonl"


@pytest.mark.parametrize("command", COMMANDS)
def test_help_that_cannot_be_printed_is_an_error(command: str):
    """All four in one shell, one after the other: most of the time is that of imports."""
    runs = [
        ("$ASR.{} --help >&-", 2),
        ("$ASR.{} --nonsense 2>&-", 2),
        ("$ASR.{} --nonsense 2>/dev/full", 2),
        ("$ASR.{} --help </dev/null <&- | head -n 1 >/dev/null", 0),
    ]
    line = "; ".join(f"({run.format(command)}); echo $?" for run, _ in runs)
    done = shell(line)
    assert done.stdout.split() == [str(status) for _, status in runs]
    (closed,) = complaints(done)
    assert closed.endswith(": error: standard output: cannot be written (it is closed); "
                           "redirect it to where there is room")  # fmt: skip


@needs_full
@pytest.mark.parametrize("options", [(), ("--json",), ("--table", "--align")])
def test_text_that_is_lost_is_an_error(texts: tuple[Path, Path], options: tuple[str, ...]):
    done = shell('$ASR.score "$@" >/dev/full; echo $? >&2', *texts, *options)
    assert done.stderr.splitlines()[-1] == "2"
    (line,) = complaints(done)
    assert "standard output: cannot be written (No space left on device)" in line


@needs_full
def test_messages_that_are_lost_cost_no_text(tmp_path: Path):
    for where in ("/dev/full", "&-"):
        done = shell(f'$ASR.prepare tones --out "$1" 2>{where}', tmp_path / "tones")
        assert done.returncode == 0
        assert done.stdout.count(" utterances, ") == 3


def test_a_reader_that_goes_away_is_no_error(texts: tuple[Path, Path]):
    done = shell('{ $ASR.score "$@" --table --align; echo $? >&2; } | head -n 1', *texts)
    assert done.stdout.count("\n") == 1
    assert complaints(done) == []
    assert done.stderr.splitlines()[-1] == "0"


def test_a_closed_standard_input_is_an_error():
    done = shell("$ASR.lm train - --out x.arpa <&-")
    (line,) = complaints(done)
    assert "-: cannot be read" in line
    assert done.returncode == 1


@pytest.mark.parametrize("environment", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C"}])
def test_what_a_terminal_cannot_show_is_escaped(tmp_path: Path, environment: dict[str, str]):
    name = tmp_path / "\u00e9\U0001f600.txt"
    name.write_text("na\u00efve\n")
    raw = tmp_path / os.fsdecode(b"\xff.txt")
    raw.write_text("naive\n")
    for path in (name, raw):
        done = shell('$ASR.score "$1" "$2" --align --json', name, path, **environment)
        assert (done.returncode, complaints(done)) == (0, [])
        found = json.loads(done.stdout)
        assert found["name"].encode(errors="surrogateescape") == os.fsencode(path)
        plain = shell('$ASR.score "$1" "$2" "$1" --align', name, path, **environment)
        assert (plain.returncode, complaints(plain)) == (0, [])
        missing = shell('$ASR.score "$1.missing" "$2"', path, name, **environment)
        assert missing.returncode == 1
        assert len(complaints(missing)) == 1


def test_control_characters_are_shown_escaped_and_json_is_exact(texts: tuple[Path, Path]):
    done = shell('$ASR.score "$@" --align --table', *texts)
    assert SHOWN in done.stdout
    assert escaped(done.stdout.replace("\n", "")) == done.stdout.replace("\n", "")
    done = shell('$ASR.score "$@" --align --json', *texts)
    assert SHOWN in done.stdout
    assert [*json.loads(done.stdout)["aligned"]] == [NASTY]


def test_transcripts_keep_their_lines(smoke: Path, tmp_path: Path):
    """A column of names shows controls escaped; JSON holds the exact name."""
    recording = next((smoke / "data" / "test").glob("*.wav")).read_bytes()
    names = [f"{NASTY}.wav", "c\nd.wav"]
    for name in names:
        (tmp_path / name).write_bytes(recording)
    (tmp_path / "\x1bbad.wav").write_bytes(b"")
    command = '$ASR.transcribe --model "$1" "$2" --format "$3" --workers 1'
    done = shell(command, smoke / "exp", tmp_path, "txt")
    assert done.returncode == 1
    shown = {line.split("\t")[0].rpartition("/")[2] for line in done.stdout.splitlines()}
    assert shown == {f"{SHOWN}.wav", "c d.wav"}
    assert "\\u001bbad.wav" in "".join(complaints(done))
    done = shell(command, smoke / "exp", tmp_path, "jsonl")
    assert {Path(json.loads(line)["path"]).name for line in done.stdout.splitlines()} == {*names}
    assert escaped(done.stderr.replace("\n", "")) == done.stderr.replace("\n", "")
    closed = shell(f"({command}) >&-", smoke / "exp", tmp_path, "txt")
    assert closed.returncode == 2
    assert "standard output: cannot be written (it is closed)" in closed.stderr


def test_a_name_too_long_for_its_output_fails_alone(smoke: Path, tmp_path: Path):
    recording = next((smoke / "data" / "test").glob("*.wav")).read_bytes()
    long, longest = "l" * 241, "m" * 251
    for name in (long, longest, "short"):
        (tmp_path / f"{name}.wav").write_bytes(recording)
    command = '$ASR.transcribe --model "$1" "$2" --format txt,jsonl --output-dir "$3"'
    done = shell(command, smoke / "exp", tmp_path, tmp_path / "out")
    assert done.returncode == 1
    (line,) = complaints(done)
    assert f"{longest}.wav: " in line and "File name too long" in line
    written = {path.name for path in (tmp_path / "out").iterdir()} - {".asr-journal.jsonl"}
    assert written >= {f"{n}.{suffix}" for n in (long, "short") for suffix in ("txt", "jsonl")}


@pytest.mark.parametrize(
    "line",
    [
        "$ASR.transcribe --model no-such x.wav",
        "$ASR.transcribe --lm no-such x.wav",
        "$ASR.transcribe --rescore no-such x.wav",
        "$ASR.transcribe --hotwords no-such x.wav",
        "$ASR.transcribe --lexicon no-such x.wav",
        "$ASR.align no-such m.jsonl --out o",
        "$ASR.evaluate no-such m.jsonl --out o",
        "$ASR.export no-such o",
        "$ASR.doctor --model no-such",
    ],
)
def test_a_model_or_file_that_is_not_there_is_a_mistake_of_usage(line: str, tmp_path: Path):
    done = shell(f'cd "$1" && {line}', tmp_path)
    assert done.returncode == 2
    (complaint,) = complaints(done)
    assert "no-such" in complaint
    assert not [*tmp_path.iterdir()]

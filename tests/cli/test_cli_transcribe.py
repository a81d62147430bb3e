"""asr-transcribe and asr-evaluate as their users type them."""

import io
import json
import shutil
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import jiwer
import pytest
from folders import real_material

from asr import DecodingOptions
from asr.cli import evaluate, score, transcribe
from asr.manifest import read_manifest


@pytest.fixture
def folder(smoke: Path, tmp_path: Path) -> Path:
    """Three good recordings and one that is none."""
    for utterance in read_manifest(smoke / "data" / "test.jsonl")[:3]:
        shutil.copy(utterance.audio, tmp_path)
    (tmp_path / "test-001b.wav").write_text("this is no audio")
    return tmp_path


def texts(smoke: Path) -> dict[str, str]:
    return {u.id: u.text for u in read_manifest(smoke / "data" / "test.jsonl")}


def run(smoke: Path, *arguments: object) -> int:
    return transcribe.main(["--model", str(smoke / "exp"), *map(str, arguments)])


def test_one_recording_gives_its_text(smoke: Path, folder: Path, capsys):
    assert run(smoke, folder / "test-000.wav") == 0
    assert capsys.readouterr() == (texts(smoke)["test-000"] + "\n", "")


def test_bad_one_among_good_ones(smoke: Path, folder: Path, capsys):
    assert run(smoke, folder) == 1
    captured = capsys.readouterr()
    expected = [f"{folder / name}.wav\t{texts(smoke)[name]}" for name in sorted(texts(smoke))[:3]]
    assert captured.out.splitlines() == expected
    errors = [line for line in captured.err.splitlines() if "error:" in line]
    assert len(errors) == 1
    assert "test-001b.wav" in errors[0]
    assert captured.err.splitlines()[-1] == "1 of 4 recordings could not be transcribed"


def test_globs_folders_files_and_a_missing_one(smoke: Path, folder: Path, capsys):
    arguments = [folder / "*0.wav", folder / "test-002.wav", folder / "missing.wav", folder]
    assert run(smoke, "--format", "jsonl", *arguments) == 1
    captured = capsys.readouterr()
    records = [json.loads(line) for line in captured.out.splitlines()]
    assert [record["id"] for record in records[:2]] == ["test-000", "test-002"]
    assert all(record["text"] == texts(smoke)[record["id"]] for record in records)
    assert "missing.wav: does not exist" in captured.err


def test_standard_input(smoke: Path, folder: Path, capsys, monkeypatch):
    content = (folder / "test-001.wav").read_bytes()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))
    assert run(smoke, "-") == 0
    assert capsys.readouterr().out == texts(smoke)["test-001"] + "\n"


def test_folder_of_one_still_prints_its_path(smoke: Path, folder: Path, capsys):
    shutil.copytree(folder, folder / "one", ignore=shutil.ignore_patterns("test-001*", "*2.wav"))
    assert run(smoke, "--format", "txt", folder / "one") == 0
    assert capsys.readouterr().out == f"{folder}/one/test-000.wav\t{texts(smoke)['test-000']}\n"


def test_quiet_leaves_out_findings(smoke: Path, tmp_path: Path, capsys):
    import numpy as np
    import soundfile

    soundfile.write(tmp_path / "zeros.wav", np.zeros(8000), 8000)
    assert run(smoke, tmp_path / "zeros.wav") == 0
    assert "resampled from 8000 Hz" in capsys.readouterr().err
    assert run(smoke, "--quiet", tmp_path / "zeros.wav") == 0
    assert capsys.readouterr() == ("\n", "")


def test_lost_sound_is_said_even_to_the_quiet(smoke: Path, folder: Path, capfd):
    import soundfile

    samples, rate_hz = soundfile.read(folder / "test-000.wav")
    soundfile.write(folder / "a.mp3", samples, rate_hz)
    data = bytearray((folder / "a.mp3").read_bytes())
    data[len(data) // 2 : len(data) // 2 + 600] = bytes(600)
    (folder / "a.mp3").write_bytes(data)
    assert run(smoke, "--quiet", folder / "a.mp3") == 0
    captured = capfd.readouterr()
    assert captured.out.strip()
    lines = captured.err.splitlines()
    assert all(line.startswith(f"{folder / 'a.mp3'}: ") for line in lines)
    assert "bytes that are no MP3 after" in lines[0]


def test_folder_says_what_it_leaves_out_and_what_it_cannot_read(
    smoke: Path, folder: Path, monkeypatch, capsys
):
    import os

    (folder / "test-001b.wav").unlink()
    (folder / "a.m4a").touch()
    (folder / "deep").mkdir()
    scandir = os.scandir

    def refuse(path="."):
        if "deep" in str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    monkeypatch.setitem(sys.modules, "av", None)
    assert run(smoke, "--quiet", folder) == 1
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 3
    left_out, unreadable, failed = captured.err.splitlines()
    assert left_out.startswith(f"1 file in folders left out (1 .m4a): {folder / 'a.m4a'}; ")
    assert unreadable.endswith(f"{folder / 'deep'}: may not be read; change its permissions")
    assert failed == "1 of 4 recordings could not be transcribed"


@pytest.mark.parametrize("arguments", [["--modell", "x", "-"], ["--workers", "0", "a.wav"]])
def test_usage_is_status_2(arguments: list[str]):
    with pytest.raises(SystemExit) as left:
        transcribe.main(arguments)
    assert left.value.code == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "no INPUT"),
        ("--format docx a.wav", "format is 'docx'; allowed: txt, tsv"),
        ("--format srt,json a.wav", "several formats need files; add --output-dir"),
        ("--format srt a.wav b.wav", "several recordings as .srt need a file for each"),
        ("--skip-existing a.wav", "add --output-dir"),
        ("--output-dir out -", "- has no name for a file"),
        ("--format manifest -", "- is no file that a manifest could name"),
        ("--workers 2 -", "- is read by one process"),
        ("--ray local -", "- is read by one process"),
        ("--files-from - -", "standard input is a recording or a list"),
        ("--files-from missing", "--files-from missing: cannot be read"),
        ("--live a.wav", "--live hears standard input alone"),
        ("--live --output-dir out", "--live prints"),
        ("--rate 8000 a.wav", "--rate is for --live"),
        ("a.wav --ray talks", "--ray talks: no address of a cluster"),
    ],
)
def test_options_that_do_not_go_together(
    arguments: str, message: str, tmp_path: Path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert transcribe.main(arguments.split()) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_file_for_each_recording_and_format(smoke: Path, folder: Path, tmp_path: Path, capsys):
    (folder / "deep").mkdir()
    (folder / "test-001.wav").rename(folder / "deep" / "test-001.wav")
    out = tmp_path / "new" / "out"
    command = ["--format", "txt,json,srt", "--output-dir", out, "--skip-existing", folder]
    assert run(smoke, *command) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "test-001b.wav" in captured.err
    assert "3 recordings transcribed, " in captured.err
    names = ["deep/test-001", "test-000", "test-002"]
    written = {str(path.relative_to(out)) for path in out.rglob("*.*")}
    suffixes = ("txt", "json", "srt")
    assert written == {f"{n}.{s}" for n in names for s in suffixes} | {".asr-journal.jsonl"}
    for name in names:
        text = texts(smoke)[Path(name).name]
        assert (out / f"{name}.txt").read_text() == f"{text}\n"
        record = json.loads((out / f"{name}.json").read_text())
        assert (record["text"], record["model"]) == (text, "exp")
        assert record["decoder"] == {"name": "greedy"}
        assert [word["word"] for word in record["words"]] == text.split()
        assert " ".join((out / f"{name}.srt").read_text().splitlines()[2:]) == text
    assert run(smoke, *command) == 1
    assert "0 recordings transcribed; 3 were done before\n" in capsys.readouterr().err
    assert run(smoke, *command, "--set", "beam_size=5", "--quiet") == 1
    lines = (out / ".asr-journal.jsonl").read_text().splitlines()
    count = Counter(json.loads(line)["status"] for line in lines)
    assert count == {"ok": 6, "failed": 3, "replacing": 3}


def test_processes_print_in_the_order_of_a_list(smoke: Path, folder: Path, monkeypatch, capsys):
    names = ["test-002", "test-001b", "missing", "test-000", "test-001"]
    listed = "".join(f"{folder / name}.wav\n" for name in names).encode()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(listed)))
    assert run(smoke, "--files-from", "-", "--workers", 2) == 1
    captured = capsys.readouterr()
    good = ["test-002", "test-000", "test-001"]
    expected = [f"{folder / name}.wav\t{texts(smoke)[name]}" for name in good]
    assert captured.out.splitlines() == expected
    failed = [line for line in captured.err.splitlines() if "error: " in line]
    assert ["test-001b.wav" in failed[0], "missing.wav" in failed[1]] == [True, True]


def test_live_hands_over_standard_input(smoke: Path, monkeypatch, capsys):
    def run_live(recognizer, stream, write, sample_rate_hz: int) -> float:
        write(f"{type(recognizer).__name__} {stream.read()!r} {sample_rate_hz} ")
        return 1.0

    monkeypatch.setattr("asr.streaming.run_live", run_live)
    for options, rate_hz in (((), 16_000), (("--rate", 8000), 8000)):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"PCM")))
        assert run(smoke, "--live", *options) == 0
        assert capsys.readouterr().out == f"Recognizer b'PCM' {rate_hz} "


@pytest.mark.parametrize("content", [b"", b"\x01"])
def test_live_without_a_sample_is_an_error(smoke: Path, monkeypatch, capsys, content: bytes):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))
    assert run(smoke, "--live") == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.splitlines()[-1].startswith(
        "asr-transcribe: error: standard input held no sound"
    )


def test_digest_follows_what_a_text_depends_on(smoke: Path, tmp_path: Path):
    model = Path(shutil.copytree(smoke / "exp", tmp_path / "exp"))

    def digest(**changes: object) -> str:
        options = DecodingOptions(**{"decoder": "beam", "unit": "tokens"} | changes)
        return options.resolve(model).digest()

    before = digest()
    (model / "log.jsonl").write_text("training goes on")
    shutil.rmtree(model / "last", ignore_errors=True)
    assert digest() == before
    seen = {before, digest(settings={"beam_size": 7}), digest(decoder="greedy")}
    seen |= {digest(hotwords=["DO"]), digest(hotwords=["RE"])}
    (model / "best" / "more.safetensors").write_text("other weights")
    seen.add(digest())
    assert len(seen) == 6


def test_model_that_is_none(tmp_path: Path, capsys):
    assert transcribe.main(["--model", str(tmp_path), "a.wav"]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "config.json" in error


def test_files_that_broke_other_programs(smoke: Path, folder: Path, capfd):
    broken = real_material("badinput")
    (folder / "test-001b.wav").unlink()
    files = [path for path in sorted(broken.rglob("*")) if path.is_file()]
    assert run(smoke, "--format", "jsonl", *files, folder) == 1
    captured = capfd.readouterr()
    done = {json.loads(line)["path"] for line in captured.out.splitlines()}
    failed = [line for line in captured.err.splitlines() if line.startswith("asr-transcribe: err")]
    assert {str(path) for path in folder.glob("*.wav")} <= done
    assert len(done) + len(failed) == len(files) + 3
    assert "Traceback" not in captured.err


def test_evaluate_counts_agree_with_jiwer(smoke: Path, tmp_path: Path, capsys):
    manifest = smoke / "data" / "valid.jsonl"
    out = tmp_path / "out"
    assert evaluate.main([str(smoke / "exp"), str(manifest), "--out", str(out), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result == json.loads((out / "score.json").read_text())
    refs, hyps = (
        [line.rpartition(" (")[0] for line in (out / f"{name}.trn").read_text().splitlines()]
        for name in ("ref", "hyp")
    )
    assert refs == [utterance.text for utterance in read_manifest(manifest)]
    assert result["wer"] == pytest.approx(jiwer.wer(refs, hyps))
    assert result["cer"] == pytest.approx(jiwer.cer(refs, hyps))
    assert result["errors"] == result["ins"] + result["del"] + result["sub"]
    low, high = result["wer_ci"]
    assert low <= result["wer"] < high
    assert result["ci_units"] in ("speakers", "utterances")
    assert score.main([str(out / "ref.trn"), str(out / "hyp.trn"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["errors"] == result["errors"]


def test_evaluate_does_not_shrink_the_test_set(smoke: Path, tmp_path: Path, capsys):
    shutil.copytree(smoke / "data", tmp_path / "data")
    (tmp_path / "data" / "test" / "test-007.wav").unlink()
    arguments = [str(smoke / "exp"), str(tmp_path / "data" / "test.jsonl")]
    assert evaluate.main([*arguments, "--out", str(tmp_path / "out")]) == 1
    captured = capsys.readouterr()
    assert "test-007.wav" in captured.err
    assert captured.out == ""
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["", "a.wav"], "an INPUT is empty"),
        (["--live", "--format", "srt"], "--live prints plain text"),
        (["--live", "--workers", "2"], "--live is one stream"),
    ],
)
def test_mistakes_that_would_do_something_else(smoke: Path, capsys, words, message):
    assert run(smoke, *words) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--output-dir", "-o", "--lm", "--hotwords", "--lexicon"])
def test_an_empty_path_is_refused(smoke: Path, capsys, option: str):
    with pytest.raises(SystemExit) as left:
        run(smoke, "a.wav", option, "")
    assert left.value.code == 2
    message = capsys.readouterr().err
    assert option in message
    assert "is empty; give a path" in message


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_evaluate_says_where_it_cannot_write(smoke: Path, tmp_path: Path, capsys, name: str):
    (tmp_path / "file").touch()
    manifest = str(smoke / "data" / "valid.jsonl")
    out = str(tmp_path / name)
    assert evaluate.main([str(smoke / "exp"), manifest, "--out", out]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"asr-evaluate: error: {out}: cannot be written")
    assert error.count("\n") == 1

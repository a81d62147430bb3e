"""asr-evaluate and its report, by the model of the smoke recipe."""

import json
from pathlib import Path

import numpy as np
import pytest
from browser import find_chromium
from pages import cells, opened

from asr.cli import evaluate
from asr.evaluation import level_range_db
from asr.manifest import read_manifest
from asr.scoring import read_transcripts, score


def run(smoke: Path, out: Path, *options: str) -> int:
    manifest = smoke / "data" / "valid.jsonl"
    return evaluate.main([str(smoke / "exp"), str(manifest), "--out", str(out), *options])


def damaged(smoke: Path, out: Path) -> Path:
    """Write hypotheses of which one lacks a word and all are in lower case."""
    utterances = read_manifest(smoke / "data" / "valid.jsonl")
    texts = [utterance.text.lower() for utterance in utterances]
    texts[0] = " ".join(texts[0].split()[1:])
    path = out / "other.trn"
    lines = (f"{text} ({one.id})\n" for text, one in zip(texts, utterances, strict=True))
    path.write_text("".join(lines))
    return path


def test_an_evaluation_leaves_a_report(smoke: Path, tmp_path: Path, capsys):
    assert run(smoke, tmp_path / "out") == 0
    printed = capsys.readouterr().out
    found = json.loads((tmp_path / "out" / "score.json").read_text())
    refs, hyps = (read_transcripts(tmp_path / "out" / f"{n}.trn") for n in ("ref", "hyp"))
    counts = score(refs, hyps).word
    assert found["errors"] == counts.errors
    assert found["words"] == counts.words
    assert counts.nist_line() in printed
    assert (tmp_path / "out" / "report.html").exists()
    if not find_chromium():
        pytest.skip("there is no Chromium")
    with opened(tmp_path / "out" / "report.html", tmp_path) as page:
        assert page.text("#found").startswith(f"{len(refs)} of {len(refs)} utterances")
        assert f"{counts.errors} errors in {counts.words} words" in page.text("#found")
        confidences = page.run("rows.map((row) => row.confidences.length)")
        assert confidences == [len(text.split()) for text in hyps.values()]
        assert page.run("rows.every((row) => row.confidences.every((c) => c > 0 && c <= 1))")
        page.click("#utterances button.play")
        page.wait("player.duration > 0.1", 20)


def test_a_second_system_is_compared(smoke: Path, tmp_path: Path, capsys):
    other = damaged(smoke, tmp_path)
    assert run(smoke, tmp_path / "one", "--against", str(other)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == str(smoke / "exp")
    assert lines[4] == str(other)
    assert "1 del" in lines[5]
    assert any(line.strip().startswith("MAPSSWE") for line in lines)
    assert run(smoke, tmp_path / "two", "--against", str(tmp_path / "one"), "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert record == json.loads((tmp_path / "two" / "score.json").read_text())
    assert record["comparison"]["verdict"].endswith("have the same WER")
    assert record["against"]["wer"] == record["wer"]
    if find_chromium():
        with opened(tmp_path / "one" / "report.html", tmp_path) as page:
            assert page.text("#verdict").startswith(lines[8])
            heads = cells(page, "#score", 0)
            assert heads == [str(smoke / "exp"), str(other)]


def test_a_ctm_has_no_line_where_nothing_was_said(smoke: Path, tmp_path: Path, capsys):
    utterances = read_manifest(smoke / "data" / "valid.jsonl")
    first, *others = utterances
    words = enumerate(first.text.split())
    path = tmp_path / "other.ctm"
    path.write_text("".join(f"{first.id} 1 {0.1 * i:.2f} 0.1 {word}\n" for i, word in words))
    assert run(smoke, tmp_path / "out", "--against", str(path), "--json") == 0
    against = json.loads(capsys.readouterr().out)["against"]
    assert against["del"] == sum(len(one.text.split()) for one in others)
    assert against["sub"] == against["ins"] == 0


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, (2, "--against {path}: does not exist")),
        ("", (1, "is empty")),
        (
            "A B (nobody)\n",
            (1, "--against {path}: {count} of {count} references have no hypothesis"),
        ),
    ],
)
def test_hypotheses_that_cannot_be_compared(
    smoke: Path, tmp_path: Path, capsys, content: str | None, expected: tuple[int, str]
):
    path = tmp_path / "other.trn"
    if content is not None:
        path.write_text(content)
    status, message = expected
    assert run(smoke, tmp_path / "out", "--against", str(path)) == status
    (line,) = [one for one in capsys.readouterr().err.splitlines() if "error:" in one]
    count = len(read_manifest(smoke / "data" / "valid.jsonl"))
    assert message.format(path=path, count=count) in line
    assert not (tmp_path / "out" / "hyp.trn").exists()  # told before the work


def test_one_line_where_the_report_cannot_be_written(smoke: Path, tmp_path: Path, capsys):
    (tmp_path / "out" / "report.html").mkdir(parents=True)
    assert run(smoke, tmp_path / "out") == 2
    captured = capsys.readouterr()
    (line,) = [one for one in captured.err.splitlines() if "error:" in one]
    assert "report.html: cannot be written" in line
    assert "%WER" in captured.out
    assert (tmp_path / "out" / "hyp.trn").exists()


def test_an_empty_manifest_has_no_report(smoke: Path, tmp_path: Path, capsys):
    (tmp_path / "empty.jsonl").touch()
    words = [str(smoke / "exp"), str(tmp_path / "empty.jsonl"), "--out", str(tmp_path / "out")]
    assert evaluate.main(words) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "holds no utterance" in line


def test_the_level_range_is_that_of_loud_and_quiet_frames():
    rng = np.random.default_rng(3)
    noise = rng.standard_normal(32_000).astype(np.float32)
    waveform = np.concatenate([0.1 * noise, 0.001 * noise])  # 40 dB apart
    assert level_range_db(waveform, 16_000) == pytest.approx(40, abs=1)
    assert level_range_db(0.1 * noise, 16_000) < 2
    assert level_range_db(np.zeros(16_000, np.float32), 16_000) == 0
    assert level_range_db(noise[:100], 16_000) == 0

"""The page of asr-doctor: its histograms against numpy, its findings against the printed ones."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from pages import cells, needs_chromium, opened, write_tone

from asr.cli import doctor

LETTERS = "ABCDEFGHIJ"


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """A manifest of 24 recordings; one is missing, one is silent, one has markup for a text."""
    lines = []
    for number in range(24):
        seconds = 0.5 + 0.1 * (number % 8)
        audio = write_tone(
            tmp_path / "sound" / f"{number}.wav", 0.0 if number == 5 else 0.2, seconds
        )
        text = "<b>&AMP" if number == 7 else LETTERS[: 2 + number % 8]
        lines.append(
            {"id": f"u{number}", "audio": f"sound/{audio.name}", "duration": seconds, "text": text}
        )
    (tmp_path / "sound" / "3.wav").unlink()
    path = tmp_path / "train.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@needs_chromium
def test_the_page_shows_what_is_printed(manifest: Path, tmp_path: Path, capsys):
    page_path = tmp_path / "out" / "doctor.html"
    assert doctor.main([str(manifest), "--html", str(page_path), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    texts = [json.loads(line)["text"] for line in manifest.read_text().splitlines()]
    with opened(page_path, tmp_path) as page:
        shown = page.run(
            "[...document.querySelectorAll('.finding h3')].map((head) => head.textContent)"
        )
        assert len(shown) == len(report["findings"]) > 1
        for head, found in zip(shown, report["findings"], strict=True):
            assert head.startswith(found["severity"] + found["dataset"])
            assert found["what"] in head
        bars = page.run(
            "[...document.querySelectorAll('.charts section:first-child .bars button')].map("
            "(bar) => bar.title)"
        )
        durations = [0.5 + 0.1 * (number % 8) for number in range(24)]
        edges = np.arange(0.5, 1.35, 0.1) - 1e-9
        assert [int(bar.split(": ")[1].split()[0]) for bar in bars] == [
            *np.histogram(durations, edges)[0]
        ]
        letters = dict(zip(cells(page, "#sets", 0), cells(page, "#sets", 2), strict=True))
        counts = Counter("".join(text for number, text in enumerate(texts) if number != 7))
        assert int(letters["C"]) == counts["C"]
        page.click(".charts section:first-child .bars button")
        assert page.run("document.querySelectorAll('.chosen li button.play').length") == 3
        page.click(".chosen li button.play")
        page.wait("player.duration > 0.4", 20)
        assert page.run("document.querySelectorAll('main b').length") == 0


@needs_chromium
def test_files_of_frames_have_no_sound_to_play(tmp_path: Path, capsys):
    np.save(tmp_path / "stroke.npy", np.ones((40, 3), np.float32))
    line = {"id": "stroke", "audio": "stroke.npy", "duration": 0.4, "text": "A"}
    (tmp_path / "train.jsonl").write_text(json.dumps({**line, "speaker": "ann"}) + "\n")
    page_path = tmp_path / "doctor.html"
    doctor.main([str(tmp_path / "train.jsonl"), "--html", str(page_path)])
    with opened(page_path, tmp_path) as page:
        facts = page.text("#sets section > p.faint")
        assert "1 utterance, " in facts and "1 speaker named; 1 with frames of 3 values" in facts
        page.click(".charts section:first-child .bars button")
        assert page.text(".chosen li") == "stroke, 0.4 s: A"
        assert page.run("document.querySelectorAll('button.play').length") == 0


def test_one_line_where_the_page_cannot_be_written(manifest: Path, tmp_path: Path, capsys):
    (tmp_path / "file").touch()
    assert doctor.main([str(manifest), "--html", str(tmp_path / "file" / "x.html")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "file" in line
    assert line.startswith("asr-doctor: error: ")


def test_an_empty_manifest_has_no_page(tmp_path: Path, capsys):
    (tmp_path / "empty.jsonl").touch()
    page = tmp_path / "doctor.html"
    assert doctor.main([str(tmp_path / "empty.jsonl"), "--html", str(page)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "holds no utterance" in line
    assert not page.exists()


def test_a_model_folder_has_no_page(tmp_path: Path, capsys):
    assert doctor.main(["--model", str(tmp_path), "--html", str(tmp_path / "x.html")]) == 2
    assert "leave --html" in capsys.readouterr().err

"""report.html: its figures against jiwer and asr.scoring, read out of a browser."""

import json
import re
import time
from pathlib import Path

import jiwer
import numpy as np
import pytest
from browser import Page
from pages import cells, judged_as, needs_chromium, opened, write_tone

from asr.decode import expected_calibration_error
from asr.reports import audio_url, write_report
from asr.scoring import System, breakdown, compare, score_system

REFS = {
    "s1-a": "THE CAT SAT ON THE MAT",
    "s1-b": "A DOG",
    "s2-a": "ONE TWO THREE",
    "s2-b": "<img src=x onerror=alert(1)> & 'QUOTES'",
    "s3-a": "RIGHT",
}
HYPS = {
    "s1-a": "THE CAT SET ON MAT",
    "s1-b": "A BIG DOG",
    "s2-a": "ONE TWO TREE",
    "s2-b": "<img src=x onerror=alert(1)> 'QUOTES'",
    "s3-a": "RIGHT",
}
OTHER = {**HYPS, "s1-a": "THE CAT SAT ON THE MAT", "s3-a": "WRONG"}
SPEAKERS = {name: name[:2] for name in REFS}


def sure(hypotheses: dict[str, str]) -> dict[str, tuple[float, ...]]:
    """Return confidences that differ from word to word."""
    return {
        name: tuple((7 * (i + len(name + text)) % 10 + 0.5) / 10 for i in range(len(text.split())))
        for name, text in hypotheses.items()
    }


@pytest.fixture
def report(tmp_path: Path) -> tuple[Path, System]:
    audio = write_tone(tmp_path / "sound #1" / "tone é.wav")
    system = score_system("mine", REFS, HYPS, SPEAKERS)
    other = score_system("theirs", REFS, OTHER, SPEAKERS)
    path = tmp_path / "out" / "report.html"
    write_report(
        path,
        system,
        judged_as(audio, HYPS, sure(HYPS)),
        other=other,
        comparison=compare(system, other),
        facts={"model": "m", "manifest": "dev.jsonl"},
        remarks=["a remark"],
    )
    return path, system


def visible_ids(page: Page) -> list[str]:
    return [name for name in cells(page, "#utterances", 1) if name]


def search(page: Page, text: str) -> None:
    page.run(
        f"(() => {{ const box = document.getElementById('search'); box.value = {json.dumps(text)};"
        "box.dispatchEvent(new Event('input')); })()"
    )


@needs_chromium
def test_the_figures_are_those_of_jiwer_and_of_scoring(report: tuple[Path, System], tmp_path: Path):
    path, system = report
    truth = jiwer.process_words([*REFS.values()], [*HYPS.values()])
    with opened(path, tmp_path) as page:
        line = page.run(
            "[...document.querySelectorAll('#score tbody tr')].map((row) =>"
            "[...row.children].map((cell) => cell.textContent))"
        )
        mine, theirs = line
        assert mine[0] == "mine"
        assert float(mine[1]) == pytest.approx(100 * truth.wer, abs=0.005)
        assert [*map(int, mine[3:6])] == [
            truth.insertions, truth.deletions, truth.substitutions
        ]  # fmt: skip
        low, high = map(float, mine[2].split(" to "))
        assert system.interval
        assert (low, high) == pytest.approx(
            (100 * system.interval.low, 100 * system.interval.high), abs=0.005
        )
        assert float(theirs[1]) == pytest.approx(
            100 * jiwer.wer([*REFS.values()], [*OTHER.values()]), abs=0.005
        )
        found = compare(system, score_system("theirs", REFS, OTHER, SPEAKERS))
        assert cells(page, "#tests", 0) == [test.name for test in found.tests]
        assert page.text("#verdict").startswith(found.verdict())
        names = cells(page, "#groups .group:nth-child(1)", 0)
        rates = [*map(float, cells(page, "#groups .group:nth-child(1)", 4))]
        by_speaker = breakdown.by_speaker(system)
        assert names == [*by_speaker]
        assert rates == pytest.approx(
            [100 * score.word.rate for score in by_speaker.values()], abs=0.005
        )
        by_length = breakdown.by_length(system)
        assert cells(page, "#groups .group:nth-child(2)", 0) == [*by_length]
        assert page.run("document.querySelectorAll('#remarks li')[0].textContent") == "a remark"


@needs_chromium
def test_the_reliability_is_that_of_the_words(report: tuple[Path, System], tmp_path: Path):
    path, system = report
    claimed = [c for name in REFS for c in sure(HYPS)[name]]
    right = [op == "cor" for u in system.utterances for op, _, hyp in u.steps if hyp is not None]
    error = expected_calibration_error(claimed, right)
    with opened(path, tmp_path) as page:
        assert f"error is {error:.3f}" in page.text("#reliability-note")
        counts = [*map(int, cells(page, "#reliability", 1))]
        expected = np.histogram(claimed, bins=10, range=(0, 1))[0]
        assert counts == expected[expected > 0].tolist()
        circles = page.run("document.querySelectorAll('#reliability circle').length")
        assert circles == len(counts)


@needs_chromium
def test_texts_are_text_and_errors_are_marked(report: tuple[Path, System], tmp_path: Path):
    with opened(report[0], tmp_path) as page:
        assert page.run("document.querySelectorAll('img').length") == 0
        marks = page.run(
            "[...document.querySelectorAll('#utterances .mark')].map((mark) => mark.textContent)"
        )
        truth = jiwer.process_words([*REFS.values()], [*HYPS.values()])
        other = jiwer.process_words([*REFS.values()], [*OTHER.values()])
        # the second system is shown where it differs: s1-a without an error, s3-a with one
        assert marks.count("D") == truth.deletions == 2
        assert marks.count("I") == truth.insertions == other.insertions == 1
        assert marks.count("S") == truth.substitutions + 1
        assert "<img src=x onerror=alert(1)>" in page.text("#utterances")


@needs_chromium
def test_sorting_by_mouse_and_by_key(report: tuple[Path, System], tmp_path: Path):
    path, system = report
    by_errors = sorted(system.utterances, key=lambda u: -u.score.word.errors)
    with opened(path, tmp_path) as page:
        assert visible_ids(page) == [u.id for u in by_errors]  # the worst first
        heads = "#utterances thead th"
        page.click(f"{heads}:nth-child(2) button")
        assert visible_ids(page) == sorted(REFS)
        sort = f"document.querySelector('{heads}:nth-child(2)').getAttribute('aria-sort')"
        assert page.run(sort) == "ascending"
        page.run(f"document.querySelector('{heads}:nth-child(2) button').focus()")
        for kind in ("keyDown", "keyUp"):
            page.call(
                "Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter",
                windowsVirtualKeyCode=13, text="\r",
            )  # fmt: skip
        assert page.run(sort) == "descending"
        assert visible_ids(page) == sorted(REFS, reverse=True)


@needs_chromium
def test_searching_and_choosing(report: tuple[Path, System], tmp_path: Path):
    with opened(report[0], tmp_path) as page:
        search(page, "tree")
        assert visible_ids(page) == ["s2-a"]
        assert page.text("#found") == "1 of 5 utterances, 1 error in 3 words, 33.33 % WER"
        search(page, "no such word")
        assert page.text("#found") == "0 of 5 utterances"
        search(page, "")
        page.click("#groups .group:nth-child(1) tbody tr:nth-child(2) button")  # speaker s2
        assert sorted(visible_ids(page)) == ["s2-a", "s2-b"]
        page.click("#all")
        page.click("#words .group:nth-child(2) tbody button")
        assert len(visible_ids(page)) == 1
        page.click("#all")
        page.run(
            "(() => { const which = document.getElementById('which'); which.value = 'worse';"
            "which.dispatchEvent(new Event('change')); })()"
        )
        assert visible_ids(page) == ["s1-a"]


@needs_chromium
def test_recordings_play_or_say_why_not(report: tuple[Path, System], tmp_path: Path):
    path, _ = report
    with opened(path, tmp_path) as page:
        assert page.run("rows[0].sound.url").startswith("../sound%20%231/")
        page.click("#utterances button.play")
        page.wait("player.duration > 0.3", 20)
        page.wait("document.querySelector('#utterances button.play').textContent === '▶ Play'", 20)
    (tmp_path / "sound #1" / "tone é.wav").unlink()
    with opened(path, tmp_path / "again") as page:
        page.click("#utterances button.play")
        page.wait("document.querySelector('#utterances button.play').textContent === 'no sound'")
        page.errors.clear()  # the browser's own line about the missing file


@needs_chromium
def test_five_thousand_utterances(tmp_path: Path):
    rng = np.random.default_rng(5)
    words = [f"WORD{number}" for number in range(500)]
    refs = {
        f"spk{number % 300}-{number}": " ".join(rng.choice(words, 18)) for number in range(5_000)
    }
    hyps = {
        name: " ".join(word for word in text.split() if rng.random() > 0.06)
        for name, text in refs.items()
    }
    confidences = {name: tuple(rng.random(len(text.split()))) for name, text in hyps.items()}
    system = score_system("large", refs, hyps)
    path = tmp_path / "report.html"
    audio = write_tone(tmp_path / "tone.wav")
    write_report(path, system, judged_as(audio, hyps, confidences), facts={})
    assert path.stat().st_size < 5e6
    started = time.monotonic()
    with opened(path, tmp_path) as page:
        page.wait("document.getElementById('found').textContent")
        assert time.monotonic() - started < 20  # a second; the browser's start and a busy machine
        assert page.text("#found").startswith("5000 of 5000 utterances")
        assert page.run("document.querySelectorAll('#utterances tbody tr').length") == 100
        page.run("document.querySelector('#utterances > div > button').click()")
        assert page.run("document.querySelectorAll('#utterances tbody tr').length") == 200
        search(page, "word77")
        wanted = sum("WORD77" in f"{refs[n]}\n{hyps[n]}" for n in refs)
        assert page.text("#found").startswith(f"{wanted} of 5000 utterances")
        search(page, "spk7-4507")
        assert visible_ids(page) == ["spk7-4507"]
        total = re.search(r"([\d.]+) % WER", page.text("#found"))
        assert total
        assert float(total[1]) == pytest.approx(
            100 * jiwer.wer(refs["spk7-4507"], hyps["spk7-4507"]), abs=0.005
        )


@needs_chromium
def test_no_words_at_all(tmp_path: Path):
    refs, hyps = {"a": "", "b": ""}, {"a": "", "b": ""}
    audio = write_tone(tmp_path / "tone.wav")
    path = tmp_path / "report.html"
    write_report(path, score_system("silent", refs, hyps), judged_as(audio, hyps, {}), facts={})
    with opened(path, tmp_path) as page:
        assert page.text("#reliability-note") == "No recognised word has a confidence."
        assert page.text("#found") == "2 of 2 utterances"


@needs_chromium
def test_hypotheses_without_confidences(tmp_path: Path):
    audio = write_tone(tmp_path / "tone.wav")
    path = tmp_path / "report.html"
    some = {"s2-a": sure(HYPS)["s2-a"]}  # of one utterance alone
    write_report(path, score_system("mine", REFS, HYPS), judged_as(audio, HYPS, some), facts={})
    with opened(path, tmp_path) as page:
        assert "Over 3 words" in page.text("#reliability-note")
        known = page.run("rows.filter((row) => row.confidence >= 0).map((row) => row.id)")
        assert known == ["s2-a"]
        assert page.run("document.querySelectorAll('#utterances .step [title]').length") == 3


def test_addresses_are_relative_and_quoted(tmp_path: Path):
    page = tmp_path / "exp" / "report.html"
    assert audio_url(tmp_path / "a b" / "ü?#%.wav", page) == "../a%20b/%C3%BC%3F%23%25.wav"
    assert audio_url(tmp_path / "exp" / "c:d.wav", page) == "c%3Ad.wav"

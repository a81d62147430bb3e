"""The page in a headless Chromium whose microphone is a file."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import srt
import webvtt
from folders import SAMPLES
from serving import Served, serving, wait_until

from asr import load_model

pytest.importorskip("starlette")
from browser import Page, browsing, find_chromium

pytestmark = pytest.mark.skipif(not find_chromium(), reason="needs Chromium")
SPEECH = SAMPLES / "quickstart.flac"
TEXT = "HE SAID THAT HE WAS NOT IN THE HOUSE THAT NIGHT"
RESULT = "#results article:first-of-type"


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with serving("--workers", 1) as served:
        yield served


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("browser")


@pytest.fixture(scope="module")
def microphone(folder: Path) -> Path:
    """Speech after a second of silence, as the browser takes a moment to begin."""
    sound, rate_hz = soundfile.read(SPEECH)
    noise = 1e-4 * np.random.default_rng(0).standard_normal((3 * rate_hz, 1))[:, 0]
    path = folder / "microphone.wav"
    soundfile.write(path, np.concatenate([noise, sound, noise]), rate_hz)
    return path


@pytest.fixture(scope="module")
def browser(folder: Path, microphone: Path) -> Iterator[Page]:
    with browsing(folder, microphone) as page:
        yield page


@pytest.fixture
def page(browser: Page, server: Served) -> Iterator[Page]:
    browser.errors.clear()
    browser.open(f"{server.url}/")
    yield browser
    assert not browser.errors


def downloaded(page: Page, folder: Path, name: str, selector: str) -> str:
    (folder / name).unlink(missing_ok=True)
    page.click(selector)
    wait_until((folder / name).exists)
    return (folder / name).read_text()


def test_record_see_the_words_and_download_subtitles(page: Page, folder: Path):
    page.click("#record")
    page.wait("document.querySelector('#record').getAttribute('aria-pressed') === 'true'")
    page.wait(f"document.querySelectorAll('{RESULT} .partial').length")  # words come live
    page.wait(f"document.querySelector('{RESULT} .text').innerText.includes('NIGHT')")
    page.wait("document.querySelector('#level').value < 1e-2")
    page.click("#record")
    page.wait(f"!document.querySelector('{RESULT} .actions').hidden")
    assert page.text(f"{RESULT} .text").split() == TEXT.split()
    name = page.text(f"{RESULT} .name")
    subtitles = downloaded(
        page, folder, f"{name.replace(':', '_')}.srt", f"{RESULT} [data-format=srt]"
    )
    cues = list(srt.parse(subtitles))
    assert " ".join(" ".join(cue.content.split()) for cue in cues) == TEXT
    assert 0 < cues[0].start.total_seconds() < cues[-1].end.total_seconds() < 20
    page.wait(f"document.querySelector('{RESULT} audio').duration > 3")


def test_files_in_a_queue_and_their_downloads(page: Page, folder: Path, tmp_path: Path):
    copies = [tmp_path / f"talk{number}.flac" for number in range(3)]
    for copy in copies:
        copy.write_bytes(SPEECH.read_bytes())
    page.choose_files("#files", *copies, Path(__file__))
    page.wait("document.querySelectorAll('#results article').length === 4")
    page.wait("[...document.querySelectorAll('.actions')].every((actions) => !actions.hidden)")
    good = "[...document.querySelectorAll('article:not(.failed) .text')]"
    texts = page.run(f"{good}.map((text) => text.innerText.trim())")
    assert texts == [TEXT] * 3
    assert "cannot be read as audio" in page.text("article.failed .state")
    last = "#results article:last-of-type"  # the newest come first
    record = json.loads(downloaded(page, folder, "talk0.json", f"{last} [data-format=json]"))
    assert record["text"] == TEXT
    assert record["words"][0].keys() == {"word", "start", "end", "confidence"}
    assert downloaded(page, folder, "talk0.txt", f"{last} [data-format=txt]") == f"{TEXT}\n"
    cues = webvtt.from_string(downloaded(page, folder, "talk0.vtt", f"{last} [data-format=vtt]"))
    assert " ".join(" ".join(cue.text.split()) for cue in cues) == TEXT
    page.errors.clear()  # a refused file is an error in the browser's log


def test_a_word_says_its_time_and_is_heard_when_clicked(page: Page):
    page.choose_files("#files", SPEECH)
    page.wait(f"!document.querySelector('{RESULT} .actions').hidden")
    word = load_model().transcribe(SPEECH, words=True).words[0]
    said = f"{word.start:.2f} to {word.end:.2f} s, {100 * word.confidence:.0f} % sure"
    assert page.run(f"document.querySelector('{RESULT} .word').title") == said
    page.wait(f"document.querySelector('{RESULT} audio').duration > 3")
    page.click(f"{RESULT} .word:nth-child(9)")
    page.wait(f"document.querySelector('{RESULT} audio').currentTime > 2.0")
    page.wait(f"document.querySelector('{RESULT} audio').paused", 10)
    assert page.run(f"document.querySelector('{RESULT} audio').currentTime") < 2.9


def test_words_are_reached_by_the_keyboard(page: Page):
    page.choose_files("#files", SPEECH)
    page.wait(f"document.querySelector('{RESULT} audio').duration > 3")
    page.run(f"document.querySelector('{RESULT} .word[tabindex=\"0\"]').focus()")
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "Enter"):
        page.call("Input.dispatchKeyEvent", type="keyDown", key=key)
        page.call("Input.dispatchKeyEvent", type="keyUp", key=key)
    assert page.run("document.activeElement.innerText") == "SAID"
    page.wait(f"document.querySelector('{RESULT} audio').currentTime > 0.6")


def test_an_edited_text_keeps_its_times(page: Page, folder: Path):
    page.choose_files("#files", SPEECH)
    page.wait(f"!document.querySelector('{RESULT} .actions').hidden")
    page.click(f"{RESULT} .edit")
    changed = "She said that he was never in the old HOUSE THAT NIGHT"
    page.run(f"document.querySelector('{RESULT} .text').textContent = {json.dumps(changed)}")
    name = f"{SPEECH.stem}.json"
    words = json.loads(downloaded(page, folder, name, f"{RESULT} [data-format=json]"))["words"]
    assert [word["word"] for word in words] == changed.split()
    assert (words[-1]["start"], words[-1]["end"]) == (2.61, 2.97)
    times = [time for word in words for time in (word["start"], word["end"])]
    assert times == sorted(times)


def test_what_is_hidden_is_not_seen(page: Page):
    page.choose_files("#files", SPEECH)
    page.wait(f"!document.querySelector('{RESULT} .actions').hidden")
    hidden = "[...document.querySelectorAll('[hidden]')]"
    assert page.run(f"{hidden}.length") >= 3
    assert page.run(f"{hidden}.filter((element) => element.offsetHeight).length") == 0


def test_hotwords_are_sent(page: Page, server: Served):
    page.run("document.querySelector('#hotwords').value = '...'")
    page.choose_files("#files", SPEECH)
    page.wait("document.querySelector('article.failed')")
    assert "no words" in page.text("article.failed .state")
    page.errors.clear()


def test_a_server_with_a_token_is_asked_for_it(folder: Path, tmp_path: Path, browser: Page):
    path = tmp_path / "token"
    path.write_text("a-token-of-some-length\n")
    path.chmod(0o600)
    copy = tmp_path / "copy.flac"
    copy.write_bytes(SPEECH.read_bytes())
    with serving("--workers", 1, "--live-workers", 0, "--token-file", path) as guarded:
        browser.open(f"{guarded.url}/")
        browser.choose_files("#files", SPEECH, copy)
        states = "[...document.querySelectorAll('.state')].map((e) => e.innerText)"
        browser.wait(f"{states}.join() === 'waits for the token,waits for the token'")
        browser.run("document.querySelector('#token').value = 'a-token-of-some-length'")
        browser.click("#access button")
        browser.wait("document.querySelectorAll('.actions:not([hidden])').length === 2")
        assert not browser.run("document.querySelectorAll('article.failed').length")
        assert TEXT in browser.text(f"{RESULT} .text")


@pytest.mark.parametrize("width", [320, 400, 1000])
def test_nothing_is_wider_than_the_screen(page: Page, width: int):
    page.call(
        "Emulation.setDeviceMetricsOverride",
        width=width,
        height=700,
        deviceScaleFactor=1,
        mobile=True,
    )
    page.choose_files("#files", SPEECH)
    page.wait(f"!document.querySelector('{RESULT} .actions').hidden")
    assert page.run("document.documentElement.scrollWidth") <= width
    page.call("Emulation.clearDeviceMetricsOverride")


def test_the_page_asks_no_other_server_for_anything(page: Page, server: Served):
    loaded = page.run("performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert loaded
    assert all(name.startswith((server.url, "data:")) for name in loaded)

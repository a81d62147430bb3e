"""The page of asr-explain in a headless Chromium, against arrays that are computed apart."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from browser import Page, browsing, find_chromium
from folders import ENGLISH, SAMPLES
from networks import MODELS, write_experiment

from asr import load_model
from asr.checkpoint import load_acoustic_model
from asr.cli import explain

pytestmark = pytest.mark.skipif(not find_chromium(), reason="there is no Chromium")
SPEECH = SAMPLES / "quickstart.flac"
SOUND, RATE_HZ = soundfile.read(SPEECH, dtype="float32")
DURATION = len(SOUND) / RATE_HZ
SHIFT_S = 0.03


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, np.ndarray]]:
    """A page and the arrays of the English model against two that are not trained."""
    folder = tmp_path_factory.mktemp("page")
    others = [str(write_experiment(folder / name, MODELS[name])) for name in ("forward", "gru")]
    page, arrays = folder / "page.html", folder / "arrays.npz"
    options = ["--against", *others, "--out", str(page), "--json", str(arrays)]
    assert explain.main([str(SPEECH), *options]) == 0
    with np.load(arrays) as found:
        return page, dict(found)


@pytest.fixture(scope="module")
def browser(made, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browsing(tmp_path_factory.mktemp("browser")) as page:
        yield page


@pytest.fixture
def page(made, browser: Page) -> Iterator[Page]:
    """The page as it opens; at the end, nothing went wrong and nothing was asked for."""
    browser.open(made[0].as_uri())
    browser.wait("document.querySelector('#cell-plot canvas')")
    yield browser
    settle(browser)
    assert not browser.errors
    asked = browser.run("performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert not [name for name in asked if not name.startswith(("blob:", "data:"))]


def settle(page: Page) -> None:
    """Wait until what was asked to be drawn is drawn."""
    page.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def numbers(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", text)]


def press(page: Page, key: str, *, shift: bool = False, on: str = "body") -> None:
    event = f"new KeyboardEvent('keydown', {json.dumps({'key': key, 'shiftKey': shift})})"
    script = f"Object.defineProperty({event}, 'target', {{value: document.querySelector('{on}')}})"
    page.run(f"document.dispatchEvent({script})")
    settle(page)


def choose(page: Page, selector: str, value: object) -> None:
    found = f"document.querySelector('{selector}')"
    page.run(f"{found}.value = {json.dumps(value)}; {found}.dispatchEvent(new Event('change'))")
    settle(page)


def test_words_are_those_of_the_recogniser(page: Page):
    transcript = load_model(ENGLISH).transcribe(SPEECH, words=True)
    shown = page.run("[...document.querySelectorAll('#words button')].map((b) => b.innerText)")
    assert [text.split()[0] for text in shown] == [word.word for word in transcript.words]
    page.run("document.querySelectorAll('#words button')[2].click()")
    settle(page)
    start, end = numbers(page.text("#word"))[:2]
    # the bundle that asr-transcribe runs has rounded weights
    assert start == pytest.approx(transcript.words[2].start, abs=0.06)
    assert end == pytest.approx(transcript.words[2].end, abs=0.06)
    assert page.run("document.querySelectorAll('#words [aria-pressed=true]').length") == 1


def test_numbers_at_the_cursor_are_those_of_the_fast_network(page: Page):
    model, _ = load_acoustic_model(ENGLISH)
    samples, count = torch.tensor(SOUND)[None], torch.tensor([len(SOUND)])
    with torch.no_grad():
        features, frames = model.frontend(samples, count)
        (_, phones), _ = model.outputs(features, frames)
    press(page, "0")
    place = page.run("at")
    frame = int(place / SHIFT_S + 1e-6)
    said = page.text("#posteriors-value")
    assert f"frame {frame}:" in said
    best = phones[0, frame].exp()
    assert numbers(said)[1] == round(100 * round(255 * float(best.max())) / 255)  # it has 8 bits
    said = page.text("#mfcc-value")
    column = features[0, int(place / 0.01 + 1e-6)]
    assert numbers(said)[-1] == pytest.approx(float(column.max().clamp(max=4)), abs=0.03)
    assert f"c{int(column.argmax()) % 40}" in said or float(column.max()) > 3.9


@pytest.mark.parametrize("layer", [0, 3, 5])
@pytest.mark.parametrize("kind", ["input_gate", "forget_gate", "cell_state", "hidden_state"])
def test_gates_are_those_of_lstm_step(page: Page, made, layer: int, kind: str):
    arrays = made[1]
    name = f"layer{layer // 2 + 1}.{('forward', 'backward')[layer % 2]}"
    forget = arrays[f"{name}.forget_gate"]
    order = np.argsort(-forget.mean(axis=0), kind="stable")
    choose(page, "#layer", layer)
    choose(page, "#kind", kind)
    choose(page, "#cell", 40)
    said = numbers(page.text("#cell-text"))
    assert said[0] == order[39]
    mean = forget.mean(axis=0)[order[39]]
    assert said[2] == pytest.approx(mean, abs=5e-4)
    assert said[3] == pytest.approx(np.log(0.5) / np.log(mean) * 30, abs=0.6)
    frame = int(page.run("at") / SHIFT_S + 1e-6)
    values = arrays[f"{name}.{kind}"]
    step = 2 * float(np.abs(values).max()) / 255  # of a picture's bytes
    shown = numbers(page.text("#gates-value"))
    assert shown[:2] == [frame, 40]
    assert shown[2] == pytest.approx(values[frame, order[39]], abs=max(step, 1 / 255) / 2 + 0.006)


def test_other_moments_are_as_active(page: Page, made):
    active = made[1]["layer1.forward.hidden_state"]
    order = np.argsort(-made[1]["layer1.forward.forget_gate"].mean(axis=0), kind="stable")
    choose(page, "#cell", 60)
    here = active[int(page.run("at") / SHIFT_S + 1e-6), order[59]]
    times = [numbers(text)[0] for text in buttons(page, "#moments")]
    for time in times:
        there = active[int(time / SHIFT_S), order[59]]
        assert there * np.sign(here) >= 0.9 * abs(here) - 0.02
    if times:
        page.click("#moments button")
        assert page.run("at") == pytest.approx(times[0], abs=0.01)


def buttons(page: Page, selector: str) -> list[str]:
    found = page.run(f"[...document.querySelectorAll('{selector} button')].map((b) => b.innerText)")
    assert isinstance(found, list)
    return found


def test_reach_of_three_models(page: Page, made):
    rows = page.run(
        "[...document.querySelectorAll('#reach-table tbody tr')].map((row) => "
        "[...row.cells].map((cell) => cell.innerText))"
    )
    assert [row[0] for row in rows] == ["english", "forward", "gru"]
    assert rows[0][1] == "3 layers of 256 LSTM cells, both directions"
    assert rows[1][1] == "2 layers of 12 LSTM cells, forward only"
    for number, row in enumerate(rows):
        distances, shares = made[1][f"reach{number}.profile"]
        for side, said in ((-1, row[2]), (1, row[3])):
            fallen = side * distances[(side * distances >= 0) & (shares < 0.01)]
            expected = f"{fallen.min():.0f} ms" if len(fallen) else "not within this recording"
            assert said == expected
    assert int(rows[1][3].split()[0]) <= 80  # what is stacked, and half a window of smoothing
    for plot in ("reachPlot", "distancePlot"):
        labels = page.run(f"{plot}.axes[1]._values")
        assert labels and all(re.fullmatch(r"1e-?\d+", label) for label in labels)
    norms = made[1]["reach0.norms"]
    found = page.run("reachPlot.data[1]")
    np.testing.assert_allclose(found, norms[page.run("nearestReach()")], rtol=1e-5)


def test_keys_move_zoom_and_choose(page: Page):
    before = page.run("at")
    press(page, "ArrowRight")
    assert page.run("at") == pytest.approx(before + SHIFT_S)
    press(page, "ArrowLeft", shift=True)
    assert page.run("at") == pytest.approx(before - 9 * SHIFT_S)
    assert numbers(page.text("#time"))[0] == pytest.approx(before - 9 * SHIFT_S, abs=0.006)
    press(page, "+")
    press(page, "+")
    assert page.run("view.to - view.from") == pytest.approx(DURATION / 4)
    assert page.run("view.from <= at && at <= view.to")
    press(page, "0")
    assert page.run("[view.from, view.to]") == [0, pytest.approx(DURATION)]
    press(page, "ArrowDown", on="#gates")
    press(page, "ArrowDown", on="#gates")
    press(page, "ArrowUp", on="#gates")
    assert page.run("document.querySelector('#cell').value") == "2"
    for _ in range(9):
        press(page, "-")
    assert page.run("[view.from, view.to]") == [0, pytest.approx(DURATION)]


def test_a_click_moves_the_cursor_and_a_drag_pans(page: Page):
    press(page, "+")
    place = page.run(
        "(() => { const g = document.querySelector('#gates'); g.scrollIntoView({block: 'center'});"
        "const r = g.getBoundingClientRect(); return [r.left, r.top, r.width, r.height]; })()"
    )
    left, top, width, height = place
    x, y = left + width / 2, top + height * 0.5
    mouse(page, "mousePressed", x, y)
    mouse(page, "mouseReleased", x, y)
    settle(page)
    gutter = page.run("gutter")
    start, stop = page.run("[view.from, view.to]")
    share = (x - left - gutter) / (width - gutter)
    assert page.run("at") == pytest.approx(start + share * (stop - start), abs=0.02)
    assert int(page.run("document.querySelector('#cell').value")) == pytest.approx(128, abs=2)
    mouse(page, "mousePressed", x, y)
    for moved in (20, 40, 80):
        mouse(page, "mouseMoved", x - moved, y)
    mouse(page, "mouseReleased", x - 80, y)
    settle(page)
    assert page.run("view.from") > start or stop == pytest.approx(DURATION)


def mouse(page: Page, kind: str, x: float, y: float) -> None:
    page.call(
        "Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1, buttons=1
    )


def test_the_sound_is_the_recording_and_plays(page: Page):
    assert page.run("sound.readyState") >= 0
    page.wait("sound.duration > 0")
    assert page.run("sound.duration") == pytest.approx(DURATION, abs=0.01)
    samples = np.array(page.run("[...data.samples.values]")) / 32767
    np.testing.assert_allclose(samples, SOUND, atol=1 / 32767)
    press(page, "0")
    before = page.run("at")
    page.click("#play")
    page.wait(f"at > {before} + 0.2")
    assert page.text("#play") == "Pause"
    page.click("#play")
    page.wait("sound.paused")
    assert page.text("#play") == "Play"


@pytest.mark.parametrize("width", [320, 390, 1000])
@pytest.mark.parametrize("dark", [False, True])
def test_nothing_is_wider_than_the_screen(page: Page, tmp_path: Path, width: int, dark: bool):
    page.screenshot(tmp_path / "x.png", width, 800, dark=dark)
    assert page.run("document.documentElement.scrollWidth") <= width
    page.call("Emulation.clearDeviceMetricsOverride")


def test_a_given_text_stands_beside_the_recognised_one(tmp_path: Path, browser: Page):
    page, arrays = tmp_path / "page.html", tmp_path / "arrays.npz"
    options = ["--text", "he said that she was", "--out", str(page), "--json", str(arrays)]
    assert explain.main([str(SPEECH), *options]) == 0
    found = np.load(arrays)
    browser.open(page.as_uri())
    settle(browser)
    said = browser.text("#known")
    behind = float(found["best_log_prob"] - found["known_log_prob"])
    assert said.startswith("Given: HE SAID THAT SHE WAS. ")
    assert f"e^{behind:.1f} times less probable" in said
    assert "Squares" in browser.text("#known-mark")
    rows = browser.run("[...posteriors.known.values].map((row) => posteriors.tokens[row])")
    assert rows == found["tokens"][found["known_path"]].tolist()
    words = browser.run("data.known.words.map((word) => [word.word, word.start])")
    assert [word for word, _ in words] == ["HE", "SAID", "THAT", "SHE", "WAS"]
    assert [start for _, start in words] == pytest.approx(found["known_word_times"][:, 0])
    browser.run(f"moveTo({found['known_word_times'][3, 0] + 0.01})")
    settle(browser)
    assert browser.text("#posteriors-value").endswith("the given text SH.")
    assert not browser.errors


def test_a_gru_shows_its_own_gates(tmp_path: Path, browser: Page):
    model = write_experiment(tmp_path / "exp", MODELS["gru"])
    page, arrays = tmp_path / "page.html", tmp_path / "arrays.npz"
    options = ["--model", str(model), "--out", str(page), "--json", str(arrays)]
    assert explain.main([str(SPEECH), *options]) == 0
    values = np.load(arrays)["layer2.backward.update_gate"]
    browser.open(page.as_uri())
    settle(browser)
    kinds = browser.run("[...document.querySelector('#kind').options].map((o) => o.text)")
    assert kinds == ["Reset gate r", "Update gate z", "Hidden state h"]
    assert browser.run("document.querySelector('#no-gates').hidden")
    choose(browser, "#layer", 3)
    choose(browser, "#kind", "update_gate")
    choose(browser, "#cell", 2)
    assert "gru_step in explain/cells.py" in browser.text("#kind-text")
    said = browser.text("#cell-text")
    mean = np.sort(values.mean(axis=0))[-2]
    assert "mean update gate" in said
    assert numbers(said)[2] == pytest.approx(mean, abs=5e-4)
    assert numbers(said)[3] == pytest.approx(np.log(0.5) / np.log(mean) * 30, abs=0.6)
    shown = numbers(browser.text("#gates-value"))
    row = np.argsort(-values.mean(axis=0), kind="stable")[1]
    assert shown[2] == pytest.approx(values[int(shown[0]), row], abs=1 / 255 + 0.006)
    assert not browser.errors


def test_a_network_without_gates_and_without_words(tmp_path: Path, browser: Page):
    model = write_experiment(tmp_path / "exp", MODELS["rnn"])
    quiet, page = tmp_path / "quiet.wav", tmp_path / "page.html"
    soundfile.write(quiet, np.zeros(100), RATE_HZ)
    assert explain.main([str(quiet), "--model", str(model), "--out", str(page)]) == 0
    browser.open(page.as_uri())
    settle(browser)
    assert "have no gates" in browser.text("#no-gates")
    assert browser.run("document.querySelector('#kind').options.length") == 1
    press(browser, "+")
    press(browser, "ArrowRight")
    assert not browser.errors

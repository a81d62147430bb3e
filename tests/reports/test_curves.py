"""curves.html: its figures against log.jsonl, its state, and what a reload keeps."""

import errno
import json
import time
from contextlib import suppress
from pathlib import Path

import pytest
from browser import Page
from pages import cells, needs_chromium, opened

from asr.reports import CurvesPage, curves as curves_module
from asr.training import TrainLog

NOTHING = "\u2013"  # a dash
LINES = [
    {
        "epoch": epoch,
        "step": 10 * epoch,
        "train_loss": 3 / epoch,
        "valid_loss": 3.5 / epoch,
        "valid_error": error,
        "valid_cer": error / 2,
        "learning_rate": 1e-3 / epoch,
        "grad_norm": 2.0,
        "grad_norm_max": 5.0,
        "seconds": 60.0,
        "audio_s_per_s": 50.0 + epoch,
        "blank_rate": 0.9,
        **({"valid_oddity": 7.25} if epoch > 1 else {}),
    }
    for epoch, error in enumerate((0.9, 0.4, 0.5, float("nan")), start=1)
]


def titles(page: Page) -> list[str]:
    found: list[str] = page.run(
        "[...document.querySelectorAll('#plots h2')].map((title) => title.textContent)"
    )
    return found


def reached(page: Page, condition: str) -> None:
    """Wait for a condition; a question that falls into a reload has no answer."""
    limit = time.monotonic() + 60
    found = False
    while not found:
        assert time.monotonic() < limit, condition
        with suppress(AssertionError):
            found = page.run(f"Boolean({condition})")


def column(page: Page, name: str) -> list[str]:
    heads = page.run("[...document.querySelectorAll('#table th')].map((head) => head.textContent)")
    return cells(page, "#table", heads.index(name))


@needs_chromium
def test_the_figures_are_those_of_the_log(tmp_path: Path):
    path = tmp_path / "exp" / "curves.html"
    CurvesPage(path, 9).write(LINES, "running", 1500.0)
    with opened(path, tmp_path) as page:
        assert page.text("#title") == "Training exp"
        assert page.text("#state").startswith("Running: 4 of 9 epochs, 25 min left, as of ")
        best = "Best epoch so far: 2 (WER greedy 0.4, held-out loss 1.75"
        assert page.text("#best").startswith(best)
        assert column(page, "epoch") == ["4", "3", "2", "1"]  # the newest first
        assert [*map(float, column(page, "train_loss"))] == pytest.approx(
            [0.75, 1, 1.5, 3], abs=1e-3
        )
        assert column(page, "valid_error") == [NOTHING, "0.5", "0.4", "0.9"]
        assert column(page, "valid_oddity") == ["7.25", "7.25", "7.25", NOTHING]
        assert titles(page) == [
            "Loss", "Error rates", "Blanks", "Learning rate", "Norm of the gradient", "Speed",
            "Time of an epoch", "valid_oddity",
        ]  # fmt: skip
        drawn = page.run("plots[0].data.map((values) => Array.from(values))")
        assert drawn[0] == [1, 2, 3, 4]
        assert drawn[1] == pytest.approx([line["train_loss"] for line in LINES], rel=1e-6)
        assert page.run("plots[0].data.length") == 3
        assert "0.75" in page.text("#plots .u-legend")


@needs_chromium
def test_a_reload_keeps_zoom_and_scroll(tmp_path: Path):
    path = tmp_path / "curves.html"
    curves = CurvesPage(path, 9)
    curves.write(LINES[:3], "running")
    with opened(path, tmp_path) as page:
        page.run(
            "(() => { const input = document.getElementById('from'); input.value = 2;"
            "input.dispatchEvent(new Event('change')); scrollTo(0, 300); })()"
        )
        assert page.run("[plots[0].scales.x.min, plots[0].scales.x.max]") == [2, 3]
        curves.write(LINES, "running")
        page.call("Page.reload")
        page.wait("typeof epochs !== 'undefined' && epochs.length === 4 && plots.length")
        assert page.run("[plots[0].scales.x.min, plots[0].scales.x.max]") == [2, 3]
        assert page.run("scrollY") == 300
        page.click("#whole")
        page.wait("plots[0].scales.x.max === 4")
        assert page.run("plots[1].scales.x.min") == 1


@needs_chromium
def test_the_page_loads_itself_anew_until_training_ends(tmp_path: Path):
    path = tmp_path / "curves.html"
    brisk = path.with_name("brisk.html")  # the same page with a shorter wait

    def write(lines: list[dict[str, float]], state: str) -> None:
        CurvesPage(path, 3).write(lines, state)
        text = path.read_text().replace("RELOAD_MS = 15000", "RELOAD_MS = 400")
        whole = brisk.with_suffix(".new")
        whole.write_text(text)
        whole.rename(brisk)

    write(LINES[:1], "running")
    with opened(brisk, tmp_path) as page:
        reached(page, "document.querySelector('#state')?.textContent.startsWith('Running: 1 of 3')")
        write(LINES[:3], "finished")
        reached(page, "document.querySelector('#state')?.textContent.startsWith('Finished: 3 of')")
        assert page.run("document.getElementById('reloading').hidden")
        page.run("window.stays = true")
        page.run("new Promise((done) => setTimeout(done, 1200))")
        assert page.run("window.stays")


@needs_chromium
def test_states_and_figures_of_other_tasks(tmp_path: Path):
    path = tmp_path / "curves.html"
    curves = CurvesPage(path, 3)
    text_lines = [
        {"epoch": 1, "step": 9, "train_loss": 5.0, "valid_loss": 4.0, "valid_error": 54.6,
         "valid_perplexity": 54.6, "tokens_per_s": 900.0}
    ]  # fmt: skip
    for state, said in {
        "running": "Running: 1 of 3 epochs, as of",
        "stopped": "Stopped: 1 of 3 epochs",
        "failed": "Ended by an error: 1 of 3 epochs",
    }.items():
        curves.write(text_lines, state)
        with opened(path, tmp_path / state) as page:
            assert page.text("#state").startswith(said)
            assert titles(page) == [
                "Loss", "Error that chooses the best epoch", "Speed", "valid_perplexity"
            ]  # fmt: skip
    curves.write([], "running")
    with opened(path, tmp_path / "none") as page:
        assert page.text("#none") == "No epoch is finished yet."


def state_of(folder: Path) -> str:
    text = (folder / "curves.html").read_text()
    data = text.split('id="data">')[1].split("</script>")[0]
    return str(json.loads(data)["state"])


def test_the_log_says_how_training_ended(tmp_path: Path):
    figures = {"train_loss": 1.0, "valid_loss": 1.0, "valid_error": 1.0}
    with TrainLog(tmp_path, 0, 2) as log:
        assert state_of(tmp_path) == "running"
        log.write(0, 5, figures, 30.0)
        assert '"left_s": 30.0' in (tmp_path / "curves.html").read_text()
    assert state_of(tmp_path) == "stopped"
    with pytest.raises(KeyboardInterrupt), TrainLog(tmp_path, 1, 2):
        raise KeyboardInterrupt
    assert state_of(tmp_path) == "failed"
    with TrainLog(tmp_path, 1, 2) as log:
        log.write(1, 10, figures, 60.0)
    assert state_of(tmp_path) == "finished"


def test_training_goes_on_without_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "curves.html").mkdir()
    figures = {"train_loss": 1.0, "valid_loss": 1.0, "valid_error": 1.0}
    with TrainLog(tmp_path, 0, 2) as log:
        log.write(0, 5, figures, 30.0)
        log.write(1, 10, figures, 60.0)
    assert (tmp_path / "log.jsonl").read_text().count("\n") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{tmp_path / 'curves.html'}: cannot be written (Is a directory)")


def test_a_full_disk_is_told_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(curves_module, "write_page", full)
    curves = CurvesPage(tmp_path / "curves.html", 3)
    for _ in range(3):
        curves.write(LINES[:1], "running")
    assert capsys.readouterr().err.count("No space left on device") == 1

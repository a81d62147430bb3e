"""Pages under test: utterances with sound, and what a browser must not do."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile
from browser import Page, browsing, find_chromium

from asr.audio import read_audio
from asr.manifest import Utterance
from asr.reports import JudgedUtterance

needs_chromium = pytest.mark.skipif(not find_chromium(), reason="there is no Chromium")


@contextmanager
def opened(path: Path, folder: Path) -> Iterator[Page]:
    """Open a page from the disk; at the end it must have asked for nothing and failed nowhere."""
    with browsing(folder / "browser") as page:
        page.open(path.as_uri())
        yield page
        asked = page.run("performance.getEntriesByType('resource').map((entry) => entry.name)")
        assert [name for name in asked if not name.startswith(("data:", "file:"))] == []
        assert not page.errors


def write_tone(path: Path, level: float = 0.3, seconds: float = 0.4) -> Path:
    """Write a recording whose first half is silence."""
    path.parent.mkdir(parents=True, exist_ok=True)
    time_s = np.arange(round(16_000 * seconds)) / 16_000
    wave = level * np.sin(2 * np.pi * 440 * time_s) * (time_s > seconds / 2)
    soundfile.write(path, wave, 16_000)
    return path


def judged_as(
    audio: Path, hypotheses: Mapping[str, str], confidences: Mapping[str, tuple[float, ...]]
) -> dict[str, JudgedUtterance]:
    """Return utterances that all have the sound of one recording."""
    quality = read_audio(audio).quality
    return {
        name: JudgedUtterance(
            utterance=Utterance(id=name, audio=audio, duration=0.4, text=""),
            quality=quality,
            range_db=20.0 + number % 20,
            confidences=confidences.get(name, ()),
        )
        for number, name in enumerate(hypotheses)
    }


def cells(page: Page, table: str, column: int) -> list[str]:
    """Return the texts of a column of the table in an element."""
    rows = f"document.querySelectorAll('{table} tbody tr')"
    script = f"[...{rows}].map((row) => row.children[{column}]?.textContent).filter(Boolean)"
    found: list[str] = page.run(script)
    return found

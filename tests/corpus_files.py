"""Small corpora for tests: recordings of silence, and what lies beside them."""

from pathlib import Path

import numpy as np
import soundfile

from asr.manifest import Utterance

RATE = 8000


def record(path: Path, seconds: float = 0.5, **form: str) -> Path:
    """Write a recording of that length."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.zeros(round(seconds * RATE)), RATE, **form)
    return path


def chapter(subset: Path, speaker: str, number: str, *lines: str) -> Path:
    """Write the transcripts of a LibriSpeech chapter; return its folder."""
    folder = subset / speaker / number
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(f"{line}\n" for line in lines)
    (folder / f"{speaker}-{number}.trans.txt").write_text(text, encoding="utf-8")
    return folder


def summary(utterances: list[Utterance]) -> list[tuple[str, str, str, str | None]]:
    """Return id, name of the recording, text and speaker of each."""
    return [(item.id, item.audio.name, item.text, item.speaker) for item in utterances]

"""The folder of a reader who follows README.md or docs/: what a page says one has, in small.

Words are tones, or pieces of the sample that comes with the package: real speech whose text is
known, so that nothing has to be installed or fetched.
"""

import csv
import json
import lzma
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import soundfile
from folders import CONF, SAMPLES

import asr
from asr.cli import lm, train
from asr.manifest import Utterance, read_manifest, to_record

GERMAN = [  # of as many words as the pieces of the sample; umlauts and a digit
    *("er sagte dass", "Er sagte, dass er", "Die Äpfel sind für uns", "Wir haben 3 Äpfel gegessen"),
    *("Zwölf Mäuse laufen heute über das", "Schöne Grüße an alle Bäcker in Köln"),
]
DICTIONARY = (
    "do D OW\nre R EY\nmi M IY\nfa F AA\nso S OW\nhe HH IY\nsaid S EH D\nthat DH AE T\n"
    "was W AA Z\nnot N AA T\nin IH N\nthe DH AH\nhouse HH AW S\nnight N AY T\n"
)
SENTENCES = (  # for taggers and language models over words
    "He said that he was not in. The house, he said, was old!\n"
    "Was he not in the house that night? He was, and she was not.\n"
)


def furnish(folder: Path, smoke: Path) -> None:
    """Fill a folder with all that pages name.

    Args:
        folder: an empty folder.
        smoke: what recipes/smoke/run.sh has made, a corpus and a model of tones.
    """
    (folder / "conf").symlink_to(CONF)
    _write_talks(folder)
    _write_tables(folder)
    _write_texts(folder)
    _copy_tones(folder, smoke)


def _write_talks(folder: Path) -> None:
    """Write recordings of the sample under all names and in all formats that pages mention."""
    waveform, rate_hz = soundfile.read(SAMPLES / "quickstart.flac")
    for name in ("interviews", "talks", "x"):
        (folder / name).mkdir()
    for name in (
        *("talk.mp3", "talk.wav", "talk.flac", "a.wav", "in.wav", "x/1.opus"),
        *("interviews/1.wav", "talks/1.mp3", "talks/2.flac"),
    ):
        form = "OGG" if name.endswith(".opus") else None
        coding = "OPUS" if form else None
        soundfile.write(folder / name, waveform, rate_hz, coding, format=form)
    half = np.where(np.arange(len(waveform)) < len(waveform) / 2, waveform, 0)
    soundfile.write(folder / "call.wav", np.stack([half, waveform - half], axis=1), rate_hz)
    if shutil.which("ffmpeg"):
        film = [*("ffmpeg", "-loglevel", "error", "-i"), folder / "a.wav", folder / "film.mkv"]
        subprocess.run(film, check=True)


def _write_tables(folder: Path) -> None:
    """Write a table of a minute of speech, cut from the sample at its words, and a German one."""
    waveform, rate_hz = soundfile.read(SAMPLES / "quickstart.flac")
    words = asr.load_model().transcribe(SAMPLES / "quickstart.flac", words=True).words
    (folder / "anna").mkdir()
    rows = list[tuple[str, str, str]]()
    for first in range(len(words)):
        for stop in range(first + 3, len(words) + 1):
            name = f"anna/{len(rows):03}.wav"
            begin, end = (words[first].start - 0.05, words[stop - 1].end + 0.05)
            soundfile.write(
                folder / name, waveform[round(begin * rate_hz) : round(end * rate_hz)], rate_hz
            )
            text = " ".join(word.word.lower() for word in words[first:stop])
            rows.append((name, text, f"reader{len(rows) % 4}"))
    _write_table(folder / "metadata.csv", rows)
    german = [
        (name, GERMAN[min(len(text.split()) - 3, len(GERMAN) - 1)], speaker)
        for name, text, speaker in rows
    ]
    _write_table(folder / "german.csv", german)


def _write_table(path: Path, rows: Sequence[tuple[str, str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("audio", "text", "speaker"))
        writer.writerows(rows)


def _write_texts(folder: Path) -> None:
    (folder / "books").mkdir()
    (folder / "books" / "1.txt").write_text(SENTENCES * 40, encoding="utf-8")
    for name in ("other.txt", "unseen.txt"):
        (folder / name).write_text(SENTENCES * 15, encoding="utf-8")
    (folder / "german.txt").write_text("\n".join(GERMAN * 5) + "\n", encoding="utf-8")
    (folder / "cmudict.dict").write_text(DICTIONARY, encoding="utf-8")
    (folder / "names.txt").write_text("night watch:3\n", encoding="utf-8")
    for name, hypothesis in (("ref", "do re mi"), ("a", "do re mi"), ("b", "do re fa")):
        (folder / f"{name}.trn").write_text(f"{hypothesis} (1)\n{hypothesis} (2)\n")


def _copy_tones(folder: Path, smoke: Path) -> None:
    """Copy the corpus of tones, cut to some utterances, and its model under all its names."""
    parts = {"train": 60, "valid": 8, "dev": 8, "test": 8}
    for part, size in parts.items():
        source = "valid" if part == "dev" else part
        utterances = read_manifest(smoke / "data" / f"{source}.jsonl")[:size]
        for name in ("data", "tones", "."):
            (folder / name).mkdir(exist_ok=True)
            _write_manifest(folder / name / f"{part}.jsonl", utterances)
    shutil.copy(folder / "test.jsonl", folder / "known.jsonl")
    (folder / "tones" / "test").mkdir()
    shutil.copy(smoke / "data" / "test" / "test-000.wav", folder / "tones" / "test")
    for name in ("exp", "lstm", "MODEL", "tones/exp"):
        shutil.copytree(smoke / "exp", folder / name, ignore=shutil.ignore_patterns("test", "last"))
    texts = "\n".join(u.text for u in read_manifest(folder / "train.jsonl")) + "\n"
    (folder / "texts.txt").write_text(texts, encoding="utf-8")
    (folder / "held-out.txt").write_text(texts[-200:].partition("\n")[2], encoding="utf-8")
    (folder / "books.txt.xz").write_bytes(lzma.compress(texts.encode()))
    _run(lm, "train", folder / "texts.txt", "--out", folder / "lm.bin")
    (folder / "upper.txt").write_text(texts.upper(), encoding="utf-8")  # as presets write texts
    _run(lm, "train", folder / "upper.txt", "--out", folder / "upper.bin")
    for seed in (1, 2, 3):  # networks that have weights in common are refused as an ensemble
        manifests = ("--train", folder / "dev.jsonl", "--valid", folder / "dev.jsonl")
        settings = (f"train.seed={seed}", "train.epochs=1", "train.processes=1", "model.hidden=8")
        _run(train, "conf/smoke.toml", *manifests, "--out", folder / f"seed{seed}", *settings)
    shutil.copytree(folder / "seed1", folder / "with-noise")


def _write_manifest(path: Path, utterances: Sequence[Utterance]) -> None:
    """Write a manifest with absolute paths, so that it can be copied anywhere."""
    records = (to_record(utterance, utterance.audio) for utterance in utterances)
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records))


def _run(command: ModuleType, *words: object) -> None:
    assert command.main([*map(str, words)]) == 0

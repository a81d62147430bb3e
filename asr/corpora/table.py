"""Read and write CSV tables of recordings; read LJSpeech's metadata.csv.

The first line names the columns: audio and text, and if wanted id, speaker, start, duration
(seconds); others are ignored. The delimiter is one of `, ; tab |`: the one that finds most of these
names. Fields may be quoted if it is , or ; but with tab or | a quote is a plain character, as in
the tables of Common Voice and LJSpeech.
"""

import csv
import difflib
import io
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from asr.corpora.entries import (
    CorpusEntry,
    one_line,
    read_text,
    recordings_by_name,
    refuse,
    to_utterances,
    write_text,
)
from asr.errors import CorpusError
from asr.manifest import Utterance

COLUMNS = ("id", "audio", "start", "duration", "text", "speaker")
REQUIRED = {  # column -> other names that people give it, used in hints alone
    "audio": ("path", "file", "filename", "file_name", "wav", "audio_path", "audio_filepath"),
    "text": ("sentence", "transcript", "transcription", "utterance"),
}
DELIMITERS = ",;\t|"
QUOTED = ",;"


def read_csv(path: Path) -> list[Utterance]:
    """Read a table; audio paths are relative to its folder. See the module for the format.

    Raises:
        CorpusError: a column is missing; rows are malformed, or have an empty text or no file
            at their path (the first few are named); or recordings cannot be read.
    """
    content = read_text(path)
    header = content.partition("\n")[0]
    delimiter = max(DELIMITERS, key=lambda mark: _score(_columns(header, mark)))
    columns = _columns(header, delimiter)
    if "|" in header and not _score(columns)[0]:
        return to_utterances(path, _ljspeech_entries(path, content))
    for column in REQUIRED:
        if column not in columns:
            raise CorpusError(f"{path}: no column {column!r}; {_hint(column, columns)}")
    entries, problems = [], []
    for number, row in _rows(path, content, delimiter)[1:]:
        try:
            entries.append(_entry(path.parent, columns, row))
        except ValueError as error:
            problems.append(f"line {number}: {error}")
    refuse(path, problems)
    return to_utterances(path, _with_ids(path.parent, entries))


def write_csv(path: Path, utterances: Iterable[Utterance]) -> None:
    """Write a table that read_csv reads, with audio paths relative to its folder.

    Raises:
        CorpusError: the file cannot be written.
    """
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(COLUMNS)
    for utterance in utterances:
        audio = Path(os.path.relpath(utterance.audio.resolve(), path.parent.resolve())).as_posix()
        times = (f"{utterance.start:.6f}", f"{utterance.duration:.6f}")
        text = one_line(utterance.text)
        writer.writerow((utterance.id, audio, *times, text, utterance.speaker or ""))
    write_text(path, table.getvalue())


def _columns(header: str, delimiter: str) -> list[str]:
    return [field.strip(' "\r').lower() for field in header.split(delimiter)]


def _score(columns: list[str]) -> tuple[int, int]:
    return len(set(columns) & set(COLUMNS)), len(columns)


def _hint(column: str, columns: list[str]) -> str:
    found = f"found: {', '.join(columns)}"
    for name in (column, *REQUIRED[column]):
        if close := difflib.get_close_matches(name, columns, n=1):
            return f"{found}; rename {close[0]!r} to {column!r}?"
    return f"{found}; the first line must name the columns audio and text"


def _rows(path: Path, content: str, delimiter: str) -> list[tuple[int, list[str]]]:
    """Return the rows that are not blank with the numbers of their lines."""
    reader = csv.reader(
        io.StringIO(content, newline=""),
        delimiter=delimiter,
        quoting=csv.QUOTE_MINIMAL if delimiter in QUOTED else csv.QUOTE_NONE,
        strict=True,
    )
    try:
        return [(reader.line_num, row) for row in reader if row]
    except csv.Error as error:
        raise CorpusError(
            f'{path}, line {reader.line_num}: {error}; quote fields as in "he said ""no"""'
        ) from None


def _entry(folder: Path, columns: list[str], row: list[str]) -> CorpusEntry:
    """Build the entry of a row; a ValueError says why it cannot."""
    if len(row) != len(columns):
        raise ValueError(f"{len(row)} fields, where the first line names {len(columns)}")
    cells = {column: cell.strip() for column, cell in zip(columns, row, strict=True)}
    audio = folder / cells["audio"]
    if not cells.get("id", "unnamed"):
        raise ValueError("the id is empty")
    if not cells["text"]:
        raise ValueError("the text is empty")
    if not audio.is_file():
        raise ValueError(f"no file {audio}")
    return CorpusEntry(
        id=cells.get("id", ""),
        audio=audio,
        text=cells["text"],
        speaker=cells.get("speaker") or None,
        start=_seconds(cells, "start") or 0.0,
        duration=_seconds(cells, "duration"),
    )


def _seconds(cells: dict[str, str], column: str) -> float | None:
    try:
        return float(cells[column]) if cells.get(column) else None
    except ValueError:
        raise ValueError(f"{column} is {cells[column]!r}, not a number of seconds") from None


def _with_ids(folder: Path, entries: list[CorpusEntry]) -> list[CorpusEntry]:
    """Name entries without ids after their recordings, by the shortest names that differ."""
    if any(entry.id for entry in entries):
        return entries
    paths = [Path(os.path.relpath(entry.audio, folder)).with_suffix("") for entry in entries]
    candidates = (
        [path.name for path in paths],
        ["-".join(path.parts) for path in paths],
        [f"{path.name}-{number:04d}" for number, path in enumerate(paths, start=1)],
    )
    names = next(names for names in candidates if len(set(names)) == len(names))
    joined = ["_".join(name.split()) for name in names]  # Kaldi and NIST ids hold no space
    return [replace(entry, id=name) for entry, name in zip(entries, joined, strict=True)]


def _ljspeech_entries(path: Path, content: str) -> list[CorpusEntry]:
    """Read `ID|text|text with numbers as words`; recordings lie in wavs/, or beside the table."""
    folder = path.parent / "wavs" if (path.parent / "wavs").is_dir() else path.parent
    recordings = recordings_by_name(folder)
    entries, problems = [], []
    for number, row in _rows(path, content, "|"):
        name, text = row[0].strip(), row[-1].strip()
        if len(row) not in (2, 3) or not text:
            problems.append(f"line {number}: not 'ID|text' or 'ID|text|normalised text'")
        elif name not in recordings:
            problems.append(f"line {number}: no recording {name!r} in {folder}")
        else:
            entries.append(CorpusEntry(id=name, audio=recordings[name], text=text))
    refuse(path, problems)
    return entries

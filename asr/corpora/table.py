"""Read and write CSV tables of recordings; read LJSpeech's metadata.csv.

The first line names the columns: audio and text, and if wanted id, speaker, start, duration or end
(seconds); others are ignored. The usual other names of these columns are taken, too (NAMES). The
delimiter is one of `, ; tab |`: the one that finds most of these names, or what Excel's first line
`sep=;` says. Fields may be quoted if it is , or ;. With tab or | a quote is a plain character, as
in the tables of Common Voice and LJSpeech, unless the names of the columns are quoted. A table of
two columns may lack the first line if it begins with a recording.
"""

import csv
import difflib
import io
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from asr.corpora.columns import (
    DELIMITERS,
    NAMES,
    QUOTED,
    SEPARATOR_LINE,
    is_quoted,
    our_columns,
    repeated_column,
    rows_of,
    unquoted,
)
from asr.corpora.entries import (
    RECORDINGS,
    CorpusEntry,
    Recordings,
    leave_out,
    one_line,
    read_text,
    to_utterances,
    write_text,
)
from asr.errors import CorpusError
from asr.manifest import Utterance

COLUMNS = ("id", "audio", "start", "duration", "text", "speaker")
_LINE_END = re.compile("\r\n|\r|\n")


@dataclass(frozen=True)
class _Layout:
    """How a table is written: its delimiter, its columns, and the lines before its rows."""

    delimiter: str
    columns: list[str]  # by our names; a column that has none keeps its own
    quoted: bool  # whether a quote is no plain character
    skipped: int  # rows before the first one
    is_ljspeech: bool = False  # rows of an id, a text, and perhaps the text with numbers as words


def read_csv(path: Path, left_out: list[str] | None = None) -> list[Utterance]:
    """Read a table; audio paths are relative to its folder. See the module for the format.

    Args:
        path: the table.
        left_out: receives a complaint on each row that cannot be used; None: one refuses all.

    Raises:
        CorpusError: a column is missing, or an id is repeated; or, without `left_out`, rows are
            malformed, or have an empty text, no file at their path, or a recording that cannot be
            read. With it, no row can be used.
    """
    content = read_text(path)
    recordings = Recordings(path.parent)
    layout = _layout(content, recordings)
    if layout.is_ljspeech:
        spoken = _ljspeech_entries(path, content, layout, recordings, left_out)
        return to_utterances(path, spoken, left_out)
    for column in ("audio", "text"):
        if column not in layout.columns:
            raise CorpusError(f"{path}: no column {column!r}; {_hint(column, layout.columns)}")
    if twice := repeated_column(layout.columns):
        raise CorpusError(f"{path}: the column {twice!r} stands twice; rename one of them")
    entries, problems = [], []
    for number, cells in _rows(path, content, layout)[layout.skipped :]:
        row = cells if layout.quoted else list(map(unquoted, cells))
        try:
            entries.append(_entry(recordings, layout.columns, row))
        except ValueError as error:
            problems.append(f"line {number}: {error}")
    leave_out(path, problems, left_out)
    return to_utterances(path, _with_ids(path.parent, entries), left_out)


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


def _layout(content: str, recordings: Recordings) -> _Layout:
    """Find out how a table is written, from its first lines."""
    lines = [line for line in _LINE_END.split(content, 2)[:2] if line.strip()] or [""]
    said = SEPARATOR_LINE.fullmatch(lines[0])
    header = lines[min(1, len(lines) - 1)] if said else lines[0]
    delimiter = said[1] if said else max(DELIMITERS, key=lambda mark: _score(header, mark))
    if "|" in header and not said and not {"id", "audio"} & set(our_columns(header, "|")):
        return _Layout("|", [], quoted=False, skipped=0, is_ljspeech=True)
    quoted = is_quoted(header, delimiter)
    columns = our_columns(header, delimiter)
    if not {"audio", "text"} & set(columns):
        for mark in DELIMITERS:
            first, *others = header.split(mark)
            if len(others) == 1 and _is_recording(first.strip(' "'), recordings):
                return _Layout(mark, ["audio", "text"], mark in QUOTED, skipped=int(bool(said)))
    return _Layout(delimiter, columns, quoted, skipped=1 + bool(said))


def _is_recording(path: str, recordings: Recordings) -> bool:
    try:
        return Path(path).suffix.lower() in RECORDINGS and bool(recordings.find(path))
    except ValueError:
        return False


def _score(header: str, delimiter: str) -> tuple[int, int]:
    columns = our_columns(header, delimiter)
    return len(set(columns) & {*COLUMNS, "end"}), len(columns)


def _hint(column: str, columns: list[str]) -> str:
    found = f"found: {', '.join(columns)}"
    for name in (column, *NAMES[column]):
        if close := difflib.get_close_matches(name, columns, n=1):
            return f"{found}; rename {close[0]!r} to {column!r}?"
    return f"{found}; the first line must name the columns audio and text"


def _rows(path: Path, content: str, layout: _Layout) -> list[tuple[int, list[str]]]:
    """Return the rows that are not blank with the numbers of their lines."""
    try:
        rows = rows_of(content, layout.delimiter, layout.quoted)
        return [(number, row) for number, row in rows if row]
    except ValueError as error:
        raise CorpusError(f"{path}, {error}") from None


def _entry(recordings: Recordings, columns: list[str], row: list[str]) -> CorpusEntry:
    """Build the entry of a row; a ValueError says why it cannot."""
    if len(row) != len(columns):
        raise ValueError(f"{len(row)} fields, where the first line names {len(columns)}")
    cells = {column: cell.strip() for column, cell in zip(columns, row, strict=True)}
    if not cells.get("id", "unnamed"):
        raise ValueError("the id is empty")
    if not cells["text"]:
        raise ValueError("the text is empty")
    if not cells["audio"]:
        raise ValueError("the path of the recording is empty")
    start, end = _seconds(cells, "start") or 0.0, _seconds(cells, "end")
    duration = _seconds(cells, "duration")
    return CorpusEntry(
        id=cells.get("id", ""),
        audio=recordings.find(cells["audio"]),
        text=cells["text"],
        speaker=cells.get("speaker") or None,
        start=start,
        duration=end - start if duration is None and end is not None else duration,
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


def _ljspeech_entries(
    path: Path, content: str, layout: _Layout, recordings: Recordings, left_out: list[str] | None
) -> list[CorpusEntry]:
    """Read `ID|text|text with numbers as words`; recordings lie in wavs/, or beside the table.

    The names may have an audio extension and, as in the lists of VITS, a folder.
    """
    entries, problems = [], []
    for number, row in _rows(path, content, layout):
        name, text = row[0].strip(), row[-1].strip()
        if len(row) not in (2, 3) or not text:
            problems.append(f"line {number}: not 'ID|text' or 'ID|text|normalised text'")
            continue
        try:
            audio = recordings.find(name)
        except ValueError:
            wavs = path.parent / "wavs"
            home = wavs if wavs.is_dir() else path.parent
            problems.append(f"line {number}: no recording {name!r} in {home}")
            continue
        entries.append(CorpusEntry(id=Path(name).stem, audio=audio, text=text))
    leave_out(path, problems, left_out)
    return entries

"""Read tables of transcripts: CSV or TSV whose first line names the columns, and LJSpeech's.

The delimiter is one of `, ; tab |`, or the one that a first line `sep=;` gives. Names of columns
are read without case and quotes:

    id         id, utterance_id, utt_id, utt, audio, path, file, ... (ID_COLUMNS)
    text       text, sentence, transcript, transcription (TEXT_COLUMNS)
    speaker    speaker

LJSpeech's metadata.csv, `ID|text|text with numbers as words`, has no names; its last column counts.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from asr.errors import TextError

ID_COLUMNS = (
    *("id", "utterance_id", "utt_id", "utt", "audio", "path", "file", "filename", "file_name"),
    *("wav", "audio_path", "audio_filepath"),
)
TEXT_COLUMNS = ("text", "sentence", "transcript", "transcription")
_DELIMITERS = ",;\t|"
_SEPARATOR = re.compile(r"\s*\"?sep=(.)\"?\s*", re.IGNORECASE)


class TextEntry(NamedTuple):
    """An utterance, and the number of its line."""

    line: int
    id: str
    text: str
    speaker: str | None = None


@dataclass(frozen=True)
class TableLayout:
    """Where a table has what."""

    delimiter: str
    id: int  # columns, from 0 on
    text: int
    speaker: int | None = None
    columns: int | None = None  # number of them; None: a row may have any
    header: int = 0  # lines before the rows


def find_table(lines: Sequence[str]) -> TableLayout | None:
    """Return the layout of a table; None if the lines are none.

    Raises:
        TextError: the first line names a column of texts, but none of ids.
    """
    filled = [number for number, line in enumerate(lines) if line.strip()]
    if not filled:
        return None
    told = _SEPARATOR.fullmatch(lines[filled[0]])
    if told and len(filled) < 2:
        return None
    at = filled[1] if told else filled[0]
    delimiters = told[1] if told else _DELIMITERS
    found = [layout for mark in delimiters if (layout := _named(lines[at], mark, at + 1))]
    if found:
        return max(found, key=lambda layout: layout.columns or 0)
    for mark in delimiters:
        names = _names(lines[at], mark)
        if len(names) > 1 and set(names) & set(TEXT_COLUMNS) and _has_columns(lines, mark):
            raise TextError(
                f"line {at + 1} names a column of texts, but none of ids ({', '.join(names)}); "
                "name it id, audio or path"
            )
    rows = [lines[number] for number in filled]
    if all("|" in row for row in rows) and _looks_like_ids(row.partition("|")[0] for row in rows):
        return TableLayout("|", 0, -1)
    return None


def unnamed_columns(lines: Sequence[str]) -> str | None:
    """Return the delimiter of lines that look like the rows of a table without names."""
    rows = [line for line in lines if line.strip()]
    for mark in ",;":
        firsts = (row.partition(mark)[0] for row in rows)
        if len(rows) > 1 and _has_columns(rows, mark) and _looks_like_ids(firsts):
            return mark
    return None


def table_entries(text: str, layout: TableLayout) -> Iterator[TextEntry]:
    """Yield the rows of a table.

    Raises:
        TextError: a row has more or fewer columns than the first line names, or a quote is wrong.
    """
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=layout.delimiter,
        quoting=csv.QUOTE_NONE if layout.columns is None else csv.QUOTE_MINIMAL,
        strict=True,
    )
    try:
        for row in reader:
            if reader.line_num <= layout.header or not any(row):
                continue
            if len(row) != (layout.columns or len(row)):
                raise TextError(
                    f"line {reader.line_num} has {len(row)} columns, the header {layout.columns}; "
                    f"quote a text that holds a {layout.delimiter!r}"
                )
            speaker = None if layout.speaker is None else row[layout.speaker].strip() or None
            yield TextEntry(reader.line_num, row[layout.id].strip(), row[layout.text], speaker)
    except csv.Error as error:
        raise TextError(f"line {reader.line_num}: {error}") from error


def named(names: Sequence[str], wanted: Sequence[str]) -> int | None:
    """Return the place among names of the first wanted one that is there."""
    return next((names.index(name) for name in wanted if name in names), None)


def _named(header: str, delimiter: str, lines: int) -> TableLayout | None:
    """Return the layout of a table by its first line; None if that is no such line."""
    names = _names(header, delimiter)
    name_at, text_at = named(names, ID_COLUMNS), named(names, TEXT_COLUMNS)
    if name_at is None or text_at is None:
        return None
    return TableLayout(
        delimiter, name_at, text_at, named(names, ["speaker"]), len(names), header=lines
    )


def _names(header: str, delimiter: str) -> list[str]:
    return [name.strip(' "').lower() for name in header.split(delimiter)]


def _has_columns(lines: Sequence[str], delimiter: str) -> bool:
    """Return whether all lines have the same number of delimiters, at least one."""
    count = lines[0].count(delimiter)
    return count > 0 and all(line.count(delimiter) == count for line in lines if line.strip())


def _looks_like_ids(names: Iterator[str]) -> bool:
    """Return whether the names differ and hold no white space."""
    seen: set[str] = set()
    for name in names:
        if name in seen or name.split() != [name]:
            return False
        seen.add(name)
    return True

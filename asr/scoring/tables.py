"""Read tables of transcripts: CSV or TSV whose first line names the columns, and LJSpeech's.

The delimiter is one of `, ; tab |`, or the one that a first line `sep=;` gives. Names of columns
and quotes are read as asr-prepare reads them (asr/corpora/columns.py): text, id or, in its place,
audio, and perhaps speaker.

LJSpeech's metadata.csv, `ID|text|text with numbers as words`, has no names; its last column counts.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from asr.corpora import (
    DELIMITERS,
    NAMES,
    SEPARATOR_LINE,
    is_quoted,
    our_columns,
    repeated_column,
    rows_of,
    unquoted,
)
from asr.errors import TextError

ID_COLUMNS = ("id", *NAMES["id"], "audio", *NAMES["audio"])  # in JSON, too
TEXT_COLUMNS = ("text", *NAMES["text"])


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
    quoted: bool = False  # whether a quote is no plain character
    header: int = 0  # lines before the rows


def find_table(lines: Sequence[str]) -> TableLayout | None:
    """Return the layout of a table; None if the lines are none.

    Raises:
        TextError: the first line names a column of texts, but none of ids.
    """
    filled = [number for number, line in enumerate(lines) if line.strip()]
    if not filled:
        return None
    told = SEPARATOR_LINE.fullmatch(lines[filled[0]])
    if told and len(filled) < 2:
        return None
    at = filled[1] if told else filled[0]
    delimiters = told[1] if told else DELIMITERS
    found = [layout for mark in delimiters if (layout := _named(lines[at], mark, at + 1))]
    if found:
        return max(found, key=lambda layout: layout.columns or 0)
    for mark in delimiters:
        names = our_columns(lines[at], mark)
        if len(names) > 1 and "text" in names and _has_columns(lines, mark):
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
    try:
        for number, row in rows_of(text, layout.delimiter, layout.quoted):
            if number <= layout.header or not any(row):
                continue
            if len(row) != (layout.columns or len(row)):
                raise TextError(
                    f"line {number} has {len(row)} columns, the header {layout.columns}; "
                    f"quote a text that holds a {layout.delimiter!r}"
                )
            if layout.columns and not layout.quoted:
                row = list(map(unquoted, row))  # noqa: PLW2901
            speaker = None if layout.speaker is None else row[layout.speaker].strip() or None
            yield TextEntry(number, row[layout.id].strip(), row[layout.text], speaker)
    except ValueError as error:
        raise TextError(str(error)) from error


def _named(header: str, delimiter: str, lines: int) -> TableLayout | None:
    """Return the layout of a table by its first line; None if that is no such line."""
    names = our_columns(header, delimiter)
    at = {name: names.index(name) for name in ("id", "audio", "text", "speaker") if name in names}
    if "text" not in at or not at.keys() & {"id", "audio"}:
        return None
    if column := repeated_column(names):
        raise TextError(f"line {lines}: the column {column!r} stands twice; rename one of them")
    return TableLayout(
        delimiter,
        at["id"] if "id" in at else at["audio"],
        at["text"],
        at.get("speaker"),
        len(names),
        is_quoted(header, delimiter),
        header=lines,
    )


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

"""Files of transcripts, references or hypotheses, recognised by their content.

    plain text     one utterance a line, an empty line being an empty utterance; ids 1, 2, 3 ...
    NIST .trn      text (id)           lines that open with ;; are comments
    JSON lines     {"id": ..., "text": ...}      manifests and asr-transcribe's jsonl
    table          CSV or TSV whose first line names the columns: id (or audio, or path) and text
    path<TAB>text  what asr-transcribe prints for several recordings; the path is the id

The first line that is not blank decides, and the others have to follow it. Files are UTF-8 with
or without a byte order mark, with any line ends. Kaldi's `id text` cannot be told from plain text.
"""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from asr.errors import ScoreError, TextError

Entry = tuple[int, str, str]  # line number, id, text

_TRN = re.compile(r"(.*)\(([^()\s]+)\)\s*")
_ID_COLUMNS = ("id", "audio", "path")
_JSON = re.compile(r'\s*\{\s*"')


def read_transcripts(path: str | Path) -> dict[str, str]:
    """Return the text of each utterance by its id, in the order of the file.

    Raises:
        TextError: the file cannot be read, is empty, or a line has not the form of the first.
        ScoreError: an id stands there twice.
    """
    text = _read(Path(path))
    try:
        return _unique(_entries(text))
    except (TextError, ScoreError) as error:
        raise type(error)(f"{path}: {error}") from error


def match(refs: Mapping[str, str], hyps: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Return (id, reference, hypothesis) of each utterance; ids are matched without their case.

    Raises:
        ScoreError: an utterance lacks its partner, or ids differ in nothing but case.
    """
    ids, partners = _by_lower_id(refs), _by_lower_id(hyps)
    missing = [ids[key] for key in ids if key not in partners]
    surplus = [partners[key] for key in partners if key not in ids]
    problems = [
        f"{len(names)} {what}: {', '.join(names[:3])}{' ...' if names[3:] else ''}"
        for names, what in (
            (missing, f"of {len(ids)} references have no hypothesis"),
            (surplus, f"of {len(partners)} hypotheses have no reference"),
        )
        if names
    ]
    if problems:
        raise ScoreError(f"{'; '.join(problems)}. Every utterance needs both, even an empty one")
    return [(name, refs[name], hyps[partners[key]]) for key, name in ids.items()]


def _read(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise TextError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        problem = f"line {line} is not UTF-8 (byte 0x{data[error.start]:02x})"
        raise TextError(f"{path}: {problem}; convert it with iconv -t UTF-8") from error
    if not text or "\0" in text:
        problem = "holds NUL characters; is it text in UTF-8?" if text else "is empty"
        raise TextError(f"{path}: {problem}")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _entries(text: str) -> Iterator[Entry]:
    lines = text.removesuffix("\n").split("\n")
    first = next((line for line in lines if line.strip() and not line.startswith(";;")), "")
    if _JSON.match(first):
        return _json_entries(lines)
    for delimiter in ",\t":
        if _id_column(first.replace('"', "").split(delimiter)):
            return _table_entries(text, delimiter)
    if "\t" in first:
        return _tab_entries(lines)
    if _TRN.fullmatch(first):
        return _trn_entries(lines)
    return ((number, str(number), line) for number, line in enumerate(lines, 1))


def _filled(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    return ((number, line) for number, line in enumerate(lines, 1) if line.strip())


def _json_entries(lines: Iterable[str]) -> Iterator[Entry]:
    for number, line in _filled(lines):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise TextError(f"line {number} is not JSON: {error}") from error
        fields = [record.get("id"), record.get("text")] if isinstance(record, dict) else [None]
        if not all(isinstance(field, str) for field in fields):
            raise TextError(f'line {number} lacks an "id" or a "text" that is a string')
        yield number, *fields


def _id_column(columns: Iterable[str]) -> str | None:
    """Return the name of the column that holds the ids of a table; None for no table."""
    names = {name.strip() for name in columns}
    ids = (name for name in _ID_COLUMNS if name in names)
    return next(ids, None) if "text" in names else None


def _table_entries(text: str, delimiter: str) -> Iterator[Entry]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows = (row for row in reader if any(row))
    try:
        columns = [name.strip() for name in next(rows)]
        name_at, text_at = columns.index(str(_id_column(columns))), columns.index("text")
        for row in rows:
            if len(row) != len(columns):
                raise TextError(
                    f"line {reader.line_num} has {len(row)} columns, the header {len(columns)}; "
                    f"quote a text that holds a {delimiter!r}"
                )
            yield reader.line_num, row[name_at].strip(), row[text_at]
    except csv.Error as error:
        raise TextError(f"line {reader.line_num}: {error}") from error


def _tab_entries(lines: Iterable[str]) -> Iterator[Entry]:
    for number, line in _filled(lines):
        name, tab, text = line.partition("\t")
        if not tab or "\t" in text:
            raise TextError(
                f"line {number} is not path<TAB>text with one tab, as the first line is"
            )
        yield number, name, text


def _trn_entries(lines: Iterable[str]) -> Iterator[Entry]:
    for number, line in _filled(lines):
        found = _TRN.fullmatch(line)
        if found:
            yield number, found[2], found[1].strip()
        elif not line.startswith(";;"):
            raise TextError(f"line {number} does not end in (id), as the first line does")


def _unique(entries: Iterable[Entry]) -> dict[str, str]:
    texts: dict[str, str] = {}
    doubled: list[str] = []
    for number, name, text in entries:
        if name in texts:
            doubled.append(f"{name} in line {number}")
        texts[name] = text
    if doubled:
        raise ScoreError(f"{len(doubled)} ids stand there again, such as {', '.join(doubled[:3])}")
    return texts


def _by_lower_id(texts: Iterable[str]) -> dict[str, str]:
    ids: dict[str, str] = {}
    for name in texts:
        other = ids.setdefault(name.lower(), name)
        if other != name:
            raise ScoreError(f"utterance ids {other} and {name} differ in nothing but case")
    return ids

"""Read files of reference or hypothesis transcripts, whose content tells their format.

    plain text     one utterance a line, an empty line being an empty utterance; ids 1, 2, 3 ...
    NIST .trn      text (id)           lines that open with ;; are comments
    NIST .stm      file channel speaker start end [<label>] text       segments (timed.py)
    NIST .ctm      file channel start duration word [confidence]       words, joined by their time
    JSON lines     {"id": ..., "text": ...}      manifests and asr-transcribe's jsonl
    table          CSV or TSV whose first line names the columns: id (or audio, or path) and text
                   JSON and tables may name the "speaker", too
    path<TAB>text  what asr-transcribe prints for several recordings; the path is the id

The first line that is not blank decides, and the others have to follow it. Files are UTF-8 with
or without a byte order mark, with any line ends. Kaldi's `id text` cannot be told from plain text.
"""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from asr.errors import ScoreError, TextError
from asr.scoring.timed import (
    StmSegment,
    TimedWord,
    divide_words,
    is_ctm,
    is_stm,
    join_words,
    read_ctm,
    read_stm,
)


class TextEntry(NamedTuple):
    """An utterance, and the number of its line."""

    line: int
    id: str
    text: str
    speaker: str | None = None


@dataclass(frozen=True)
class TranscriptFile:
    """The texts of a file by utterance id, in its order, with speakers, segments and words."""

    texts: dict[str, str]
    speakers: dict[str, str | None]
    segments: Sequence[StmSegment] = ()  # of a .stm, also the ones that are not scored
    words: Sequence[TimedWord] = ()  # of a .ctm

    def against(self, refs: "TranscriptFile") -> dict[str, str]:
        """Return these hypotheses' texts by the references' ids: a .ctm is divided by a .stm.

        Raises:
            ScoreError: a file and channel has words or segments only.
        """
        if self.words and refs.segments:
            return divide_words(refs.segments, self.words)
        return self.texts


_TRN = re.compile(r"(.*)\(([^()\s]+)\)\s*")
_ID_COLUMNS = ("id", "audio", "path")
_JSON = re.compile(r'\s*\{\s*"')


def read_transcripts(path: str | Path) -> dict[str, str]:
    """Return the text of each utterance by its id, in the order of the file.

    Raises:
        TextError, ScoreError: as `read_file` does.
    """
    return read_file(path).texts


def read_file(path: str | Path) -> TranscriptFile:
    """Read a file of transcripts.

    Raises:
        TextError: the file cannot be read, is empty, or a line has not the form of the first.
        ScoreError: an id stands there twice.
    """
    text = _read(Path(path))
    try:
        return _content(text)
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


def _content(text: str) -> TranscriptFile:
    lines = text.removesuffix("\n").split("\n")
    first = next((line for _, line in _spoken(lines)), "")
    # a .stm of an empty text whose speaker is a number looks like a .ctm
    if is_ctm(first) and (not is_stm(first) or all(is_ctm(line) for _, line in _spoken(lines))):
        words = read_ctm(_spoken(lines))
        return _unique((TextEntry(*entry) for entry in join_words(words)), words=words)
    if is_stm(first):
        segments = read_stm(_spoken(lines))
        scored = (s for s in segments if not s.ignored)
        return _unique((TextEntry(s.line, s.id, s.text, s.speaker) for s in scored), segments)
    return _unique(_entries(text, lines, first))


def _entries(text: str, lines: list[str], first: str) -> Iterator[TextEntry]:
    if _JSON.match(first):
        return _json_entries(lines)
    for delimiter in ",\t":
        if _id_column(first.replace('"', "").split(delimiter)):
            return _table_entries(text, delimiter)
    tabs, trn = "\t" in first, bool(_TRN.fullmatch(first))
    if trn and (not tabs or all(_TRN.fullmatch(line) for _, line in _spoken(lines))):
        return _trn_entries(lines)
    if tabs:
        return _tab_entries(lines)
    return (TextEntry(number, str(number), line) for number, line in enumerate(lines, 1))


def _spoken(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Yield (number, line) of the lines that are neither blank nor comments."""
    return ((number, line) for number, line in _filled(lines) if not line.startswith(";;"))


def _filled(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    return ((number, line) for number, line in enumerate(lines, 1) if line.strip())


def _json_entries(lines: Iterable[str]) -> Iterator[TextEntry]:
    for number, line in _filled(lines):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise TextError(f"line {number} is not JSON: {error}") from error
        fields = [record.get("id"), record.get("text")] if isinstance(record, dict) else [None]
        if not all(isinstance(field, str) for field in fields):
            raise TextError(f'line {number} lacks an "id" or a "text" that is a string')
        speaker = record.get("speaker")
        yield TextEntry(
            number, record["id"], record["text"], speaker if isinstance(speaker, str) else None
        )


def _id_column(columns: Iterable[str]) -> str | None:
    """Return the name of the column of ids; None if these are not the columns of a table."""
    names = {name.strip() for name in columns}
    ids = (name for name in _ID_COLUMNS if name in names)
    return next(ids, None) if "text" in names else None


def _table_entries(text: str, delimiter: str) -> Iterator[TextEntry]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows = (row for row in reader if any(row))
    try:
        columns = [name.strip() for name in next(rows)]
        name_at, text_at = columns.index(str(_id_column(columns))), columns.index("text")
        speaker_at = columns.index("speaker") if "speaker" in columns else None
        for row in rows:
            if len(row) != len(columns):
                raise TextError(
                    f"line {reader.line_num} has {len(row)} columns, the header {len(columns)}; "
                    f"quote a text that holds a {delimiter!r}"
                )
            speaker = row[speaker_at].strip() or None if speaker_at is not None else None
            yield TextEntry(reader.line_num, row[name_at].strip(), row[text_at], speaker)
    except csv.Error as error:
        raise TextError(f"line {reader.line_num}: {error}") from error


def _tab_entries(lines: Iterable[str]) -> Iterator[TextEntry]:
    for number, line in _filled(lines):
        name, tab, text = line.partition("\t")
        if not tab or "\t" in text:
            raise TextError(
                f"line {number} is not path<TAB>text with one tab, as the first line is"
            )
        yield TextEntry(number, name, text)


def _trn_entries(lines: Iterable[str]) -> Iterator[TextEntry]:
    for number, line in _spoken(lines):
        found = _TRN.fullmatch(line)
        if not found:
            raise TextError(f"line {number} does not end in (id), as the first line does")
        yield TextEntry(number, found[2], found[1].strip())


def _unique(
    entries: Iterable[TextEntry],
    segments: Sequence[StmSegment] = (),
    words: Sequence[TimedWord] = (),
) -> TranscriptFile:
    found: dict[str, TextEntry] = {}
    doubled: list[str] = []
    for entry in entries:
        if entry.id in found:
            doubled.append(f"{entry.id} in line {entry.line}")
        found[entry.id] = entry
    if doubled:
        raise ScoreError(f"{len(doubled)} ids stand there again, such as {', '.join(doubled[:3])}")
    texts = {name: entry.text for name, entry in found.items()}
    speakers = {name: entry.speaker for name, entry in found.items()}
    return TranscriptFile(texts, speakers, segments, words)


def _by_lower_id(texts: Iterable[str]) -> dict[str, str]:
    ids: dict[str, str] = {}
    for name in texts:
        other = ids.setdefault(name.lower(), name)
        if other != name:
            raise ScoreError(f"utterance ids {other} and {name} differ in nothing but case")
    return ids

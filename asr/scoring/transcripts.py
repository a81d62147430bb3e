"""Read files of reference or hypothesis transcripts, whose content tells their format.

    plain text     one utterance a line, an empty line being an empty utterance; ids 1, 2, 3 ...
    NIST .trn      text (id)           lines that open with ;; are comments
    NIST .stm      file channel speaker start end [<label>] text       segments (timed.py)
    NIST .ctm      file channel start duration word [confidence]       words, joined by their time
    JSON           {"id": ..., "text": ...}      lines, objects or a list of them: manifests, and
                   what asr-transcribe writes
    table          CSV or TSV whose first line names the columns (tables.py)
                   JSON and tables may name the "speaker", too
    path<TAB>text  what asr-transcribe prints for several recordings; the path is the id

The first line that is not blank decides, and the others have to follow it. Files are UTF-8 with
or without a byte order mark, with any line ends. Kaldi's `id text` cannot be told from plain text:
where every line opens with what looks like an id, a remark says so.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from asr.errors import ScoreError, TextError
from asr.scoring.tables import (
    ID_COLUMNS,
    TEXT_COLUMNS,
    TextEntry,
    find_table,
    table_entries,
    unnamed_columns,
)
from asr.scoring.timed import (
    StmSegment,
    TimedWord,
    divide_words,
    is_ctm,
    is_stm,
    join_words,
    read_ctm,
    read_stm,
    silent_places,
)


@dataclass(frozen=True)
class TranscriptFile:
    """The texts of a file by utterance id, in its order, with speakers, segments and words."""

    texts: dict[str, str]
    speakers: dict[str, str | None]
    segments: Sequence[StmSegment] = ()  # of a .stm, also the ones that are not scored
    words: Sequence[TimedWord] = ()  # of a .ctm
    is_timed: bool = False  # a .ctm, in which a recording without words has no line
    remarks: tuple[str, ...] = ()  # what may be wrong with the file

    def against(self, refs: "TranscriptFile") -> dict[str, str]:
        """Return these hypotheses' texts by the references' ids: a .ctm is divided by a .stm.

        A recording without words in a .ctm has the empty text.

        Raises:
            ScoreError: words of a .ctm are of no segment of a .stm.
        """
        if not self.is_timed:
            return self.texts
        if refs.segments:
            return divide_words(refs.segments, self.words)
        known = {name.lower() for name in self.texts}
        return self.texts | {name: "" for name in refs.texts if name.lower() not in known}

    def silent_in(self, refs: "TranscriptFile") -> list[str]:
        """Return the recordings of the references of which this .ctm has no word."""
        if not self.is_timed:
            return []
        if refs.segments:
            return silent_places(refs.segments, self.words)
        known = {name.lower() for name in self.texts}
        return [name for name, text in refs.texts.items() if text and name.lower() not in known]


_TRN = re.compile(r"(.*)\(([^()\s]+)\)\s*")
_JSON = re.compile(r'\s*(\[\s*)?\{\s*"|\s*\[\s*\]\s*$')
_JSON_VALUE = re.compile(r"\s*(?=\S)")
_KALDI_ID = re.compile(r"(?=\S*\d)(?=\S*[-_a-zA-Z])\S{3,}(?=\s|$)")


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
    try:
        is_ctm = Path(path).suffix.lower() == ".ctm"
        return _content(_read(Path(path), may_be_empty=is_ctm), is_ctm)
    except (TextError, ScoreError) as error:
        told = str(error).startswith(f"{path}:")
        raise type(error)(str(error) if told else f"{path}: {error}") from error


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


def _read(path: Path, *, may_be_empty: bool) -> str:
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
    if "\0" in text or not (text or may_be_empty):
        problem = "holds NUL characters; is it text in UTF-8?" if text else "is empty"
        raise TextError(f"{path}: {problem}")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _content(text: str, named_ctm: bool) -> TranscriptFile:
    lines = text.removesuffix("\n").split("\n")
    first = next((line for _, line in _spoken(lines)), "")
    if named_ctm and not first:
        return TranscriptFile({}, {}, is_timed=True)
    # a .stm of an empty text whose speaker is a number looks like a .ctm
    if is_ctm(first) and (not is_stm(first) or all(is_ctm(line) for _, line in _spoken(lines))):
        words = read_ctm(_spoken(lines))
        found = _unique((TextEntry(*entry) for entry in join_words(words)), words=words)
        return replace(found, is_timed=True)
    if is_stm(first):
        segments = read_stm(_spoken(lines))
        scored = (s for s in segments if not s.ignored)
        return _unique((TextEntry(s.line, s.id, s.text, s.speaker) for s in scored), segments)
    found = _unique(_entries(text, lines, first))
    return replace(found, remarks=_remarks(lines, tuple(found.texts.values())))


def _entries(text: str, lines: list[str], first: str) -> Iterator[TextEntry]:
    """Yield the utterances of a file that has no times."""
    if _JSON.match(text):
        return _json_entries(text)
    layout = find_table(lines)
    if layout:
        return table_entries(text, layout)
    tabs, trn = "\t" in first, bool(_TRN.fullmatch(first))
    if trn and (not tabs or all(_TRN.fullmatch(line) for _, line in _spoken(lines))):
        return _trn_entries(lines)
    if tabs:
        return _tab_entries(lines)
    return (TextEntry(number, str(number), line) for number, line in enumerate(lines, 1))


def _remarks(lines: list[str], texts: Sequence[str]) -> tuple[str, ...]:
    """Return what is doubtful about plain text; nothing about other files."""
    if len(lines) < 2 or list(texts) != lines:
        return ()
    if mark := unnamed_columns(lines):
        names = f"id{mark}text"
        return (
            f"scored as plain text, ids included, although it looks like a table with {mark!r}; "
            f"let a first line name the columns, such as {names}",
        )
    firsts = [found[0] if (found := _KALDI_ID.match(line)) else "" for line in lines]
    if all(firsts) and len(set(firsts)) == len(firsts):
        return (
            "scored as plain text, ids included, although every line opens with what looks like "
            "an id, as in Kaldi's text; write a tab behind the ids",
        )
    return ()


def _spoken(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Yield (number, line) of the lines that are neither blank nor comments."""
    return ((number, line) for number, line in _filled(lines) if not line.startswith(";;"))


def _filled(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    return ((number, line) for number, line in enumerate(lines, 1) if line.strip())


def _json_entries(text: str) -> Iterator[TextEntry]:
    """Yield the objects of a text: one a line, or over several lines, or in lists."""
    decoder, at, line = json.JSONDecoder(), 0, 1
    while start := _JSON_VALUE.match(text, at):
        line += text.count("\n", at, start.end())
        try:
            value, end = decoder.raw_decode(text, start.end())
        except json.JSONDecodeError as error:
            raise TextError(f"line {line} is not JSON: {error.msg}") from error
        except RecursionError as error:
            raise TextError(f"line {line} is not JSON: it is nested too deep") from error
        for record in value if isinstance(value, list) else [value]:
            yield _json_entry(record, line)
        line += text.count("\n", start.end(), end)
        at = end


def _json_entry(record: object, line: int) -> TextEntry:
    fields = record if isinstance(record, dict) else {}
    name = next((fields[key] for key in ID_COLUMNS if key in fields), None)
    text = next((fields[key] for key in TEXT_COLUMNS if key in fields), None)
    if not (isinstance(name, str) and isinstance(text, str)):
        raise TextError(f'line {line} lacks an "id" or a "text" that is a string')
    speaker = fields.get("speaker")
    return TextEntry(line, name, text, speaker if isinstance(speaker, str) else None)


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

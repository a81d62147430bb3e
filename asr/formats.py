"""How a recognised recording is written: a registry of formats, each a line of text.

A line never holds a line break of its own: tabs and line breaks inside paths and texts become
spaces, and bytes of a path that are not UTF-8 become U+FFFD. A .ctm has a line for each word. A
TextGrid is a file of its own for each recording, so it is not in the registry.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr.errors import ConfigError


@dataclass(frozen=True)
class Word:
    """One recognised word; start and end in seconds from the start of the recording."""

    word: str
    start: float
    end: float
    confidence: float  # 0..1


@dataclass(frozen=True)
class Transcript:
    """What was recognised in one recording; duration in seconds, warnings about its audio."""

    path: str
    text: str
    duration: float
    words: tuple[Word, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def utterance(self) -> str:
        """The id: the file's name without folder and extension, white space and () as _."""
        return re.sub(r"[\s()]", "_", _printable(Path(self.path).stem))


def txt(transcript: Transcript) -> str:
    """Return the text alone."""
    return _one_line(transcript.text)


def tsv(transcript: Transcript) -> str:
    """Return path<TAB>text."""
    return f"{_one_line(transcript.path)}\t{_one_line(transcript.text)}"


def jsonl(transcript: Transcript) -> str:
    """Return a JSON object; words and warnings appear where there are any."""
    record: dict[str, Any] = {
        "id": transcript.utterance,
        "path": transcript.path,
        "text": transcript.text,
        "duration": round(transcript.duration, 3),
    }
    if transcript.words:
        record["words"] = [_word_record(word) for word in transcript.words]
    if transcript.warnings:
        record["warnings"] = list(transcript.warnings)
    return _printable(json.dumps(record, ensure_ascii=False, allow_nan=False))


def trn(transcript: Transcript) -> str:
    """Return NIST's `text (id)`."""
    return trn_line(transcript.utterance, transcript.text)


def trn_line(utterance: str, text: str) -> str:
    """Return the line of one utterance id, which holds no white space or parentheses."""
    return f"{_one_line(text)} ({utterance})".lstrip()


def ctm(transcript: Transcript) -> str:
    """Return NIST's `id channel start duration word confidence` of each word; "" without any."""
    lines = []
    for word in transcript.words:
        start, end = round(word.start, 3), round(word.end, 3)
        times = f"{start:.3f} {end - start:.3f}"
        spelling = _one_line(word.word)
        lines.append(f"{transcript.utterance} 1 {times} {spelling} {word.confidence:.3f}")
    return "\n".join(lines)


FORMATS: dict[str, Callable[[Transcript], str]] = {
    "txt": txt,
    "tsv": tsv,
    "jsonl": jsonl,
    "trn": trn,
    "ctm": ctm,
}
WITH_WORDS = frozenset({"jsonl", "ctm"})  # formats that write when each word was said


def writer(name: str, several: bool) -> Callable[[Transcript], str]:
    """Return the format of a name; of several recordings, txt gives path<TAB>text.

    Raises:
        ConfigError: there is no format of this name.
    """
    if name not in FORMATS:
        raise ConfigError(f"format is {name!r}; allowed: {', '.join(FORMATS)}")
    return tsv if name == "txt" and several else FORMATS[name]


_TEXTGRID = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = {end}
tiers? <exists>
size = 1
item []:
    item [1]:
        class = "IntervalTier"
        name = "words"
        xmin = 0
        xmax = {end}
        intervals: size = {size}
"""
_INTERVAL = """        intervals [{number}]:
            xmin = {start}
            xmax = {end}
            text = "{text}"
"""


def textgrid(transcript: Transcript) -> str:
    """Return a file for Praat, in its long form, with one tier, `words`; pauses are empty there.

    The words are in order, do not overlap, and end with the recording at the latest.
    """
    intervals = list(_intervals(transcript))
    return _TEXTGRID.format(end=round(transcript.duration, 6), size=len(intervals)) + "".join(
        _INTERVAL.format(number=number, start=start, end=end, text=text.replace('"', '""'))
        for number, (start, end, text) in enumerate(intervals, 1)
    )


def _intervals(transcript: Transcript) -> Iterator[tuple[float, float, str]]:
    """Yield start, end and text of what follows each other without gaps, words and pauses."""
    at = 0.0
    for word in (*transcript.words, Word("", transcript.duration, transcript.duration, 1.0)):
        start, end = round(word.start, 6), round(word.end, 6)
        for interval in ((at, start, ""), (start, end, _one_line(word.word))):
            if interval[0] < interval[1]:  # Praat has no intervals without length
                yield interval
        at = end


def _word_record(word: Word) -> dict[str, Any]:
    return {
        "word": word.word,
        "start": round(word.start, 3),
        "end": round(word.end, 3),
        "confidence": round(word.confidence, 3),
    }


def _printable(text: str) -> str:
    return re.sub(r"[\ud800-\udfff]", "\ufffd", text)  # how Python holds undecodable bytes


def _one_line(text: str) -> str:
    return re.sub(r"[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]+", " ", _printable(text))

"""How a recognised recording is written: a registry of formats, each a line of text.

A line never holds a line break of its own: tabs and line breaks inside paths and texts become
spaces, and bytes of a path that are not UTF-8 become U+FFFD.
"""

import json
import re
from collections.abc import Callable
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
class Result:
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


def txt(result: Result) -> str:
    """Return the text alone."""
    return _one_line(result.text)


def tsv(result: Result) -> str:
    """Return path<TAB>text."""
    return f"{_one_line(result.path)}\t{_one_line(result.text)}"


def jsonl(result: Result) -> str:
    """Return a JSON object; words and warnings appear where there are any."""
    record: dict[str, Any] = {
        "id": result.utterance,
        "path": result.path,
        "text": result.text,
        "duration": round(result.duration, 3),
    }
    if result.words:
        record["words"] = [vars(word) for word in result.words]
    if result.warnings:
        record["warnings"] = list(result.warnings)
    return _printable(json.dumps(record, ensure_ascii=False, allow_nan=False))


def trn(result: Result) -> str:
    """Return NIST's `text (id)`."""
    return f"{_one_line(result.text)} ({result.utterance})".lstrip()


FORMATS: dict[str, Callable[[Result], str]] = {"txt": txt, "tsv": tsv, "jsonl": jsonl, "trn": trn}


def writer(name: str, several: bool) -> Callable[[Result], str]:
    """Return the format of a name; of several recordings, txt gives path<TAB>text.

    Raises:
        ConfigError: there is no format of this name.
    """
    if name not in FORMATS:
        raise ConfigError(f"format is {name!r}; allowed: {', '.join(FORMATS)}")
    return tsv if name == "txt" and several else FORMATS[name]


def _printable(text: str) -> str:
    return re.sub(r"[\ud800-\udfff]", "\ufffd", text)  # how Python holds undecodable bytes


def _one_line(text: str) -> str:
    return re.sub(r"[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]+", " ", _printable(text))

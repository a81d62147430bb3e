"""Read and write manifests: one utterance a line, the input of every stage after asr-prepare.

A line is a JSON object with the keys id, audio, start, duration, text and speaker. `audio` is
relative to the manifest's folder, and is a recording or a .npy file of frames (asr/sequences.py).
`start` and `duration` are seconds; start and speaker may be absent. So may `language`: the preset
by which training normalises the text, if no other is given. Other keys are ignored.
"""

import functools
import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from asr._atomic import write_atomically
from asr.errors import ManifestError

LONGEST_LINE = 2**24  # bytes; an utterance takes some hundreds
TIME_DIGITS = 6  # decimals of a second in the file: finer than a sample at any speech rate


@dataclass(frozen=True, kw_only=True)
class Utterance:
    """A stretch of a recording, and its transcript."""

    id: str
    audio: Path
    start: float = 0.0  # seconds into the recording
    duration: float  # seconds
    text: str
    speaker: str | None = None
    language: str | None = None  # a preset of asr.text, by which transcripts are normalised


def read_manifest(path: Path | str) -> list[Utterance]:
    """Read and validate a manifest; `audio` comes back absolute. Audio files are not opened.

    Raises:
        ManifestError: the file is missing, empty or not UTF-8, or a line is malformed, lacks a
            key, has a value of the wrong type or range, or repeats an id.
    """
    path = Path(path)
    folder = path.parent.resolve()
    lines: dict[str, int] = {}  # id -> the line it stands on
    utterances = []
    for number, line in manifest_lines(path):
        try:
            utterance = parse_line(line, folder)
        except ValueError as error:
            raise ManifestError(f"{path}, line {number}: {error}") from None
        if utterance.id in lines:
            raise ManifestError(
                f"{path}, line {number}: id {utterance.id!r} stands on line {lines[utterance.id]} "
                "already; each utterance needs an id of its own"
            )
        lines[utterance.id] = number
        utterances.append(utterance)
    if not utterances:
        raise ManifestError(f"{path}: holds no utterance; make it anew with asr-prepare")
    return utterances


def language_of(utterances: Iterable[Utterance]) -> str | None:
    """Return the language that all utterances name; None if they name none, or several."""
    named = {utterance.language for utterance in utterances}
    return named.pop() if len(named) == 1 else None


def write_manifest(path: Path | str, utterances: Iterable[Utterance]) -> None:
    """Write a manifest atomically, with audio paths relative to its folder.

    Raises:
        ManifestError: no utterances, a repeated id, a value that read_manifest would refuse,
            or a file that cannot be written.
    """
    path = Path(path)
    folder = path.parent.resolve()
    resolved = functools.cache(Path.resolve)
    seen: set[str] = set()
    lines = []
    for utterance in utterances:
        # the name itself is kept: what a link to a recording points at may lack its extension
        audio = resolved(utterance.audio.parent) / utterance.audio.name
        record = to_record(utterance, Path(os.path.relpath(audio, folder)))
        try:
            _from_record(record, folder)
            _require(utterance.id not in seen, f"id {utterance.id!r} occurs twice")
        except ValueError as error:
            raise ManifestError(f"{path}: utterance {utterance.id!r}: {error}") from None
        seen.add(utterance.id)
        lines.append(json.dumps(record, ensure_ascii=False) + "\n")
    if not lines:
        raise ManifestError(f"{path}: no utterances to write")
    try:
        write_atomically(path, "".join(lines))
    except OSError as error:
        raise ManifestError(f"{path}: cannot be written: {error.strerror}") from error


def to_record(utterance: Utterance, audio: Path) -> dict[str, Any]:
    """Return the JSON object of a manifest line, with `audio` as its path."""
    return {
        "id": utterance.id,
        "audio": audio.as_posix(),
        "start": round(utterance.start, TIME_DIGITS),
        "duration": round(utterance.duration, TIME_DIGITS),
        "text": utterance.text,
        "speaker": utterance.speaker,
        **({"language": utterance.language} if utterance.language else {}),
    }


def manifest_lines(path: Path) -> list[tuple[int, str]]:
    """Return the lines that are not blank, with their numbers from 1 on.

    Raises:
        ManifestError: the file is missing or not UTF-8, or has a line that is too long.
    """
    try:
        with path.open("rb") as file:
            content = b"".join(_bounded_lines(path, file)).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8") from None
    except OSError as error:
        raise ManifestError(f"{path}: {error.strerror}; asr-prepare makes manifests") from error
    # not splitlines(): U+2028 and its like may stand inside a JSON string
    return [(n, line) for n, line in enumerate(content.split("\n"), start=1) if line.strip()]


def _bounded_lines(path: Path, file: BinaryIO) -> Iterator[bytes]:
    number = 0
    while line := file.readline(LONGEST_LINE + 1):
        number += 1
        if len(line) > LONGEST_LINE:
            raise ManifestError(
                f"{path}, line {number}: longer than {LONGEST_LINE} bytes; an utterance is a line"
            )
        yield line


def parse_line(line: str, folder: Path) -> Utterance:
    """Return the utterance of a line of a manifest in `folder`.

    Raises:
        ValueError: the line is malformed; the message says how.
    """
    return _from_record(_parsed(line), folder)


def _parsed(line: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON ({error}): {_shown(line)}") from None
    _require(isinstance(record, dict), f"{_shown(line)} is not a JSON object {{...}}")
    return record  # type: ignore[no-any-return]


def _from_record(record: dict[str, Any], folder: Path) -> Utterance:
    """Build the utterance of a line; a ValueError says why it cannot."""
    start = _seconds(record, "start") if "start" in record else 0.0
    duration = _seconds(record, "duration")
    _require(start >= 0, f"start is {start}; it must be 0 or more seconds")
    _require(duration > 0, f"duration is {duration}; it must be more than 0 seconds")
    return Utterance(
        id=_string(record, "id", _filled),
        audio=Path(os.path.normpath(folder / _string(record, "audio", _filled))),
        start=start,
        duration=duration,
        text=_string(record, "text", lambda value: True),
        speaker=_name_or_none(record, "speaker"),
        language=_name_or_none(record, "language"),
    )


def _name_or_none(record: dict[str, Any], key: str) -> str | None:
    return None if record.get(key) is None else _string(record, key, _filled)


def _filled(value: str) -> bool:
    return bool(value.strip()) and "\0" not in value


def _string(record: dict[str, Any], key: str, allowed: Callable[[str], bool]) -> str:
    value = _value(record, key)
    _require(isinstance(value, str), f"{key} is {_shown(value)}; it must be a string")
    _require(allowed(value), f"{key} is {_shown(value)}; it must be a name, not blank")
    # a lone surrogate (half of a character, or a byte of an undecodable file name)
    _require(_is_unicode(value), f"{key} is {_shown(value)}, which is no valid Unicode")
    return value  # type: ignore[no-any-return]


def _seconds(record: dict[str, Any], key: str) -> float:
    value = _value(record, key)
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    finite = number and abs(value) < 1e12  # false for NaN and infinity too
    _require(finite, f"{key} is {_shown(value)}; it must be a finite number of seconds")
    return float(value)


def _value(record: dict[str, Any], key: str) -> Any:
    _require(key in record, f"has no key {key!r}; found: {', '.join(map(str, record)) or 'none'}")
    return record[key]


def _is_unicode(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _require(condition: bool, complaint: str) -> None:
    if not condition:
        raise ValueError(complaint)


def _shown(value: Any) -> str:
    """Return the value as messages show it: quoted, and cut to 60 characters."""
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."

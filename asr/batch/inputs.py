"""Find the recordings that a user names: files, folders, globs and lists of paths."""

import codecs
import os
import sys
import unicodedata
from collections.abc import Iterable
from glob import glob
from pathlib import Path

from asr.errors import ConfigError
from asr.media import AUDIO_SUFFIXES

STDIN = "-"


def list_audio(arguments: Iterable[str]) -> list[Path]:
    """Expand files, folders and glob patterns to recordings, each once, in order.

    A folder gives the files below it that have an audio suffix, sorted, hidden ones left out.
    An argument that gives nothing (a missing file, a pattern without a match, a folder without
    audio) is kept as it is, so that reading it reports what is wrong and the others are done.
    "-" has no meaning here.
    """
    found: dict[Path, None] = {}
    for argument in arguments:
        found.update(dict.fromkeys(_expand(argument) or [Path(argument)]))
    return list(found)


def _expand(argument: str) -> list[Path]:
    path = Path(argument)
    try:
        if path.is_dir():
            return _recordings_below(path)
        if path.exists():
            return [path]
    except OSError:  # no permission, or a name too long: reading it will say so
        return []
    matches = [Path(match) for match in sorted(glob(argument, recursive=True))]  # noqa: PTH207
    return [path for m in matches for path in (_recordings_below(m) if m.is_dir() else [m])]


def _recordings_below(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in AUDIO_SUFFIXES
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.is_file()
    )


def read_list(source: str) -> list[Path]:
    """Return the paths in a file, one a line; STDIN stands for standard input.

    Raises:
        ConfigError: the list cannot be read, or holds no path.
    """
    try:
        content = sys.stdin.buffer.read() if source == STDIN else Path(source).read_bytes()
    except OSError as error:
        raise ConfigError(f"--files-from {source}: cannot be read ({error.strerror})") from error
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # as PowerShell writes
        content = content.decode("utf-16", "replace").encode()
    lines = content.removeprefix(codecs.BOM_UTF8).splitlines()
    paths = [_as_stored(os.fsdecode(line)) for line in lines if line.strip()]
    if not paths:
        raise ConfigError(f"--files-from {source}: no paths in it; write one a line")
    return paths


def _as_stored(written: str) -> Path:
    """Return a path of a list: as it is or, where that is no file, as another system writes it.

    Windows has backslashes, and macOS decomposes accents.
    """
    if _exists(written):
        return Path(written)
    others = [
        unicodedata.normalize(form, path)
        for path in (written, written.replace("\\", "/"))
        for form in ("NFC", "NFD")
    ]
    return next((Path(path) for path in others if _exists(path)), Path(written))


def _exists(path: str) -> bool:
    try:
        return Path(path).exists()
    except (OSError, ValueError):  # a name too long, or a zero byte: reading it will say so
        return False

"""Find the recordings that a user names: files, folders, globs and lists of paths."""

import codecs
import os
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from glob import escape, glob
from pathlib import Path

from asr._install import install
from asr._progress import counted
from asr.errors import ConfigError
from asr.media import AUDIO_SUFFIXES, MEDIA_SUFFIXES, has_reader, looks_like_sound

STDIN = "-"
MOST_BYTES = 2**29  # of a list of paths: some millions of them
_NAMED = 3  # of the files that were left out


def list_audio(arguments: Iterable[str], left_out: list[Path] | None = None) -> list[Path]:
    """Expand files, folders and glob patterns to recordings, each once, in order.

    A folder gives the files below it that have an audio suffix, sorted, hidden ones left out. Links
    to folders are followed, each folder once. Recordings that need PyAV count if it is installed.
    An argument that gives nothing (a missing file, a pattern without a match, a folder without
    audio) is kept as it is, and so are a folder that may not be read and a broken link: reading
    them reports what is wrong, and the others are done. "-" has no meaning here.

    Args:
        arguments: as typed.
        left_out: gets the files of folders that seem to be recordings and were not taken.
    """
    found: dict[Path, None] = {}
    skipped = [] if left_out is None else left_out
    for argument in arguments:
        found.update(dict.fromkeys(_expand(argument, skipped) or [Path(argument)]))
    return list(found)


def describe_left_out(paths: list[Path]) -> str:
    """Return one line that counts and names the files that were left out, and the remedy."""
    counts = Counter(path.suffix.lower() or "no suffix" for path in paths)
    kinds = ", ".join(f"{count} {suffix}" for suffix, count in sorted(counts.items()))
    names = ", ".join(map(str, paths[:_NAMED])) + (", ..." if len(paths) > _NAMED else "")
    remedies = []
    if counts.keys() & set(MEDIA_SUFFIXES):
        remedies.append(f"to read them, install PyAV: {install('media')}")
    if counts.keys() - set(MEDIA_SUFFIXES):
        remedies.append("files without the suffix of a sound are read if they are named")
    files = counted(len(paths), "file")
    return f"{files} in folders left out ({kinds}): {names}; {'; '.join(remedies)}"


def _expand(argument: str, left_out: list[Path]) -> list[Path]:
    path = Path(argument)
    try:
        if path.is_dir():
            return _recordings_below(path, left_out)
        if path.exists() or path.is_symlink():
            return [path]
    except OSError:  # no permission, or a name too long: reading it will say so
        return []
    matches = sorted(set(map(Path, _matches(argument))))
    return [p for m in matches for p in (_recordings_below(m, left_out) if m.is_dir() else [m])]


def _matches(pattern: str) -> list[str]:
    """Return the files and folders that a glob pattern matches, where ** is any folders or none.

    Each folder is searched once. `glob` with recursive=True searches it as often as links lead to
    it, which takes for ever where two links lead back to a folder above them.
    """
    parts = Path(pattern).parts
    if "**" not in parts:
        return glob(pattern)  # noqa: PTH207
    at = parts.index("**")
    bases = glob(str(Path(*parts[:at]))) if at else ["."]  # noqa: PTH207
    end = os.sep if pattern.endswith(("/", os.sep)) else ""
    rest = parts[at + 1 :]
    if end and not rest:
        return bases
    return [
        str(Path(match))
        for base in filter(os.path.isdir, bases)
        for folder, _ in _walk(Path(base))
        for match in _matches(str(Path(escape(str(folder)), *(rest or ("*",)))) + end)
    ]


def _recordings_below(folder: Path, left_out: list[Path]) -> list[Path]:
    suffixes = AUDIO_SUFFIXES + (MEDIA_SUFFIXES if has_reader() else ())
    found = []
    for path in _files_below(folder):
        if path.suffix.lower() in suffixes or path.is_dir():  # a folder that may not be read
            found.append(path)
        elif path.suffix.lower() in MEDIA_SUFFIXES or looks_like_sound(path):
            left_out.append(path)
    return sorted(found)


def _files_below(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder, and the folders that may not be read; hidden ones never."""
    for place, files in _walk(folder):
        yield from [place] if files is None else files


def _walk(folder: Path) -> Iterator[tuple[Path, list[Path] | None]]:
    """Yield each folder from this one on with its files, None if it may not be read; none hidden.

    Links to folders are followed last, and no folder is walked twice: a link may lead to a folder
    above itself, or to one that has been walked.
    """
    walked: set[tuple[int, int]] = set()
    folders, links = [folder], list[Path]()
    while folders or links:
        place = folders.pop() if folders else links.pop(0)
        files = list[Path]()
        try:
            status = place.stat()
            if (status.st_dev, status.st_ino) in walked:
                continue
            walked.add((status.st_dev, status.st_ino))
            with os.scandir(place) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    path = place / entry.name
                    if entry.is_dir():
                        (links if entry.is_symlink() else folders).append(path)
                    elif entry.is_file() or entry.is_symlink():
                        files.append(path)
        except OSError:
            yield place, None
        else:
            yield place, files


def read_list(source: str) -> list[Path]:
    """Return the paths in a file, one a line; STDIN stands for standard input.

    Raises:
        ConfigError: the list cannot be read, is too long, or holds no path.
    """
    try:
        with nullcontext(sys.stdin.buffer) if source == STDIN else Path(source).open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"--files-from {source}: cannot be read ({error.strerror})") from error
    if len(content) > MOST_BYTES:
        raise ConfigError(
            f"--files-from {source}: has more than {MOST_BYTES} bytes; give several lists in turn"
        )
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

"""Write files atomically: after a crash a file is the old one or the new one, never a part."""

import errno
import hashlib
import os
import re
import secrets
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from asr._lock import lock_descriptor
from asr._regular import open_regular

_TEMPORARY = re.compile(r"\..*\.[0-9a-f]{8}\.tmp", re.DOTALL)
_LONGEST_START = 200  # bytes of a temporary name; file systems allow 255 in all
_cleaned = set[Path]()  # folders that this process has looked through for leftovers


def write_atomically(path: Path | str, content: str | bytes) -> None:
    """Write a file as `created_atomically` does; text is encoded as UTF-8.

    Raises:
        OSError: the folder cannot be made or written, or `path` is a folder.
        UnicodeEncodeError: the text holds lone surrogates.
    """
    data = content.encode() if isinstance(content, str) else content
    with created_atomically(path) as file:
        file.write(data)


@contextmanager
def created_atomically(path: Path | str) -> Iterator[BinaryIO]:
    """Open a file under a temporary name beside `path`, and rename it to `path` when it is whole.

    Missing parent folders are made. Content and name are on the disk when the block is left. After
    an error the old file, if any, is untouched. Temporary files that killed processes have left in
    the folder are removed. A device or a pipe, such as /dev/stdout, is written itself.

    Raises:
        OSError: the folder cannot be made or written, or `path` is a folder.
    """
    path = Path(path)
    if _is_special(path):
        with path.open("wb") as device:
            yield device
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path.parent)
    file, temporary = _open_temporary(path)
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            if os.name == "nt":  # Windows renames no open files, and has no such locks
                file.close()
            temporary.replace(path)  # still locked, so that nobody takes it for a leftover
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def _is_special(path: Path) -> bool:
    """Return whether a path leads to a device, a pipe or a socket."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _open_temporary(path: Path) -> tuple[BinaryIO, Path]:
    """Create a file for the content of `path`, locked while it is open; return it and its name."""
    start = os.fsencode(path.name)[:_LONGEST_START].decode(errors="ignore")
    while True:
        temporary = path.with_name(f".{start}.{secrets.token_hex(4)}.tmp")
        file = temporary.open("xb")
        with suppress(BlockingIOError):
            lock_descriptor(file.fileno())
            if os.fstat(file.fileno()).st_nlink:
                return file, temporary
        file.close()  # another process took it for a leftover, before it was locked


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files of killed processes from a folder, once in the life of this process.

    A file of a process that lives is locked, and stays.
    """
    if folder.absolute() in _cleaned:
        return
    _cleaned.add(folder.absolute())
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if _TEMPORARY.fullmatch(entry.name)]
    for name in names:
        with suppress(OSError):  # somebody else's, or gone
            _remove_unlocked(folder / name)


def _remove_unlocked(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode) and lock_descriptor(descriptor):
            path.unlink()
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Flush the names in a folder to the disk, which makes a rename durable."""
    if os.name == "nt":  # Windows opens no folders, and needs no such call
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_folder(folder: Path) -> None:
    """Raise unless files can be written to a folder, or to a new one of this name; leave nothing.

    Raises:
        OSError: they cannot.
    """
    path = folder.absolute()
    nearest = next(one for one in (path, *path.parents) if one.exists())
    if not nearest.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
    try:
        tempfile.TemporaryFile(dir=nearest).close()
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(folder)) from error


def check_file(path: Path | str) -> None:
    """Raise unless a file of this name can be written; leave nothing.

    Raises:
        OSError: it cannot.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not _is_special(path):
        check_folder(path.parent)


def content_sha256(path: Path) -> str | None:
    """Return the sha256 of a file's bytes; None where it cannot be read, or is no regular file."""
    try:
        with open_regular(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError):  # ValueError: no file can have such a name
        return None

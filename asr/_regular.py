"""Open files that others wrote: regular files alone, so that reading them ends and never waits.

A pipe without a writer lets nobody who opens it go on, and a device such as /dev/zero has no end.
Read at any place of an open file, on systems without os.pread, too.
"""

import errno
import os
import stat
import sys
from io import BufferedReader
from pathlib import Path
from threading import Lock

_NO_WAITING = getattr(os, "O_NONBLOCK", 0)  # Windows has none, and no pipes among its files
_BINARY = getattr(os, "O_BINARY", 0)  # of Windows
_moving = Lock()  # held while the place of a file is another than its user's


def open_regular(path: Path, most_bytes: int = sys.maxsize) -> BufferedReader:
    """Open a regular file, or a link to one, for reading.

    Args:
        path: the file.
        most_bytes: how large it may be. A file of holes takes no room on a disk, whatever its size,
            but fills the memory of whoever reads it.

    Raises:
        OSError: it cannot be opened, is larger, or is a folder, pipe, socket or device.
    """
    _check(path, path.stat())  # before it is opened, which already moves some devices
    file = os.fdopen(os.open(path, os.O_RDONLY | _BINARY | _NO_WAITING), "rb")
    try:
        found = os.fstat(file.fileno())
        _check(path, found)
        if found.st_size > most_bytes:
            what = f"has {found.st_size} bytes; at most {most_bytes} are read"
            raise OSError(errno.EFBIG, what, str(path))
    except OSError:
        file.close()
        raise
    return file


def _check(path: Path, found: os.stat_result) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "is a pipe, socket or device, not a file", str(path))


def _move_and_read(descriptor: int, size: int, offset: int) -> bytes:
    """Return up to `size` bytes that begin at `offset`; the place of the file stays as it was."""
    with _moving:
        place = os.lseek(descriptor, 0, os.SEEK_CUR)
        try:
            os.lseek(descriptor, offset, os.SEEK_SET)
            return os.read(descriptor, size)
        finally:
            os.lseek(descriptor, place, os.SEEK_SET)


if sys.platform == "win32":
    read_at = _move_and_read
else:
    read_at = os.pread

"""Write files atomically: after a crash a file is the old one or the new one, never a part."""

import errno
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from asr._regular import open_regular


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
    an error the old file, if any, is untouched.

    Raises:
        OSError: the folder cannot be made or written, or `path` is a folder.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


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
    """Raise unless a folder can be written, or made where it is missing; make nothing.

    Raises:
        OSError: it cannot.
    """
    path = folder.absolute()
    nearest = next(one for one in (path, *path.parents) if one.exists())
    if not nearest.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
    if not os.access(nearest, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))


def content_sha256(path: Path) -> str | None:
    """Return the sha256 of a file's bytes; None where it cannot be read, or is no regular file."""
    try:
        with open_regular(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError):  # ValueError: no file can have such a name
        return None

"""Locks on files and folders, which the operating system gives back however a process ends."""

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from asr.errors import ConfigError

LOCK = ".lock"  # in a folder that is being written


def lock_descriptor(descriptor: int) -> bool:
    """Lock an open file for this process; return whether that is so.

    It is not where another process has locked the file, and where files cannot be locked: on
    Windows and on some network disks.

    Raises:
        BlockingIOError: another process has locked the file.
    """
    if sys.platform == "win32":
        return False
    import fcntl  # which Windows has not

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        return False
    return True


@contextmanager
def locked_folder(folder: Path, option: str) -> Iterator[None]:
    """Keep other processes from writing to a folder, which is made where it is missing.

    The file by which they see that is removed at the end. Where a killed process has left it, it
    means nothing: the system gave the lock back. Where files cannot be locked, two runs are not
    kept apart.

    Args:
        folder: the folder.
        option: names it in the error, such as "--out".

    Raises:
        ConfigError: another process writes to the folder, or it cannot be made or written.
    """
    made = not folder.exists()
    path = folder / LOCK
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = _open_locked(path, f"{option} {folder}")
    except OSError as error:
        raise ConfigError(
            f"{folder}: cannot be written ({error.strerror}); give another {option}"
        ) from error
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()
        os.close(descriptor)
        if made:
            with suppress(OSError):  # there are files in it
                folder.rmdir()


def _open_locked(path: Path, what: str) -> int:
    """Open a lock file and lock it; name this process in it."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            locked = lock_descriptor(descriptor)
        except BlockingIOError:
            owner = os.read(descriptor, 200).decode(errors="replace").strip()
            os.close(descriptor)
            raise ConfigError(
                f"{what}: {owner or 'another process'} writes to this folder; wait until it ends, "
                "or give another folder"
            ) from None
        if locked and not _is_open_at(descriptor, path):  # its owner has just removed it
            os.close(descriptor)
            continue
        with suppress(OSError):  # a full disk; the lock holds all the same
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"process {os.getpid()} of {socket.gethostname()}\n".encode())
        return descriptor


def _is_open_at(descriptor: int, path: Path) -> bool:
    """Return whether a path still leads to an open file."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False

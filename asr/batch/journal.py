"""A journal of finished recordings, as lines of JSON, so that a killed run can go on.

A line is added after the files that it names are on the disk, and reaches the disk before the next
recording begins. Whenever a run is killed, each whole line is true; half a line at the end is cut
off.
"""

import errno
import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from asr._atomic import sync_folder
from asr._lock import lock_descriptor
from asr.errors import ConfigError

OK = "ok"


class _Written(NamedTuple):
    """What a file was written for."""

    sha256: str  # of the recording
    settings: str
    path: str  # of the recording


class Journal:
    """The journal of one folder, for one process at a time.

    Args:
        path: of the file; the file and its folder are made if they are missing.

    Raises:
        ConfigError: the file cannot be written, is no journal, or is open in another process.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._written: dict[str, _Written | None] = {}  # by output file; None: not complete
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+b", buffering=0)
            sync_folder(path.parent)
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            self._lock()
            self._read()
        except BaseException:
            self._file.close()
            raise

    def close(self) -> None:
        """Close the file, so that another process can open it."""
        self._file.close()

    def add(self, status: str, outputs: Iterable[str], **facts: object) -> None:
        """Add a line with a status, the output files, and more facts; flush it to the disk.

        With status OK, the facts include `sha256` and `path` of the recording and the digest
        `settings`.

        Raises:
            ConfigError: the file cannot be written.
        """
        record = {"status": status, "outputs": list(outputs), **facts}
        try:
            self._append(json.dumps(record).encode() + b"\n")
        except OSError as error:
            raise self._unwritable(error) from error
        self._note(record)

    def _append(self, line: bytes) -> None:
        """Write a line to the end and to the disk; after an error nothing of it is left."""
        end = os.fstat(self._file.fileno()).st_size
        try:
            if self._file.write(line) < len(line):  # a full disk takes what it has room for
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(self._file.fileno())
        except OSError:
            with suppress(OSError):  # what is left is half a line, which the next run cuts off
                self._file.truncate(end)
            raise

    def knows(self, outputs: Iterable[str]) -> bool:
        """Return whether the journal says of any of these files that it was written."""
        return any(self._written.get(output) for output in outputs)

    def is_done(self, outputs: Iterable[str], sha256: str | None, settings: str) -> bool:
        """Return whether all these files were last written for this recording and settings."""
        written = map(self._written.get, outputs)
        return all(each and (each.sha256, each.settings) == (sha256, settings) for each in written)

    def other_recording(self, outputs: Iterable[str], sha256: str | None, path: str) -> str | None:
        """Return the path of another recording that one of these files was last written for."""
        for written in map(self._written.get, outputs):
            if written and sha256 != written.sha256 and path != written.path:
                return written.path
        return None

    def _read(self) -> None:
        self._file.seek(0)
        whole, torn, rest = self._file.read().rpartition(b"\n")
        for number, line in enumerate(whole.split(b"\n") if torn else (), 1):
            try:
                self._note(json.loads(line))  # which allows names that are not UTF-8
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                raise ConfigError(
                    f"{self.path}: line {number} is not of a journal; move the file away, or give "
                    "another --output-dir"
                ) from None
        if rest:
            self._file.truncate(len(whole) + len(torn))

    def _note(self, record: Mapping[str, Any]) -> None:
        written = None
        if record["status"] == OK:
            written = _Written(record["sha256"], record["settings"], record["path"])
        self._written |= dict.fromkeys(record["outputs"], written)

    def _lock(self) -> None:
        try:
            lock_descriptor(self._file.fileno())
        except BlockingIOError:
            raise ConfigError(
                f"{self.path}: another asr-transcribe writes to this folder; wait for it, or give "
                "another --output-dir"
            ) from None

    def _unwritable(self, error: OSError) -> ConfigError:
        return ConfigError(
            f"{self.path}: cannot be written ({error.strerror}); make room, or give another "
            "--output-dir"
        )

"""Present stretches of a file, behind another header if need be, as a file of their own.

libsndfile reads a recording that stands inside a larger file, or whose header is wrong, through
such a window. Nothing is copied, and memory does not depend on the length.
"""

import io
import os
from collections.abc import Sequence
from itertools import accumulate

from asr._regular import read_at

_ENDLESS_BYTES = 1 << 50

Part = bytes | tuple[int, int]  # bytes that stand there, or (start, end) in the file


class FileWindow(io.RawIOBase):
    """A read-only file made of parts of another one, which stays open.

    Args:
        descriptor: of the file.
        parts: what the window shows, in order.
        endless: whether to report an endless size, so that libsndfile guesses no length of MP3.
    """

    def __init__(self, descriptor: int, parts: Sequence[Part], *, endless: bool = False) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._parts = tuple(parts)
        self._ends = list(accumulate(map(_size, parts)))
        self._size = self._ends[-1]
        self._endless, self._at_end = endless, False
        self._at = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move, and return the new place."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        self._at_end = whence == os.SEEK_END
        return self.tell()

    def tell(self) -> int:
        """Return the place; near the end of an endless file, a place that is far away."""
        return _ENDLESS_BYTES if self._endless and self._at_end else self._at

    def readinto(self, buffer: object) -> int:
        """Fill a buffer as far as the window goes; return the number of bytes."""
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        done = 0
        while done < len(view) and self._at < self._size:
            number = next(i for i, end in enumerate(self._ends) if self._at < end)
            wanted = min(len(view) - done, self._ends[number] - self._at)
            part, left = self._parts[number], self._ends[number] - self._at
            if isinstance(part, bytes):
                data = part[-left:][:wanted]
            else:
                data = read_at(self._descriptor, wanted, part[1] - left)
            if not data:  # the file has shrunk since it was measured
                break
            view[done : done + len(data)] = data
            done += len(data)
            self._at += len(data)
        return done


def _size(part: Part) -> int:
    return len(part) if isinstance(part, bytes) else part[1] - part[0]

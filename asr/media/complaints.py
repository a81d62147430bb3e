"""Collect what a C library prints on stderr, so that it reaches nobody without a name.

libmpg123, inside libsndfile, prints its remarks about a damaged file with `fprintf(stderr, ...)`,
and cannot be told not to. While a thread listens, the C library's `stderr` is a stream of ours. It
gives a line to the thread that caused it; lines of other threads go to descriptor 2 as ever.
Python's own messages and other processes do not use that stream. This needs glibc; elsewhere,
nothing is collected.
"""

import ctypes
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache


class _Ears(threading.local):
    """The lines that this thread collects, or None."""

    text: bytearray | None = None


_ears = _Ears()
_lock = threading.Lock()
_listening = 0  # threads
_MOST_BYTES = 1 << 16  # kept between two looks; a damaged file can cause a line for each frame


@contextmanager
def listening(lines: list[str]) -> Iterator[None]:
    """Append the lines that C code prints on stderr in this thread, inside, to `lines`."""
    swap = _swapper()
    if swap is None or _ears.text is not None:
        yield
        return
    _ears.text = bytearray()
    _count(swap, 1)
    try:
        yield
    finally:
        _count(swap, -1)
        text, _ears.text = _ears.text, None
        lines += (line for line in bytes(text).decode("utf-8", "replace").splitlines() if line)


def _count(swap: Callable[[bool], None], change: int) -> None:
    """Count the threads that listen; while there are any, our stream is in place."""
    global _listening  # noqa: PLW0603 -- there is one stderr in a process, too
    with _lock:
        _listening += change
        if _listening == max(change, 0):  # the first came, or the last went
            swap(change > 0)


_Write = ctypes.CFUNCTYPE(ctypes.c_ssize_t, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)


class _Functions(ctypes.Structure):
    """The callbacks of glibc's `fopencookie`."""

    _fields_ = (
        ("read", ctypes.c_void_p),
        ("write", _Write),
        ("seek", ctypes.c_void_p),
        ("close", ctypes.c_void_p),
    )


def _heard(_: int, data: int, size: int) -> int:
    text = ctypes.string_at(data, size)
    if _ears.text is None:
        os.write(2, text)
    elif len(_ears.text) < _MOST_BYTES:
        _ears.text += text
    return size


@cache
def _swapper() -> Callable[[bool], None] | None:
    """Return a function that makes `stderr` our stream (True) or the usual one (False)."""
    if not sys.platform.startswith("linux"):
        return None
    program = ctypes.CDLL(None)
    if not hasattr(program, "gnu_get_libc_version"):  # musl's stderr cannot be set
        return None
    stderr = ctypes.c_void_p.in_dll(program, "stderr")
    usual = stderr.value
    program.fopencookie.restype = ctypes.c_void_p
    program.fopencookie.argtypes = (ctypes.c_void_p, ctypes.c_char_p, _Functions)
    functions = _Functions(None, _Write(_heard), None, None)
    ours = program.fopencookie(None, b"w", functions)
    if not ours:
        return None
    program.setvbuf(ctypes.c_void_p(ours), None, 2, ctypes.c_size_t(0))  # 2: unbuffered

    def swap(to_ours: bool, _kept: _Functions = functions) -> None:  # kept for C to call
        stderr.value = ours if to_ours else usual

    return swap

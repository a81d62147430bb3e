"""Large files of language models and texts: packed or plain, and written whole or not at all."""

import bz2
import codecs
import gzip
import io
import lzma
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast

from asr._atomic import created_atomically
from asr.errors import LanguageModelError

STANDARD_INPUT = "-"
LONGEST_LINE = 2**24  # bytes; no sentence, and no entry of a dictionary, is as long
MOST_TIMES = 100  # unpacked to packed; text shrinks to a fifth, a bomb to a thousandth
SMALL_BYTES = 2**26  # harmless whatever the ratio
_XZ_MEMORY = 2**28  # bytes for unpacking; xz -9 makes files that need 65 MiB
_OTHERS = {  # what else a file may be, by the first bytes, and how it becomes text
    b"\x28\xb5\x2f\xfd": ("packed by zstd", "unpack it: zstd -d"),
    b"\x04\x22\x4d\x18": ("packed by lz4", "unpack it: lz4 -d"),
    b"PK\x03\x04": ("a zip archive", "unpack it: unzip"),
    b"7z\xbc\xaf": ("a 7z archive", "unpack it: 7z x"),
    codecs.BOM_UTF16_LE: ("in UTF-16", "convert it: iconv -f UTF-16 -t UTF-8"),
    codecs.BOM_UTF16_BE: ("in UTF-16", "convert it: iconv -f UTF-16 -t UTF-8"),
}
_COMPRESS: dict[str, Callable[..., Any]] = {  # by the suffix
    ".gz": partial(gzip.open, compresslevel=6),
    ".xz": lzma.open,
}


@contextmanager
def opened(path: Path | str, longest_line: int = LONGEST_LINE) -> Iterator[Iterator[bytes]]:
    """Open a file as an iterator over its lines, `-` for standard input.

    Files packed by gzip, bzip2 and xz are unpacked.

    Args:
        path: the file.
        longest_line: bytes of a line with its end. A small packed file can hold a line without end.

    Raises:
        LanguageModelError: the file cannot be read, is packed in another way, turns out damaged
            while it is read, or has a longer line.
    """
    try:
        with ExitStack() as stack:
            if str(path) == STANDARD_INPUT:
                file = cast(io.BufferedReader, sys.stdin.buffer)
            else:
                file = stack.enter_context(Path(path).open("rb"))
            start = file.peek(8)
            for magic, (what, remedy) in _OTHERS.items():
                if start.startswith(magic):
                    raise LanguageModelError(f"{path}: is {what}, which is not read; {remedy}")
            unpack = next((_UNPACK[magic] for magic in _UNPACK if start.startswith(magic)), None)
            if not unpack:
                yield _lines(file, path, longest_line)
                return
            packed = _Counted(file)
            raw = cast(io.RawIOBase, unpack(packed))
            lines = stack.enter_context(io.BufferedReader(raw, 2**17))
            yield _lines(lines, path, longest_line, packed)
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise LanguageModelError(f"{path}: cannot be read ({error}); give a whole file") from error


class _Counted:
    """A packed file that counts the bytes that were read."""

    def __init__(self, file: io.BufferedReader) -> None:
        self._file, self._given_back = file, b""
        self.bytes = 0

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, at most `size`, or those that were given back."""
        content, self._given_back = self._given_back or self._file.read(size), b""
        self.bytes += len(content)
        return content

    def give_back(self, content: bytes) -> None:
        """Take the bytes that were read too far; they come again."""
        self._given_back = content
        self.bytes -= len(content)


class _Xz(io.RawIOBase):
    """An xz file unpacked, like lzma.LZMAFile, which has no limit for the memory it takes."""

    def __init__(self, packed: _Counted) -> None:
        self._packed = packed
        self._stream: lzma.LZMADecompressor | None = None  # None: between two streams

    def readable(self) -> bool:
        """Return that the file can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer with the next bytes; return how many there were."""
        packed = b""
        while True:
            if not packed and (self._stream is None or self._stream.needs_input):
                packed = self._packed.read(2**16)
                if not packed and self._stream is None:
                    return 0
                if not packed:
                    raise EOFError("it ends before its end is marked")
            if self._stream is None:
                packed = packed.lstrip(b"\0")  # padding
                if not packed:
                    continue
                self._stream = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
            found = self._stream.decompress(packed, len(buffer))
            packed = b""
            if self._stream.eof:
                self._packed.give_back(self._stream.unused_data)
                self._stream = None
            if found:
                buffer[: len(found)] = found
                return len(found)


_UNPACK: dict[bytes, Callable[[_Counted], Any]] = {  # by the first bytes
    b"\x1f\x8b": lambda packed: gzip.GzipFile(fileobj=cast(Any, packed)),
    b"\xfd7zXZ\x00": _Xz,
    b"BZh": lambda packed: bz2.BZ2File(cast(Any, packed)),
}


def _lines(
    file: BinaryIO, path: Path | str, longest: int, packed: _Counted | None = None
) -> Iterator[bytes]:
    """Yield the lines of a file, each with its end; count what was unpacked, if it is packed."""
    number = unpacked = 0
    while line := file.readline(longest + 1):
        number += 1
        if len(line) > longest:
            raise LanguageModelError(
                f"{path}: line {number}: longer than {longest} bytes; give shorter lines"
            )
        unpacked += len(line)
        if packed and unpacked > max(SMALL_BYTES, MOST_TIMES * packed.bytes):
            raise LanguageModelError(
                f"{path}: line {number}: unpacks to more than {MOST_TIMES} times its size; if that "
                "is right, unpack it, and give the unpacked file"
            )
        yield line


@contextmanager
def created(path: Path | str) -> Iterator[BinaryIO]:
    """Create a file, packed if its name ends in .gz or .xz; it gets its name once it is whole.

    Raises:
        LanguageModelError: the file cannot be written.
    """
    compress = _COMPRESS.get(Path(path).suffix, lambda raw, _: nullcontext(raw))
    try:
        with created_atomically(path) as raw, compress(raw, "wb") as file:
            yield file
    except OSError as error:
        raise LanguageModelError(
            f"{path}: cannot be written ({error.strerror}); make room, or give another --out"
        ) from error

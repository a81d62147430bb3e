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
_UNPACK: dict[bytes, Callable[..., Any]] = {  # by the first bytes
    b"\x1f\x8b": gzip.open,
    b"\xfd7zXZ\x00": lzma.open,
    b"BZh": bz2.open,
}
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
            for magic, unpack in _UNPACK.items():
                if start.startswith(magic):
                    file = stack.enter_context(unpack(file))
            yield _lines(file, path, longest_line)
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise LanguageModelError(f"{path}: cannot be read ({error}); give a whole file") from error


def _lines(file: BinaryIO, path: Path | str, longest: int) -> Iterator[bytes]:
    """Yield the lines of a file, each with its end."""
    number = 0
    while line := file.readline(longest + 1):
        number += 1
        if len(line) > longest:
            raise LanguageModelError(
                f"{path}: line {number}: longer than {longest} bytes; give shorter lines"
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

"""Open a recording by its content, and check the length that its header gives.

Headers can be wrong. A WAV file written to a pipe promises 4 GiB or nothing at all, and an MP3 file
without a Xing or Info frame gives no length, so that libsndfile guesses one: both are read to their
end. So is a file that holds more than its header says (`headers.py`), or several recordings
(`links.py`). A file that was cut short promises more than it holds: that is an error with both
lengths, unless what is missing is shorter than a word, or the length is one that no file has.
"""

import io
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import BinaryIO, cast

from asr._regular import read_at
from asr.errors import AudioError
from asr.media.foreign import kind_of, open_foreign
from asr.media.headers import LARGEST_BYTES, chunk_links, is_placeholder
from asr.media.links import Link, flac_links, mp3_links, ogg_links
from asr.media.sound import LinkReader, Reader, Sound
from asr.media.window import FileWindow

Source = str | Path | bytes | BinaryIO

# The suffixes by which the recordings of a folder are found. Files named one by one need none of
# them. In the order of choice where a folder has a recording twice: lossless originals first.
AUDIO_SUFFIXES = (
    ".flac", ".wav", ".wave", ".sph", ".nist", ".aiff", ".aif", ".aifc", ".au", ".snd", ".caf",
    ".w64", ".rf64", ".voc", ".opus", ".ogg", ".oga", ".mp3",
)  # fmt: skip

_MAGICS = (b"RIFF", b"RF64", b"FORM", b"fLaC", b"OggS", b"ID3", b".snd", b"NIST_1A", b"caff")
_HEAD_BYTES = 4096
_WORD_S = 0.1  # shorter than any word: less than this may be missing

# libsndfile notes in its log where a header promises more than the file holds.
_CUT_SHORT = (
    re.compile(
        r"^ *(?:data|SSND|BODY|Data Size|riff) *: "
        r"(?P<promised>\d+) \(should be (?P<found>\d+)\)",
        re.MULTILINE,
    ),
    re.compile(r"frame count (?P<found>\d+) .* 'ds64' chunk of (?P<promised>\d+)"),
)


def source_name(source: Source) -> str:
    """Return the name of a source for messages."""
    if isinstance(source, (str, Path)):
        return str(source)
    return "audio bytes" if isinstance(source, bytes) else str(getattr(source, "name", "stream"))


@contextmanager
def open_sound(source: Source, channel: int | None = None) -> Iterator[Sound]:
    """Open a recording; names and suffixes do not matter.

    Args:
        source: a path, the bytes of a file, or a binary stream such as `sys.stdin.buffer`, which
            is spooled to a temporary file, because most formats need to seek.
        channel: the only one to be read, from 1; None reads all.

    Yields:
        The sound at its first frame.

    Raises:
        MissingReaderError: the recording is of a format that needs the extra `media`.
        AudioError: the source is missing, empty, not audio or cut short, has an absurd sample rate
            or number of channels, or lacks the channel.
    """
    name = source_name(source)
    with _open_binary(source, name) as file:
        if os.fstat(file.fileno()).st_size == 0:
            raise AudioError(f"{name}: is empty (0 bytes); record or copy it again")
        open_link = partial(_open_link, file, name)
        with closing(Sound(_links(file), open_link, name, channel)) as sound:
            yield sound


@contextmanager
def rereadable(source: Source) -> Iterator[Source]:
    """Yield a source that can be opened several times; a stream is spooled for as long.

    Raises:
        AudioError: the stream cannot be read or spooled.
    """
    if isinstance(source, (str, Path, bytes)):
        yield source
        return
    name = source_name(source)
    with _open_binary(source, name) as file:
        yield cast(BinaryIO, _Spooled(file, name))


class _Spooled:
    """A spooled stream under its own name, read from its beginning by whoever opens it."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self.name = name
        self._file = file

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes; after the last ones b"", and then all of them again."""
        content = self._file.read(size)
        if not content:
            self._file.seek(0)
        return content


def _open_link(file: BinaryIO, name: str, link: Link) -> Reader:
    """Open a link with libsndfile, or with PyAV if libsndfile does not read it."""
    try:
        reader = LinkReader(file, link, name)
    except AudioError as error:
        window = FileWindow(file.fileno(), link.parts)
        return open_foreign(cast(BinaryIO, window), _head(file), error, name)
    try:
        first = link.parts[0]
        start = first[0] if isinstance(first, tuple) else 0
        _check_length(reader, _head(file, start), name)
    except BaseException:
        reader.close()
        raise
    return reader


def _links(file: BinaryIO) -> list[Link]:
    """Return the recordings that a file holds one after the other: one, as a rule."""
    size = os.fstat(file.fileno()).st_size
    whole = Link(((0, size),))
    links = chunk_links(file.fileno(), size)
    if not links:
        head = _head(file)
        with mmap(file.fileno(), 0, access=ACCESS_READ) as data:
            if head[:4] == b"OggS":
                links = ogg_links(data)
            elif head[:4] == b"fLaC":
                links = flac_links(data)
            elif head[:3] == b"ID3" or (head[:1] == b"\xff" and head[1:2] >= b"\xe0"):
                links = mp3_links(data)
    if len(links) == 1 and not (links[0].endless or links[0].torn or links[0].form):
        return [replace(links[0], parts=whole.parts)]  # with what stands before and behind it
    return links or [whole]


def looks_like_sound(path: Path) -> bool:
    """Return whether a file begins as recordings of a known format do."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return False
    return head.startswith(_MAGICS) or kind_of(head) is not None


def _open_binary(source: Source, name: str) -> BinaryIO:
    if isinstance(source, (str, Path)):
        return _open_file(Path(source))
    try:
        return _spool(io.BytesIO(source) if isinstance(source, bytes) else source)
    except (AttributeError, TypeError, ValueError):  # no `read`, text instead of bytes, closed
        raise AudioError(
            f"{name}: a {type(source).__name__} is no recording that can be read; give a path, "
            "bytes, or a file that is open for reading in binary mode"
        ) from None
    except OSError as error:
        raise AudioError(f"{name}: cannot be spooled to {tempfile.gettempdir()}: {error}") from None


def _open_file(path: Path) -> BinaryIO:
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            os.scandir(path).close()
            raise AudioError(
                f"{path}: is a folder, not a recording; name an audio file (those in a folder are "
                "found by suffix, such as .wav or .mp3)"
            )
        if not stat.S_ISREG(mode):  # opening a pipe would wait for its writer, maybe for ever
            raise AudioError(f"{path}: is a pipe or device; send it to standard input instead")
        return path.open("rb")
    except FileNotFoundError:
        raise AudioError(f"{path}: does not exist; check the name") from None
    except PermissionError:
        raise AudioError(f"{path}: may not be read; change its permissions") from None
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        raise AudioError(f"{str(path)!r}: cannot be opened ({error}); check the name") from None


def _spool(stream: BinaryIO, head: bytes = b"") -> BinaryIO:
    """Copy `head` and then the rest of a stream to a temporary file."""
    file = cast(BinaryIO, tempfile.TemporaryFile())  # noqa: SIM115 -- the caller closes it
    try:
        file.write(head)
        shutil.copyfileobj(stream, file)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file


def _check_length(reader: LinkReader, head: bytes, name: str) -> None:
    """Compare what a header promises with what the file holds.

    Raises:
        AudioError: the file is cut short.
    """
    if reader.format == "NIST" and (count := re.search(rb"sample_count -i (\d+)", head)):
        _compare(int(count[1]), reader.frames, "samples", reader, name)
    for pattern in _CUT_SHORT:
        if match := pattern.search(reader.log):
            _compare(int(match["promised"]), int(match["found"]), "bytes or samples", reader, name)


def _compare(promised: int, found: int, unit: str, reader: LinkReader, name: str) -> None:
    # One more is a pad byte, counted but not written.
    if promised <= found + 1 or is_placeholder(promised):
        return
    missing_s = (promised - found) / max(1, found) * reader.frames / reader.samplerate
    absurd = promised >= LARGEST_BYTES and found < promised / 2
    if not absurd and (missing_s > _WORD_S or found == 0):
        raise AudioError(
            f"{name}: is cut short: promises {promised} {unit}, holds {found}; copy it again, "
            "or keep what is there with `sox --ignore-length IN OUT`"
        )
    reader.repairs.append(f"its header promises {promised} {unit}, but {found} are there")


def _head(file: BinaryIO, offset: int = 0) -> bytes:
    return read_at(file.fileno(), _HEAD_BYTES, offset)

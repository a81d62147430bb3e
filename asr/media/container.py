"""Open a recording by its content, and check the length that its header gives.

Headers can be wrong. A WAV file written to a pipe promises 4 GiB or nothing at all, and an MP3 file
without a Xing or Info frame gives no length, so that libsndfile guesses one: both are read to their
end. A file that was cut short promises more than it holds: that is an error with both lengths.
"""

import io
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import soundfile

from asr.errors import AudioError

Source = str | Path | bytes | BinaryIO

# The suffixes by which the recordings of a folder are found. Files named one by one need none of
# them. In the order of choice where a folder has a recording twice: lossless originals first.
AUDIO_SUFFIXES = (
    ".flac", ".wav", ".wave", ".sph", ".nist", ".aiff", ".aif", ".aifc", ".au", ".snd", ".caf",
    ".w64", ".rf64", ".voc", ".opus", ".ogg", ".oga", ".mp3",
)  # fmt: skip

MIN_RATE_HZ = 4_000  # 2 kHz of band: below it, speech is not understood by people either
MAX_RATE_HZ = 768_000  # the fastest converters sold; more is a damaged header
MAX_CHANNELS = 64  # seventh-order ambisonics; more is a damaged header
UNKNOWN_FRAMES = 1 << 44  # lengths from here on mean that the header gives none
_ENDLESS_BYTES = 1 << 50
_STREAMED_BYTES = 0x7F00_0000  # what sox, ffmpeg and arecord write when they cannot know, or more
_HEAD_BYTES = 4096

# libsndfile notes in its log where a header promises more than the file holds.
_CUT_SHORT = (
    re.compile(
        r"^ *(?:data|SSND|BODY|Data Size|riff) *: "
        r"(?P<promised>\d+) \(should be (?P<found>\d+)\)",
        re.MULTILINE,
    ),
    re.compile(r"frame count (?P<found>\d+) .* 'ds64' chunk of (?P<promised>\d+)"),
)


class SoundFile(soundfile.SoundFile):
    """A file read straight through: soundfile would seek after each read.

    Those seeks cost MP3 its exactness and refuse FLAC files with a wrong block size.
    """

    def seekable(self) -> bool:
        """Say no, whatever the file: `seek` works all the same."""
        return False


def source_name(source: Source) -> str:
    """Return the name of a source for messages."""
    if isinstance(source, (str, Path)):
        return str(source)
    return "audio bytes" if isinstance(source, bytes) else str(getattr(source, "name", "stream"))


@contextmanager
def open_sound(source: Source) -> Iterator[SoundFile]:
    """Open a recording; names and suffixes do not matter.

    Args:
        source: a path, the bytes of a file, or a binary stream such as `sys.stdin.buffer`, which
            is spooled to a temporary file, because most formats need to seek.

    Yields:
        The file at its first frame. `frames` is UNKNOWN_FRAMES or more if the header gives none.

    Raises:
        AudioError: the source is missing, empty, not audio or cut short, or has an absurd sample
            rate or number of channels.
    """
    name = source_name(source)
    with _open_binary(source, name) as file:
        if os.fstat(file.fileno()).st_size == 0:
            raise AudioError(f"{name}: is empty (0 bytes); record or copy it again")
        with _open_honest(file, name) as sound:
            _check_length(sound, file, name)
            _check_layout(sound, name)
            yield sound


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
    file = tempfile.TemporaryFile()  # noqa: SIM115 -- the caller closes it
    try:
        file.write(head)
        shutil.copyfileobj(stream, file)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file


@contextmanager
def _open_honest(file: BinaryIO, name: str) -> Iterator[SoundFile]:
    """Open a file; open it a second way where libsndfile would lose audio."""
    with _open_sound_file(file.fileno(), name) as sound:
        if sound.format == "MP3" and not _has_length_frame(file):
            with _open_sound_file(_Endless(file.fileno(), closefd=False), name) as endless:
                yield endless
        elif sound.frames == 0 and (length_at := _unclosed_length_at(file)):
            with _reopened(file, length_at, name) as whole:
                yield whole
        else:
            yield sound


def _open_sound_file(file: int | BinaryIO, name: str) -> SoundFile:
    # A descriptor, unlike a path, has no suffix that soundfile could trust.
    if isinstance(file, int):
        os.lseek(file, 0, os.SEEK_SET)
    try:
        return SoundFile(file, closefd=False)
    except soundfile.SoundFileError as error:
        reason = str(getattr(error, "error_string", error)).rstrip(".")
        raise AudioError(
            f"{name}: cannot be read as audio ({reason}); convert it to WAV or FLAC"
        ) from None


class _Endless(io.FileIO):
    """An MP3 file that reports an endless size, so that libsndfile guesses no length."""

    _at_end = False

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at_end = whence == os.SEEK_END
        return super().seek(offset, whence)

    def tell(self) -> int:
        return _ENDLESS_BYTES if self._at_end else super().tell()


def _has_length_frame(file: BinaryIO) -> bool:
    head = _head(file)
    if head[:3] == b"ID3":  # its length: four bytes of seven bits
        tag_bytes = sum(
            byte << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=False)
        )
        head = _head(file, tag_bytes + 10)
    return b"Xing" in head or b"Info" in head


def _unclosed_length_at(file: BinaryIO) -> int | None:
    """Return the position of a WAV file's data length if its writer left it at 0, else None."""
    head = _head(file)
    data_at = head.find(b"data\0\0\0\0")
    size = os.fstat(file.fileno()).st_size
    if head[:4] != b"RIFF" or data_at < 0 or size <= data_at + 8:
        return None
    closed = int.from_bytes(head[4:8], "little") + 8 == size  # a recording that is really empty
    return None if closed else data_at + 4


@contextmanager
def _reopened(file: BinaryIO, length_at: int, name: str) -> Iterator[SoundFile]:
    """Open a copy whose header promises data without end instead of none."""
    file.seek(length_at + 4)
    with (
        _spool(file, head=_head(file)[:length_at] + b"\xff" * 4) as copy,
        _open_sound_file(copy.fileno(), name) as sound,
    ):
        yield sound


def _check_length(sound: SoundFile, file: BinaryIO, name: str) -> None:
    if sound.format == "NIST" and (count := re.search(rb"sample_count -i (\d+)", _head(file))):
        _compare(int(count[1]), sound.frames, "samples", name)
    for pattern in _CUT_SHORT:
        if match := pattern.search(sound.extra_info):
            _compare(int(match["promised"]), int(match["found"]), "bytes or samples", name)


def _compare(promised: int, found: int, unit: str, name: str) -> None:
    if found + 1 < promised < _STREAMED_BYTES:  # + 1: a pad byte, counted but not written
        raise AudioError(
            f"{name}: is cut short: promises {promised} {unit}, holds {found}; copy it again, "
            "or keep what is there with `sox --ignore-length IN OUT`"
        )


def _check_layout(sound: SoundFile, name: str) -> None:
    if not MIN_RATE_HZ <= sound.samplerate <= MAX_RATE_HZ:
        raise AudioError(
            f"{name}: has a sample rate of {sound.samplerate} Hz; "
            f"allowed: {MIN_RATE_HZ}..{MAX_RATE_HZ}; record or convert it again"
        )
    if not 1 <= sound.channels <= MAX_CHANNELS:
        raise AudioError(
            f"{name}: has {sound.channels} channels; allowed: 1..{MAX_CHANNELS}; split it first"
        )


def _head(file: BinaryIO, offset: int = 0) -> bytes:
    return os.pread(file.fileno(), _HEAD_BYTES, offset)

"""Unpack tar archives that may be hostile: either a whole archive, or nothing of it.

The data filter of tarfile (PEP 706) keeps members below the target and refuses devices. On top of
it this module refuses what no speech corpus has and some file systems read in another way: links,
absolute paths, `..`, drive letters, backslashes, names that collide, and more members, folders in
folders or bytes than any corpus holds. Owners, permissions and times in the archive are ignored.
"""

import gzip
import re
import tarfile
import tempfile
import unicodedata
import zlib
from pathlib import Path, PurePosixPath
from typing import IO

from asr.errors import DownloadError, UnsafeArchiveError

MAX_MEMBERS = 2_000_000
MAX_BYTES = 200 * 2**30  # uncompressed; train-other-500 has 30 GiB
MAX_RATIO = 50  # uncompressed to compressed; FLAC hardly shrinks, a bomb does a thousandfold
SMALL_BYTES = 64 * 2**20  # harmless whatever the ratio: a tar of tiny files is mostly zeros
MAX_DEPTH = 64  # folders in folders; LibriSpeech has 4
MAX_NAME = 4096  # bytes, as on Linux
MAX_NAMES = 2**29  # characters of all names and of the folders in them; a million files have 2**26
MAX_HEADER = 2**20  # bytes of a member that only describes the next one
GZIP_MAGIC = b"\x1f\x8b"
DAMAGE = (  # tarfile raises the last two for header fields that hold no valid number or name
    tarfile.TarError,
    EOFError,
    zlib.error,
    gzip.BadGzipFile,
    ValueError,
    OverflowError,
)
_DESCRIPTIONS = (*tarfile.GNU_TYPES[:2], tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)
DRIVE = re.compile(r"[A-Za-z]:")


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a tar file, plain or gzipped, into a folder that does not exist yet.

    Raises:
        UnsafeArchiveError: the archive holds a member that is refused; nothing is left behind.
        DownloadError: the archive is missing, damaged or cut off, the folder exists already,
            or there is no room for it; nothing is left behind.
    """
    if folder.exists():
        raise DownloadError(f"{folder}: exists already; move it away to unpack {archive.name}")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as scratch:
            content = Path(scratch) / "content"
            content.mkdir()
            with archive.open("rb") as file:
                _unpack_stream(file, archive, content)
            content.rename(folder)
    except _LongDescriptionError as error:
        raise UnsafeArchiveError(f"{archive}: {error}; get it from its publisher") from error
    except DAMAGE as error:
        raise DownloadError(
            f"{archive}: not a whole tar archive ({error}); delete it and download it again"
        ) from error
    except OSError as error:
        raise DownloadError(f"{archive}: cannot be unpacked into {folder}: {error}") from error


def _unpack_stream(file: IO[bytes], archive: Path, content: Path) -> None:
    zipped = file.read(2) == GZIP_MAGIC
    file.seek(0)
    reader = _BoundedReader(gzip.GzipFile(fileobj=file) if zipped else file, archive)
    with tarfile.open(  # type: ignore[call-overload]
        fileobj=reader, mode="r|", tarinfo=_BoundedMember
    ) as tar:
        tar.extractall(content, filter=_MemberFilter(archive, reader))
    while reader.read(2**20):  # to the end, where gzip has its checksum
        pass


class _LongDescriptionError(Exception):
    """A header of an archive announces more than a description of a member holds."""


class _BoundedMember(tarfile.TarInfo):
    """A member of an archive; tarfile keeps descriptions of members in memory as a whole."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_BoundedMember":
        """Return the member in a header block; refuse a description that is too long."""
        member = super().frombuf(buf, encoding, errors)
        described = member.type not in tarfile.SUPPORTED_TYPES or member.type in _DESCRIPTIONS
        if described and member.size > MAX_HEADER:
            raise _LongDescriptionError(
                f"unpacks to more than it may: the description of a member has {member.size} "
                f"bytes, where {MAX_HEADER} are allowed"
            )
        return member


class _BoundedReader:
    """A stream that refuses to give more bytes than an honest archive of this size holds."""

    def __init__(self, stream: IO[bytes] | gzip.GzipFile, archive: Path) -> None:
        self.stream = stream
        self.archive = archive
        self.left = min(MAX_BYTES, max(SMALL_BYTES, MAX_RATIO * archive.stat().st_size))

    def read(self, size: int) -> bytes:
        data = self.stream.read(size)
        self.require(len(data))
        self.left -= len(data)
        return data

    def require(self, size: int) -> None:
        """Raise UnsafeArchiveError if fewer than `size` bytes may still be read."""
        if size > self.left:
            raise UnsafeArchiveError(
                f"{self.archive}: unpacks to more than an archive of this size may "
                f"({MAX_RATIO} times, {MAX_BYTES} bytes at most); delete it"
            )


class _MemberFilter:
    """An extraction filter for tarfile that ends the extraction at the first unsafe member."""

    def __init__(self, archive: Path, reader: _BoundedReader) -> None:
        self.archive = archive
        self.reader = reader
        self.count = 0
        # path as the laxest file system sees it -> its spelling, and whether it is a folder
        self.claims: dict[str, tuple[str, bool]] = {}
        self.room = MAX_NAMES

    def __call__(self, member: tarfile.TarInfo, folder: str) -> tarfile.TarInfo:
        """Return the member as it may be extracted; raise UnsafeArchiveError otherwise."""
        name = member.name
        self.count += 1
        self._refuse_if(len(name.encode(errors="replace")) > MAX_NAME, name, "of too long a name")
        path = PurePosixPath(name)
        self._refuse_if(len(path.parts) > MAX_DEPTH, name, f"below more than {MAX_DEPTH} folders")
        self._refuse_if(self.count > MAX_MEMBERS, name, f"one member more than {MAX_MEMBERS}")
        self._refuse_if(member.issym() or member.islnk(), name, "a link")
        self._refuse_if(member.issparse(), name, "a sparse file")
        self._refuse_if(path.is_absolute(), name, "an absolute path")
        self._refuse_if(bool(DRIVE.match(name)), name, "a path with a drive letter")
        self._refuse_if("\\" in name, name, "a path with a backslash")
        self._refuse_if(".." in path.parts, name, "a path outside the archive")
        self._claim(path, member.isdir(), name)
        self.reader.require(member.size)
        try:
            safe = tarfile.data_filter(member, folder)
            # None, and only after the filter, which needs the mode to tell devices: not restored.
            return safe.replace(mode=None, mtime=None, deep=False)  # type: ignore[arg-type]
        except tarfile.SpecialFileError:
            raise self._refusal(name, "a device, pipe or other special file") from None
        except tarfile.FilterError as error:
            raise self._refusal(name, f"unsafe ({error})") from None

    def _claim(self, path: PurePosixPath, is_folder: bool, name: str) -> None:
        """Note the path and its folders; two members may share a path only if both are folders."""
        for step in (path, *path.parents):
            claim = (str(step), is_folder or step != path)
            key = unicodedata.normalize("NFC", claim[0]).casefold()
            fresh = key not in self.claims
            self.room -= len(key) if fresh else 0
            self._refuse_if(self.room < 0, name, f"after names of {MAX_NAMES} characters")
            same_folder = self.claims.setdefault(key, claim) == claim and claim[1]
            collides = not (fresh or same_folder)
            self._refuse_if(collides, name, "one whose name collides with an earlier one")

    def _refuse_if(self, condition: bool, name: str, what: str) -> None:
        if condition:
            raise self._refusal(name, what)

    def _refusal(self, name: str, what: str) -> UnsafeArchiveError:
        return UnsafeArchiveError(
            f"{self.archive}: member {_shown(name)} is {what}, which is refused; nothing was "
            "unpacked; get the archive from its publisher"
        )


def _shown(name: str) -> str:
    return repr(name if len(name) <= 200 else f"{name[:197]}...")

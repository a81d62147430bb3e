"""Unpacking of tar archives that may be hostile: either all of one is unpacked, or nothing.

Only plain files and folders below the target are made. Refused are absolute paths, `..`, drive
letters, backslashes, links, devices, names that collide, and more members or bytes than any
speech corpus has. Owners, permissions and times in the archive are ignored.
"""

import gzip
import re
import shutil
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
GZIP_MAGIC = b"\x1f\x8b"
DAMAGE = (  # the last two are what tarfile lets through for numbers that are none
    tarfile.TarError,
    EOFError,
    zlib.error,
    gzip.BadGzipFile,
    ValueError,
    OverflowError,
)
DRIVE = re.compile(r"[A-Za-z]:")


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a tar file, plain or gzipped, into a folder that does not exist yet.

    Raises:
        UnsafeArchiveError: the archive holds something refused; nothing is left behind.
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
    except DAMAGE as error:
        raise DownloadError(
            f"{archive}: not a whole tar archive ({error}); delete it and download it again"
        ) from error
    except OSError as error:
        raise DownloadError(f"{archive}: cannot be unpacked into {folder}: {error}") from error


class _BoundedReader:
    """A stream that refuses to give more bytes than an honest archive of this size holds."""

    def __init__(self, stream: IO[bytes] | gzip.GzipFile, archive: Path) -> None:
        self.stream = stream
        self.archive = archive
        self.left = min(MAX_BYTES, max(SMALL_BYTES, MAX_RATIO * archive.stat().st_size))

    def read(self, size: int) -> bytes:
        data = self.stream.read(size)
        self.charge(len(data))
        self.left -= len(data)
        return data

    def charge(self, size: int) -> None:
        """Refuse a size that is not left."""
        if size > self.left:
            raise UnsafeArchiveError(
                f"{self.archive}: unpacks to more than an archive of this size may "
                f"({MAX_RATIO} times, {MAX_BYTES} bytes at most); delete it"
            )


def _unpack_stream(file: IO[bytes], archive: Path, content: Path) -> None:
    zipped = file.read(2) == GZIP_MAGIC
    file.seek(0)
    reader = _BoundedReader(gzip.GzipFile(fileobj=file) if zipped else file, archive)
    names = _Names(archive)
    with tarfile.open(fileobj=reader, mode="r|") as tar:  # type: ignore[call-overload]
        for member in tar:
            path = names.admit(member)
            reader.charge(member.size)
            _write(tar, member, content / path)
    while reader.read(2**20):  # to the end, where gzip has its checksum
        pass


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    if member.isdir():
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    source = tar.extractfile(member)
    with path.open("xb") as target:
        shutil.copyfileobj(source, target, 2**20)  # type: ignore[arg-type]  # a file has one


class _Names:
    """The members seen so far; says which further ones may be made."""

    def __init__(self, archive: Path) -> None:
        self.archive = archive
        self.count = 0
        # path as the laxest file system sees it -> its spelling, and whether it is a folder
        self.claims: dict[str, tuple[str, bool]] = {}

    def admit(self, member: tarfile.TarInfo) -> PurePosixPath:
        """Return where to make the member, below the target.

        Raises:
            UnsafeArchiveError: it must not be made.
        """
        name = member.name
        self.count += 1
        self._require(self.count <= MAX_MEMBERS, name, f"one member more than {MAX_MEMBERS}")
        self._require(not (member.issym() or member.islnk()), name, "a link")
        plain = member.isdir() or (member.isreg() and not member.issparse())
        self._require(plain, name, "a device, pipe or other special file")
        self._require(not name.startswith("/"), name, "an absolute path")
        self._require(not DRIVE.match(name), name, "a path with a drive letter")
        self._require("\\" not in name, name, "a path with a backslash")
        self._require("\0" not in name, name, "a path with a zero byte")
        path = PurePosixPath(name)
        self._require(".." not in path.parts, name, "a path outside the archive")
        self._require(member.isdir() or bool(path.parts), name, "a file without a name")
        self._claim(path, member.isdir(), name)
        return path

    def _claim(self, path: PurePosixPath, is_folder: bool, name: str) -> None:
        """Note the path and its folders; two may share a path only if both are folders."""
        for step in (path, *path.parents):
            claim = (str(step), is_folder or step != path)
            key = unicodedata.normalize("NFC", claim[0]).casefold()
            fresh = key not in self.claims
            same_folder = self.claims.setdefault(key, claim) == claim and claim[1]
            self._require(fresh or same_folder, name, "one whose name collides with an earlier one")

    def _require(self, condition: bool, name: str, what: str) -> None:
        if not condition:
            raise UnsafeArchiveError(
                f"{self.archive}: member {name!r} is {what}, which is refused; nothing was "
                "unpacked; get the archive from its publisher"
            )

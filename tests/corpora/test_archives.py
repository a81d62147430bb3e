"""Unpacking: honest archives whole, hostile and damaged ones not at all."""

import gzip
import io
import tarfile
import tempfile
from pathlib import Path

import pytest
from folders import real_material
from hypothesis import given, settings, strategies as st

from asr.corpora import archives
from asr.corpora.archives import unpack
from asr.errors import DownloadError, UnsafeArchiveError


def member(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, size, "good.txt"
    return info


def make_tar(path: Path, *members: tarfile.TarInfo | tuple[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as tar:
        for item in members:
            if isinstance(item, tarfile.TarInfo):
                tar.addfile(item, io.BytesIO(bytes(item.size)))
            else:
                tar.addfile(member(item[0], size=len(item[1])), io.BytesIO(item[1]))
    return path


def assert_refused(archive: Path, complaint: str) -> None:
    before = sorted(archive.parent.rglob("*"))
    with pytest.raises(UnsafeArchiveError, match=complaint) as caught:
        unpack(archive, archive.parent / "out")
    assert str(archive) in str(caught.value)
    assert sorted(archive.parent.rglob("*")) == before


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_honest_archive_is_unpacked_whole(tmp_path: Path, mode: str) -> None:
    folder = member("./corpus/empty/", tarfile.DIRTYPE)
    long = "corpus/" + "x" * 120 + "/ü.txt"
    archive = make_tar(
        tmp_path / "a.tar",
        folder,
        folder,
        ("./corpus/one.txt", b"1"),
        (long, b"2" * 70_000),
        ("..dots..", b""),
        mode=mode,
    )
    unpack(archive, tmp_path / "deep" / "out")
    found = {
        path.relative_to(tmp_path / "deep" / "out").as_posix(): path.read_bytes()
        for path in (tmp_path / "deep").rglob("*")
        if path.is_file()
    }
    assert found == {"corpus/one.txt": b"1", long: b"2" * 70_000, "..dots..": b""}
    assert (tmp_path / "deep" / "out" / "corpus" / "empty").is_dir()
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["out"]


def test_permissions_and_times_of_the_archive_are_ignored(tmp_path: Path) -> None:
    odd = member("a/b", size=3)
    odd.mode, odd.mtime, odd.uid = 0o6777, 1, 12345
    unpack(make_tar(tmp_path / "a.tar", odd), tmp_path / "out")
    (tmp_path / "plain").touch()
    unpacked, plain = (tmp_path / "out" / "a" / "b").stat(), (tmp_path / "plain").stat()
    assert (unpacked.st_mode, unpacked.st_uid) == (plain.st_mode, plain.st_uid)
    assert abs(unpacked.st_mtime - plain.st_mtime) < 60


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("/etc/evil", "an absolute path"),
        ("../evil", "outside"),
        ("a/../../evil", "outside"),
        ("a/..", "outside"),
        ("..\\evil", "a backslash"),
        ("C:evil", "a drive letter"),
        ("c:/evil", "a drive letter"),
    ],
)
def test_path_outside_is_refused(tmp_path: Path, name: str, complaint: str) -> None:
    archive = make_tar(tmp_path / "a.tar", ("good.txt", b"good"), (name, b"evil"))
    assert_refused(archive, complaint)


@pytest.mark.parametrize(
    ("kind", "complaint"),
    [
        (tarfile.SYMTYPE, "a link"),
        (tarfile.LNKTYPE, "a link"),
        (tarfile.CHRTYPE, "a device"),
        (tarfile.BLKTYPE, "a device"),
        (tarfile.FIFOTYPE, "a device"),
    ],
)
def test_anything_but_files_and_folders_is_refused(
    tmp_path: Path, kind: bytes, complaint: str
) -> None:
    archive = make_tar(tmp_path / "a.tar", ("good.txt", b"good"), member("odd", kind))
    assert_refused(archive, complaint)


@pytest.mark.parametrize(
    "names",
    [
        ("a", "a"),
        ("a", "./a"),
        ("A", "a"),
        ("\u00e9", "e\u0301"),
        ("a", "a/b"),
        ("a/b", "a"),
        ("a/b", "A/c"),
        ("a/b", "a//b"),
    ],
)
def test_colliding_names_are_refused(tmp_path: Path, names: tuple[str, str]) -> None:
    archive = make_tar(tmp_path / "a.tar", *((name, b"x") for name in names))
    assert_refused(archive, "collides")


def test_zip_bomb_is_refused(tmp_path: Path) -> None:
    archive = make_tar(tmp_path / "a.tar.gz", member("zeros", size=70 * 2**20), mode="w:gz")
    assert archive.stat().st_size < 2**20
    assert_refused(archive, "unpacks to more")


def test_bomb_in_a_header_is_refused(tmp_path: Path) -> None:
    header = member("././@LongLink", tarfile.GNUTYPE_LONGNAME, size=80 * 2**20)
    archive = tmp_path / "a.tar.gz"
    with gzip.open(archive, "wb", compresslevel=1) as file:
        file.write(header.tobuf(tarfile.GNU_FORMAT))
        for _ in range(80):
            file.write(bytes(2**20))
    assert_refused(archive, "unpacks to more")


def test_claimed_size_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    archive = tmp_path / "a.tar"
    archive.write_bytes(member("big", size=2**40).tobuf(tarfile.GNU_FORMAT) + bytes(2048))
    assert_refused(archive, "unpacks to more")


def test_too_many_members_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_MEMBERS", 3)
    archive = make_tar(tmp_path / "a.tar", *((str(n), b"") for n in range(4)))
    assert_refused(archive, "more than 3")


def test_damaged_and_missing_archives(tmp_path: Path) -> None:
    whole = make_tar(tmp_path / "a.tar.gz", ("a", bytes(range(256)) * 400), mode="w:gz")
    cut, text = tmp_path / "cut.tar.gz", tmp_path / "text.tar"
    cut.write_bytes(whole.read_bytes()[:-10])
    text.write_text("<html>moved</html>" * 100)
    for archive in (cut, text):
        with pytest.raises(DownloadError, match=r"not a whole tar archive.*download it again"):
            unpack(archive, tmp_path / "out")
    with pytest.raises(DownloadError, match="No such file"):
        unpack(tmp_path / "nope.tar", tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "a.tar.gz",
        "cut.tar.gz",
        "text.tar",
    ]


def test_existing_folder_is_kept(tmp_path: Path) -> None:
    archive = make_tar(tmp_path / "a.tar", ("a", b"x"))
    (tmp_path / "out").mkdir()
    with pytest.raises(DownloadError, match="exists already"):
        unpack(archive, tmp_path / "out")


@settings(max_examples=60, deadline=None)
@given(position=st.integers(0, 3 * 512 - 1), byte=st.integers(0, 255))
def test_any_changed_byte_gives_files_below_the_target_or_our_error(
    position: int, byte: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        archive = make_tar(Path(folder) / "a.tar", ("a/b", b"x" * 100), ("c", b"y"))
        content = bytearray(archive.read_bytes())
        content[position] = byte
        start = position // 512 * 512  # with its checksum made right, so that the change counts
        header = content[start : start + 512]
        header[148:156] = b" " * 8
        content[start + 148 : start + 156] = b"%06o\0 " % sum(header)
        archive.write_bytes(content)
        try:
            unpack(archive, Path(folder) / "deep" / "out")
        except DownloadError:
            assert list((Path(folder) / "deep").iterdir()) == []
        assert {path.name for path in Path(folder).iterdir()} == {"a.tar", "deep"}


@pytest.mark.parametrize("name", ["zip-slip.tar", "zip-slip-win.tar"])
def test_archives_that_others_made_to_attack(tmp_path: Path, name: str) -> None:
    archive = real_material("badinput", "archives", name)
    with pytest.raises(UnsafeArchiveError, match=r"evil\.txt"):
        unpack(archive, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("a/" * 50_000 + "b", "too long a name"),
        ("a/" * 100 + "b", "below more than 64 folders"),
        ("a" * 5000, "too long a name"),
    ],
)
def test_names_deeper_or_longer_than_any_corpus_has(
    tmp_path: Path, name: str, complaint: str
) -> None:
    archive = tmp_path / "a.tar"
    with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(member(name, tarfile.REGTYPE))
    assert_refused(archive, complaint)


def test_names_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asr.corpora.archives.MAX_NAMES", 1000)
    archive = tmp_path / "a.tar"
    with tarfile.open(archive, "w") as tar:
        for number in range(200):
            tar.addfile(member(f"folder{number}/file", tarfile.REGTYPE))
    assert_refused(archive, "after names of 1000 characters")

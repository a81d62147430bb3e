"""Downloads, from a server on loopback that misbehaves as told."""

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from asr.corpora import download as download_module
from asr.corpora.download import download
from asr.errors import DownloadError

CONTENT = bytes(range(256)) * 4000  # 1 MB
MD5 = hashlib.md5(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves CONTENT; the attributes say what goes wrong, `asked` what was asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = CONTENT
        self.cuts: list[int] = []  # how many bytes each of the next answers sends
        self.statuses: list[int] = []  # the next answers are these errors
        self.redirect = ""
        self.with_range = True
        self.with_length = True
        self.asked: list[str | None] = []
        self.slow = False

    def parts(self, body: bytes) -> Iterator[bytes]:
        """Yield what is sent at once."""
        if not self.slow:
            yield body
        for place in range(100 * self.slow):
            yield body[place : place + 1]
            time.sleep(0.02)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/corpus.tar.gz"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server = self.server
        asked = self.headers["Range"]
        server.asked.append(asked)
        if server.statuses:
            self.send_error(server.statuses.pop(0))
            return
        if server.redirect:
            self.send_response(302)
            self.send_header("Location", server.redirect)
            self.end_headers()
            return
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        if not server.with_range:
            start = 0
        if start and start >= len(server.content):
            self.send_error(416)
            return
        body = server.content[start:]
        self.send_response(206 if start else 200)
        if start:
            total = len(server.content)
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        if server.with_length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with suppress(ConnectionError):  # the other side gave up, as it should
            for part in server.parts(body[: server.cuts.pop(0)] if server.cuts else body):
                self.wfile.write(part)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(download_module, "WAIT_S", 0.001)
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "root" / "corpus.tar.gz"


def assert_whole(target: Path) -> None:
    assert target.read_bytes() == CONTENT
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("with_length", [True, False])
def test_whole_download(server: Server, target: Path, with_length: bool) -> None:
    server.with_length = with_length
    download(server.url, target, md5=MD5.upper())
    assert_whole(target)
    assert server.asked == [None]


def test_file_that_is_there_is_not_fetched_again(server: Server, target: Path) -> None:
    download(server.url, target, md5=MD5)
    download(server.url, target, md5=MD5)
    assert len(server.asked) == 1


def test_cut_connections_are_resumed(server: Server, target: Path) -> None:
    server.cuts = [300_000, 500_000, 1]
    download(server.url, target, md5=MD5)
    assert_whole(target)
    assert server.asked == [None, "bytes=300000-", "bytes=800000-", "bytes=800001-"]


def test_later_run_goes_on_where_the_last_one_ended(server: Server, target: Path) -> None:
    target.parent.mkdir()
    target.with_name("corpus.tar.gz.part").write_bytes(CONTENT[:400_000])
    download(server.url, target, md5=MD5)
    assert_whole(target)
    assert server.asked == ["bytes=400000-"]


def test_part_that_is_whole_already(server: Server, target: Path) -> None:
    target.parent.mkdir()
    target.with_name("corpus.tar.gz.part").write_bytes(CONTENT)
    download(server.url, target, md5=MD5)
    assert_whole(target)


def test_server_without_range_starts_from_zero(server: Server, target: Path) -> None:
    server.with_range = False
    server.cuts = [300_000]
    download(server.url, target, md5=MD5)
    assert_whole(target)
    assert server.asked == [None, "bytes=300000-"]


def test_server_that_always_cuts_and_cannot_resume_ends_in_an_error(
    server: Server, target: Path
) -> None:
    server.with_range = False
    server.cuts = [300_000] * 100
    with pytest.raises(DownloadError, match=r"IncompleteRead.*300000 bytes are kept: try again"):
        download(server.url, target, md5=MD5)
    assert len(server.asked) == 2 + download_module.RETRIES
    assert [path.name for path in target.parent.iterdir()] == ["corpus.tar.gz.part"]


def test_wrong_checksum_names_both_and_discards_the_part(server: Server, target: Path) -> None:
    server.content = b"something else"
    found = hashlib.md5(server.content).hexdigest()
    with pytest.raises(DownloadError, match=f"MD5 is {found}, expected {MD5}"):
        download(server.url, target, md5=MD5)
    assert list(target.parent.iterdir()) == []


def test_wrong_file_that_is_there_is_kept_and_named(server: Server, target: Path) -> None:
    target.parent.mkdir()
    target.write_bytes(b"mine")
    with pytest.raises(DownloadError, match=r"there already, but its MD5 is .*delete it"):
        download(server.url, target, md5=MD5)
    assert target.read_bytes() == b"mine"


@pytest.mark.parametrize("status", [404, 403])
def test_refusal_is_not_tried_again(server: Server, target: Path, status: int) -> None:
    server.statuses = [status]
    with pytest.raises(DownloadError, match=f"{server.url}: the server answered {status} .*mirror"):
        download(server.url, target, md5=MD5)
    assert len(server.asked) == 1


def test_passing_trouble_is_tried_again(server: Server, target: Path) -> None:
    server.statuses = [503, 429, 500]
    download(server.url, target, md5=MD5)
    assert_whole(target)


def test_lasting_trouble_ends_in_an_error(server: Server, target: Path) -> None:
    server.statuses = [503] * 100
    with pytest.raises(DownloadError, match=r"answered 503 .*5 times in a row"):
        download(server.url, target, md5=MD5)


def test_redirect_is_followed_to_http_alone(server: Server, target: Path) -> None:
    for location in ("ftp://127.0.0.1/corpus", "file:///etc/passwd"):
        server.redirect = location
        with pytest.raises(DownloadError, match=r"answered 302|unknown url type"):
            download(server.url, target, md5=MD5)
    assert list(target.parent.iterdir()) == []


@pytest.mark.parametrize(
    "url",
    [
        "ftp://host/file",
        "file:///etc/passwd",
        "/etc/passwd",
        "http://",
        "http:///x",
        "http://a b/x",
    ],
)
def test_other_addresses_are_refused(target: Path, url: str) -> None:
    with pytest.raises(DownloadError, match="not an http:// or https:// address"):
        download(url, target, md5=MD5)
    assert not target.parent.exists()


@pytest.mark.parametrize("host", ["127.0.0.1:99999", "a..b", "[:", "127.0.0.1:x", "127.0.0.1:1"])
def test_host_that_cannot_be(target: Path, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(download_module, "WAIT_S", 0.001)
    with pytest.raises(DownloadError, match="http://"):
        download(f"http://{host}/x", target, md5=MD5)


def test_folder_that_cannot_be_written(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(DownloadError, match="cannot be fetched into"):
        download(server.url, tmp_path / "file" / "corpus.tar.gz", md5=MD5)


def test_a_server_that_trickles_is_given_up(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download_module, "PATIENCE_S", 0.2)
    server.slow = True
    with pytest.raises(DownloadError, match=r"sends only \d+ bytes in 0.2 s"):
        download(server.url, tmp_path / "a", md5=MD5)
    assert (tmp_path / "a.part").stat().st_size > 0


@pytest.mark.parametrize("with_length", [True, False])
def test_a_file_without_end_is_discarded(server: Server, tmp_path: Path, with_length: bool) -> None:
    server.with_length = with_length
    with pytest.raises(DownloadError, match="sends more than 1000 bytes"):
        download(server.url, tmp_path / "a", md5=MD5, most_bytes=1000)
    assert not list(tmp_path.iterdir())


def test_a_server_that_gives_a_byte_at_a_time_is_given_up(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download_module, "MOST_ATTEMPTS", 5)
    monkeypatch.setattr(download_module, "WAIT_S", 0.0)
    server.cuts = [1] * 20
    with pytest.raises(DownloadError, match="5 times"):
        download(server.url, tmp_path / "a", md5=MD5)
    assert (tmp_path / "a.part").stat().st_size == 5

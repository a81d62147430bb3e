"""Download files: resume after a cut, and accept a file only if its checksum is right."""

import hashlib
import http.client
import os
import re
import ssl
import time
import urllib.error
import urllib.request
from itertools import count
from pathlib import Path

from tqdm import tqdm

from asr._atomic import sync_folder
from asr.errors import DownloadError

ADDRESS = re.compile(r"https?://[^\s/]+/\S+", re.IGNORECASE)
CHUNK_BYTES = 2**18
RETRIES = 4  # in a row without a byte gained
MOST_ATTEMPTS = 1000  # in all: a server may cut the connection after each byte
TIMEOUT_S = 30.0
WAIT_S = 1.0  # before the first retry; doubled for each further one
MOST_BYTES = 200 * 2**30  # the largest corpus archive that is known has 30 GiB
SLOWEST_BYTES = 1000  # a second, on the average of PATIENCE_S: else the server counts as stuck
PATIENCE_S = 120.0
PASSING_STATUS = {408, 425, 429, 500, 502, 503, 504}  # worth another try
NETWORK_ERRORS = (
    urllib.error.URLError,
    http.client.HTTPException,
    ConnectionError,
    TimeoutError,
    ssl.SSLError,
)


def download(url: str, target: Path, *, md5: str, most_bytes: int = MOST_BYTES) -> None:
    """Fetch a URL into a file, unless the file is there with that checksum.

    Bytes are collected in `target` + ".part", which a later call continues if the server can
    (HTTP Range); the name is given only to a whole file with the right checksum.

    Args:
        url: http or https; no redirect leads to another scheme.
        target: the file; missing parent folders are made.
        md5: the expected MD5 sum, 32 hexadecimal digits.
        most_bytes: what the file may have; a longer one is discarded.

    Raises:
        DownloadError: the URL is invalid, the server or the disk fails or the server is too slow
            (the .part stays), or the file is too long or its checksum wrong (the .part is deleted).
    """
    if not ADDRESS.fullmatch(url):
        raise DownloadError(f"{url}: not an http:// or https:// address of a file")
    try:
        if not target.exists():
            _fetch(url, target, md5, most_bytes)
        elif wrong := _mismatch(target, md5):
            raise DownloadError(f"{target}: there already, but {wrong}; delete it and try again")
    # ValueError, OverflowError: host names and ports that cannot be
    except (OSError, ValueError, OverflowError) as error:
        raise DownloadError(
            f"{url}: cannot be fetched into {target}: {error}; check the address and the disk"
        ) from error


def _fetch(url: str, target: Path, md5: str, most_bytes: int) -> None:
    part = target.with_name(f"{target.name}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    _receive_with_retries(url, part, most_bytes)
    if wrong := _mismatch(part, md5):
        part.unlink()
        raise DownloadError(f"{url}: {wrong}; discarded: try again, or another mirror")
    part.replace(target)
    sync_folder(target.parent)


def _mismatch(path: Path, md5: str) -> str:
    """Return what is wrong with the checksum of a file, or an empty string."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    return "" if found == md5.lower() else f"its MD5 is {found}, expected {md5.lower()}"


def _receive_with_retries(url: str, part: Path, most_bytes: int) -> None:
    failures, furthest = 0, _size(part)
    for attempt in count(1):
        try:
            return _receive(url, part, most_bytes)
        except urllib.error.HTTPError as error:
            error.close()
            problem = f"the server answered {error.code} {error.reason}"
            if error.code not in PASSING_STATUS:
                raise DownloadError(
                    f"{url}: {problem}; check the address, or try another mirror"
                ) from error
        except NETWORK_ERRORS as error:
            problem = str(getattr(error, "reason", error)) or type(error).__name__
        # a server that cannot resume and always cuts gains nothing: count by the furthest byte
        failures = 0 if _size(part) > furthest else failures + 1
        furthest = max(furthest, _size(part))
        if failures > RETRIES or attempt == MOST_ATTEMPTS:
            times = f"{failures} times in a row" if failures > RETRIES else f"{attempt} times"
            raise DownloadError(
                f"{url}: {problem}, {times}; {_size(part)} bytes are kept: "
                "try again to go on from there"
            )
        time.sleep(WAIT_S * 2 ** (failures - 1))


def _receive(url: str, part: Path, most_bytes: int) -> None:
    """Receive the rest of the file.

    Raises:
        DownloadError: the server sends other bytes, too many or too slowly.
        http.client.IncompleteRead: the connection was cut.
    """
    have = _size(part)
    headers = {"User-Agent": "asr-prepare"} | ({"Range": f"bytes={have}-"} if have else {})
    request = urllib.request.Request(url, headers=headers)
    try:
        response = _opener().open(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if have and error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            error.close()
            return  # there are no further bytes; the checksum tells whether these are the ones
        raise
    with response:
        if response.status != http.HTTPStatus.PARTIAL_CONTENT:
            have = 0  # the server cannot resume
        elif not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            raise DownloadError(f"{url}: the server sent other bytes than asked; delete {part}")
        try:
            _store(response, part, have, most_bytes)
        except _TooLongError:
            part.unlink()
            raise DownloadError(
                f"{url}: sends more than {most_bytes} bytes; discarded: try another mirror"
            ) from None


class _TooLongError(Exception):
    """A server sends more than a file may have."""


def _store(response: http.client.HTTPResponse, part: Path, have: int, most_bytes: int) -> None:
    total = None if response.length is None else have + response.length
    with (
        part.open("ab" if have else "wb") as file,
        tqdm(
            desc=part.stem, initial=have, total=total, unit="B", unit_scale=True, disable=None
        ) as bar,
    ):
        since, received = time.monotonic(), 0
        while chunk := response.read1(CHUNK_BYTES):  # whatever is there: read waits for it all
            have += len(chunk)
            received += len(chunk)
            if have > most_bytes:
                raise _TooLongError
            file.write(chunk)
            bar.update(len(chunk))
            if time.monotonic() - since >= PATIENCE_S:
                if received < SLOWEST_BYTES * PATIENCE_S:
                    raise DownloadError(
                        f"{response.url}: sends only {received} bytes in {PATIENCE_S:g} s; what "
                        "came is kept: try again to go on from there, or another mirror"
                    )
                since, received = time.monotonic(), 0
        file.flush()
        os.fsync(file.fileno())
    if response.length:  # bytes that were promised and did not come
        raise http.client.IncompleteRead(b"", response.length)


def _opener() -> urllib.request.OpenerDirector:
    """Return an opener for http and https alone: urllib's own follows redirects to ftp too."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
        urllib.request.UnknownHandler,
    ):
        opener.add_handler(handler())
    return opener


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0

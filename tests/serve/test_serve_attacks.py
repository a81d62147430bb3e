"""Clients that mean no good: each gets a clean answer or is dropped, and the next is served."""

import io
import json
import socket
import struct
import time
from collections.abc import Iterator

import numpy as np
import pytest
import soundfile
from serving import (
    BOUNDARY,
    FORM,
    TRANSCRIPTIONS,
    Served,
    form,
    head_of,
    serving,
    wait_until,
    wav,
)

pytest.importorskip("starlette")
CONNECTIONS = 200
IDLE_S = 3
UPGRADE = (
    b"GET /v1/listen HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@pytest.fixture(scope="module")
def module_server() -> Iterator[Served]:
    settings = {"connections": CONNECTIONS, "idle_s": IDLE_S, "audio_s": 60, "live_workers": 1}
    with serving(json.dumps(settings), fake=True) as served:
        yield served
    log = "".join(served.log)
    assert "listening" in log
    assert "Traceback" not in log, log
    assert "passwd" not in log


@pytest.fixture
def server(module_server: Served) -> Iterator[Served]:
    """A server that still serves after the test, and has said nothing but errors of clients."""
    yield module_server
    assert module_server.post(wav())[0] == 200
    wait_until(lambda: module_server.metric("asr_admitted") == 0)
    assert module_server.metric("asr_worker_deaths") == 0


def exchange(server: Served, content: bytes) -> bytes:
    """Send bytes; return what comes until the server closes, or for some seconds."""
    with server.connect() as connection:
        connection.sendall(content)
        connection.settimeout(IDLE_S + 5)
        answer = b""
        try:
            while piece := connection.recv(65536):
                answer += piece
                if b"\r\n\r\n" in answer and b"content-length" in answer.lower():
                    break
        except ConnectionResetError:
            pass
    return answer


def is_clean(answer: bytes, *statuses: int) -> bool:
    """Whether an answer is one of these errors, or nothing at all."""
    assert b"Traceback" not in answer
    return not answer or int(answer.split()[1]) in statuses


@pytest.mark.parametrize(
    "content",
    [
        b"\0" * 1000,
        b"\xff" * 100_000,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x11" * 500,  # a TLS greeting
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",  # no Host
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: a\r\n" * 50_000 + b"\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1e3\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
    ids=lambda content: repr(content[:40]),
)
def test_what_is_no_http(server: Served, content: bytes):
    assert is_clean(exchange(server, content), 400, 403, 405, 431)


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "/..%2f..%2fetc/passwd",
        "/%2e%2e/app.py",
        "/../app.py",
        "/%00",
        "//etc/passwd",
        "/v1/models/../../app.py",
    ],
)
def test_paths_outside_the_page(server: Served, path: str):
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    answer = exchange(server, request)
    assert answer
    assert is_clean(answer, 400, 404)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "TRACE", "CONNECT", "FOO", "GET"])
def test_other_methods(server: Served, method: str):
    status, _, text = server.ask(method, TRANSCRIPTIONS, b"", {})
    assert status in (400, 403, 404, 405)
    assert not text or "Traceback" not in text


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", FORM),
        (b"{}", "application/json"),
        (b"a=b", "application/x-www-form-urlencoded"),
        (form(wav()), "multipart/form-data"),
        (form(wav()), "multipart/form-data; boundary=" + "x" * 5000),
        (form(wav()), "multipart/form-data; boundary=other"),
        (form(wav())[:-30], FORM),
        (form(wav()).replace(b'name="file"', b'nome="file"'), FORM),
        (form(wav()).replace(b"; filename", b"; felename"), FORM),
        (form(wav(), **{f"f{n}": "x" for n in range(200)}), FORM),
        (form(wav(), prompt="x" * 200_000), FORM),
        (form(wav()).replace(b"\r\n\r\n", b"\r\n" + b"X: y\r\n" * 20_000 + b"\r\n", 1), FORM),
        (form(wav())[: -len(BOUNDARY) - 6] + b"\r\n" + form(wav()), FORM),
        (b"\0" * 100_000, FORM),
    ],
    ids=range(14),
)
def test_forms_that_are_none(server: Served, body: bytes, kind: str):
    status, _, text = server.ask("POST", TRANSCRIPTIONS, body, {"Content-Type": kind})
    assert status in (400, 413, 415)
    assert json.loads(text)["error"]["type"] == "invalid_request_error"
    assert "Traceback" not in text


@pytest.mark.parametrize("content", [b"", b"RIFF", b"\0" * 1000, b"fLaC" + b"\xff" * 1000, b"OggS"])
def test_files_that_are_no_sound(server: Served, content: bytes):
    status, _, text = server.post(content)
    assert (status, json.loads(text)["error"]["code"]) == (400, "invalid_audio")
    assert "/dev/fd" not in text


def test_a_bomb_of_silence_is_not_unpacked(server: Served):
    packed = io.BytesIO()
    with soundfile.SoundFile(packed, "w", 16_000, 1, format="FLAC", subtype="PCM_16") as file:
        for _ in range(120):
            file.write(np.zeros(16_000 * 60, np.int16))
    assert len(packed.getvalue()) < 2_000_000
    began = time.monotonic()
    status, _, text = server.post(packed.getvalue(), "bomb.flac")
    assert (status, json.loads(text)["error"]["code"]) == (413, "audio_too_long")
    assert time.monotonic() - began < 5


def test_idle_connections_lock_nobody_out(server: Served):
    sockets = []
    try:
        for number in range(3 * CONNECTIONS):
            sockets.append(server.connect())
            if number % CONNECTIONS == 0:
                assert server.get("/healthz")[0] == 200
        assert server.metric("process_open_fds") < CONNECTIONS + 100
        assert server.post(wav())[0] == 200
    finally:
        for connection in sockets:
            connection.close()


def test_a_head_that_never_ends_is_dropped(server: Served):
    with server.connect() as connection:
        began = time.monotonic()
        connection.settimeout(10 * IDLE_S)
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
        assert_dropped(connection, b"X: a\r\n")
        assert time.monotonic() - began < 3 * IDLE_S


def test_a_second_head_that_never_ends_is_dropped(server: Served):
    with server.connect() as connection:
        connection.settimeout(10 * IDLE_S)
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"200" in connection.recv(65536)
        assert_dropped(connection, b"X")


def assert_dropped(connection: socket.socket, drop: bytes) -> None:
    """Send a byte now and then until the server has had enough."""
    limit = time.monotonic() + 4 * IDLE_S
    connection.settimeout(0.2)
    while time.monotonic() < limit:
        try:
            connection.sendall(drop)
            if not connection.recv(1000):
                return
        except TimeoutError:
            continue
        except OSError:
            return
    raise AssertionError("the connection is still open")


def test_a_body_that_drips_is_dropped(server: Served):
    body = form(wav())
    with server.connect() as connection:
        connection.sendall(head_of(body))
        began = time.monotonic()
        connection.settimeout(0.5)
        answer = b""
        for byte in body:
            connection.sendall(bytes([byte]))
            try:
                answer = connection.recv(65536)
            except TimeoutError:
                continue
            break
        assert b" 408 " in answer
        assert time.monotonic() - began < 3 * IDLE_S


def test_a_body_that_is_not_wanted_is_not_waited_for(server: Served):
    with server.connect() as connection:
        connection.sendall(head_of(form(wav()), host="evil"))
        assert b" 403 " in connection.recv(65536)
        assert_dropped(connection, b"x")


def test_half_closed_connections_end(server: Served):
    with server.connect() as connection:
        connection.sendall(b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: localhost\r\n")
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(4 * IDLE_S)
        assert is_clean(connection.recv(65536), 400)


def upgrade(server: Served) -> socket.socket:
    connection = server.connect()
    connection.sendall(UPGRADE)
    assert b" 101 " in connection.recv(4096)
    connection.settimeout(4 * IDLE_S)
    return connection


def frame(opcode: int, payload: bytes, *, masked: bool = True, length: int | None = None) -> bytes:
    size = len(payload) if length is None else length
    head = bytes([0x80 | opcode, (0x80 if masked else 0) | 127]) + struct.pack("!Q", size)
    return head + (b"\0\0\0\0" if masked else b"") + payload


@pytest.mark.parametrize(
    "content",
    [
        frame(1, b"{}", masked=False),
        frame(3, b""),  # a reserved opcode
        frame(0, b"a"),  # a continuation of nothing
        frame(2, b"", length=1 << 40),
        frame(2, b"", length=(1 << 64) - 1),
        frame(9, b"a" * 200),  # a ping that is too long
        frame(1, b"\xff\xfe"),  # not UTF-8
        b"\xf1\x80\0\0\0\0",  # bits that no extension uses
        frame(8, b"\0"),  # half a code
        b"GET / HTTP/1.1\r\n\r\n",
        b"\0" * 10_000,
        b"",
        b"\x82",
    ],
    ids=range(13),
)
def test_frames_out_of_protocol(server: Served, content: bytes):
    with upgrade(server) as connection:
        connection.sendall(content)
        received = b""
        try:
            while piece := connection.recv(65536):
                received += piece
        except ConnectionResetError:
            pass
        assert b"Traceback" not in received
    wait_until(lambda: server.metric("asr_live_sessions") == 0)


def test_websockets_that_say_nothing_take_no_more_than_their_share(server: Served):
    sockets = []
    try:
        sockets += (upgrade(server) for _ in range(8 + 32))
        with server.connect() as connection:
            connection.sendall(UPGRADE)
            assert b" 429 " in connection.recv(4096)
        assert server.post(wav())[0] == 200
    finally:
        for connection in sockets:
            connection.close()
    wait_until(lambda: server.metric("process_open_fds") < 50)
    upgrade(server).close()


def test_a_message_that_unpacks_to_much_is_not_agreed_on(server: Served):
    with server.connect() as connection:
        connection.sendall(
            b"GET /v1/listen HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Extensions: permessage-deflate\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        assert b"permessage-deflate" not in connection.recv(4096)

"""Live sessions with a WebSocket client, against asr-serve with the English model."""

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from socket import SHUT_RDWR

import numpy as np
import pytest
import soundfile
import soxr
from folders import SAMPLES
from serving import RATE_HZ, Served, serving, wait_until

client = pytest.importorskip("websockets.sync.client")
exceptions = pytest.importorskip("websockets.exceptions")
SPEECH, _ = soundfile.read(SAMPLES / "quickstart.flac", dtype="float32")
TEXT = "HE SAID THAT HE WAS NOT IN THE HOUSE THAT NIGHT"


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    options = ("--workers", 1, "--live-sessions", 3, "--idle-s", 2)
    with serving(*options) as served:
        yield served


def pcm(waveform: np.ndarray) -> bytes:
    return (waveform * 32767).astype("<i2").tobytes()


def with_pause(rate_hz: int = RATE_HZ) -> np.ndarray:
    noise = 1e-4 * np.random.default_rng(0).standard_normal(2 * RATE_HZ).astype(np.float32)
    sound = np.concatenate([SPEECH, noise])
    return sound if rate_hz == RATE_HZ else soxr.resample(sound, RATE_HZ, rate_hz)


def connect(server: Served, **options: object):
    return client.connect(f"ws://127.0.0.1:{server.port}/v1/listen", proxy=None, **options)


def listen(
    server: Served, sounds: list[bytes], *, wait_after: int = 0, **start: object
) -> list[dict]:
    """Send sound in pieces; return all messages.

    After `wait_after` pieces, wait for a message. A busy server hears all that has arrived at once,
    and words that it hears with the end of speech are never partial.
    """
    with connect(server) as socket:
        socket.send(json.dumps({"type": "start", **start}))
        ready = json.loads(socket.recv())
        if ready["type"] != "ready":
            return [ready]
        for sound in sounds[:wait_after]:
            socket.send(sound)
        early = [json.loads(socket.recv(timeout=60))] if wait_after else []
        for sound in sounds[wait_after:]:
            socket.send(sound)
        socket.send(json.dumps({"type": "stop"}))
        return [ready, *early, *map(json.loads, reads(socket))]


def pieces(content: bytes, size: int = 3201) -> list[bytes]:
    return [content[at : at + size] for at in range(0, len(content), size)]


def test_words_become_final_and_the_end_of_speech_is_said(server: Served):
    sounds = pieces(pcm(with_pause()))
    first, *messages, done = listen(server, sounds, wait_after=25, sample_rate=RATE_HZ)
    assert first == {"type": "ready", "version": 1}
    assert done == {"type": "done", "duration": round(len(with_pause()) / RATE_HZ, 3)}
    words = [message for message in messages if message["type"] == "words"]
    final = [word for message in words for word in message["final"]]
    assert " ".join(word["word"] for word in final) == TEXT
    assert any(message["partial"] for message in words)
    starts = [word["start"] for word in final]
    assert starts == sorted(starts)
    assert all(0 < word["confidence"] <= 1 and word["start"] < word["end"] for word in final)
    (end,) = [message for message in messages if message["type"] == "end_of_speech"]
    assert end["text"] == TEXT
    assert 0 < end["start"] < end["end"] < len(SPEECH) / RATE_HZ + 0.1
    assert [word["word"] for word in end["words"]] == TEXT.split()
    assert server.metric("asr_audio_seconds_total") > 5


@pytest.mark.parametrize("rate_hz", [44_100, 8000])
def test_any_rate_may_be_declared(server: Served, rate_hz: int):
    messages = listen(server, pieces(pcm(with_pause(rate_hz))), sample_rate=rate_hz)
    texts = [message["text"] for message in messages if message["type"] == "end_of_speech"]
    assert rate_hz < RATE_HZ or texts == [TEXT]
    assert messages[-1]["duration"] == pytest.approx(len(SPEECH) / RATE_HZ + 2, abs=0.01)


def test_opus_packets(server: Served):
    av = pytest.importorskip("av")
    codec = av.CodecContext.create("libopus", "w")
    codec.sample_rate, codec.layout, codec.format = 48_000, "mono", "s16"
    packets = []
    for block in np.array_split((with_pause(48_000) * 32767).astype(np.int16), 300):
        frame = av.AudioFrame.from_ndarray(block[None], "s16", "mono")
        frame.sample_rate = 48_000
        packets += [bytes(packet) for packet in codec.encode(frame)]
    messages = listen(server, packets, encoding="opus", sample_rate=48_000)
    assert [m["text"] for m in messages if m["type"] == "end_of_speech"] == [TEXT]


def test_opus_without_its_package_has_a_remedy(server: Served):
    try:
        import av  # noqa: F401
    except ModuleNotFoundError:
        *_, error = listen(server, [], encoding="opus", sample_rate=48_000)
        assert "asr[media]" in error["error"]["message"]


def test_sessions_at_once_get_their_own_words(server: Served):
    found: dict[int, list[dict]] = {}

    def hear(number: int) -> None:
        sound = np.concatenate([np.zeros(8000 * number, np.float32), with_pause()])
        found[number] = listen(server, pieces(pcm(sound)))

    threads = [threading.Thread(target=hear, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(3):
        (end,) = [message for message in found[number] if message["type"] == "end_of_speech"]
        assert end["text"] == TEXT
        assert end["words"][0]["start"] == pytest.approx(0.18 + number / 2, abs=0.1)


def test_one_session_too_many(server: Served):
    with ExitStack() as open_ones:
        for _ in range(3):
            socket = open_ones.enter_context(connect(server))
            socket.send(json.dumps({"type": "start"}))
            assert json.loads(socket.recv())["type"] == "ready"
        (error,) = listen(server, [])
        assert error["error"]["code"] == "too_many_sessions"
    wait_until(lambda: server.metric("asr_live_sessions") == 0)


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        (["no json"], "no JSON object"),
        (["[1]"], "no JSON object"),
        (["[" * 100_000], "no JSON object"),
        ([b"\0\0"], "no JSON object"),
        (['{"type": "stop"}'], "first message"),
        (['{"type": "start", "sample_rate": 1}'], "4000..192000"),
        (['{"type": "start", "sample_rate": "16000"}'], "4000..192000"),
        (['{"type": "start", "encoding": "mp3"}'], "pcm16, opus"),
        (['{"type": "start", "encoding": []}'], "pcm16, opus"),
        (['{"type": "start", "hotwords": "a"}'], "a list"),
        (['{"type": "start", "hotwords": [1]}'], "a list"),
        (['{"type": "start", "version": 2}'], "allowed: 1"),
        (['{"type": "start", "rate": 8000}'], "sample_rate"),
        (['{"type": "start", "hotwords": ["..."]}'], "no words"),
        (['{"type": "start"}', '{"type": "go"}'], "allowed: 'stop'"),
        ([], "no message came"),
        (['{"type": "start"}'], "no message came"),
    ],
)
def test_messages_that_are_not_allowed(server: Served, messages: list, expected: str):
    with connect(server) as socket:
        for message in messages:
            socket.send(message)
        received = [json.loads(message) for message in reads(socket)]
    assert received[-1]["type"] == "error"
    assert expected in received[-1]["error"]["message"]
    assert socket.protocol.close_code in (1008, 4408)
    wait_until(lambda: server.metric("asr_live_sessions") == 0)


def reads(socket) -> Iterator[str]:
    """All messages until the server closes, with whatever code."""
    try:
        yield from socket
    except exceptions.ConnectionClosedError:
        return


def test_a_client_that_vanishes_frees_its_session(server: Served):
    with connect(server) as socket:
        socket.send(json.dumps({"type": "start"}))
        socket.recv()
        socket.socket.shutdown(SHUT_RDWR)
    wait_until(lambda: server.metric("asr_live_sessions") == 0)


def test_a_crash_ends_its_sessions_with_an_error_and_the_next_works(server: Served):
    with connect(server) as socket:
        socket.send(json.dumps({"type": "start"}))
        assert json.loads(socket.recv())["type"] == "ready"
        for child in server.children():
            os.kill(int(child.name), signal.SIGKILL)
        received = [json.loads(message) for message in reads(socket)]
    assert received[-1]["error"]["code"] == "worker_crashed"
    wait_until(lambda: listen(server, [])[0]["type"] == "ready", 60)


def test_a_server_that_stops_ends_sessions_in_order():
    with serving("--workers", 1) as server:
        with connect(server) as socket:
            socket.send(json.dumps({"type": "start"}))
            socket.recv()
            for piece in pieces(pcm(SPEECH)):
                socket.send(piece)
            time.sleep(0.5)
            server.process.terminate()
            received = [json.loads(message) for message in reads(socket)]
        assert received[-1]["type"] == "done"
        assert [m["text"] for m in received if m["type"] == "end_of_speech"] == [TEXT]

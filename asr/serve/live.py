"""Live sessions over a WebSocket: sound in, words out. docs/reference/http.md has the messages."""

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from asr.serve.answers import word_record
from asr.serve.desks import LiveCall, LiveDesk
from asr.serve.gate import answer_to, may_use
from asr.serve.messages import Closed, Event
from asr.serve.metrics import Metrics
from asr.serve.problems import RequestError, internal_error
from asr.serve.settings import MOST_HOTWORDS, ServeSettings
from asr.serve.sound import ENCODINGS
from asr.streaming import EndOfSpeech, LiveEvent

VERSION = 1  # of the messages
MESSAGE_BYTES = 1 << 20  # of one message of a client
_RATES_HZ = range(4000, 192_001)  # of the sound of a client, such as a microphone
_NOT_STARTED = 32  # WebSockets that may be open without a session; each holds a connection
# Codes of closing a WebSocket: RFC 6455, section 7.4.1, and 1013 and 4000 and up of IANA's list.
_CLOSE = {400: 1008, 401: 4401, 408: 4408, 429: 1013, 500: 1011, 503: 1013}


@dataclass(frozen=True)
class _Start:
    """The message by which a client begins a session."""

    sample_rate: int = 16_000
    encoding: str = "pcm16"
    hotwords: tuple[str, ...] = ()

    @classmethod
    def of(cls, record: dict[str, Any]) -> "_Start":
        """Check a record.

        Raises:
            RequestError: 400, a key or value is not allowed.
        """
        given = {key: value for key, value in record.items() if key != "type"}
        version, known = given.pop("version", VERSION), [field.name for field in fields(cls)]
        if version != VERSION:
            raise _bad(f"version is {version!r:.100}; allowed: {VERSION}")
        for key in given.keys() - set(known):
            raise _bad(f"start has {key!r:.100}; allowed: version, token, {', '.join(known)}")
        rate_hz, hotwords = given.get("sample_rate", cls.sample_rate), given.get("hotwords", [])
        if type(rate_hz) is not int or rate_hz not in _RATES_HZ:
            allowed = f"{_RATES_HZ[0]}..{_RATES_HZ[-1]}"
            raise _bad(f"sample_rate is {rate_hz!r:.100}; allowed: {allowed}")
        encoding = given.get("encoding", cls.encoding)
        if encoding not in ENCODINGS:
            raise _bad(f"encoding is {encoding!r:.100}; allowed: {', '.join(ENCODINGS)}")
        are_words = isinstance(hotwords, list) and all(isinstance(word, str) for word in hotwords)
        if not are_words or len(hotwords) > MOST_HOTWORDS:
            raise _bad(f"hotwords must be a list of at most {MOST_HOTWORDS} words and phrases")
        return cls(rate_hz, encoding, tuple(word for word in hotwords if word.strip()))


class LiveSessions:
    """The endpoint of live sessions."""

    def __init__(self, desk: LiveDesk, settings: ServeSettings, metrics: Metrics) -> None:
        self._desk = desk
        self._settings = settings
        self._metrics = metrics
        self._num_open = 0

    async def __call__(self, socket: WebSocket) -> None:
        """Serve one session, unless too many connections have begun one or might."""
        if self._num_open >= self._settings.live_sessions + _NOT_STARTED:
            error = RequestError(429, "too_many_sessions", "try again later", retry_after=10)
            self._metrics.rejections.labels(error.code).inc()
            await socket.send_denial_response(answer_to(error))
            return
        self._num_open += 1
        try:
            await socket.accept()
            await self._answered(socket)
        finally:
            self._num_open -= 1

    async def _answered(self, socket: WebSocket) -> None:
        """Serve one session; tell the client if it cannot be served."""
        try:
            await self._session(socket)
        except WebSocketDisconnect:
            pass
        except RequestError as error:
            self._metrics.rejections.labels(error.code).inc()
            await _close(socket, error)
        except Exception:
            await _close(socket, internal_error())
            raise  # into the log

    async def _session(self, socket: WebSocket) -> None:
        start = await self._start(socket)
        call = await self._desk.call(start.sample_rate, start.encoding, start.hotwords)
        try:
            await socket.send_json({"type": "ready", "version": VERSION})
            async with asyncio.TaskGroup() as both:
                hearing = both.create_task(self._hear(socket, call))
                await self._tell(socket, call)
                hearing.cancel()
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None
        finally:
            await call.leave()
        await socket.close(1000)

    async def _start(self, socket: WebSocket) -> "_Start":
        """Receive the first message.

        Raises:
            RequestError: it is no `start`, has values that are not allowed, or does not come.
        """
        message = await self._received(socket)
        record = _as_record(message.get("text"))
        if record.get("type") != "start":
            raise _bad("""the first message must be {"type": "start", ...}""")
        token = str(record.pop("token", ""))
        if not may_use(self._settings, socket, token):
            raise RequestError(401, "invalid_api_key", "the token is missing or wrong")
        return _Start.of(record)

    async def _hear(self, socket: WebSocket, call: LiveCall) -> None:
        """Hand sound on until the client stops."""
        while True:
            message = await self._received(socket)
            if message.get("bytes") is not None:
                await call.send(message["bytes"])
                continue
            kind = _as_record(message.get("text")).get("type")
            if kind != "stop":
                raise _bad(f"type is {kind!r:.100}; allowed: 'stop'; sound is binary")
            await call.finish()
            return

    async def _received(self, socket: WebSocket) -> Mapping[str, Any]:
        try:
            async with asyncio.timeout(self._settings.idle_s):
                message = await socket.receive()
        except TimeoutError:
            raise RequestError(
                408, "idle", f"no message came for {self._settings.idle_s} s; send sound or stop"
            ) from None
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1006))
        return message

    async def _tell(self, socket: WebSocket, call: LiveCall) -> None:
        """Send events until the last."""
        while True:
            message = await call.receive()
            if isinstance(message, Closed):
                self._metrics.audio.labels("live").inc(message.duration)
                duration = round(message.duration, 3)
                await socket.send_json({"type": "done", "duration": duration})
                return
            if isinstance(message, Event):
                await socket.send_json(_record(message.event))


def _record(event: LiveEvent) -> dict[str, Any]:
    """Return the message for an event."""
    if isinstance(event, EndOfSpeech):
        segment = event.segment
        return {
            "type": "end_of_speech",
            "start": round(segment.start, 3),
            "end": round(segment.end, 3),
            "text": segment.text,
            "words": [word_record(word) for word in segment.words],
        }
    return {
        "type": "words",
        "final": [word_record(word) for word in event.final],
        "partial": [word_record(word) for word in event.partial],
    }


def _as_record(text: str | None) -> dict[str, Any]:
    """Return the JSON object in a text.

    Raises:
        RequestError: 400, there is none.
    """
    with suppress(ValueError, RecursionError):
        record = json.loads(text or "")
        if isinstance(record, dict):
            return record
    raise _bad("a text message is no JSON object")


def _bad(message: str) -> RequestError:
    return RequestError(400, "invalid_message", message)


async def _close(socket: WebSocket, error: RequestError) -> None:
    """Tell the client what was wrong, and close."""
    with suppress(WebSocketDisconnect, RuntimeError):  # it is closed already
        await socket.send_json({"type": "error", **error.as_dict()})
        await socket.close(_CLOSE.get(error.status, 1008), error.code)

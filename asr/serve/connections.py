"""Connections with limits: how many, how slow, and how much after an answer.

uvicorn gives a connection time without end to send its request. Here the head of a request must be
complete in time, and what still comes after an early answer must end soon. Where there are too many
connections, the oldest that waits for nothing makes room, so idle ones lock nobody out.
"""

import asyncio
import json
from contextlib import suppress
from functools import partial
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from asr.serve.problems import RequestError

HEAD_BYTES = 32 * 1024  # of a request line and its headers
_UNREAD_S = 30.0  # for the client of a live session to read
STOP = json.dumps({"type": "stop"})  # what a client of a live session sends at its end


class IdleConnections:
    """The connections of a server, and those among them that wait for no answer, oldest first.

    Args:
        most: connections at once.
        idle_s: for the head of a request, and for the rest of a body that is not wanted.
    """

    def __init__(self, most: int, idle_s: float) -> None:
        self.most = most
        self.idle_s = idle_s
        self.idle = dict["LimitedProtocol", None]()


class LimitedProtocol(H11Protocol):
    """HTTP/1.1 on one connection, with a time for each phase."""

    def __init__(self, others: IdleConnections, **options: Any) -> None:
        super().__init__(**options)
        self._others = others
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin; if there are too many, drop the oldest that is idle."""
        super().connection_made(transport)
        others = self._others
        others.idle[self] = None
        self._set_deadline()
        if len(self.connections) > others.most:
            next(iter(others.idle)).drop()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._forget()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """Handle what has arrived; a whole head stops the clock."""
        super().handle_events()
        if self.cycle is not None and not self.cycle.response_complete:
            self._forget()

    def on_response_complete(self) -> None:
        """Wait for the next request, or for the end of a body that came for nothing."""
        self._others.idle[self] = None
        self._set_deadline()
        super().on_response_complete()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Hand the connection over to another protocol, with limits of its own."""
        self._forget()
        super().handle_websocket_upgrade(event)

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP in the shape of all errors."""
        error = RequestError(400, "invalid_http", f"{msg} Send HTTP/1.1.")
        body = json.dumps(error.as_dict()).encode()
        headers = [
            ("content-type", "application/json"),
            ("content-length", str(len(body))),
            ("connection", "close"),
        ]
        with suppress(h11.LocalProtocolError):  # it has had an answer
            for part in (
                h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
                h11.Data(data=body),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(part) or b"")
        self.transport.close()

    def pause_writing(self) -> None:
        """Wait for a client that does not read its answer, but not for ever."""
        super().pause_writing()
        self._set_deadline()

    def resume_writing(self) -> None:
        """Go on."""
        super().resume_writing()
        if self not in self._others.idle:
            self._forget()

    def _set_deadline(self) -> None:
        if self._deadline:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(self._others.idle_s, self.drop)

    def _forget(self) -> None:
        self._others.idle.pop(self, None)
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None

    def drop(self) -> None:
        """End the connection at once."""
        self._forget()
        self.transport.abort()


class LiveProtocol(WebSocketsSansIOProtocol):
    """A WebSocket that ends in order when the server stops, and at once if nobody reads it."""

    _deadline: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        """Wait for a client that does not read, but not for ever."""
        super().pause_writing()
        self._deadline = self.loop.call_later(_UNREAD_S, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on."""
        super().resume_writing()
        if self._deadline:
            self._deadline.cancel()

    def shutdown(self) -> None:
        """Act as if the client had said that it has no more sound."""
        if self.handshake_complete and not self.close_sent:
            self.queue.put_nowait({"type": "websocket.receive", "text": STOP})
        else:
            super().shutdown()


def limited(most: int, idle_s: float) -> Any:
    """Return what uvicorn calls to make the protocol of a connection."""
    return partial(LimitedProtocol, IdleConnections(most, idle_s))

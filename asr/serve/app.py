"""The application: routes, errors, counts."""

import asyncio
import time
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from asr.reports import PAGES
from asr.serve.desks import LiveDesk, RecordingDesk
from asr.serve.gate import LISTEN, Gate, answer_to
from asr.serve.live import LiveSessions
from asr.serve.metrics import Metrics
from asr.serve.problems import RequestError, internal_error
from asr.serve.recordings import Transcriptions
from asr.serve.settings import ServeSettings
from asr.serve.worker import Load

PAGE = Path(__file__).parent / "page"
TRANSCRIPTIONS = "/v1/audio/transcriptions"
_COUNTED = (TRANSCRIPTIONS, "/v1/models", LISTEN, "/metrics", "/healthz", "/readyz", "/")


class Server:
    """The server behind the address: its desks, and the application that uvicorn runs.

    Args:
        settings: of the server.
        load: loads the model in a worker process.
    """

    def __init__(self, settings: ServeSettings, load: Load) -> None:
        self.metrics = Metrics()
        self.recordings = RecordingDesk(load, settings.workers, settings.queue)
        self.live = LiveDesk(load, settings.live_workers, settings.live_sessions)
        self._transcriptions = Transcriptions(self.recordings, settings, self.metrics)
        self._watch()
        self.app = Counted(Gate(self._application(settings), settings, self._refusal), self.metrics)
        self._created = int(time.time())

    async def start(self) -> None:
        """Start the worker processes; return when all have loaded the model.

        Raises:
            AsrError: the model cannot be loaded.
        """
        self.recordings.open()
        self.live.open()
        loaded, _ = await asyncio.gather(self.recordings.loaded(), self.live.loaded())
        assert loaded  # there is at least one process
        self._transcriptions.model = loaded.model

    def stop(self) -> None:
        """End the worker processes."""
        self.recordings.close()
        self.live.close()

    def _application(self, settings: ServeSettings) -> Starlette:
        live = LiveSessions(self.live, settings, self.metrics)
        return Starlette(
            routes=[
                Route(TRANSCRIPTIONS, self._transcriptions, methods=["POST"]),
                Route("/v1/models", self._models),
                Route("/v1/models/{name:path}", self._model),
                WebSocketRoute(LISTEN, live.__call__),
                Route("/healthz", self._healthz),
                Route("/readyz", self._readyz),
                Route("/metrics", self._metrics),
                Route("/base.css", lambda _: FileResponse(PAGES / "base.css")),
                Mount("/", StaticFiles(directory=PAGE, html=True)),
            ],
            exception_handlers={
                RequestError: self._refused,
                HTTPException: self._not_found,
                Exception: self._mistaken,
            },
        )

    def _watch(self) -> None:
        recordings, live, watch = self.recordings, self.live, self.metrics.watch
        watch("queue", "Recordings that arrive or wait", lambda: recordings.num_waiting)
        watch("admitted", "Recordings in all states", lambda: recordings.num_admitted)
        watch("workers_ready", "Processes that have their model", lambda: recordings.num_ready)
        watch("live_sessions", "Live sessions that are open", lambda: len(live.sessions))
        watch(
            "worker_deaths", "Processes that died", lambda: recordings.num_deaths + live.num_deaths
        )

    def _refusal(self, error: RequestError) -> Response:
        self.metrics.rejections.labels(error.code).inc()
        return answer_to(error)

    async def _refused(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestError)
        return self._refusal(error)

    async def _not_found(self, request: Request, error: Exception) -> Response:
        """Answer what has no route."""
        assert isinstance(error, HTTPException)
        message = f"{request.method} {request.url.path[:100]}: {error.detail}"
        return self._refusal(RequestError(error.status_code, "no_such_route", message))

    async def _mistaken(self, request: Request, error: Exception) -> Response:
        return self._refusal(internal_error())

    async def _models(self, request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [self._model_record()]})

    async def _model(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name != self._transcriptions.model:
            known = self._transcriptions.model
            raise RequestError(
                404, "model_not_found", f"model is {name[:100]!r}; allowed: {known}", param="model"
            )
        return JSONResponse(self._model_record())

    def _model_record(self) -> dict[str, Any]:
        return {
            "id": self._transcriptions.model,
            "object": "model",
            "created": self._created,
            "owned_by": "asr",
        }

    async def _healthz(self, request: Request) -> Response:
        """Say that the server answers at all."""
        return PlainTextResponse("ok\n")

    async def _readyz(self, request: Request) -> Response:
        """Say whether a recording would be recognised now."""
        if self.recordings.num_ready:
            return PlainTextResponse("ready\n")
        raise RequestError(503, "not_ready", "no process has loaded the model", retry_after=2)

    async def _metrics(self, request: Request) -> Response:
        return Response(self.metrics.page(), media_type="text/plain; version=0.0.4")


class Counted:
    """A layer that counts requests and measures how long they take."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and count it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.monotonic(), 500
        path = str(scope["path"])
        route = path if path in _COUNTED else "other"  # a bounded number of labels

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            self._metrics.requests.labels(route, str(status)).inc()
            self._metrics.latency.labels(route).observe(time.monotonic() - began)

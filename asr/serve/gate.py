"""Who may pass: the name of the server, the page that asks, the token. And what no answer lacks."""

import hmac
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from asr.serve.problems import RequestError
from asr.serve.settings import ServeSettings

_WITH_TOKEN = ("/v1/", "/metrics")  # the page asks for the token itself
LISTEN = "/v1/listen"
_ALWAYS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "media-src blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


class Gate:
    """A layer around an application that refuses whom the settings do not allow."""

    def __init__(
        self, app: ASGIApp, settings: ServeSettings, refusal: Callable[[RequestError], Response]
    ) -> None:
        self._app = app
        self._settings = settings
        self._refusal = refusal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        shared = origin if origin in self._settings.origins else None
        answered = _completed(send, shared)
        try:
            self._check(scope, headers)
        except RequestError as error:
            await self._refusal(error)(scope, receive, answered)
            return
        if scope["type"] == "http" and scope["method"] == "OPTIONS" and shared:
            await Response(status_code=204, headers=_preflight())(scope, receive, answered)
            return
        await self._app(scope, receive, answered)

    def _check(self, scope: Scope, headers: Mapping[str, str]) -> None:
        host, origin = headers.get("host", ""), headers.get("origin")
        names = self._settings.hosts
        if names is not None and _host_name(host) not in names:
            raise RequestError(
                403, "unknown_host", f"Host is {host[:100]!r}, which this server is not called"
            )
        if origin and origin not in (*self._settings.origins, f"http://{host}", f"https://{host}"):
            raise RequestError(
                403,
                "origin_not_allowed",
                f"a page of {origin[:100]!r} may not use this server; start it with --origin",
            )
        if _needs_token(scope) and not may_use(self._settings, HTTPConnection(scope)):
            raise RequestError(
                401, "invalid_api_key", "the token is missing or wrong; send Authorization: Bearer"
            )


def may_use(settings: ServeSettings, request: HTTPConnection, token: str = "") -> bool:
    """Return whether a request carries the token, in its head or as `token`, or none is needed.

    The time that it takes does not tell how much of a token is right.
    """
    if not settings.token:
        return True
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    sent, wanted = (token, bearer if scheme.lower() == "bearer" else ""), settings.token.encode()
    # JSON may hold lone surrogates.
    return any(hmac.compare_digest(s.strip().encode(errors="replace"), wanted) for s in sent)


def answer_to(error: RequestError) -> JSONResponse:
    """Return the response that tells a client of an error."""
    return JSONResponse(error.as_dict(), error.status, error.headers)


def _needs_token(scope: Scope) -> bool:
    """Return whether a request needs the token; browsers send that of a WebSocket inside it."""
    if scope["type"] == "websocket" or scope["method"] == "OPTIONS":
        return False
    return str(scope["path"]).startswith(_WITH_TOKEN)


def _host_name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _preflight() -> dict[str, str]:
    return {
        "Access-Control-Allow-Methods": "GET, POST",
        "Access-Control-Allow-Headers": "Authorization, Content-Type",
        "Access-Control-Max-Age": "600",
    }


def _completed(send: Send, origin: str | None) -> Send:
    """Return a `send` that adds the headers that every answer has."""

    async def complete(message: Message) -> None:
        if message["type"] in ("http.response.start", "websocket.http.response.start"):
            headers = MutableHeaders(scope=message)
            for name, value in _ALWAYS.items():
                headers.setdefault(name, value)
            headers["Vary"] = "Origin"
            if origin:
                headers["Access-Control-Allow-Origin"] = origin
                headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        await send(message)

    return complete

"""Run the server until a signal ends it."""

import asyncio
import logging
import os
import socket
import sys
from contextlib import suppress
from functools import partial

import uvicorn

from asr._progress import say
from asr.errors import ConfigError
from asr.options import Decoding
from asr.serve.app import Server
from asr.serve.connections import HEAD_BYTES, LiveProtocol, limited
from asr.serve.live import MESSAGE_BYTES
from asr.serve.settings import ServeSettings
from asr.serve.worker import Load, Model

_FILES = 200  # that the server opens besides connections and uploads


def serve(decoding: Decoding, settings: ServeSettings) -> None:
    """Serve a model until SIGINT or SIGTERM; then finish what runs.

    Raises:
        AsrError: the model cannot be loaded, the address cannot be used, or this is Windows.
    """
    if sys.platform == "win32":
        raise ConfigError(
            "does not run on Windows, where no process can hand an open file to another; "
            "run it in WSL or Docker"
        )
    run_server(partial(Model, decoding), settings)


def run_server(load: Load, settings: ServeSettings) -> None:
    """Serve what `load` loads in each worker process; errors as of `serve`."""
    _quieten()
    _allow_files(settings.connections + 2 * settings.queue + _FILES)
    with suppress(KeyboardInterrupt):  # the usual way to stop it: no error
        asyncio.run(_run(load, settings))


async def _run(load: Load, settings: ServeSettings) -> None:
    server = Server(settings, load)
    running = _Uvicorn(_config(server, settings))
    try:
        await server.start()
        await running.serve()
    except SystemExit as left:  # by uvicorn, on an error of the address
        where = f"{settings.host}, port {settings.port}"
        why = _why(left.__context__)
        raise ConfigError(
            f"cannot listen on {where} ({why}); give another --host or --port"
        ) from None
    finally:
        server.stop()


def _why(error: BaseException | None) -> str:
    """Return the system's words for an error; those of asyncio name the address once more."""
    if isinstance(error, OSError) and (error.errno or 0) > 0:
        return os.strerror(error.errno or 0)
    return getattr(error, "strerror", None) or str(error)


class _Uvicorn(uvicorn.Server):
    """uvicorn, which says where it listens."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the address, and print it."""
        await super().startup(sockets)
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            shown = f"[{host}]" if ":" in host else host
            say(f"asr-serve: listening on http://{shown}:{port}/")


def _config(server: Server, settings: ServeSettings) -> uvicorn.Config:
    return uvicorn.Config(
        server.app,
        host=settings.host,
        port=settings.port,
        http=limited(settings.connections, settings.idle_s),
        ws=LiveProtocol,
        ws_max_size=MESSAGE_BYTES,
        ws_per_message_deflate=False,  # a small message could unpack to a large one
        lifespan="off",
        log_level="error",
        access_log=False,  # who asked for what is nobody's business
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=settings.grace_s,
        h11_max_incomplete_event_size=HEAD_BYTES,
        loop="asyncio",
    )


def _quieten() -> None:
    """Keep out of the log mistakes of clients, and errors of the address, which `_run` tells."""
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)
    logging.getLogger("uvicorn.error").addFilter(_belongs_in_the_log)


def _belongs_in_the_log(record: logging.LogRecord) -> bool:
    told = isinstance(record.msg, OSError)  # where the address cannot be used
    return not told and not record.getMessage().startswith("Invalid UTF-8 sequence")


def _allow_files(number: int) -> None:
    """Allow this process to open so many files, if the system lets it."""
    if sys.platform == "win32":  # which has no such limit
        return
    import resource  # which Windows has not

    with suppress(ValueError, OSError):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft < number:
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(number, hard), hard))

"""asr-serve: the recogniser behind an address, and a page that listens."""

import argparse
import os
import sys
from pathlib import Path

from asr._install import install
from asr.batch import most_workers
from asr.cli.decoding import add_options, add_readable, chosen
from asr.cli.run import CommandParser, given_model, run
from asr.errors import MissingDependencyError
from asr.serve import ServeSettings, read_token

_PACKAGES = {"starlette", "uvicorn", "h11", "python_multipart", "websockets", "prometheus_client"}
_DEFAULT = ServeSettings()
_LIMITS = {
    "upload_mb": "megabytes of an upload",
    "audio_s": "seconds of a recording",
    "queue": "recordings that wait for a process, or are still arriving",
    "request_s": "seconds from a request to its answer",
    "live_sessions": "live sessions at once",
    "idle_s": "seconds without a byte from a client that should send",
    "connections": "connections at once",
    "grace_s": "seconds to finish what runs, when the server is told to stop",
}


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = CommandParser(
        "asr-serve",
        description="Serve recognition over HTTP and WebSocket, with a page for browsers.",
    )
    parser.add_argument(
        "--model", type=Path, help="bundle or experiment, a folder or a name; default: English"
    )
    parser.add_argument(
        "--host", default=_DEFAULT.host, help="address to listen on; default: this machine only"
    )
    parser.add_argument(
        "--port", type=int, default=_DEFAULT.port, help="default: %(default)s; 0: any that is free"
    )
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="processes for recordings, each with a model; default: one a core, at most 8",
    )
    parser.add_argument(
        "--live-workers",
        type=int,
        metavar="N",
        default=_DEFAULT.live_workers,
        help="processes for live sessions, which share them; default: %(default)s",
    )
    _add_access(parser)
    group = parser.add_argument_group("limits, each with a clear answer to what is beyond it")
    for name, described in _LIMITS.items():
        group.add_argument(
            f"--{name.replace('_', '-')}",
            type=int,
            metavar="N",
            default=getattr(_DEFAULT, name),
            help=f"{described}; default: %(default)s",
        )
    add_readable(parser)
    add_options(parser)
    return run("asr-serve", lambda: serve_as(parser.parse_args(argv)))


def _add_access(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("who may use it")
    group.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help="a secret that clients must send as Authorization: Bearer; one line, chmod 600",
    )
    group.add_argument(
        "--open", action="store_true", help="let other machines use it without a token"
    )
    group.add_argument(
        "--origin",
        action="append",
        default=[],
        metavar="URL",
        help="a web page elsewhere that may use it, such as https://example.org; may be repeated",
    )


def serve_as(arguments: argparse.Namespace) -> int:
    """Serve until a signal; return 0.

    Raises:
        MissingDependencyError: the packages of the extra `serve` are not installed.
    """
    settings = ServeSettings(
        host=arguments.host,
        port=arguments.port,
        workers=most_workers() if arguments.workers is None else arguments.workers,
        live_workers=arguments.live_workers,
        token=read_token(arguments.token_file) if arguments.token_file else None,
        open=arguments.open,
        origins=tuple(arguments.origin),
        **{name: getattr(arguments, name) for name in _LIMITS},
    )
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # the worker processes inherit them
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if arguments.model:
        given_model("--model", arguments.model)
    decoding = chosen(arguments).resolve(arguments.model)
    try:
        from asr.serve import serve
    except ModuleNotFoundError as error:
        if error.name not in _PACKAGES:
            raise
        raise MissingDependencyError(
            f"needs the package {error.name}; install it: {install('serve')}"
        ) from error
    serve(decoding, settings)
    return 0


if __name__ == "__main__":
    sys.exit(main())

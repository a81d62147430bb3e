"""Settings of the server: where it listens, who may use it, and its limits."""

import os
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from asr.errors import ConfigError

MOST_HOTWORDS = 1000  # of a recording or a live session
_SHORTEST_TOKEN = 16


@dataclass(frozen=True, kw_only=True)
class ServeSettings:
    """The settings of a server.

    Raises:
        ConfigError: a value is not allowed, or other machines could use the server without a token
            although `open` does not say so.
    """

    host: str = "127.0.0.1"
    port: int = 8000  # 0: any that is free
    workers: int = 1  # processes for recordings
    live_workers: int = 1  # processes for live sessions; 0: none are taken
    token: str | None = None  # what clients must send as "Authorization: Bearer TOKEN"
    open: bool = False  # whether others may use it without a token
    origins: tuple[str, ...] = ()  # of other web pages that may use it
    upload_mb: int = 200
    audio_s: int = 7200  # longest recording
    queue: int = 32  # recordings that wait for a process, or are still arriving
    request_s: int = 1800  # from the request to its answer
    live_sessions: int = 8
    idle_s: int = 20  # without a byte from a client that should send
    connections: int = 1000  # at once, those without a request included
    grace_s: int = 30  # after SIGTERM, to finish what runs

    def __post_init__(self) -> None:
        least = {"port": 0, "live_workers": 0, "queue": 0, "grace_s": 0, "live_sessions": 0}
        for name, value in vars(self).items():
            if type(value) is int and value < least.get(name, 1):
                raise ConfigError(f"{name} is {value}; allowed: {least.get(name, 1)} or more")
        if self.port > 65_535:
            raise ConfigError(f"port is {self.port}; allowed: 0..65535")
        for origin in self.origins:
            parts = urlsplit(origin)
            if (
                parts.scheme not in ("http", "https")
                or origin != f"{parts.scheme}://{parts.netloc}"
            ):
                raise ConfigError(
                    f"origin is {origin!r}; write it as https://HOST or https://HOST:PORT"
                )
        if not (self.is_local or self.token or self.open):
            raise ConfigError(
                f"--host {self.host} lets other machines use the server; add --token-file FILE, or "
                "--open if anybody may use it"
            )

    @property
    def is_local(self) -> bool:
        """Whether only programs of this machine can reach the server."""
        try:
            return self.host == "localhost" or ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def hosts(self) -> frozenset[str] | None:
        """The names by which clients may call a local server; None allows all.

        A web page elsewhere can have its own name resolved to this machine (DNS rebinding). Its
        requests then come from this machine, but they carry its name.
        """
        if not self.is_local:
            return None
        named = {urlsplit(origin).hostname or "" for origin in self.origins}
        return frozenset({"localhost", "127.0.0.1", "::1", self.host, *named})


def read_token(path: Path) -> str:
    """Read the token in a file, which not everybody must be able to read.

    Raises:
        ConfigError: the file cannot be read, everybody may read it, or the token is no good one.
    """
    try:
        token = path.read_text(encoding="ascii").strip()
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"--token-file {path}: cannot be read ({error}); give a text file"
        ) from error
    if os.name == "posix" and mode & 0o007:
        raise ConfigError(f"--token-file {path}: everybody may read it; run chmod 600 {path}")
    if len(token) < _SHORTEST_TOKEN or not token.isprintable() or " " in token:
        raise ConfigError(
            f"--token-file {path}: holds {len(token)} characters; write one line of at least "
            f"{_SHORTEST_TOKEN} without spaces, such as `openssl rand -hex 32` prints"
        )
    return token

"""Servers for tests, in processes of their own, and plain clients.

As a script it serves a stand-in for a model. The first sample of a recording says what happens:
see WHAT. The text of a good recording is its length in samples.
"""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from asr.errors import CheckpointError
from asr.formats import Segment, Word

RATE_HZ = 16_000
GOOD, DIE, SLOW, BUG, STUBBORN, BRIEF = 0, 1, 2, 3, 4, 5
BOUNDARY = "frontier"
FORM = f"multipart/form-data; boundary={BOUNDARY}"
TRANSCRIPTIONS = "/v1/audio/transcriptions"
LOOPBACK = "127.0.0.1"


class FakeRecognizer:
    """Does what the first sample of a recording says."""

    writer = None  # texts stay as they are

    def __init__(self, hotwords: tuple[str, ...]) -> None:
        self.hotwords = hotwords

    def segments(
        self, path: Path, *, words: bool, progress: Callable[[float, float], None]
    ) -> Iterator[Segment]:
        samples, rate_hz = soundfile.read(path, dtype="int16")
        what, duration = int(samples[0]), len(samples) / rate_hz
        if what == DIE:
            os.kill(os.getpid(), signal.SIGKILL)
        if what == BUG:
            raise ZeroDivisionError("a secret of the server")
        if what == BRIEF:
            time.sleep(1)
        if what == STUBBORN:
            time.sleep(600)
        while what == SLOW:
            progress(0.0, duration)
            time.sleep(0.02)
        text = " ".join([str(len(samples)), *self.hotwords])
        timed = tuple(Word(word, 0.0, duration, 0.5) for word in text.split())
        yield Segment(text, 0.0, duration, timed if words else ())
        progress(duration, duration)


class FakeModel:
    """Stands for asr.serve.worker.Model."""

    name = "fake"
    language = "unknown"

    def recognizer(self, hotwords: tuple[str, ...] = ()) -> FakeRecognizer:
        return FakeRecognizer(hotwords)


def load_damaged() -> FakeModel:
    raise CheckpointError("exp: is damaged")


@dataclass
class Served:
    """A server that is running."""

    process: subprocess.Popen[str]
    port: int
    token: str = ""
    log: list[str] = field(default_factory=list)
    timeout_s: float = 60.0  # for an answer

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def get(self, path: str, **headers: str) -> tuple[int, dict[str, str], str]:
        return self.ask("GET", path, b"", headers)

    def post(
        self, wav: bytes, name: str = "a.wav", **fields: str | list[str]
    ) -> tuple[int, dict[str, str], str]:
        """Send a recording as a form."""
        body = form(wav, name, **fields)
        return self.ask("POST", TRANSCRIPTIONS, body, {"Content-Type": FORM})

    def ask(
        self, method: str, path: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int, dict[str, str], str]:
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=self.timeout_s)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            lowered = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, lowered, answer.read().decode()
        finally:
            connection.close()

    def connect(self) -> socket.socket:
        return socket.create_connection((LOOPBACK, self.port), timeout=30)

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels."""
        page = self.get("/metrics", Authorization=f"Bearer {self.token}")[2]
        found = re.findall(rf"^{name}(?:{{.*}})? (\S+)$", page, re.MULTILINE)
        return sum(map(float, found))

    def children(self) -> list[Path]:
        """The folders in /proc of its worker processes."""
        return [path for path in Path("/proc").glob("[0-9]*") if self._is_worker(path)]

    def _is_worker(self, path: Path) -> bool:
        with suppress(OSError):
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            return parent == self.process.pid and "spawn_main" in (path / "cmdline").read_text()
        return False


def form(content: bytes, name: str = "a.wav", **fields: str | list[str]) -> bytes:
    """A form with a file and other fields."""
    parts = []
    for field_name, values in fields.items():
        for value in [values] if isinstance(values, str) else values:
            head = f'Content-Disposition: form-data; name="{field_name}"'
            parts.append(f"--{BOUNDARY}\r\n{head}\r\n\r\n{value}\r\n".encode())
    head = f'Content-Disposition: form-data; name="file"; filename="{name}"'
    parts.append(f"--{BOUNDARY}\r\n{head}\r\n\r\n".encode() + content + b"\r\n")
    return b"".join([*parts, f"--{BOUNDARY}--\r\n".encode()])


def head_of(body: bytes, host: str = "localhost") -> bytes:
    """The head of a request that sends a form."""
    return (
        f"POST {TRANSCRIPTIONS} HTTP/1.1\r\nHost: {host}\r\n"
        f"Content-Length: {len(body)}\r\nContent-Type: {FORM}\r\n\r\n"
    ).encode()


def wav(what: int = GOOD, num_samples: int = RATE_HZ) -> bytes:
    """A recording for the fake model: silence, but for the first sample."""
    samples = np.zeros(num_samples, "<i2")
    samples[0] = what
    size = samples.nbytes
    head = b"RIFF" + (36 + size).to_bytes(4, "little") + b"WAVEfmt \x10\0\0\0\1\0\1\0"
    rates = RATE_HZ.to_bytes(4, "little") + (2 * RATE_HZ).to_bytes(4, "little") + b"\2\0\x10\0"
    return head + rates + b"data" + size.to_bytes(4, "little") + samples.tobytes()


@contextmanager
def serving(
    *options: object, fake: bool = False, token: str = "", plain: bool = True
) -> Iterator[Served]:
    """Run asr-serve with these options, or a server of the fake model; stop it in order."""
    real = ["-m", "asr.cli.serve", "--port", "0", *(["--plain"] if plain else [])]
    script = [__file__] if fake else real
    process = subprocess.Popen(
        [sys.executable, *script, *map(str, options)], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr
    try:
        lines = []
        for line in process.stderr:
            lines.append(line)
            if found := re.search(r"listening on http://.*:(\d+)/", line):
                break
        else:
            raise AssertionError("".join(lines))
        yield Served(process, int(found[1]), token, lines)
    finally:
        process.terminate()
        lines += process.communicate(timeout=60)[1].splitlines(keepends=True)


def wait_until(true: Callable[[], Any], seconds: float = 20.0) -> None:
    """Wait until something is true."""
    limit = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < limit, "it never became true"
        time.sleep(0.05)


def main() -> None:
    """Serve the fake model with the settings in the argument."""
    from asr.cli.run import run
    from asr.serve import ServeSettings, run_server

    changes = json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}
    load = load_damaged if changes.pop("damaged", False) else FakeModel
    settings = ServeSettings(**{"port": 0, "live_workers": 0, **changes})

    def serve() -> int:
        run_server(load, settings)
        return 0

    sys.exit(run("fake", serve))


if __name__ == "__main__":
    # Worker processes import the stand-ins by the name of this module.
    from serving import main as main_of_module

    main_of_module()

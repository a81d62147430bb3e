"""Show progress bars and messages on stderr; bars only on a terminal."""

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TypeVar

from tqdm import tqdm

from asr._streams import escaped, silence

T = TypeVar("T")
_TICK_S = 0.5


def progress(
    items: Iterable[T], title: str, total: int | None = None, *, shown: bool = True
) -> Iterator[T]:
    """Iterate with a bar on stderr, if it is to be shown and stderr is a terminal.

    Args:
        items: to be done.
        title: what is done.
        total: the number of items, where they do not tell it themselves.
        shown: whether there is to be a bar.
    """
    hidden = not (shown and _is_terminal())
    return iter(tqdm(items, title, total, leave=False, disable=hidden))


@contextmanager
def waiting(title: str) -> Iterator[None]:
    """Show a title and the time that has passed, for work that does not tell how far it is.

    Nothing is shown unless stderr is a terminal.
    """
    if not _is_terminal():
        yield
        return
    done = threading.Event()
    with tqdm(desc=title, leave=False, bar_format="{desc} {elapsed}") as bar:

        def tick() -> None:
            while not done.wait(_TICK_S):
                bar.refresh()

        clock = threading.Thread(target=tick, daemon=True)
        clock.start()
        try:
            yield
        finally:
            done.set()
            clock.join()


@contextmanager
def seconds_bar(title: str, total: float) -> Iterator[Callable[[float], None]]:
    """Show a bar over so many seconds of sound; yield a function that adds seconds that are done.

    Nothing is shown unless stderr is a terminal.
    """
    form = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}"
    hidden = not _is_terminal()
    with tqdm(desc=title, total=total, leave=False, disable=hidden, bar_format=form) as bar:

        def add(seconds: float) -> None:
            bar.update(min(seconds, total - bar.n) if not hidden else 0)

        yield add


class RecordingsBar:
    """A bar for recordings: the number done, the speed in times real time, and the time left.

    Progress is measured in bytes, because a recording's length is unknown until it is read. While
    one is recognised, it counts by the share of its seconds that are done.
    """

    def __init__(self, title: str, num_recordings: int, num_bytes: int) -> None:
        self._num_recordings = num_recordings
        self._done = 0
        self._audio_s = 0.0
        self._begun: dict[int, tuple[float, float]] = {}  # bytes and seconds of recordings, by job
        self._started = time.monotonic()
        self._bar = tqdm(
            desc=title,
            total=num_bytes,
            leave=False,
            disable=not _is_terminal(),
            bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}",
        )

    def __enter__(self) -> "RecordingsBar":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._bar.close()

    def advance(self, num_bytes: int, audio_s: float = 0.0, job: int = 0) -> None:
        """Count a recording as done, of which audio_s seconds were recognised.

        Args:
            num_bytes: of the recording.
            audio_s: its seconds.
            job: its number, as it was given to `within`.
        """
        part_bytes, _ = self._begun.pop(job, (0.0, 0.0))
        self._done += 1
        self._audio_s += audio_s
        self._show(num_bytes - part_bytes)

    def within(self, job: int, num_bytes: int, done_s: float, total_s: float | None) -> None:
        """Show how far a recording is: by its seconds, if their number is known."""
        part_bytes, _ = self._begun.get(job, (0.0, 0.0))
        share = min(1.0, done_s / total_s) if total_s else 0.0
        self._begun[job] = (max(part_bytes, share * num_bytes), done_s)
        self._show(self._begun[job][0] - part_bytes)

    def _show(self, num_bytes: float) -> None:
        self._bar.set_postfix_str(f"{self._done}/{self._num_recordings}, {self.speed()}", False)
        self._bar.update(num_bytes)

    def speed(self) -> str:
        """Return the speed of recognition so far, such as "12 times real time"."""
        seconds = self._audio_s + sum(done_s for _, done_s in self._begun.values())
        factor = seconds / max(time.monotonic() - self._started, 1e-3)
        return f"{factor:.3g} times real time"


def counted(count: int, noun: str, plural: str = "") -> str:
    """Return a count with its noun, "1 epoch" or "2 epochs"; the usual plural ends in s."""
    return f"{count} {noun if count == 1 else plural or f'{noun}s'}"


def say(*lines: str) -> None:
    """Print lines on stderr without breaking a progress bar; control characters are escaped.

    Where stderr is closed or full, the lines are lost and the work goes on.
    """
    if sys.stderr is None:
        return
    try:
        for line in lines:
            tqdm.write(escaped(line), file=sys.stderr)
    except OSError:
        silence(sys.stderr)


def _is_terminal() -> bool:
    """Return whether somebody watches stderr, which is None in a process without any."""
    return sys.stderr is not None and sys.stderr.isatty()

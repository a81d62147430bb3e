"""Show progress bars and messages on stderr; bars only on a terminal."""

import sys
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import TypeVar

from tqdm import tqdm

from asr._streams import escaped, silence

T = TypeVar("T")


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


class RecordingsBar:
    """A bar for recordings: the number done, the speed in times real time, and the time left.

    Progress is measured in bytes, because a recording's length is unknown until it is read.
    """

    def __init__(self, title: str, num_recordings: int, num_bytes: int) -> None:
        self._num_recordings = num_recordings
        self._done = 0
        self._audio_s = 0.0
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

    def advance(self, num_bytes: int, audio_s: float = 0.0) -> None:
        """Count one more recording as done, of which audio_s seconds were recognised."""
        self._done += 1
        self._audio_s += audio_s
        self._bar.set_postfix_str(f"{self._done}/{self._num_recordings}, {self.speed()}", False)
        self._bar.update(num_bytes)

    def speed(self) -> str:
        """Return the speed of recognition so far, such as "12 times real time"."""
        factor = self._audio_s / max(time.monotonic() - self._started, 1e-3)
        return f"{factor:.3g} times real time"


def say(message: str) -> None:
    """Print one line on stderr without breaking a progress bar; control characters are escaped.

    Where stderr is closed or full, the message is lost and the work goes on.
    """
    if sys.stderr is None:
        return
    try:
        tqdm.write(escaped(message), file=sys.stderr)
    except OSError:
        silence(sys.stderr)


def _is_terminal() -> bool:
    """Return whether somebody watches stderr, which is None in a process without any."""
    return sys.stderr is not None and sys.stderr.isatty()

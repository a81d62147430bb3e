"""Signals that ask the program to stop: it finishes its step, saves, and ends."""

import os
import signal
import sys
from contextlib import suppress
from types import FrameType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM)
HEARD = b"""
stopping as soon as this step or validation is done
Ctrl-C again stops at once; --resume then goes on from the last save
"""


class StopRequest:
    """A context whose `signal` is the SIGINT or SIGTERM that came; a second one acts at once.

    Args:
        told: whether this process says that the signal was heard; one of a group does.
    """

    def __init__(self, *, told: bool) -> None:
        self.told = told
        self.signal: signal.Signals | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _: FrameType | None) -> None:
        self.signal = signal.Signals(number)
        signal.signal(number, self._before[number])
        if self.told and sys.stderr is not None:
            with suppress(OSError):  # by the descriptor: the signal may interrupt another print
                os.write(2, HEARD)

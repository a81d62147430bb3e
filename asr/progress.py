"""Bars and messages on stderr; bars only where a person watches."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")


def progress(items: Iterable[T], title: str, *, shown: bool = True) -> Iterator[T]:
    """Iterate with a bar on stderr; silent when it is not to be shown, or stderr no terminal."""
    return iter(tqdm(items, title, leave=False, disable=not (shown and sys.stderr.isatty())))


def say(message: str) -> None:
    """Print one line on stderr, without tearing a bar."""
    tqdm.write(message, file=sys.stderr)

"""Bars and messages on stderr; bars only where a person watches."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")


def progress(items: Iterable[T], title: str, total: int | None = None) -> Iterator[T]:
    """Iterate with a bar on stderr; silent when stderr is not a terminal."""
    return iter(tqdm(items, title, total=total, leave=False, disable=not sys.stderr.isatty()))


def say(message: str) -> None:
    """Print one line on stderr, without tearing a bar."""
    tqdm.write(message, file=sys.stderr)

"""-o FILE: what a command would print goes into a file, which is whole or not there."""

import io
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

from asr._atomic import created_atomically


def printed_into(path: Path | None, body: Callable[[], int]) -> int:
    """Run the body of a command, with a file in place of standard output if a path is given.

    The file gets its name when the body is done. An exception leaves no file, or the old one.

    Raises:
        OSError: the file cannot be written.
    """
    if path is None:
        return body()
    with created_atomically(path) as raw:
        text = io.TextIOWrapper(raw, encoding="utf-8", newline="\n")
        with redirect_stdout(text):
            status = body()
        text.detach()  # flushes, and leaves the file to created_atomically
    return status

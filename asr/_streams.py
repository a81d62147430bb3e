"""Standard streams that may be closed, full, or unable to show a character.

Names of files, texts of models and answers of servers may hold control characters, which a terminal
obeys: they can clear the screen, change its title, or make one text look like another. So all that
is printed goes through `put` (standard output) or `asr._progress.say` (standard error), which write
such characters as JSON does, \\uXXXX. JSON that is printed keeps its meaning.
"""

import codecs
import errno
import io
import os
import re
import sys
from contextlib import suppress
from typing import TextIO, cast

from asr.errors import ConfigError

_ERRORS = "asr_escape"  # the name of `_unencodable` among Python's error handlers
_INVISIBLE = (
    r"\x00-\x1f\x7f-\x9f"  # C0, DEL, C1
    r"\u2028\u2029"  # separators of lines and paragraphs
    r"\u202a-\u202e\u2066-\u2069"  # change the direction of the text that follows
    r"\ud800-\udfff"  # bytes of a name that are no text
)
_CONTROLS = re.compile(f"[{_INVISIBLE}]")


def escaped(text: str) -> str:
    """Return text with \\uXXXX for each control character, line breaks among them."""
    return _CONTROLS.sub(lambda found: _escape(found[0]), text)


def put(*lines: str) -> None:
    """Print lines on standard output at once, each as one line: control characters are escaped.

    Tabs stay.

    Raises:
        ConfigError: standard output is closed or full.
        BrokenPipeError: its reader has gone away.
    """
    put_part("".join(line.replace("\n", _escape("\n")) + "\n" for line in lines))


def put_part(text: str) -> None:
    """Print text on standard output as `put` does, but keep its line breaks and add none."""
    _write(_CONTROLS.sub(lambda found: found[0] if found[0] in "\t\n" else _escape(found[0]), text))


def flush_output() -> None:
    """Write what standard output holds back, such as the help of argparse; errors as of `put`."""
    _write("")


def prepare_streams() -> None:
    """Make the standard streams usable, whatever they are.

    A closed standard input or output is replaced by one that fails when it is used, so that nothing
    is lost in silence; a closed standard error by one that drops messages. Their numbers are taken,
    so that no file of the program gets them. Characters that standard output cannot encode are
    escaped.
    """
    codecs.register_error(_ERRORS, _unencodable)
    if sys.stdin is None:
        sys.stdin = _on_null(0, os.O_WRONLY, "r")
    if sys.stdout is None:
        sys.stdout = _on_null(1, os.O_RDONLY, "w")
    if sys.stderr is None:
        sys.stderr = _on_null(2, os.O_WRONLY, "w")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ERRORS)


def silence(stream: TextIO) -> None:
    """Drop all that a stream still holds and will get: it has failed."""
    with suppress(OSError), open(os.devnull, "wb") as null:  # noqa: PTH123
        os.dup2(null.fileno(), stream.fileno())


def _write(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        silence(sys.stdout)
        raise
    except OSError as error:
        silence(sys.stdout)
        why = "it is closed" if error.errno == errno.EBADF else error.strerror
        raise ConfigError(
            f"standard output: cannot be written ({why}); redirect it to where there is room"
        ) from error


def _on_null(number: int, flags: int, mode: str) -> TextIO:
    """Return a stream on the null device, which also takes the number of a closed stream."""
    null = os.open(os.devnull, flags)
    try:
        os.fstat(number)
    except OSError:
        os.dup2(null, number)
    os.set_inheritable(number, True)  # processes that are started need the number, too
    return cast(TextIO, open(null, mode, encoding="utf-8"))  # noqa: PTH123


def _unencodable(error: UnicodeError) -> tuple[str, int]:
    """Handle an error of encoding: return escapes, and where to go on."""
    assert isinstance(error, UnicodeEncodeError)
    wrong = error.object[error.start : error.end]
    return "".join(map(_escape, wrong)), error.end


def _escape(character: str) -> str:
    """Return \\uXXXX, or two of them for a character beyond the first 65,536."""
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))

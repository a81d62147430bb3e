"""Read JSON that others wrote: one reader, which bounds the size and checks types.

Models are exchanged, so a file may be anything. msgspec refuses what JSON does not have (NaN,
Infinity), numbers that no float holds, endless nesting, and values of another type than asked
for; it says where in the file that is.
"""

from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec

from asr._regular import open_regular

T = TypeVar("T")
MOST_BYTES = 2**24  # of a settings or index file; the largest that is known has 10 KB


def parse_json(content: bytes, kind: type[T] | Any = dict[str, Any]) -> T:
    """Parse JSON as a type that msgspec knows.

    Raises:
        ValueError: the content is no JSON, or of another type; the message is one line.
    """
    try:
        return cast(T, msgspec.json.decode(content, type=kind))
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 ({error.reason})") from None
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from None


def typed(value: Any, kind: type[T]) -> T:
    """Return a value of dicts, lists, strings and numbers as a type that msgspec knows.

    Raises:
        ValueError: it is of another type, or beyond the limits that the type states.
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$.")
        key = where.rstrip("`")
        named = isinstance(value, dict) and key in value
        raise ValueError(f"{key} is {value[key]!r}; {what}" if named else str(error)) from None


def read_json(path: Path, kind: type[T] | Any = dict[str, Any]) -> T:
    """Read a JSON file as a type that msgspec knows.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is too large, no JSON, or of another type; the message is one line.
    """
    value: T = parse_json(read_bytes(path), kind)
    return value


def read_bytes(path: Path) -> bytes:
    """Return the content of a file.

    Raises:
        OSError: the file cannot be read, or is not a regular file.
        ValueError: it has more than MOST_BYTES.
    """
    with open_regular(path) as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ValueError(f"it has more than {MOST_BYTES} bytes")
    return content

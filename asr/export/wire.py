"""Read protocol buffers, the format of ONNX files, field by field.

The package onnx, which knows the fields by name, belongs to the train install. To look through a
graph before onnxruntime sees it, their numbers are enough.

Source: https://protobuf.dev/programming-guides/encoding
"""

from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # the types that ONNX files have
_LONGEST_VARINT = 10  # bytes

Field = tuple[int, int | memoryview]  # its number, and a varint or the bytes of another type


def fields(message: memoryview) -> Iterator[Field]:
    """Yield the fields of a message; a message within it is bytes.

    Raises:
        ValueError: it is no message.
    """
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        kind = key & 7
        if kind == _VARINT:
            value, place = _varint(message, place)
            yield key >> 3, value
            continue
        if kind == _BYTES:
            size, place = _varint(message, place)
        elif kind in (_FIXED32, _FIXED64):
            size = 4 if kind == _FIXED32 else 8
        else:
            raise ValueError(f"it is no ONNX file: a field of type {kind}")
        if size > len(message) - place:
            raise ValueError("it is no ONNX file: a field ends after the file")
        yield key >> 3, message[place : place + size]
        place += size


def integers(value: int | memoryview) -> Iterator[int]:
    """Yield the integers of a repeated field, each alone or all packed together."""
    if isinstance(value, int):
        yield value
        return
    place = 0
    while place < len(value):
        one, place = _varint(value, place)
        yield one


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    """Return the integer at a place, and the place after it."""
    value = 0
    for number in range(_LONGEST_VARINT):
        if place + number >= len(message):
            break
        byte = message[place + number]
        value |= (byte & 127) << 7 * number
        if byte < 128:
            return value, place + number + 1
    raise ValueError("it is no ONNX file: a number without end")

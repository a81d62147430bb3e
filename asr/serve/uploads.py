"""Read the form of a request; its recording goes straight to a file that has no name.

The file vanishes with the last process that has it open, whatever happens to the server.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath

from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from asr.serve.problems import RequestError

_MOST_FIELDS = 64
_LEAST_BYTES_PER_S = 1000  # telephones did better; a client that drips holds a place in the queue
_FIELD_BYTES = 64 * 1024
_LONGEST_NAME = 100  # characters of a file name that are repeated in messages


@dataclass(frozen=True)
class Form:
    """The fields of a request and its recording."""

    fields: FormData
    name: str  # of the recording, for messages
    descriptor: int  # of its file

    def text(self, name: str) -> str:
        """Return a field, "" if it is not given.

        Raises:
            RequestError: 400, it is a file.
        """
        value = self.fields.get(name, "")
        if not isinstance(value, str):
            raise RequestError(400, "invalid_field", f"{name} is a file; send text", param=name)
        return value

    def texts(self, name: str) -> list[str]:
        """Return all values of a field that may be given several times, as NAME or NAME[]."""
        values = [*self.fields.getlist(name), *self.fields.getlist(f"{name}[]")]
        return [value for value in values if isinstance(value, str)]


class _Parser(MultiPartParser):
    """A parser that keeps no file in memory."""

    spool_max_size = 1  # bytes; 0 would keep all


@asynccontextmanager
async def received_form(
    request: Request, upload_mb: int, idle_s: float, deadline: float
) -> AsyncIterator[Form]:
    """Receive the form of a request.

    Args:
        request: multipart, with one file in the field `file`.
        upload_mb: the most megabytes that it may have.
        idle_s: the longest time without a byte, and the time that slow uploads are given besides
            what they need at _LEAST_BYTES_PER_S.
        deadline: time of the event loop by which the form must be there.

    Raises:
        RequestError: 400, the form is damaged or lacks the file; 408, it comes too slowly;
            413, it is too large; 415, it is no form.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        raise RequestError(
            415, "unsupported_media_type", f"Content-Type is {kind!r}; allowed: multipart/form-data"
        )
    stream = _limited(request, upload_mb, idle_s, deadline)
    try:
        parser = _Parser(
            request.headers,
            stream,
            max_files=1,
            max_fields=_MOST_FIELDS,
            max_part_size=_FIELD_BYTES,
        )
        fields = await parser.parse()
    except MultiPartException as error:
        raise RequestError(400, "invalid_form", f"the form is damaged: {error.message}") from None
    except ClientDisconnect:
        raise RequestError(400, "incomplete_form", "the form ended before its end") from None
    try:
        yield _checked(fields)
    finally:
        await fields.close()


async def _limited(
    request: Request, upload_mb: int, idle_s: float, deadline: float
) -> AsyncGenerator[bytes, None]:
    """Yield the body while it keeps within the limits."""
    most, num_bytes = upload_mb * 1_000_000, 0
    clock = asyncio.get_running_loop().time
    began = clock()
    promised = request.headers.get("content-length", "")
    if promised.isdecimal() and int(promised) > most:
        raise _too_large(upload_mb)
    pieces = request.stream()
    while True:
        try:
            slowest = began + idle_s + num_bytes / _LEAST_BYTES_PER_S
            async with asyncio.timeout_at(min(clock() + idle_s, slowest, deadline)):
                piece = await anext(pieces, None)
        except TimeoutError:
            raise RequestError(
                408,
                "upload_stalled",
                f"{num_bytes} bytes of the upload came in {clock() - began:.0f} s, which is too "
                "slow; send it again",
            ) from None
        if piece is None:
            return
        num_bytes += len(piece)
        if num_bytes > most:
            raise _too_large(upload_mb)
        yield piece


def _too_large(upload_mb: int) -> RequestError:
    return RequestError(
        413,
        "file_too_large",
        f"the upload has more than {upload_mb} MB, which this server takes at most; compress the "
        "recording or cut it into parts",
        param="file",
    )


def _checked(fields: FormData) -> Form:
    file = fields.get("file")
    if not isinstance(file, UploadFile):
        raise RequestError(
            400, "missing_file", "the form has no file in its field `file`", param="file"
        )
    descriptor = file.file.fileno()  # an empty one was still in memory
    return Form(fields, _shown_name(file.filename or ""), descriptor)


def _shown_name(name: str) -> str:
    """Return the last part of a client's file name, which is never used as a path."""
    last = PureWindowsPath(PurePosixPath(name).name).name
    shown = "".join(c if c.isprintable() else "?" for c in last)[-_LONGEST_NAME:]
    return shown or "the recording"

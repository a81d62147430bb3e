"""POST /v1/audio/transcriptions: recordings in, transcripts out, as clients of OpenAI expect."""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from asr.formats import Segment
from asr.serve.answers import (
    GRANULARITIES,
    RESPONSE_FORMATS,
    event,
    media_type,
    needs_words,
    verbose,
    write_answer,
)
from asr.serve.desks import RecordingDesk
from asr.serve.messages import Assignment, Finished, Progress
from asr.serve.metrics import Metrics
from asr.serve.problems import RequestError
from asr.serve.settings import MOST_HOTWORDS, ServeSettings
from asr.serve.uploads import Form, received_form

ALIASES = ("whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe", "gpt-transcribe")
_TRUE, _FALSE = ("true", "1"), ("", "false", "0")

T = TypeVar("T")
OfRecording = Progress | Segment | Finished


@dataclass(frozen=True)
class Wish:
    """What a client wants of its recording."""

    response_format: str
    granularities: tuple[str, ...]
    hotwords: tuple[str, ...]
    stream: bool
    progress: bool

    @classmethod
    def of(cls, form: Form, model: str) -> "Wish":
        """Read the fields of a form; `language`, `temperature` and `chunking_strategy` say nothing.

        Args:
            form: of the request.
            model: the name of the model that is served.

        Raises:
            RequestError: 400, a value is not allowed; 404, the model is another one.
        """
        names, wanted = (model, *ALIASES), form.text("model") or model
        if wanted not in names:
            raise RequestError(
                404,
                "model_not_found",
                f"model is {wanted[:100]!r}; allowed: {', '.join(names)}",
                param="model",
            )
        response_format = form.text("response_format") or "json"
        _check("response_format", response_format, RESPONSE_FORMATS)
        granularities = tuple(dict.fromkeys(form.texts("timestamp_granularities")))
        for granularity in granularities:
            _check("timestamp_granularities", granularity, GRANULARITIES)
        if granularities and response_format != "verbose_json":
            _check("response_format", response_format, ("verbose_json",))
        for included in form.texts("include"):
            _check("include", included, ())
        stream = _flag(form, "stream")
        if stream:
            _check("response_format", response_format, ("json", "text", "verbose_json"))
        return cls(
            response_format,
            granularities or ("segment",),
            _hotwords(form),
            stream,
            _flag(form, "progress"),
        )


class Transcriptions:
    """The endpoint of recordings.

    Args:
        desk: where they are recognised.
        settings: of the server.
        metrics: that count them.
    """

    def __init__(self, desk: RecordingDesk, settings: ServeSettings, metrics: Metrics) -> None:
        self._desk = desk
        self._settings = settings
        self._metrics = metrics
        self.model = ""  # its name, once it is loaded

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        request, settings = Request(scope, receive), self._settings
        deadline = asyncio.get_running_loop().time() + settings.request_s
        with self._desk.admitted():
            receiving = received_form(request, settings.upload_mb, settings.idle_s, deadline)
            async with receiving as form:
                wish = Wish.of(form, self.model)
                async with aclosing(self._messages(form, wish, deadline)) as messages:
                    if wish.stream:
                        # An error before the first event still has a status of its own.
                        first = await _unless_gone(request, _first_of(messages))
                        events = _events(wish, first, messages)
                        response: Response = StreamingResponse(
                            events, media_type="text/event-stream"
                        )
                    else:
                        response = await _unless_gone(request, _answer(wish, messages))
                    await response(scope, receive, send)

    async def _messages(
        self, form: Form, wish: Wish, deadline: float
    ) -> AsyncGenerator[OfRecording, None]:
        """Yield what the worker process says; Finished is the last.

        Raises:
            RequestError: as `recognise` does, and 504 at the deadline.
        """
        words = needs_words(wish.response_format)
        task = Assignment(form.name, words, wish.stream, wish.hotwords, self._settings.audio_s)
        inbox = asyncio.Queue[OfRecording | None]()
        work = asyncio.create_task(self._desk.recognise(task, form.descriptor, inbox.put_nowait))
        work.add_done_callback(lambda _: inbox.put_nowait(None))
        try:
            while message := await _before(deadline, inbox):
                yield message
            finished = work.result()
        except TimeoutError:
            raise RequestError(
                504,
                "request_timeout",
                f"the answer took more than {self._settings.request_s} s, which this server gives; "
                "cut the recording into parts, or try again when less waits",
            ) from None
        finally:
            work.cancel()
        duration = finished.transcript.duration
        self._metrics.audio.labels("recording").inc(duration)
        self._metrics.real_time_factor.observe(finished.seconds / max(duration, 1e-3))
        yield finished


async def _before(deadline: float, inbox: asyncio.Queue[OfRecording | None]) -> OfRecording | None:
    """Return the next message; TimeoutError at the deadline.

    The limit must not span a `yield`: it would then cancel whoever consumes the messages.
    """
    async with asyncio.timeout_at(deadline):
        return await inbox.get()


async def _answer(wish: Wish, messages: AsyncIterator[OfRecording]) -> Response:
    """Return the whole answer."""
    async for message in messages:
        if isinstance(message, Finished):
            found = message
    body = write_answer(wish.response_format, wish.granularities, found)
    return Response(body, media_type=media_type(wish.response_format))


async def _events(
    wish: Wish, first: OfRecording, messages: AsyncIterator[OfRecording]
) -> AsyncIterator[str]:
    """Yield server-sent events: the text, piece by piece, and in the end the same as a whole.

    A readable text that is written piece by piece may differ a little from one that is not.
    """
    said = ""
    try:
        message: OfRecording | None = first
        while message is not None:
            if isinstance(message, Segment):
                delta = f" {message.text}" if said else message.text
                said += delta
                yield event({"type": "transcript.text.delta", "delta": delta})
            elif isinstance(message, Progress):
                if wish.progress:
                    yield event(
                        {"type": "asr.progress", "done": message.done, "total": message.total}
                    )
            else:
                whole = replace(message.transcript, text=said)
                yield event(_done(wish, replace(message, transcript=whole)))
            message = await anext(messages, None)
    except RequestError as error:
        yield event({"type": "error", **error.as_dict()})
    yield "data: [DONE]\n\n"


def _done(wish: Wish, finished: Finished) -> dict[str, Any]:
    record = dict[str, Any]()
    if wish.response_format == "verbose_json":
        record = verbose(wish.granularities, finished)
        del record["usage"]  # clients expect tokens here, which we have not
    return record | {"type": "transcript.text.done", "text": finished.transcript.text}


async def _first_of(messages: AsyncGenerator[OfRecording, None]) -> OfRecording:
    return await anext(messages)


async def _unless_gone(request: Request, answering: Coroutine[Any, Any, T]) -> T:
    """Wait for an answer; stop the work if the client has gone."""
    work = asyncio.create_task(answering)
    gone = asyncio.create_task(_until_gone(request))
    try:
        await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            return work.result()
        raise RequestError(499, "client_gone", "the client has gone")
    finally:
        gone.cancel()
        if not work.done():
            work.cancel()
            await asyncio.wait({work})


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _hotwords(form: Form) -> tuple[str, ...]:
    """Return `keywords` and the phrases of `prompt`, between commas, semicolons and lines."""
    phrases = re.split(r"[,;\n]", form.text("prompt")) + form.texts("keywords")
    found = tuple(dict.fromkeys(phrase.strip() for phrase in phrases if phrase.strip()))
    if len(found) > MOST_HOTWORDS:
        raise RequestError(
            400,
            "too_many_hotwords",
            f"prompt has {len(found)} phrases; allowed: {MOST_HOTWORDS}",
            param="prompt",
        )
    return found


def _flag(form: Form, name: str) -> bool:
    value = form.text(name).lower()
    _check(name, value, (*_TRUE, *_FALSE))
    return value in _TRUE


def _check(name: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        these = ", ".join(filter(None, allowed)) or "none"
        raise RequestError(
            400, "invalid_value", f"{name} is {value[:100]!r}; allowed: {these}", param=name
        )

"""The main functions of worker processes: they hold the model, and do one thing at a time."""

import os
import signal
import socket
import sys
import time
import traceback
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from asr.batch import end_with_parent
from asr.errors import AsrError
from asr.formats import Transcript
from asr.media import UNKNOWN_FRAMES, open_sound
from asr.serve.messages import (
    Assignment,
    Cancel,
    Close,
    Closed,
    Event,
    Failed,
    Finished,
    Heard,
    Loaded,
    Open,
    Progress,
    SoundPiece,
    Started,
)
from asr.serve.problems import RequestError, internal_error

if TYPE_CHECKING:
    from asr.formats import Segment
    from asr.lexicon import Pronunciations
    from asr.options import Decoding
    from asr.readable import Writer
    from asr.recognize import Recognizer
    from asr.serve.sound import LiveSound
    from asr.streaming import LiveSession

_KEPT_DECODERS = 4  # with hotwords of their own; each has a search trie in memory


Load = Callable[[], "Model"]  # loads the model of a process


class Model:
    """The model of a process, with decoders for the lists of hotwords that were used last."""

    def __init__(self, decoding: "Decoding") -> None:
        from asr.recognize import Recognizer

        self._decoding = decoding
        self._recognizer = Recognizer.load(decoding)
        self._with_hotwords = OrderedDict[tuple[str, ...], "Recognizer"]()

    @property
    def name(self) -> str:
        """The name that clients may ask for."""
        return self._decoding.model.resolve().name

    @property
    def language(self) -> str:
        """The language that the model hears: known where numbers are written as English words."""
        return "english" if self._recognizer.acoustics.text.numbers == "en" else "unknown"

    def recognizer(self, hotwords: tuple[str, ...] = ()) -> "Recognizer":
        """Return the recognizer that prefers these words, besides those it was started with.

        Raises:
            DecoderError: a hotword cannot be spelled.
        """
        if not hotwords:
            return self._recognizer
        if hotwords not in self._with_hotwords:
            self._with_hotwords[hotwords] = self._prefer(hotwords)
        self._with_hotwords.move_to_end(hotwords)
        while len(self._with_hotwords) > _KEPT_DECODERS:
            self._with_hotwords.popitem(last=False)
        return self._with_hotwords[hotwords]

    @cached_property
    def _spoken(self) -> "Pronunciations | None":
        """The pronunciations of the model, where it reads phones: kept, as they learn to guess."""
        from asr.lexicon import Pronunciations

        decoding = self._decoding
        return Pronunciations.load(decoding.model) if decoding.unit == "phones" else None

    def _prefer(self, hotwords: tuple[str, ...]) -> "Recognizer":
        from asr.recognize import Recognizer

        usual = self._recognizer
        both = (*self._decoding.hotwords, *hotwords)
        decoding = replace(self._decoding, decoder="beam", hotwords=both)
        decoder = decoding.make_decoder(
            usual.acoustics.vocabulary, usual.acoustics.text, self._spoken
        )
        return Recognizer(
            usual.acoustics, decoder, usual.calibration, usual.writer, words=usual.words
        )


def serve_recordings(server: Connection, load: Load) -> None:
    """Load the model, then do tasks until the server goes: the main function of a process."""
    model = _begin(server, load)
    if sys.platform == "win32":
        raise AssertionError("`serve` refuses Windows")
    channel = socket.socket(fileno=os.dup(server.fileno()))
    while model:
        message = server.recv()
        if isinstance(message, Cancel):
            continue  # of a task that was done when it was sent
        descriptor = socket.recv_fds(channel, 1, 1)[1][0]
        try:
            _Recording(server, message, descriptor).recognise(model)
        finally:
            os.close(descriptor)


class _Recording:
    """A recording that is being recognised."""

    def __init__(self, server: Connection, task: Assignment, descriptor: int) -> None:
        self._server = server
        self._task = task
        self._path = Path(f"/dev/fd/{descriptor}")  # the file has no other name
        self._done = 0.0

    def recognise(self, model: Model) -> None:
        """Send the progress, segments if they are wanted, and in the end Finished or Failed."""
        from asr.readable import LiveWriter

        began, segments = time.monotonic(), list["Segment"]()
        self._server.send(Started())
        try:
            recognizer = model.recognizer(self._task.hotwords)
            self._check_length(self._promised_s())
            found = recognizer.segments(self._path, words=self._task.words, progress=self._report)
            writer = LiveWriter(recognizer.writer) if recognizer.writer else None
            for segment in found:
                segments.append(segment)
                if self._task.stream:
                    self._server.send(writer.rewrite(segment) if writer else segment)
        except AsrError as error:
            message = str(error).replace(str(self._path), self._task.name)
            self._server.send(Failed(_with_message(error, message)))
        except ConnectionError:
            raise  # the server is gone
        except Exception:
            traceback.print_exc()  # a mistake of ours: for the log, not for the client
            self._server.send(Failed(internal_error()))
        else:
            seconds = time.monotonic() - began
            transcript = self._transcript(segments, recognizer.writer)
            readable = _readable(segments, transcript)
            self._server.send(Finished(transcript, readable, seconds, model.language))

    def _transcript(self, segments: Sequence["Segment"], writer: "Writer | None") -> Transcript:
        words = tuple(word for segment in segments for word in segment.words)
        transcript = Transcript(
            path=self._task.name,
            text=" ".join(segment.text for segment in segments),
            duration=self._done,
            words=words if self._task.words else (),
        )
        return writer.rewrite(transcript, words) if writer else transcript

    def _promised_s(self) -> float:
        """Return the length that the header gives, or 0; so bombs are not even unpacked."""
        with open_sound(self._path) as sound:
            return sound.frames / sound.samplerate if sound.frames < UNKNOWN_FRAMES else 0.0

    def _report(self, done: float, total: float | None) -> None:
        self._done = done
        self._check_length(done)
        if self._server.poll():  # the server sends nothing but Cancel during a task
            raise RequestError(499, "cancelled", "nobody waits for the answer")
        self._server.send(Progress(done, total))

    def _check_length(self, seconds: float) -> None:
        if seconds > self._task.longest_s:
            raise RequestError(
                413,
                "audio_too_long",
                f"{self._task.name}: is longer than {self._task.longest_s:.0f} s, which this "
                "server takes at most; cut it into parts",
                param="file",
            )


def serve_live(server: Connection, load: Load) -> None:
    """Load the model, then hear live sessions until the server goes: the main of a process.

    The sessions take turns. Where they are too many for the processor, each turn has more sound,
    which costs hardly more time than little sound: words come later, but nothing is lost.
    """
    model = _begin(server, load)
    if model:
        sessions = _Sessions(server, model)
        while True:
            while not sessions.has_work or server.poll():
                sessions.take(server.recv())
            sessions.work()


class _Sessions:
    """The live sessions of a process, and the sound that waits for its turn."""

    def __init__(self, server: Connection, model: Model) -> None:
        # Now, not with the first session: until then an update may have replaced their files.
        from asr.serve.sound import LiveSound
        from asr.streaming import LiveSession

        self._make_sound, self._make_session = LiveSound, LiveSession
        self._server = server
        self._model = model
        self._open = OrderedDict[int, "tuple[LiveSound, LiveSession]"]()
        self._waiting = OrderedDict[int, list[bytes]]()  # in the order of turns
        self._ending = set[int]()

    @property
    def has_work(self) -> bool:
        """Whether a session waits for its turn."""
        return bool(self._waiting)

    def take(self, message: Open | SoundPiece | Close | Cancel) -> None:
        """Take a message of the server."""
        number = message.session
        if isinstance(message, Open):
            self._guarded(number, lambda: self._begin(message))
        elif number not in self._open:
            return  # it has failed, and its client is being told
        elif isinstance(message, Cancel):
            self._forget(number)
        elif isinstance(message, SoundPiece):
            self._waiting.setdefault(number, []).append(message.content)
        else:
            self._ending.add(number)
            self._waiting.setdefault(number, [])

    def work(self) -> None:
        """Give a turn to the session that has waited longest."""
        number, contents = self._waiting.popitem(last=False)
        self._guarded(number, lambda: self._turn(number, contents))

    def _begin(self, message: Open) -> None:
        number, recognizer = message.session, self._model.recognizer(message.hotwords)
        session = self._make_session(
            recognizer,
            message.sample_rate_hz,
            lambda event: self._server.send(Event(number, event)),
        )
        sound = self._make_sound(message.encoding, message.sample_rate_hz)
        self._open[number] = sound, session

    def _turn(self, number: int, contents: list[bytes]) -> None:
        sound, session = self._open[number]
        waveform = sound.decode(contents)
        if len(waveform):
            session.add(waveform)
        self._server.send(Heard(number, sum(map(len, contents))))
        if number in self._ending:
            session.close()
            self._forget(number)
            self._server.send(Closed(number, session.duration))

    def _guarded(self, number: int, body: Callable[[], None]) -> None:
        try:
            body()
        except AsrError as error:
            self._server.send(Failed(error, number))
            self._forget(number)
        except ConnectionError:  # the server is gone
            raise
        except Exception:
            traceback.print_exc()
            self._server.send(Failed(internal_error(), number))
            self._forget(number)

    def _forget(self, number: int) -> None:
        self._open.pop(number, None)
        self._waiting.pop(number, None)
        self._ending.discard(number)


def _begin(server: Connection, load: Load) -> Model | None:
    """Load the model and say so; None if it cannot be loaded."""
    for number in (signal.SIGINT, signal.SIGTERM):  # for the server, which ends us in the end;
        signal.signal(number, signal.SIG_IGN)  # terminals and systemd send them to all processes
    end_with_parent()
    try:
        model = load()
    except (AsrError, ModuleNotFoundError) as error:
        server.send(Failed(error))
        return None
    server.send(Loaded(model.name))
    return model


def run_worker(
    main: Callable[[Connection, Callable[[], Model]], None],
    server: Connection,
    load: Load,
) -> None:
    """Run a main function until the server closes the connection."""
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        main(server, load)


def _readable(segments: Sequence["Segment"], transcript: Transcript) -> tuple["Segment", ...]:
    """Return segments with their parts of a readable text."""
    if not transcript.is_readable:
        return tuple(segments)
    found, stop, waiting = list["Segment"](), 0, deque(transcript.written)
    for segment in segments:
        stop, texts = stop + len(segment.words), list[str]()
        while waiting and waiting[0].first < stop:
            texts.append(waiting.popleft().text)
        found.append(replace(segment, text=" ".join(texts)))
    return tuple(found)


def _with_message(error: AsrError, message: str) -> AsrError:
    """Return an error of the same class with another message."""
    if isinstance(error, RequestError):
        return error
    return type(error)(message)

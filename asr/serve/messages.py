"""What the server and its worker processes say to each other."""

from dataclasses import dataclass

from asr.formats import Segment, Transcript
from asr.streaming import LiveEvent


@dataclass(frozen=True)
class Loaded:
    """A worker: the model is loaded."""

    model: str  # its name


@dataclass(frozen=True)
class Assignment:
    """The server: recognise the file whose descriptor follows this message."""

    name: str  # of the recording, for messages to the client
    words: bool  # whether segments need words with times
    stream: bool  # whether each segment is sent as soon as it is decoded
    hotwords: tuple[str, ...]
    longest_s: float  # a longer recording is refused


@dataclass(frozen=True)
class Cancel:
    """The server: nobody waits for the task or the session any more."""

    session: int = 0  # 0: the task


@dataclass(frozen=True)
class Started:
    """A worker: it has the task and its file, so if it dies now, they may be the cause."""


@dataclass(frozen=True)
class Progress:
    """A worker: so many seconds are done, of so many, if that is known."""

    done: float
    total: float | None


@dataclass(frozen=True)
class Finished:
    """A worker: the recording is recognised."""

    transcript: Transcript
    segments: tuple[Segment, ...]
    seconds: float  # that it took
    language: str  # of the model, in English, or "unknown"


@dataclass(frozen=True)
class Failed:
    """A worker: a task, a session or, without a number, loading the model has failed."""

    error: Exception
    session: int = 0


@dataclass(frozen=True)
class Open:
    """The server: begin a live session."""

    session: int
    sample_rate_hz: int
    encoding: str  # "pcm16" or "opus"
    hotwords: tuple[str, ...]


@dataclass(frozen=True)
class SoundPiece:
    """The server: bytes of a session, a packet if the encoding has packets."""

    session: int
    content: bytes


@dataclass(frozen=True)
class Close:
    """The server: a session has no more sound."""

    session: int


@dataclass(frozen=True)
class Event:
    """A worker: an event of a session."""

    session: int
    event: LiveEvent


@dataclass(frozen=True)
class Heard:
    """A worker: so many bytes of a session are done."""

    session: int
    num_bytes: int


@dataclass(frozen=True)
class Closed:
    """A worker: a session has given all its events."""

    session: int
    duration: float  # seconds that were heard


OfSession = Event | Heard | Closed | Failed

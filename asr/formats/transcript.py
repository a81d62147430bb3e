"""The transcript of a recording, and helpers that turn its texts into single lines."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from asr.media import SoundQuality


@dataclass(frozen=True)
class Word:
    """One recognised word; start and end in seconds from the start of the recording."""

    word: str
    start: float
    end: float
    confidence: float  # 0..1


@dataclass(frozen=True)
class WrittenWord:
    """A word as people read it, such as `$20,`, and the spoken words it stands for."""

    text: str  # with the marks after it
    first: int  # spoken word
    stop: int  # the spoken word after the last one
    begins_paragraph: bool = False


@dataclass(frozen=True)
class Segment:
    """A stretch of a recording between two pauses, as soon as it is decoded; times in seconds."""

    text: str
    start: float
    end: float
    words: tuple[Word, ...] = ()  # where they are asked for, or a tagger needs their times


@dataclass(frozen=True)
class Transcript:
    """The transcript of one recording; duration in seconds, warnings about its audio.

    Where the model has a tagger, `text` has capitals, punctuation and digits, and an empty line
    between paragraphs; `spoken` always has the words as they were recognised.

    Where channels were told apart, `channels` has the transcript of each, with its speaker, and
    `text` has a line for each turn, `speaker: text`.

    `id` names the recording among others; without one it is made from the path.
    """

    path: str
    text: str
    duration: float
    words: tuple[Word, ...] = ()
    warnings: tuple[str, ...] = ()
    quality: SoundQuality | None = None  # the figures behind the warnings
    system: Mapping[str, object] = field(default_factory=dict)  # the recogniser, fit for JSON
    written: tuple[WrittenWord, ...] = ()  # the words of a readable text
    spoken_text: str | None = None  # None: as `text`
    id: str = ""
    channel: int = 1  # of the recording, from 1; the mix of all counts as the first
    speaker: str = ""  # of the channel, where channels were told apart
    channels: tuple["Transcript", ...] = ()  # one each, where they were told apart

    @property
    def is_readable(self) -> bool:
        """Whether `text` has been made readable."""
        if self.channels:
            return any(channel.is_readable for channel in self.channels)
        return self.spoken_text is not None

    @property
    def losses(self) -> tuple[str, ...]:
        """The warnings about sound that is missing."""
        qualities = [heard.quality for heard in (self.channels or (self,)) if heard.quality]
        return tuple(dict.fromkeys(loss for quality in qualities for loss in quality.losses))

    @property
    def spoken(self) -> str:
        """The words as they were recognised, separated by spaces."""
        return self.text if self.spoken_text is None else self.spoken_text

    def timed(self) -> tuple[Word, ...]:
        """Return the words as people read them, with times; none without times of words."""
        if not (self.written and self.words):
            return self.words
        spans = [(w.text, self.words[w.first : w.stop]) for w in self.written]
        return tuple(
            Word(text, span[0].start, span[-1].end, min(word.confidence for word in span))
            for text, span in spans
        )

    @property
    def utterance(self) -> str:
        """The id of the recording, by default the name of its file without folder and suffix."""
        return self.id or safe_id(Path(self.path).stem)


def safe_id(name: str) -> str:
    """Return a name as an id that SCTK reads: _ stands for what would end or hide the id.

    That is white space, parentheses and control characters, and a semicolon in front, since lines
    of a .ctm that open with ;; are comments.
    """
    return re.sub(r"[\s()\x00-\x1f\x7f-\x9f]|^;", "_", printable(name))


def printable(text: str) -> str:
    """Return the text with U+FFFD for lone surrogates, which stand for undecodable bytes."""
    return re.sub(r"[\ud800-\udfff]", "\ufffd", text)


def one_line(text: str) -> str:
    """Return the text, printable, with spaces for tabs and line breaks."""
    return re.sub(r"[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]+", " ", printable(text))

"""What a live session tells; apart from it, so that a server knows it without a recogniser."""

from dataclasses import dataclass

from asr.formats import Segment, Word


@dataclass(frozen=True)
class LiveWords:
    """The words of the segment so far; times are seconds since the session began.

    `final` are new and stay. `partial` follow all final words and replace the partial words of the
    event before.
    """

    final: tuple[Word, ...]
    partial: tuple[Word, ...]


@dataclass(frozen=True)
class EndOfSpeech:
    """The end of a segment, at a pause or at the end of the session, and its best text.

    The text is readable where the model has a tagger; the words stay as they were recognised.
    """

    segment: Segment


LiveEvent = LiveWords | EndOfSpeech

"""Choose what is heard of a recording of several channels: their mix, one of them, or each alone.

A call is often recorded with one speaker a channel. Told apart, its channels are recognised one
after the other, each in memory that does not grow with its length, and their turns are put in the
order in which they began.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Literal

from asr.errors import DecoderError
from asr.formats import Transcript, joined_channels
from asr.media import Source, open_sound, rereadable

Progress = Callable[[float, float | None], None]  # seconds done; seconds in all, if known
# What recognises one channel of a source, or for None their mix; with times of words, if wanted.
Recognise = Callable[[Source, int | None, bool, Progress | None], Transcript]

_SIDES = ("Left", "Right")
_LONGEST_NAME = 60


@dataclass(frozen=True)
class Channels:
    """A choice among the channels of recordings.

    Raises:
        DecoderError: a value that is not allowed, or names without channels to be told apart.
    """

    choice: Literal["mix", "split"] | int = "mix"  # an integer: that channel alone, from 1
    names: tuple[str, ...] = ()  # of the speakers; default: Left and Right, or Channel 1, 2, 3 ...

    def __post_init__(self) -> None:
        is_number = isinstance(self.choice, int) and not isinstance(self.choice, bool)
        if self.choice not in ("mix", "split") and not (is_number and int(self.choice) >= 1):
            raise DecoderError(
                f"channels is {self.choice!r}; allowed: 'mix', 'split', or the number of a "
                "channel from 1"
            )
        if self.names and self.choice != "split":
            raise DecoderError("channel names are for channels told apart; add --channels split")
        _check_names(self.names)

    @property
    def only(self) -> int | None:
        """The only channel that is heard, or None for the mix.

        Raises:
            DecoderError: channels are told apart, which needs whole recordings.
        """
        if self.choice == "split":
            raise DecoderError(
                "segments come one by one, and channels told apart only as a whole; use "
                "transcribe, or channels=1"
            )
        return None if self.choice == "mix" else self.choice

    def name(self, number: int, count: int) -> str:
        """Return the name of a channel, counted from 1, of so many."""
        if number <= len(self.names):
            return self.names[number - 1]
        return _SIDES[number - 1] if count == len(_SIDES) else f"Channel {number}"

    def transcribed(
        self, recognise: Recognise, source: Source, words: bool, progress: Progress | None
    ) -> Transcript:
        """Return the transcript of a recording as this choice has it; errors are `recognise`'s."""
        if self.choice != "split":
            return recognise(source, self.only, words, progress)
        with rereadable(source) as again:
            with open_sound(again) as sound:
                count = sound.channels
            if count == 1:
                return _noted(recognise(again, None, words, progress), self._unused(count))
            parts = []
            for number in range(1, count + 1):
                shown = _shifted(progress, number - 1, count) if progress else None
                part = recognise(again, number, True, shown)
                parts.append(replace(part, speaker=self.name(number, count)))
        joined = joined_channels(parts)
        return _noted(joined if words else replace(joined, words=()), self._unused(count))

    def _unused(self, count: int) -> list[str]:
        """Return what to say about a recording with fewer channels than were expected."""
        if count == 1:
            return ["has one channel, so nothing is split"]
        unused = self.names[count:]
        return [f"has {count} channels; names without one: {', '.join(unused)}"] if unused else []


def _check_names(names: Sequence[str]) -> None:
    """Raise DecoderError unless these are names that transcripts can hold."""
    for name in names:
        if not isinstance(name, str) or not name.strip() or not name.isprintable():
            raise DecoderError(f"a channel name is {name!r}; give one or more visible characters")
        if len(name) > _LONGEST_NAME:
            raise DecoderError(
                f"channel name {name!r} has {len(name)} characters; allowed: {_LONGEST_NAME}"
            )
    if len(set(names)) < len(names):
        raise DecoderError(f"channel names are {', '.join(names)}; give each channel its own")


def _noted(transcript: Transcript, notes: Sequence[str]) -> Transcript:
    """Return a transcript with more warnings."""
    return replace(transcript, warnings=tuple(chain(transcript.warnings, notes)))


def _shifted(progress: Progress, done: int, count: int) -> Progress:
    """Return a progress of one channel of several, of which some are done, for the whole."""

    def shown(seconds: float, total: float | None) -> None:
        if total is not None:
            progress((done * total + seconds) / count, total)
        elif done == count - 1:  # the length is unknown: only the last one tells how far it is
            progress(seconds, None)

    return shown


MIXED = Channels()

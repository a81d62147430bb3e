"""Put the transcripts of the channels of one recording together, in turns by time.

A channel is cut where its speaker pauses or ends a sentence. Pieces stand in the order of their
beginnings, so that a short answer stands beside the sentence that it answers, and pieces of one
speaker that follow each other are one turn.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise

from asr.formats.transcript import Transcript

PAUSE_S = 0.5  # in plain text it may end a sentence
_ENDS = (".", "?", "!")
_SHORTENED = frozenset({"mr.", "mrs.", "ms.", "dr."})


@dataclass(frozen=True)
class _Piece:
    """A stretch of a channel that is not cut: written words, or words where none are written."""

    start: float
    channel: int
    first: int  # word as it is written
    stop: int


def joined_channels(channels: Sequence[Transcript]) -> Transcript:
    """Return the transcript of a recording, given those of its channels.

    Its text has a line for each turn, `speaker: text`. Its words and its spoken text are in the
    order of the turns.

    Args:
        channels: the transcripts of all channels, with the times of words and with speakers.
    """
    whole = replace(channels[0], channels=tuple(channels), channel=1, speaker="", written=())
    turns = turns_of(whole)
    return replace(
        whole,
        text="\n".join(f"{turn.speaker}: {' '.join(turn.text.split())}" for turn in turns),
        spoken_text=" ".join(turn.spoken for turn in turns),
        words=tuple(word for turn in turns for word in turn.words),
        warnings=_warnings(channels),
        quality=None,
    )


def turns_of(transcript: Transcript) -> list[Transcript]:
    """Return the turns of a transcript of several channels, in order, each as a transcript.

    A turn has the speaker, the channel, and the words with their times in the recording.
    """
    of = {channel.channel: channel for channel in transcript.channels}
    pieces = [piece for channel in of.values() for piece in _pieces(channel)]
    pieces.sort(key=lambda piece: (piece.start, piece.channel))
    turns = []
    for number, group in groupby(pieces, key=lambda piece: piece.channel):
        held = list(group)
        turns.append(_part(of[number], held[0].first, held[-1].stop))
    return turns


def _pieces(channel: Transcript) -> Iterator[_Piece]:
    """Yield the pieces of a channel, in order."""
    words = channel.timed()
    cuts = [
        place
        for place, (word, behind) in enumerate(pairwise(words), 1)
        if behind.start - word.end >= PAUSE_S or _ends_sentence(word.word)
    ]
    for first, stop in pairwise([0, *cuts, len(words)] if words else []):
        yield _Piece(words[first].start, channel.channel, first, stop)


def _ends_sentence(word: str) -> bool:
    return word.endswith(_ENDS) and word.lower() not in _SHORTENED


def _part(channel: Transcript, first: int, stop: int) -> Transcript:
    """Return the words of a channel from one to another, as they are written."""
    if not channel.written:
        words = channel.words[first:stop]
        return replace(channel, text=" ".join(word.word for word in words), words=words)
    written = channel.written[first:stop]
    begin, end = written[0].first, written[-1].stop
    words = channel.words[begin:end]
    return replace(
        channel,
        text=" ".join(word.text for word in written),
        spoken_text=" ".join(word.word for word in words),
        words=words,
        written=tuple(replace(w, first=w.first - begin, stop=w.stop - begin) for w in written),
    )


def _warnings(channels: Sequence[Transcript]) -> tuple[str, ...]:
    """Return the warnings of all channels; of one channel alone, with the name of its speaker."""
    found: dict[str, list[str]] = {}
    for channel in channels:
        for warning in channel.warnings:
            found.setdefault(warning, []).append(channel.speaker)
    return tuple(
        warning if len(speakers) == len(channels) else f"{', '.join(speakers)}: {warning}"
        for warning, speakers in found.items()
    )

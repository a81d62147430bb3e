"""Write words as subtitles: SubRip (.srt) and WebVTT (.vtt).

Dynamic programming finds the cheapest way to cut the words into cues. A cue costs 1, and 1 more for
each second of pause inside it and for each second of reading time that it lacks. So cues are few,
cuts fall on the longest pauses, and a word stands alone only if there is time to read it.

The limits are those of the BBC Subtitle Guidelines and the Netflix Timed Text Style Guide.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from asr.formats.transcript import Transcript, Word, one_line

LINE_CHARACTERS = 42
SHORTEST_S, LONGEST_S = 1.0, 7.0  # on screen
CHARACTERS_PER_S = 17.0  # a comfortable reading speed
GAP_S = 0.08  # two frames of film between cues, so that the eye sees a change


@dataclass(frozen=True)
class Cue:
    """One subtitle: one line or two, on screen from start to end, in seconds."""

    start: float
    end: float
    lines: tuple[str, ...]


def cues(words: Sequence[Word], duration: float) -> list[Cue]:
    """Cut words into cues of at most two lines, in order and with gaps between them.

    A cue begins with its first word. It ends with its last word, or later if it takes longer to
    read, but before the next cue and not after the recording, unless its words end after that. A
    word longer than a line gets a line of its own.

    Args:
        words: each starts later than the one before.
        duration: of the recording, in seconds.
    """
    spoken = [word for word in words if word.word.strip()]
    return [_cue(spoken, first, stop, duration) for first, stop in _cut(spoken, duration)]


def srt(transcript: Transcript) -> str:
    """Return the subtitles as SubRip: numbered cues with their times."""
    return "\n".join(
        f"{number}\n{_times(cue, ',')}\n{_text(cue)}\n"
        for number, cue in enumerate(cues(transcript.words, transcript.duration), 1)
    )


def vtt(transcript: Transcript) -> str:
    """Return the subtitles as WebVTT, with &, < and > escaped."""
    return "WEBVTT\n" + "".join(
        f"\n{_times(cue, '.')}\n{_escaped(_text(cue))}\n"
        for cue in cues(transcript.words, transcript.duration)
    )


def _cut(words: Sequence[Word], duration: float) -> list[tuple[int, int]]:
    """Return the cheapest cues, each as (index of its first word, index after its last word)."""
    costs = [0.0] + [inf] * len(words)  # of the best cues for the first 0, 1, 2 ... words
    begins = [0] * len(costs)  # ... and the first word of the last one of them
    for stop in range(1, len(costs)):
        until = _latest(words, stop, duration)
        text, pauses = words[stop - 1].word, 0.0
        for first in range(stop - 1, -1, -1):
            if first < stop - 1:
                text = f"{words[first].word} {text}"
                pauses += max(0.0, words[first + 1].start - words[first].end)
                if not _fits(text, words[stop - 1].end - words[first].start):
                    break
            lacking = max(0.0, _needed(text) - (until - words[first].start))
            cost = costs[first] + 1 + pauses + lacking
            if cost < costs[stop]:
                costs[stop], begins[stop] = cost, first
    found, stop = list[tuple[int, int]](), len(words)
    while stop:
        found.append((begins[stop], stop))
        stop = begins[stop]
    return found[::-1]


def _cue(words: Sequence[Word], first: int, stop: int, duration: float) -> Cue:
    text = " ".join(one_line(word.word) for word in words[first:stop])
    start = words[first].start
    wanted = max(words[stop - 1].end, start + _needed(text))
    end = min(wanted, start + LONGEST_S, _latest(words, stop, duration))
    return Cue(start, end, _lines(text))


def _latest(words: Sequence[Word], stop: int, duration: float) -> float:
    """Return the latest end, in seconds, of a cue whose last word is words[stop - 1]."""
    if stop == len(words):
        return max(duration, words[-1].end)
    to_next = words[stop].start - words[stop - 1].start
    return words[stop].start - min(GAP_S, to_next / 2)


def _needed(text: str) -> float:
    """Return the seconds that it takes to read a text."""
    return max(SHORTEST_S, len(text) / CHARACTERS_PER_S)


def _fits(text: str, seconds: float) -> bool:
    return seconds <= LONGEST_S and max(map(len, _lines(text))) <= LINE_CHARACTERS


def _lines(text: str) -> tuple[str, ...]:
    """Return one line if the text fits, else two lines as even as the words allow."""
    spaces = [at for at, character in enumerate(text) if character == " "]
    if len(text) <= LINE_CHARACTERS or not spaces:
        return (text,)
    middle = min(spaces, key=lambda at: max(at, len(text) - at - 1))
    return (text[:middle], text[middle + 1 :])


def _times(cue: Cue, point: str) -> str:
    return f"{_clock(cue.start, point)} --> {_clock(cue.end, point)}"


def _clock(seconds: float, point: str) -> str:
    minutes, milliseconds = divmod(round(1000 * seconds), 60_000)
    hours, minutes = divmod(minutes, 60)
    whole, milliseconds = divmod(milliseconds, 1000)
    return f"{hours:02}:{minutes:02}:{whole:02}{point}{milliseconds:03}"


def _text(cue: Cue) -> str:
    return "\n".join(cue.lines)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

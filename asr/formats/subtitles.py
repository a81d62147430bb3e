"""Write words as subtitles: SubRip (.srt) and WebVTT (.vtt).

Dynamic programming finds the cheapest way to cut the words into cues. A cue costs 1, and 1 more for
each second of pause inside it and for each second of reading time that it lacks. So cues are few,
cuts fall on the longest pauses, and a word stands alone only if there is time to read it.

Where the words have punctuation, a cue costs more if a sentence goes on behind it, and most if it
ends with a word such as `the` or `of`. So cues and lines end with sentences and phrases.

The limits are those of the BBC Subtitle Guidelines and the Netflix Timed Text Style Guide.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import inf

from asr.formats.transcript import Transcript, Word, one_line
from asr.formats.turns import turns_of

LINE_CHARACTERS = 42
SHORTEST_S, LONGEST_S = 1.0, 7.0  # on screen
CHARACTERS_PER_S = 17.0  # a comfortable reading speed
GAP_S = 0.08  # two frames of film between cues, so that the eye sees a change
_MID_PHRASE, _PHRASE_END, _CLINGING = 0.6, 0.2, 1.0  # costs of a cue that does not end a sentence
_SENTENCE_AFTER = 0.3  # cost of a sentence that ends within a cue
_CLINGING_WORDS = """
    a an the of to in on at by for from with and or but as if that than into my your his her its
    our their this these those is are was were be been has have had will would can could not no
    mr. mrs. dr.
"""
_CLINGS = frozenset(_CLINGING_WORDS.split())  # they belong to the word behind them


@dataclass(frozen=True)
class Cue:
    """One subtitle: one line or two, on screen from start to end, in seconds."""

    start: float
    end: float
    lines: tuple[str, ...]
    words: tuple[Word, ...] = ()
    speaker: str = ""


def cues(
    words: Sequence[Word], duration: float, *, punctuated: bool = False, label: str = ""
) -> list[Cue]:
    """Cut words into cues of at most two lines, in order and with gaps between them.

    A cue begins with its first word. It ends with its last word, or later if it takes longer to
    read, but before the next cue and not after the recording, unless its words end after that. A
    word longer than a line gets a line of its own.

    Args:
        words: each starts later than the one before.
        duration: of the recording, in seconds.
        punctuated: whether words have marks after them, with which cues and lines should end.
        label: what each cue begins with.
    """
    spoken = [word for word in words if word.word.strip()]
    costs = [_cost_of_end(word.word) if punctuated else 0.0 for word in spoken]
    return [
        _cue(spoken, first, stop, duration, punctuated=punctuated, label=label)
        for first, stop in _cut(spoken, duration, costs, label)
    ]


def srt(transcript: Transcript) -> str:
    """Return the subtitles as SubRip: numbered cues with their times.

    Where channels were told apart, each cue begins with its speaker.
    """
    return "\n".join(
        f"{number}\n{_times(cue, ',')}\n{_without_arrows(_text(cue))}\n"
        for number, cue in enumerate(_cues_of(transcript, labelled=True), 1)
    )


def vtt(transcript: Transcript) -> str:
    """Return the subtitles as WebVTT, with &, < and > escaped, and the speaker if he is known."""
    return "WEBVTT\n" + "".join(
        f"\n{_times(cue, '.')}\n{_voice(cue)}{_escaped(_text(cue))}\n"
        for cue in _cues_of(transcript)
    )


def vtt_highlighted(transcript: Transcript) -> str:
    """Return the subtitles as WebVTT with a cue for each word, in which that word is underlined."""
    return "WEBVTT\n" + "".join(
        f"\n{_times(part, '.')}\n{_voice(part)}{_text(part)}\n"
        for cue in _cues_of(transcript)
        for part in _highlighted(cue)
    )


def _cues_of(transcript: Transcript, *, labelled: bool = False) -> list[Cue]:
    """Return the cues of a transcript; those of several channels in the order of their starts.

    Args:
        transcript: with times of words.
        labelled: whether a cue of one of several channels begins with its speaker.
    """
    if not transcript.channels:
        return cues(transcript.timed(), transcript.duration, punctuated=transcript.is_readable)
    found = list[Cue]()
    for turn, behind in pairwise([*turns_of(transcript), None]):
        assert turn
        limit = behind.words[0].start - GAP_S if behind else transcript.duration
        label = f"{turn.speaker}: " if labelled else ""
        cut = cues(turn.timed(), limit, punctuated=turn.is_readable, label=label)
        found += (replace(cue, speaker=turn.speaker) for cue in cut)
    return sorted(found, key=lambda cue: cue.start)


def _highlighted(cue: Cue) -> Iterator[Cue]:
    """Yield a cue for each word of a cue; the words in the others are escaped, too."""
    lines = [_escaped(line).split(" ") for line in cue.lines]
    places = [(row, column) for row, line in enumerate(lines) for column in range(len(line))]
    starts = [cue.start, *(word.start for word in cue.words[1:]), cue.end]
    at = 0
    for number, word in enumerate(cue.words):
        size = one_line(word.word).count(" ") + 1  # a dash after a word is part of it
        marked = [list(line) for line in lines]
        for row, column in places[at : at + size]:
            marked[row][column] = f"<u>{marked[row][column]}</u>"
        at += size
        start, end = (min(time, cue.end) for time in starts[number : number + 2])
        if start < end:
            yield replace(cue, start=start, end=end, lines=tuple(map(" ".join, marked)))


def _cost_of_end(word: str) -> float:
    """Return what it costs if a cue ends with a word: less at the end of a phrase or sentence."""
    if word.endswith((".", "?", "!")) and word.lower() not in _CLINGS:
        return 0.0
    if word.endswith((",", ";", ":", "\u2013")):
        return _PHRASE_END
    return _CLINGING if word.lower() in _CLINGS else _MID_PHRASE


def _cut(
    words: Sequence[Word], duration: float, costs_of_end: Sequence[float], label: str
) -> list[tuple[int, int]]:
    """Return the cheapest cues, each as (index of its first word, index after its last word).

    Each begins with the label. `costs_of_end` has the cost of a cue that ends with each word,
    beside 1; it is 0 for the end of a sentence.
    """
    sentences = any(costs_of_end)
    costs = [0.0] + [inf] * len(words)  # of the best cues for the first 0, 1, 2 ... words
    begins = [0] * len(costs)  # ... and the first word of the last one of them
    for stop in range(1, len(costs)):
        until = _latest(words, stop, duration)
        text, inside = words[stop - 1].word, 0.0
        for first in range(stop - 1, -1, -1):
            if first < stop - 1:
                text = f"{words[first].word} {text}"
                inside += max(0.0, words[first + 1].start - words[first].end)
                inside += _SENTENCE_AFTER if sentences and not costs_of_end[first] else 0.0
                if not _fits(label + text, words[stop - 1].end - words[first].start):
                    break
            lacking = max(0.0, _needed(label + text) - (until - words[first].start))
            cost = costs[first] + 1 + inside + lacking + costs_of_end[stop - 1]
            if cost < costs[stop]:
                costs[stop], begins[stop] = cost, first
    found, stop = list[tuple[int, int]](), len(words)
    while stop:
        found.append((begins[stop], stop))
        stop = begins[stop]
    return found[::-1]


def _cue(
    words: Sequence[Word], first: int, stop: int, duration: float, *, punctuated: bool, label: str
) -> Cue:
    text = label + " ".join(one_line(word.word) for word in words[first:stop])
    start = words[first].start
    wanted = max(words[stop - 1].end, start + _needed(text))
    end = min(wanted, start + LONGEST_S, _latest(words, stop, duration))
    lines = _phrases(text) if punctuated else _lines(text)
    return Cue(start, end, lines, tuple(words[first:stop]))


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


def _phrases(text: str) -> tuple[str, ...]:
    """Return the lines of a text; of two lines that fit, the first ends with a phrase if it can."""
    lines = _lines(text)
    words = text.split(" ")
    if len(lines) == 1 or max(map(len, lines)) > LINE_CHARACTERS:
        return lines
    splits = [(" ".join(words[:at]), " ".join(words[at:])) for at in range(1, len(words))]
    fitting = [split for split in splits if max(map(len, split)) <= LINE_CHARACTERS]

    def cost(split: tuple[str, str]) -> float:
        uneven = abs(len(split[0]) - len(split[1])) / LINE_CHARACTERS
        return uneven + _cost_of_end(split[0].rsplit(" ", 1)[-1])

    return min(fitting, key=cost)


def _times(cue: Cue, point: str) -> str:
    return f"{_clock(cue.start, point)} --> {_clock(cue.end, point)}"


def _clock(seconds: float, point: str) -> str:
    minutes, milliseconds = divmod(round(1000 * seconds), 60_000)
    hours, minutes = divmod(minutes, 60)
    whole, milliseconds = divmod(milliseconds, 1000)
    return f"{hours:02}:{minutes:02}:{whole:02}{point}{milliseconds:03}"


def _text(cue: Cue) -> str:
    return "\n".join(cue.lines)


def _without_arrows(text: str) -> str:
    """Return text that no reader of SubRip takes for a line of times."""
    return text.replace("-->", "->")


def _voice(cue: Cue) -> str:
    return f"<v {_escaped(cue.speaker)}>" if cue.speaker else ""


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

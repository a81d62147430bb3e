"""Read NIST's files with times: segments of references (.stm) and recognised words (.ctm).

    .stm    file channel speaker start end [<label,...>] text
    .ctm    file channel start duration word [confidence]

Times are seconds. Lines that open with ;; are comments. A segment whose text is
IGNORE_TIME_SEGMENT_IN_SCORING is not scored, and words in it are ignored. In a .ctm,
<ALT_BEGIN>, <ALT> and <ALT_END> enclose and separate alternatives; their times are *.

As sclite does, a word belongs to the first segment of its file and channel that ends after the
middle of the word, so words between two segments fall to the second; words after the last
segment fall to the last.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from asr.errors import ScoreError, TextError

_TIME = r"\d+(?:\.\d*)?|\.\d+"
_STM = re.compile(rf"(\S+)\s+(\S+)\s+(\S+)\s+({_TIME})\s+({_TIME})(?:\s+<[^<>\s]*>)?(?:\s+(.*))?")
_CTM = re.compile(
    rf"(\S+)\s+(\S+)\s+({_TIME}|\*)\s+({_TIME}|\*)\s+(\S+)"
    r"(?:\s+(?:[-+]?[\d.]+(?:e[-+]?\d+)?|NA))?",
    re.IGNORECASE,
)
_IGNORED = "ignore_time_segment_in_scoring"
_MARKS = {"<ALT_BEGIN>": "{", "<ALT>": "/", "<ALT_END>": "}"}

T = TypeVar("T", "StmSegment", "TimedWord")
Place = tuple[str, str]  # file and channel, in lower case


@dataclass(frozen=True)
class StmSegment:
    """A line of a .stm; times in seconds."""

    line: int
    file: str
    channel: str
    speaker: str
    start: float
    end: float
    text: str

    @property
    def id(self) -> str:
        """The utterance's id, made of its file, channel, speaker and times."""
        return f"{self.file}_{self.channel}_{self.speaker}_{self.start:.3f}_{self.end:.3f}"

    @property
    def ignored(self) -> bool:
        """Whether the segment is excluded from scoring."""
        return self.text.lower() == _IGNORED


@dataclass(frozen=True)
class TimedWord:
    """A line of a .ctm; times in seconds. Marks of alternatives have become { / }."""

    line: int
    file: str
    channel: str
    start: float
    duration: float
    word: str


def is_stm(line: str) -> bool:
    """Return whether a line is a .stm line, at least one of whose times has decimals."""
    found = _STM.fullmatch(line.strip())
    return bool(found and "." in found[4] + found[5] and float(found[4]) <= float(found[5]))


def is_ctm(line: str) -> bool:
    """Return whether a line is a .ctm line, with decimals or a star in at least one time."""
    found = _CTM.fullmatch(line.strip())
    return bool(found and {".", "*"} & set(found[3] + found[4]))


def read_stm(lines: Iterable[tuple[int, str]]) -> list[StmSegment]:
    """Return the segments of numbered lines.

    Raises:
        TextError: a line is not a segment, or its segment ends before it starts.
    """
    segments = []
    for number, line in lines:
        found = _STM.fullmatch(line.strip())
        if not found:
            raise TextError(
                f"line {number} is not file channel speaker start end text, as the first line is"
            )
        file, channel, speaker, start, end, text = found.groups()
        if float(start) > float(end):
            raise TextError(f"line {number} ends at {end}, before it starts at {start}")
        segment = StmSegment(number, file, channel, speaker, float(start), float(end), text or "")
        segments.append(segment)
    return segments


def read_ctm(lines: Iterable[tuple[int, str]]) -> list[TimedWord]:
    """Return the words of numbered lines.

    Raises:
        TextError: a line is not a word with its times.
    """
    words: list[TimedWord] = []
    start = 0.0
    for number, line in lines:
        found = _CTM.fullmatch(line.strip())
        if not found:
            raise TextError(
                f"line {number} is not file channel start duration word, as the first line is"
            )
        file, channel, at, duration, word = found.groups()
        if at == "*" or duration == "*":
            word = _MARKS.get(word.upper(), word)
            words.append(TimedWord(number, file, channel, start, 0.0, word))
        else:
            start = float(at)
            words.append(TimedWord(number, file, channel, start, float(duration), word))
    return words


def join_words(words: Sequence[TimedWord]) -> Iterator[tuple[int, str, str]]:
    """Yield (line, id, text) of each file, or of each channel where a file has several."""
    places = _by_place(words)
    files = Counter(file for file, _ in places)
    for (file, _), here in places.items():
        first = here[0]
        name = first.file if files[file] == 1 else f"{first.file}_{first.channel}"
        yield first.line, name, " ".join(word.word for word in _in_time(here))


def divide_words(segments: Sequence[StmSegment], words: Sequence[TimedWord]) -> dict[str, str]:
    """Return the text of each segment that is scored, by its id; "" for one without words.

    Raises:
        ScoreError: a file and channel has words, but no segments.
    """
    of_segments, of_words = _by_place(segments), _by_place(words)
    _refuse("no segment of {} is in the references", [p for p in of_words if p not in of_segments])
    texts: dict[str, list[str]] = {s.id: [] for s in segments if not s.ignored}
    for place, here in of_words.items():
        waiting = sorted(of_segments[place], key=lambda segment: segment.start)
        current = 0
        for word in _in_time(here):
            middle = word.start + word.duration / 2
            while current < len(waiting) - 1 and middle >= waiting[current].end:
                current += 1
            if not waiting[current].ignored:
                texts[waiting[current].id].append(word.word)
    return {name: " ".join(spoken) for name, spoken in texts.items()}


def silent_places(segments: Sequence[StmSegment], words: Sequence[TimedWord]) -> list[str]:
    """Return the files and channels that have segments to be scored, but no words."""
    spoken = _by_place(words)
    scored = _by_place([segment for segment in segments if not segment.ignored])
    return [
        f"{file} channel {channel}" for file, channel in scored if (file, channel) not in spoken
    ]


def _in_time(words: list[TimedWord]) -> list[TimedWord]:
    """Return the words of one place by time; with alternatives, in the order of the file."""
    if any(word.word in _MARKS.values() for word in words):
        return words
    return sorted(words, key=lambda word: word.start)


def _by_place(items: Sequence[T]) -> dict[Place, list[T]]:
    places: dict[Place, list[T]] = {}
    for item in items:
        places.setdefault((item.file.lower(), item.channel.lower()), []).append(item)
    return places


def _refuse(problem: str, places: Sequence[Place]) -> None:
    if places:
        names = ", ".join(f"file {file} channel {channel}" for file, channel in places[:3])
        raise ScoreError(problem.format(names + (" ..." if places[3:] else "")))

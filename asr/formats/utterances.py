"""Write a transcript as utterances of a manifest, so that a model can train on its own output.

A recording is cut where nobody speaks, until each utterance is short enough to be trained on and
holds no long pause.
"""

import json
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from asr.formats.transcript import Transcript, Word, one_line, printable
from asr.manifest import Utterance, to_record

LONGEST_S = 15.0  # asr-train leaves out utterances of more than 20 s
PAUSE_S = 1.0  # longer pauses are left out, except for their edges
EDGE_S = 0.25  # of a pause that an utterance keeps, on each side


def manifest(transcript: Transcript) -> str:
    """Return a manifest line for each utterance; "" for a transcript without words."""
    audio = Path(printable(transcript.path)).absolute()
    lines = []
    for number, (start, end, text) in enumerate(_utterances(transcript)):
        utterance = Utterance(
            id=f"{transcript.utterance}-{number:04}",
            audio=audio,
            start=round(start, 3),
            duration=round(end - start, 3),
            text=text,
        )
        lines.append(json.dumps(to_record(utterance, audio), ensure_ascii=False) + "\n")
    return "".join(lines)


def _utterances(transcript: Transcript) -> Iterator[tuple[float, float, str]]:
    """Yield (start, end, text) of each utterance, in order.

    A short pause between two utterances is divided between them.
    """
    words = transcript.words
    for first, stop in _cut(words):
        before = words[first - 1].end if first else 0.0
        behind = words[stop].start if stop < len(words) else transcript.duration
        start, end = words[first].start, words[stop - 1].end
        yield (
            max(start - EDGE_S, (before + start) / 2 if first else 0.0),
            min(end + EDGE_S, (end + behind) / 2 if stop < len(words) else behind),
            " ".join(one_line(word.word) for word in words[first:stop]),
        )


def _cut(words: Sequence[Word]) -> list[tuple[int, int]]:
    """Return the utterances, each as (index of its first word, index after its last word).

    All pauses longer than PAUSE_S cut. A part that is still too long is cut at its longest pause
    (of equal ones at the one nearest to the middle), and its parts again.
    """
    pauses = [round(behind.start - word.end, 3) for word, behind in pairwise(words)]
    edges = [0, *(i for i, pause in enumerate(pauses, 1) if pause > PAUSE_S), len(words)]
    waiting = [*pairwise(edges)][::-1] if words else []
    found = []
    while waiting:
        first, stop = waiting.pop()
        if stop - first == 1 or words[stop - 1].end - words[first].start <= LONGEST_S:
            found.append((first, stop))
            continue
        middle = (first + stop) / 2
        cut = max(range(first + 1, stop), key=lambda at: (pauses[at - 1], -abs(at - middle)))
        waiting += [(cut, stop), (first, cut)]
    return found

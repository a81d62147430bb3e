"""Words to utterances of a manifest: a network can learn from what it heard.

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
PAUSE_S = 1.0  # belongs to no utterance, but for its edges
EDGE_S = 0.25  # of a pause, on each side of an utterance


def manifest(transcript: Transcript) -> str:
    """Return a line for each utterance, as asr.manifest reads them; "" where nothing was said."""
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
    """Start, end and text of each, in order; a pause between two is shared, or left out."""
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
    """The utterances, each as its first word and the one after its last.

    All long pauses cut. What is too long then is cut at its longest pause, of several at the one
    nearest to its middle; then its parts are.
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

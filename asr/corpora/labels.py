"""Read files that say what was said when in a recording: Audacity's labels and Praat's TextGrids.

https://manual.audacityteam.org/man/importing_and_exporting_labels.html
https://www.fon.hum.uva.nl/praat/manual/TextGrid_file_formats.html
"""

import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from asr.corpora.entries import one_line, read_text
from asr.errors import CorpusError

_LABEL = re.compile(r"(\d+(?:[.,]\d+)?)\t(\d+(?:[.,]\d+)?)(?:\t(.*))?")
# As Praat reads: quoted texts, flags and free-standing numbers; all else, as "xmin =", is comment.
_TOKEN = re.compile(
    r'"((?:[^"]|"")*)"|(<\w+>)|\[\d*\]|(?<![\w.])(-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)(?![\w.])'
)
PAUSE_S = 0.5  # of silence that ends an utterance, where a tier holds single words
_WORDS_TIER = re.compile(r"words?\b|.* - words?$", re.IGNORECASE)
_SOUNDS_TIER = re.compile(r"(.* - )?(phones?|phonemes?|segments?|syll\w*|maus|kan)$", re.IGNORECASE)


@dataclass(frozen=True)
class Label:
    """A stretch of a recording, in seconds, and what was said in it."""

    start: float
    end: float
    text: str


def parse_audacity(content: str) -> list[Label] | None:
    """Return the labels of a text that Audacity exported; None if it is another text.

    Lines that begin with a backslash give frequencies, and are left out.
    """
    lines = [line for line in content.splitlines() if line.strip() and not line.startswith("\\")]
    matches = [_LABEL.fullmatch(line) for line in lines]
    found = [match for match in matches if match]
    if not found or len(found) < len(lines):
        return None
    labels = [
        Label(_number(match[1]), _number(match[2]), one_line(match[3] or "")) for match in found
    ]
    return [label for label in labels if label.text]


def _number(text: str) -> float:
    return float(text.replace(",", "."))


def read_textgrid(path: Path) -> list[Label]:
    """Read the utterances of a TextGrid, in Praat's long or short text format.

    Of several tiers of intervals, the one of words or texts with the longest texts counts, not
    one of phones. Where intervals hold single words, as aligners write, words become utterances
    that end at pauses of PAUSE_S.

    Raises:
        CorpusError: the file is no such TextGrid, or has no text.
    """
    tiers = _tiers(path, read_text(path))
    speaking = {name: labels for name, labels in tiers if not _SOUNDS_TIER.fullmatch(name)}
    if not any(speaking.values()):
        raise CorpusError(f"{path}: no tier of intervals with a text; give one with what was said")
    name = max(speaking, key=lambda name: _mean_words(speaking[name]))
    labels = speaking[name]
    single = _WORDS_TIER.fullmatch(name) or _mean_words(labels) < 1.5
    return _joined(labels) if single else labels


def _tiers(path: Path, content: str) -> list[tuple[str, list[Label]]]:
    """Return the tiers of intervals with their names and their labels that have a text."""
    tokens = [match.groups() for match in _TOKEN.finditer(content) if match[0][0] != "["]
    values = [t[0].replace('""', '"') if t[0] is not None else t[1] or float(t[2]) for t in tokens]
    if values[:2] != ["ooTextFile", "TextGrid"]:
        raise CorpusError(f"{path}: not a TextGrid in text format; save it as text in Praat")
    tiers = []
    at = 6  # after both names, the times of the whole, <exists> and the number of tiers
    try:
        for _ in range(int(values[5])):
            kind, name, count = values[at], str(values[at + 1]), int(values[at + 4])
            width = 3 if kind == "IntervalTier" else 2
            rows = values[at + 5 : at + 5 + width * count]
            at += 5 + width * count
            if width == 3:
                starts, ends, texts = rows[::3], rows[1::3], rows[2::3]
                labels = [
                    Label(float(start), float(end), one_line(str(text)))
                    for start, end, text in zip(starts, ends, texts, strict=True)
                ]
                tiers.append((name, [label for label in labels if label.text]))
    except (IndexError, ValueError, TypeError):
        raise CorpusError(f"{path}: breaks off, or is damaged; save it again in Praat") from None
    return tiers


def _mean_words(labels: list[Label]) -> float:
    return sum(len(label.text.split()) for label in labels) / max(len(labels), 1)


def _joined(words: list[Label]) -> list[Label]:
    """Join words to utterances that end at pauses."""
    breaks = [i for i, (a, b) in enumerate(pairwise(words), 1) if b.start - a.end >= PAUSE_S]
    return [
        Label(words[a].start, words[b - 1].end, " ".join(word.text for word in words[a:b]))
        for a, b in pairwise([0, *breaks, len(words)])
    ]

#!/usr/bin/env python3
"""Judge readable text of recordings against the books that were read.

usage: scripts/bench/readable.py MODEL TRANSCRIPTS BOOKS

TRANSCRIPTS holds NAME.json of `asr-transcribe --plain --format json`, BOOKS the text of each book
as NAME.txt, with punctuation. The stretch of a book that was read is found by sequences of eight
words. Then each recognised word gets the capital form and the mark of the word of the book that it
is aligned with; the mark of a word that was not recognised goes to the word before it. A recording
may leave parts of the book out. Printed are
F1, precision, recall and counts of the tagger in MODEL, of the same tagger without pauses, and of a
rule that puts a period at each pause of 0.45 s and a capital after it.
"""

import json
import sys
from math import nan
from pathlib import Path

import numpy as np
from rapidfuzz.distance import Levenshtein

from asr.formats import Word
from asr.readable import (
    TAGGER,
    TagCounts,
    Tagger,
    WrittenText,
    capitals,
    count_tags,
    pauses_of,
    rule_tags,
)
from asr.text import Normalizer

RUN = 8  # words in a row that a stretch of a book and the recording have in common
MOST_DELETED = 3  # words that were not recognised; more of them were not read


def stretch(words: list[str], book: list[str]) -> slice:
    """Return the part of a book that a recording has read."""
    runs = {tuple(words[i : i + RUN]) for i in range(len(words) - RUN)}
    places = [i for i in range(len(book) - RUN) if tuple(book[i : i + RUN]) in runs]
    middle = int(np.median(places))
    near = [place for place in places if abs(place - middle) < 5 * len(words)]
    return slice(max(0, near[0] - 30), near[-1] + 30)


def carried(words: list[str], text: WrittenText) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return capital forms, marks, and which words have any, as the book has them."""
    book = [text.words[word] for word in text.ids]
    part = stretch(words, book)
    book, forms, after = book[part], text.cases[part], text.marks[part]
    cases, marks = np.zeros(len(words), int), np.zeros(len(words), int)
    known, before = np.zeros(len(words), bool), -1
    for tag, i1, i2, j1, j2 in Levenshtein.opcodes(book, words):
        for i, j in zip(range(i1, i2), range(j1, j2), strict=False):
            cases[j], marks[j], known[j], before = forms[i], after[i], True, j
        if tag == "delete" and i2 - i1 <= MOST_DELETED:
            for i in range(i1, i2):
                if before >= 0 and after[i] and not marks[before]:
                    marks[before] = after[i]
    first, last = np.flatnonzero(known)[[0, -1]]
    return cases, marks, (np.arange(len(words)) >= first) & (np.arange(len(words)) <= last)


def main() -> int:
    """Print a table."""
    model, transcripts, books = map(Path, sys.argv[1:])
    tagger = Tagger.load(model / TAGGER)
    totals: dict[str, dict[str, TagCounts]] = {}
    num_words = 0
    for path in sorted(transcripts.glob("*.json")):
        book = books / f"{path.stem}.txt"
        spoken = [Word(**word) for word in json.loads(path.read_text(encoding="utf-8"))["words"]]
        words, pauses = [word.word.lower() for word in spoken], pauses_of(spoken)
        cases, marks, known = carried(words, WrittenText.read([str(book)], Normalizer()))
        num_words += int(known.sum())
        found = {
            "tagger": [scores.argmax(axis=1) for scores in tagger.tag(words, pauses)],
            "no pauses": [s.argmax(axis=1) for s in tagger.tag(words, [nan] * len(words))],
            "rule": rule_tags(words, pauses),
        }
        for name, (own_cases, own_marks) in found.items():
            own = (capitals(own_cases, own_marks)[known], own_marks[known])
            counts = count_tags((cases[known], marks[known]), own)
            sums = totals.setdefault(name, dict.fromkeys(counts, TagCounts()))
            totals[name] = {tag: sums[tag] + counts[tag] for tag in counts}
    print(f"{num_words} recognised words")
    for name, counts in totals.items():
        for tag, count in counts.items():
            print(f"{name:10}{tag:12} {count}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Write recognised words as people read them: sentences, capitals, digits, paragraphs.

A `Writer` asks the tagger for the capital form of each word and the mark after it, replaces numbers
by digits, and joins everything to written words. Each written word knows which spoken words it
stands for, so that times and spoken words are never lost.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise, takewhile
from math import nan
from typing import Literal

import numpy as np

from asr.formats import Segment, Transcript, Word, WrittenWord
from asr.readable.numbers import REPEATS, Numeral, digit_of, numerals
from asr.readable.tagger import Tagger
from asr.readable.written import (
    CAPITAL,
    HYPHEN,
    LOWER,
    MARKS,
    MIXED,
    NONE,
    PERIOD,
    SENTENCE_ENDS,
    TITLES,
    TOGETHER,
    UPPER,
)

Numbers = Literal["digits", "words"]

PARAGRAPH_S = 1.5  # of silence after a sentence, which begin a new paragraph
_SHORTEST_PARAGRAPH = 25  # words
LOOK_AHEAD = 4  # words behind a word, before it is written live
SEGMENT_PAUSE_S = 1.0  # about what ends a segment (asr/segmentation.py)
_REMEMBERED = 40  # words that a live writer has as context
_LETTER, _DIGIT = "letter", "digit"
_LETTERS = 3  # so many, said one by one, spell a word
_DIGITS = 7  # so many, said one by one, are one number; fewer may be a list
_ENDS = tuple(MARKS[mark] for mark in SENTENCE_ENDS)
_WRITTEN_MARKS = (*MARKS[:-2], " \u2013", "-")


@dataclass(frozen=True)
class _Plan:
    """What is to be written for each word: capital forms, marks, pauses in seconds."""

    words: Sequence[str]
    cases: Sequence[int]
    marks: Sequence[int]
    pauses: Sequence[float]


class Writer:
    """A writer of readable text.

    Args:
        tagger: knows capitals and marks.
        numbers: "digits" writes numbers in digits, where the tagger is for English.
    """

    def __init__(self, tagger: Tagger, numbers: Numbers = "digits") -> None:
        self.tagger = tagger
        self._digits = numbers == "digits" and tagger.info.english

    def rewrite(self, transcript: Transcript, words: Sequence[Word]) -> Transcript:
        """Return a transcript with a readable text, given its words with their times."""
        written = self.write([word.word for word in words], pauses_of(words))
        return replace(
            transcript, text=text_of(written), spoken_text=transcript.text, written=written
        )

    def write(
        self,
        words: Sequence[str],
        pauses: Sequence[float] | None = None,
        *,
        context: int = 0,
        is_begun: bool = False,
        is_ended: bool = True,
    ) -> tuple[WrittenWord, ...]:
        """Return the written words of a text.

        Args:
            words: as recognised, of any case.
            pauses: the seconds of silence after each word, NaN where unknown; None: all unknown.
            context: the number of first words that are read, but not written.
            is_begun: whether the first word to be written continues a sentence.
            is_ended: whether the last word must end a sentence.
        """
        silences = [nan] * len(words) if pauses is None else pauses
        plan = self._plan(words, silences, context, is_begun=is_begun, is_ended=is_ended)
        return tuple(_with_paragraphs(self._joined(plan, context), plan))

    def _plan(
        self,
        words: Sequence[str],
        pauses: Sequence[float],
        context: int,
        *,
        is_begun: bool,
        is_ended: bool,
    ) -> _Plan:
        """Return what is to be written for each word; arguments are those of `write`."""
        case_scores, mark_scores = self.tagger.tag(words, pauses)
        cases, marks = case_scores.argmax(axis=1), mark_scores.argmax(axis=1)
        if is_ended and len(words):
            ends = mark_scores[-1, list(SENTENCE_ENDS)]
            marks[-1] = SENTENCE_ENDS[int(ends.argmax())]
        if self.tagger.info.english:
            for run in _dictated(words, pauses):  # the tagger, which knows books, tears them apart
                marks[run[:-1]], cases[run[1:]] = NONE, LOWER
                cases[[at for at in run if len(words[at]) == 1]] = UPPER
            marks[_counted(words)] = NONE  # books write "to-day", but not here
        begins = np.concatenate(([False], marks[:-1] == PERIOD))[: len(words)]
        begins[context : context + 1] = not is_begun
        cases = np.where(begins & (cases == LOWER), CAPITAL, cases)
        return _Plan(words, cases.tolist(), marks.tolist(), pauses)

    def _joined(self, plan: _Plan, context: int) -> Iterator[WrittenWord]:
        """Yield the written words; words that a hyphen joins are one."""
        text, first = "", 0
        for part in self._parts(plan, context):
            if not text:
                first = part.first
            mark = plan.marks[part.stop - 1]
            text += part.text + _WRITTEN_MARKS[mark]
            if mark != HYPHEN or part.stop == len(plan.words):
                yield WrittenWord(text, first, part.stop)
                text = ""

    def _parts(self, plan: _Plan, at: int) -> Iterator[Numeral]:
        """Yield the words and numerals from a word on, without the marks after them."""
        found = dict[int, Numeral]()
        if self._digits:
            breaks = [mark not in (NONE, HYPHEN) for mark in plan.marks]
            lowered = [word.lower() for word in plan.words]
            found = {numeral.first: numeral for numeral in numerals(lowered, breaks, at)}
        while at < len(plan.words):
            if at in found:
                yield self._capitalised(found[at], plan)
                at = found[at].stop
            elif at + 1 not in found and (joined := self._together(plan, at)):
                yield joined
                at = joined.stop
            else:
                yield Numeral(at, at + 1, self._spelled(plan, at))
                at += 1

    def _together(self, plan: _Plan, at: int) -> Numeral | None:
        """Return two words that are one now, but not those of "day to day" and "any one of"."""
        before, first, second, after = (
            plan.words[place].lower() if 0 <= place < len(plan.words) else ""
            for place in range(at - 1, at + 3)
        )
        joined, apart = TOGETHER.get((first, second), ("", ""))
        if not (joined and self.tagger.info.english) or plan.marks[at] not in (NONE, HYPHEN):
            return None
        numbered = digit_of(after) is not None and plan.marks[at] == plan.marks[at + 1] == NONE
        if after in apart.split() or (first == "to" and (before in ("day", "night") or numbered)):
            return None
        return Numeral(at, at + 2, spelled(joined, plan.cases[at], self.tagger.forms))

    def _capitalised(self, numeral: Numeral, plan: _Plan) -> Numeral:
        """Return a numeral whose first letter is a capital where its first word would be."""
        if plan.cases[numeral.first] == LOWER:
            return numeral
        return replace(numeral, text=numeral.text[:1].upper() + numeral.text[1:])

    def _spelled(self, plan: _Plan, at: int) -> str:
        """Return a word in its capital form; a title before a name is shortened, as in Mr. Todd."""
        word, case = plan.words[at], plan.cases[at]
        if self.tagger.info.english and word.lower() in TITLES and case == CAPITAL:
            named = at + 1 < len(plan.words) and plan.cases[at + 1] != LOWER
            if named and plan.marks[at] in (NONE, PERIOD):
                return TITLES[word.lower()]
        return spelled(word, case, self.tagger.forms)


def _counted(words: Sequence[str]) -> list[int]:
    """Return the places of "to day" in "day one to day five", and of its like."""
    lowered = [word.lower() for word in words]
    first = (
        at
        for at in range(2, len(words) - 2)
        if lowered[at - 2] == lowered[at + 1] and (lowered[at], lowered[at + 1]) in TOGETHER
        if digit_of(lowered[at - 1]) is not None and digit_of(lowered[at + 2]) is not None
    )
    return [place for at in first for place in (at, at + 1)]


def _dictated(words: Sequence[str], pauses: Sequence[float]) -> Iterator[list[int]]:
    """Yield the places of words that are one: letters that spell it, digits of a long number."""
    lowered, kinds = [word.lower() for word in words], _kinds(words)
    parts = np.cumsum([0, *(pause >= PARAGRAPH_S for pause in pauses)]).tolist()
    for (kind, _), places in groupby(range(len(words)), key=lambda at: (kinds[at], parts[at])):
        run = list(places)
        said = [lowered[at] for at in run]
        if kind == _LETTER and len(run) >= _LETTERS and len(set(said)) > 1:
            yield run
        elif kind == _DIGIT and len(run) + said.count("triple") >= _DIGITS:
            values = [digit_of(word) or 0 for word in said]
            steps = {after - before for before, after in pairwise(values)}
            if steps not in ({1}, {-1}):  # somebody counts
                yield run


def _kinds(words: Sequence[str]) -> list[str]:
    """Return which words are letters or digits that are said one by one; others are empty."""
    kinds = list[str]()
    for word in (word.lower() for word in reversed(words)):
        if word in REPEATS and kinds:
            kinds.append(kinds[-1])
        elif len(word) == 1:
            kinds.append(_LETTER if "a" <= word <= "z" else "")
        else:
            kinds.append("" if digit_of(word) is None else _DIGIT)
    return kinds[::-1]


def _with_paragraphs(written: Iterable[WrittenWord], plan: _Plan) -> Iterator[WrittenWord]:
    """Yield written words; one after a sentence and a long pause begins a paragraph."""
    begin = 0
    for word in written:
        before = word.first - 1
        is_ended = before >= 0 and plan.marks[before] in SENTENCE_ENDS
        is_long = before >= 0 and plan.pauses[before] >= PARAGRAPH_S  # not where it is unknown
        if is_ended and is_long and word.first - begin >= _SHORTEST_PARAGRAPH:
            begin = word.first
            yield replace(word, begins_paragraph=True)
        else:
            yield word


def spelled(word: str, case: int, forms: dict[str, str]) -> str:
    """Return a word in a capital form; scripts without capitals stay as they are."""
    lower = word.lower() if word.isupper() else word
    if case == LOWER:
        return lower
    if case == UPPER:
        return word.upper()
    if case == MIXED and word.lower() in forms:
        return forms[word.lower()]
    return lower[:1].upper() + lower[1:]


def pauses_of(words: Sequence[Word]) -> list[float]:
    """Return the seconds of silence after each word; after the last one, NaN."""
    return [max(0.0, after.start - word.end) for word, after in pairwise(words)] + [nan][
        : len(words)
    ]


def text_of(written: Sequence[WrittenWord]) -> str:
    """Return written words as a text; an empty line separates paragraphs."""
    gaps = ("\n\n" if word.begins_paragraph else " " for word in written)
    return "".join(gap + word.text for gap, word in zip(gaps, written, strict=True)).strip()


class LiveWriter:
    """A writer of text that arrives in segments, while somebody speaks.

    Words that were written stay. A word is written once LOOK_AHEAD words follow it, or once its
    segment ends, because the mark after a word depends on the words behind it; a digit once another
    word follows the number, too.
    """

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._context: list[str] = []  # the last words before those of this segment
        self._pauses: list[float] = []  # after the words of the context
        self._is_begun = False  # whether a sentence is unfinished
        self._num_written = 0  # words of this segment

    def write(self, words: Sequence[str], *, is_end: bool) -> list[str]:
        """Return the written words that are now sure.

        Args:
            words: all words of the segment that are sure; the first ones were given before.
            is_end: whether the segment ends here, with a pause.
        """
        pauses = [nan] * len(words)
        if is_end:
            pauses[-1:] = [SEGMENT_PAUSE_S][: len(words)]
        written = self._writer.write(
            [*self._context, *words],
            [*self._pauses, *pauses],
            context=len(self._context) + self._num_written,
            is_begun=self._is_begun,
            is_ended=False,
        )
        found, sure = [], len(self._context) + len(words)
        if not is_end:
            digits = sum(1 for _ in takewhile(_DIGIT.__eq__, reversed(_kinds(words))))
            sure -= max(LOOK_AHEAD, digits)  # a number is written when it has ended
        for word in written:
            if word.stop <= sure:
                found.append(word.text)
                self._num_written = word.stop - len(self._context)
                self._is_begun = not word.text.endswith(_ENDS)
        if is_end:
            self._context = [*self._context, *words][-_REMEMBERED:]
            self._pauses = [*self._pauses, *pauses][-_REMEMBERED:]
            self._num_written = 0
        return found

    def rewrite(self, segment: Segment) -> Segment:
        """Return a whole segment with a readable text; it must have its words."""
        words = [word.word for word in segment.words]
        return replace(segment, text=" ".join(self.write(words, is_end=True)))

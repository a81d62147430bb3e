"""Written text to words with tags: the capital form of each word, and the mark after it.

A tagger learns from written text. `WrittenText.read` turns it into the words that a recogniser
would write for it, and into the tags that lead back from these words to the written text.

    Mr. Todd isn't well-known, is he?   ->   mister todd isn't well known is he
    capitals                                 C      C    l     l    l     l  l
    marks                                    -      -    -     hyph ,     -  ?

Quotation marks and brackets are left out: no network can hear them, and a lone one is worse than
none. A period of an abbreviation or an initial is no mark.
"""

import re
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asr._atomic import write_atomically
from asr.errors import CheckpointError, TextError
from asr.lm import opened
from asr.text import ABBREVIATIONS, Normalizer, cased_like

LOWER, CAPITAL, UPPER, MIXED = range(4)  # the capital forms of a word
CASES = ("lower", "Capital", "UPPER", "mixed")
MARKS = ("", ",", ".", "?", "!", ";", ":", " -", "-")  # after a word; the last joins two words
NONE, COMMA, PERIOD, QUESTION, EXCLAMATION, SEMICOLON, COLON, DASH, HYPHEN = range(len(MARKS))
SENTENCE_ENDS = (PERIOD, QUESTION, EXCLAMATION)

TITLES = {  # how titles before a name are written
    "mister": "Mr.",
    "mr": "Mr.",
    "missus": "Mrs.",
    "mrs": "Mrs.",
    "doctor": "Dr.",
    "dr": "Dr.",
}
_BEHIND_ONE = (
    "of and hundred thousand million case day man moment part person place point side thing time "
    "way woman word year"
)
# Words that books of a hundred years ago part, how they are written now, and which words behind
# them show that they are two still.
TOGETHER = {
    ("to", "day"): ("today", "ten care job school shift trip"),
    ("to", "morrow"): ("tomorrow", ""),
    ("to", "night"): ("tonight", "ten school shift time"),
    ("any", "one"): ("anyone", _BEHIND_ONE),
    ("every", "one"): ("everyone", _BEHIND_ONE),
    ("some", "one"): ("someone", _BEHIND_ONE),
}
_LEAST_SEEN = 5  # times that a mixed form must be seen to be learned
_EDGES = "\"'\u201c\u201d\u2018\u2019\u201e\xab\xbb()[]{}<>*_|~^`\xb4"  # quotation marks, brackets
_TRAILING = re.compile(r"[.,;:?!\u2026\u2013\u2014\"'\u201c\u201d\u2019\xbb)\]}*_-]+$")
_DASHES = re.compile(r"--+|[\u2013\u2014]")
_INITIAL = re.compile(r"(?:[^\W\d_]\.)+")
_PRIORITY = (
    ("?", QUESTION),
    ("!", EXCLAMATION),
    (".", PERIOD),
    ("\u2026", PERIOD),
    (";", SEMICOLON),
)
_LATER = ((":", COLON), (",", COMMA), ("\u2014", DASH), ("-", DASH))

Tags = NDArray[np.integer]
Piece = tuple[str, int, int]  # a word with its letters' case, its capital form, the mark after it


@dataclass(frozen=True, eq=False)
class WrittenText:
    """Words with their tags, concatenated in reading order."""

    words: tuple[str, ...]  # the different words, in lower case
    ids: NDArray[np.int32]  # of each word of the text, in `words`
    cases: NDArray[np.uint8]  # LOWER ... MIXED
    marks: NDArray[np.uint8]  # NONE ... HYPHEN
    forms: tuple[str, ...] = ()  # how words of the form MIXED are written, such as McDonald

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def read(cls, paths: Iterable[str], normalizer: Normalizer) -> "WrittenText":
        """Read texts, one sentence or paragraph a line, in reading order.

        Args:
            paths: text files; .gz and .xz are unpacked.
            normalizer: how the recogniser writes words; its case does not matter.

        Raises:
            LanguageModelError: a text cannot be read.
            TextError: the texts hold no words.
        """
        reader = _Gatherer(normalizer)
        for path in paths:
            with opened(path) as lines:
                for number, line in enumerate(lines, 1):
                    try:
                        reader.add(line.decode())
                    except UnicodeDecodeError as error:
                        raise TextError(
                            f"{path}: line {number}: not UTF-8 ({error.reason}); convert the file"
                        ) from error
        if not reader.ids:
            raise TextError(f"{', '.join(map(str, paths))}: no words; give a written text")
        return reader.text()


@dataclass(frozen=True)
class WrittenForms:
    """How words of the form MIXED are written, such as McDonald; a vocabulary of a tagger."""

    forms: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.forms)

    @classmethod
    def load(cls, path: Path) -> "WrittenForms":
        """Read what `save` wrote.

        Raises:
            CheckpointError: the file cannot be read.
        """
        try:
            return cls(tuple(path.read_text(encoding="utf-8").splitlines()))
        except (OSError, UnicodeDecodeError) as error:
            raise CheckpointError(f"{path}: cannot be read ({error}); copy it again") from error

    def save(self, path: Path) -> None:
        """Write the forms, one a line."""
        write_atomically(path, "".join(f"{form}\n" for form in self.forms))


class _Gatherer:
    """A reader that takes lines and gathers words and tags; each different token is parsed once."""

    def __init__(self, normalizer: Normalizer) -> None:
        self.parser = Parser(normalizer)
        self.words: dict[str, int] = {}
        self.ids, self.cases, self.marks = array("i"), bytearray(), bytearray()
        self.forms: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def add(self, line: str) -> None:
        """Take the words of a line."""
        for word, case, mark in self.parser.pieces(line):
            key = word.lower()
            self.ids.append(self.words.setdefault(key, len(self.words)))
            self.cases.append(case)
            self.marks.append(mark)
            if case == MIXED:
                self.forms[key][word] += 1

    def text(self) -> WrittenText:
        """Return what was read."""
        common = {key: forms.most_common(1)[0] for key, forms in self.forms.items()}
        return WrittenText(
            words=tuple(self.words),
            ids=np.frombuffer(self.ids, np.int32),
            cases=np.frombuffer(self.cases, np.uint8),
            marks=np.frombuffer(self.marks, np.uint8),
            forms=tuple(form for form, times in common.values() if times >= _LEAST_SEEN),
        )


class Parser:
    """A parser of written lines."""

    def __init__(self, normalizer: Normalizer) -> None:
        self.abbreviations = ABBREVIATIONS if normalizer.numbers == "en" else {}
        self._normalized = replace(normalizer, case="keep")
        self._known: dict[str, tuple[tuple[Piece, ...], int]] = {}

    def pieces(self, line: str) -> list[Piece]:
        """Return the words of a line; a line in capitals throughout, a heading, has none."""
        if line.isupper():
            return []
        found: list[Piece] = []
        for token in line.split():
            known = self._known.get(token)
            if known is None:
                known = self._known[token] = tuple(self._parsed(token)), _mark(token)
            pieces, alone = known
            if pieces:
                found.extend(pieces)
            elif found and alone and found[-1][2] in (NONE, HYPHEN):  # a dash between spaces
                found[-1] = (*found[-1][:2], alone)
        return found

    def _parsed(self, token: str) -> Iterator[Piece]:
        """Yield the words of a token between spaces."""
        bare = token.lstrip(_EDGES)
        for abbreviation, spoken in self.abbreviations.items():
            short, rest = bare[: len(abbreviation)], bare[len(abbreviation) :]
            if short.lower() == abbreviation.lower():
                mark = _mark(rest)
                for word in (words := cased_like(short, spoken).split()):
                    yield word, case_of(word), mark if word is words[-1] else NONE
                return
        is_initial = _INITIAL.fullmatch(bare.rstrip(",;")) is not None
        parts = [part for part in _DASHES.split(token) if any(map(str.isalnum, part))]
        for part in parts:
            mark = _mark(part) if part is parts[-1] else _mark(part) or DASH
            yield from self._joined(part, NONE if is_initial and mark == PERIOD else mark)

    def _joined(self, part: str, mark: int) -> Iterator[Piece]:
        """Yield the words of a part without dashes, which hyphens may join."""
        members = [member for member in part.split("-") if any(map(str.isalnum, member))]
        for member in members:
            words = self._normalized(_TRAILING.sub("", member)).split()
            joined = HYPHEN if member is not members[-1] else mark
            for number, word in enumerate(words, 1):
                yield word, case_of(word), joined if number == len(words) else NONE


def case_of(word: str) -> int:
    """Return the capital form of a word; letters without case, and none at all, are LOWER."""
    letters = "".join(filter(str.isalpha, word))
    if letters == letters.lower():
        return LOWER
    if letters == letters.upper() and len(letters) > 1:
        return UPPER
    first = letters[:1]
    is_capital = first != first.lower() and letters[1:] == letters[1:].lower()
    return CAPITAL if is_capital and word[:1] == first else MIXED


def capitals(cases: Tags, marks: Tags) -> Tags:
    """Return capital forms (T,) with a capital after each period, given the marks (T,)."""
    begins = np.concatenate(([False], np.asarray(marks[:-1]) == PERIOD))
    return np.where(begins & (cases == LOWER), CAPITAL, cases)


def _mark(token: str) -> int:
    """Return the mark at the end of a token; of several, the one that says most."""
    end = _TRAILING.search(token)
    found = end[0] if end else ""
    for character, mark in (*_PRIORITY, *_LATER):
        if character in found:
            return mark
    return NONE

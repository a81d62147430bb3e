r"""ARPA files: the text format in which toolkits exchange back-off n-gram models.

    \data\
    ngram 1=4
    ...
    \1-grams:
    -1.2<tab>word<tab>-0.3      log10 probability, the words, log10 back-off weight where not 0
    ...
    \end\

Everything before \data\ is skipped; spaces or tabs separate fields. A probability of zero is
customarily written -99; -inf is read as -100.
"""

import math
import re
from collections.abc import Iterator
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from asr.errors import LanguageModelError
from asr.lm.files import created, opened
from asr.lm.ngram import LOG_10, Level, NgramModel
from asr.lm.trie import first_of_equal, lexicographic_order

_LOWEST, _HIGHEST = -100.0, 99.0  # log10 values that, like their sums, fit into a float32
_LINES_AT_ONCE = 1 << 13
_LONGEST_LINE = 1 << 14  # bytes; so many lines at once take 128 MB at most
_MOST_ORDERS = 32
_COUNT = re.compile(rb"ngram\s+(\d{1,9})\s*=\s*(\d{1,15})\s*")


def read_arpa(path: Path | str) -> NgramModel:
    """Read a model from an ARPA file, which may be packed by gzip or xz.

    Raises:
        LanguageModelError: the file cannot be read, or is not well-formed.
    """
    with opened(path, _LONGEST_LINE) as file:
        words, levels = _Reader(file, str(path)).read()
    try:
        return NgramModel.from_levels(words, levels)
    except LanguageModelError as error:
        raise LanguageModelError(f"{path}: {error}") from error


def write_arpa(model: NgramModel, path: Path | str) -> None:
    """Write a model as an ARPA file, packed if the name ends in .gz or .xz.

    Raises:
        LanguageModelError: the file cannot be written.
    """
    with created(path) as file:
        counts = (f"ngram {order}={count}" for order, count in enumerate(model.counts, 1))
        file.write("\n".join(["\\data\\", *counts, ""]).encode())
        levels = model.levels()
        names = np.array(model.words, object)
        for order, level in enumerate(levels, 1):
            file.write(f"\n\\{order}-grams:\n".encode())
            for lines in _lines(level, names, highest=order == len(levels)):
                file.write(lines.encode())
        file.write(b"\n\\end\\\n")


def _lines(level: Level, names: NDArray[np.object_], *, highest: bool) -> Iterator[str]:
    """Yield the lines of an order, many n-grams at a time.

    The highest order has no back-off weights.
    """
    order = level.words.shape[1]
    line = " ".join(["%.7g\t%s", *["%s"] * (order - 1)]) + ("\n" if highest else "\t%.7g\n")
    for start in range(0, len(level.words), _LINES_AT_ONCE):
        some = slice(start, start + _LINES_AT_ONCE)
        columns = [_log10(np.minimum(level.log_prob[some], 0.0))]
        columns += names[level.words[some].T].tolist()
        columns += [] if highest else [_log10(level.backoff[some])]
        yield "".join(map(line.__mod__, zip(*columns, strict=True)))


def _log10(natural: NDArray[np.float32]) -> list[float]:
    """Turn natural logarithms into decimal ones."""
    values: list[float] = (natural.astype(np.float64) / LOG_10 + 0.0).tolist()  # -0.0 becomes 0.0
    return values


class _Reader:
    """A reader of ARPA files, which goes through a file from top to bottom."""

    def __init__(self, lines: Iterator[bytes], name: str) -> None:
        self.file, self.name = lines, name
        self.line, self.number = b"", 0  # the line read last, without white space around it
        self.words: list[str] = []
        self.ids: dict[bytes, int] = {}

    def read(self) -> tuple[list[str], list[Level]]:
        """Return the words and the n-grams of each order."""
        counts = self.header()
        levels = []
        for order, count in enumerate(counts, 1):
            self.expect(f"\\{order}-grams:")
            levels.append(self.section(order, count))
            self.advance()
        self.expect("\\end\\")
        return self.words, levels

    def header(self) -> list[int]:
        """Skip everything before the counts; return the counts."""
        while not self.line.endswith(b"\\data\\"):  # there may be a byte order mark before it
            if not self.advance():
                self.fail("the file ends without a line \\data\\; give an ARPA file")
        counts: list[int] = []
        while self.advance() and (found := _COUNT.fullmatch(self.line)):
            counts.append(int(found[2]))
            if len(counts) > _MOST_ORDERS:
                self.fail(f"order {len(counts)}; give a model of at most {_MOST_ORDERS} orders")
            if int(found[1]) != len(counts):
                self.fail(f"{_shown(self.line)} where order {len(counts)} is due; give all orders")
        if not counts:
            self.fail(f"{_shown(self.line)} where 'ngram 1=...' is due; give the counts")
        return counts

    def advance(self) -> bool:
        """Go to the next line that is not blank; return whether there is one."""
        for line in self.file:
            self.number += 1
            if stripped := line.strip():
                self.line = stripped
                return True
        self.line = b""
        return False

    def expect(self, heading: str) -> None:
        """Raise unless the line read last is this heading."""
        if not self.line:
            self.fail(f"the file ends where {heading} is due; it is truncated, get the whole file")
        if self.line != heading.encode():
            self.fail(
                f"{_shown(self.line)} where {heading} is due; "
                "give as many n-grams as said after \\data\\"
            )

    def section(self, order: int, count: int) -> Level:
        """Read the n-grams of one order."""
        parts = [
            self.part(order, min(_LINES_AT_ONCE, count - done))
            for done in range(0, max(count, 1), _LINES_AT_ONCE)
        ]
        words, log_prob, backoff = map(np.concatenate, zip(*parts, strict=True))
        ranking = lexicographic_order(words)
        words = words[ranking]
        first = first_of_equal(words)
        if not first.all():
            again = int(np.argmin(first))
            text = " ".join(self.words[i] for i in words[again])
            ahead = int(ranking[again]) + 1 - count
            self.fail(f"{text!r} is there a second time; remove one of the two", ahead)
        return Level(words, log_prob[ranking], backoff[ranking])

    def part(self, order: int, count: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Read the next n-grams: ids (count, order), log-probabilities and back-off weights."""
        log10_prob, *words, log10_backoff = self.columns(order, count)
        if order == 1:
            self.add_words(words[0])
        part = (
            self.find_words(words),
            self.logarithms(log10_prob, "probability", highest=0.0),
            self.logarithms(log10_backoff, "back-off weight", highest=_HIGHEST),
        )
        self.number += count
        return part

    def columns(self, order: int, count: int) -> list[tuple[bytes, ...]]:
        """Return the fields of the next lines, column by column; a missing back-off weight is 0."""
        rows = [line.split() for line in islice(self.file, count)]
        if set(map(len, rows)) - {order + 1, order + 2}:
            self.fail_for_fields(order, rows)
        if len(rows) < count:
            self.fail(f"the file ends among the {order}-grams; get the whole file", len(rows))
        columns = list(zip_longest(*rows, fillvalue=b"0"))
        missing = order + 2 - len(columns)  # the last column, or all where there is no row
        return columns + [(b"0",) * count] * missing

    def fail_for_fields(self, order: int, rows: list[list[bytes]]) -> NoReturn:
        """Raise for the first line that has too few or too many fields."""
        allowed = (order + 1, order + 2)
        row, fields = next((i, row) for i, row in enumerate(rows, 1) if len(row) not in allowed)
        if not fields or fields[0].startswith(b"\\"):
            self.fail(f"the {order}-grams end; give as many as said after \\data\\", row)
        self.fail(
            f"{_shown(b' '.join(fields))} is no {order}-gram; give a log10 probability, "
            f"{order} words and, if it is not 0, a log10 back-off weight",
            row,
        )

    def add_words(self, column: tuple[bytes, ...]) -> None:
        """Give each word of the unigrams its id."""
        for i, word in enumerate(column):
            if self.ids.setdefault(word, len(self.words)) < len(self.words):
                self.fail(f"{_shown(word)} is there a second time; remove one of the two", i + 1)
            try:
                self.words.append(word.decode())
            except UnicodeDecodeError:
                self.fail(f"{_shown(word)} is not UTF-8; convert the file to UTF-8", i + 1)

    def find_words(self, columns: list[tuple[bytes, ...]]) -> NDArray[np.int32]:
        """Turn words, one column for each position in the n-gram, into ids (count, order)."""
        try:
            ids = [np.array([*map(self.ids.__getitem__, words)], np.int32) for words in columns]
        except KeyError as error:
            word = error.args[0]
            row = next(i for i, words in enumerate(zip(*columns, strict=True), 1) if word in words)
            self.fail(f"{_shown(word)} is no unigram; add it to them, or remove this line", row)
        return np.column_stack(ids)

    def logarithms(
        self, fields: tuple[bytes, ...], what: str, highest: float
    ) -> NDArray[np.float32]:
        """Turn decimal logarithms into natural ones."""
        try:
            values = np.array(list(map(float, fields)))
        except ValueError:
            values = np.array([_number(field) for field in fields])
        wrong = ~(values <= highest)  # true for NaN, too
        if wrong.any():
            row = int(np.argmax(wrong))
            shown = _shown(fields[row])
            self.fail(f"{shown} is no log10 {what}; give a number up to {highest:g}", row + 1)
        natural: NDArray[np.float32] = (np.maximum(values, _LOWEST) * LOG_10).astype(np.float32)
        return natural

    def fail(self, problem: str, ahead: int = 0) -> NoReturn:
        """Raise for the line read last, or for a line some lines after it."""
        raise LanguageModelError(f"{self.name}: line {self.number + ahead}: {problem}")


def _number(field: bytes) -> float:
    """Return the number in a field; NaN where there is none."""
    try:
        return float(field)
    except ValueError:
        return math.nan


def _shown(text: bytes) -> str:
    """Return a part of the file as an error message quotes it."""
    return repr(b" ".join(text.split())[:80].decode(errors="replace"))

"""Lay scores out for people: NIST's table of speakers, alignments, frequent errors, tests."""

import math
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import chain
from statistics import fmean, median, stdev

from asr.scoring.breakdown import by_length, by_speaker, word_errors
from asr.scoring.significance import Comparison, p_text
from asr.scoring.system import ScoredUtterance, System
from asr.scoring.wer import Score

_HEADINGS = ("# Snt", "# Wrd", "Corr", "Sub", "Del", "Ins", "Err", "S.Err")
_WIDTH = 100  # columns of a terminal
_LETTERS = {"cor": "", "sub": "S", "del": "D", "ins": "I"}


def table(system: System) -> list[str]:
    """Return NIST's summaries by speaker, in percent and in counts; errors by length and word."""
    speakers = by_speaker(system)
    return [
        *_summary("percent by speaker", speakers, system.total, percent=True),
        *_summary("counts by speaker", speakers, system.total, percent=False),
        *_lengths(by_length(system)),
        *_words(system),
    ]


def aligned(system: System) -> list[str]:
    """Return each utterance with its hypothesis below its reference, errors marked S, D and I."""
    return list(chain.from_iterable(_aligned(utterance) for utterance in system.utterances))


def comparison(found: Comparison) -> list[str]:
    """Return the verdict on two systems, and the tests behind it."""
    rows = [
        (test.name, f"{test.statistic:.4g}", p_text(test.p), test.detail) for test in found.tests
    ]
    return [found.verdict(), *_columns(rows)]


def matrix(found: Sequence[Comparison]) -> list[str]:
    """Return the verdicts on several systems, a line each, and NIST's matrix of who is better."""
    names = list(dict.fromkeys(chain.from_iterable((c.a, c.b) for c in found)))
    cells = {(c.a, c.b): f"{c.better or 'same'}, {p_text(c.tests[0].p)}" for c in found}
    rows = [("MAPSSWE", *names[1:])]
    rows += [(a, *(cells.get((a, b), "") for b in names[1:])) for a in names[:-1]]
    return [*(c.verdict() for c in found), *_columns(rows)]


def mean(systems: Sequence[System]) -> str:
    """Return the mean WER of several systems, such as seeds, and the standard deviation."""
    rates = [100 * system.total.word.rate for system in systems]
    if math.inf in rates:
        return "no mean: the references have no words"
    return f"mean of {len(rates)}: %WER {fmean(rates):.2f} +- {stdev(rates):.2f} (S.D.)"


def _summary(title: str, speakers: dict[str, Score], total: Score, percent: bool) -> list[str]:
    cells = {name: _cells(score, percent) for name, score in speakers.items()}
    by_column = list(zip(*cells.values(), strict=True))
    rows: list[list[tuple[str, Sequence[float]]]] = [
        list(cells.items()),
        [("Sum/Avg" if percent else "Sum", _cells(total, percent))],
        [
            ("Mean", [fmean(column) for column in by_column]),
            ("S.D.", [stdev(column) if len(column) > 1 else 0.0 for column in by_column]),
            ("Median", [median(column) for column in by_column]),
        ],
    ]
    width = max(_width(name) for group in rows for name, _ in group)
    digits = [(0, 1 if percent else 0), (0, 1 if percent else 0), (1, 1)]
    rule = f"|{'-' * (width + 2)}+{'-' * 18}+{'-' * 44}|"
    lines = [title, rule, _row("SPKR", _HEADINGS, width), rule]
    for group, (counted, rated) in zip(rows, digits, strict=True):
        for name, values in group:
            texts = [f"{v:.{counted}f}" for v in values[:2]] + [
                f"{v:.{rated}f}" for v in values[2:]
            ]
            lines.append(_row(name, texts, width))
        lines.append(rule)
    return [*lines, ""]


def _cells(score: Score, percent: bool) -> list[float]:
    """Return the numbers of a table row: utterances, words, and correct and wrong ones."""
    word = score.word
    correct = word.words - word.sub - word.dels
    counts = [correct, word.sub, word.dels, word.ins, word.errors]
    whole = max(word.words, 1), max(score.utterances, 1)
    if not percent:
        return [score.utterances, word.words, *counts, score.wrong_utterances]
    rates = [100 * count / whole[0] for count in counts]
    return [score.utterances, word.words, *rates, 100 * score.wrong_utterances / whole[1]]


def _row(name: str, cells: Sequence[str], width: int) -> str:
    counts, rates = ("".join(f"{c:>7}" for c in cells[:2]), "".join(f"{c:>7}" for c in cells[2:]))
    return f"| {_padded(name, width)} |{counts:>17} |{rates:>43} |"


def _lengths(classes: dict[str, Score]) -> list[str]:
    rows = [("words", "utterances", "%WER", "%SER")]
    rows += [
        (name, str(s.utterances), f"{100 * s.word.rate:.2f}", f"{100 * s.sentence_error_rate:.2f}")
        for name, s in classes.items()
    ]
    return ["by length of the reference", *_columns(rows), ""]


def _words(system: System) -> list[str]:
    found = word_errors(system)
    confused = [(str(number), f"{ref} -> {hyp}") for (ref, hyp), number in found.confused]
    lists = {"confused": confused}
    for title, words in (("missed", found.missed), ("invented", found.invented)):
        lists[title] = [(str(number), word) for word, number in words]
    return list(
        chain.from_iterable([f"most {title}", *_columns(rows), ""] for title, rows in lists.items())
    )


def _aligned(utterance: ScoredUtterance) -> list[str]:
    word = utterance.score.word
    correct = word.words - word.sub - word.dels
    lines = [
        f"id: ({utterance.id})",
        f"Scores: (#C #S #D #I) {correct} {word.sub} {word.dels} {word.ins}",
    ]
    for part in _wrapped(utterance):
        widths = [max(_width(text) for text in column) for column in part]
        for k, name in enumerate(("REF: ", "HYP: ", "Eval:")):
            texts = (_padded(column[k], width) for column, width in zip(part, widths, strict=True))
            lines.append(f"{name} {' '.join(texts)}".rstrip())
    return [*lines, ""]


def _wrapped(utterance: ScoredUtterance) -> list[list[tuple[str, str, str]]]:
    """Return the alignment as lines of columns (reference, hypothesis, mark)."""
    lines: list[list[tuple[str, str, str]]] = [[]]
    used = 0
    for op, ref, hyp in utterance.steps:
        stars = "*" * _width(ref or hyp or "")
        column = (ref or stars, hyp or stars, _LETTERS[op])
        width = max(_width(text) for text in column) + 1
        if lines[-1] and used + width > _WIDTH - len("REF:  "):
            lines.append([])
            used = 0
        lines[-1].append(column)
        used += width
    return lines


def _columns(rows: Iterable[Sequence[str]]) -> list[str]:
    """Return rows as lines with left-aligned columns."""
    rows = list(rows)
    widths = [max(_width(text) for text in column) for column in zip(*rows, strict=True)]
    return [
        "  " + "  ".join(_padded(t, w) for t, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _padded(text: str, width: int) -> str:
    return text + " " * (width - _width(text))


def _width(text: str) -> int:
    """Return the width of a text on a terminal, in columns."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide - sum(unicodedata.combining(letter) > 0 for letter in text)

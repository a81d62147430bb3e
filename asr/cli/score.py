"""asr-score: print word, character and sentence error rates, and whether two systems differ."""

import argparse
import json
import sys
from collections.abc import Callable
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING

from asr._streams import put
from asr.cli.run import CommandParser, run

if TYPE_CHECKING:
    from asr.scoring import Comparison, System
    from asr.text import Normalizer

NAMES_SHOWN = 3  # of recordings without words


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = CommandParser(
        prog="asr-score",
        description="Print %WER with its 95 % confidence interval, %CER and %SER of each HYP "
        "against REF. With several HYPs, also say which one is better and whether that is more "
        "than chance; with three or more, such as seeds, also print their mean. Files may be plain "
        "text, .trn, .stm, .ctm, JSON, CSV or TSV; the content decides.",
    )
    parser.add_argument("ref", metavar="REF", help="reference transcripts")
    parser.add_argument("hyps", metavar="HYP", nargs="+", help="recognised transcripts")
    parser.add_argument("--table", action="store_true", help="add errors by speaker, length, word")
    parser.add_argument("--align", action="store_true", help="add hypotheses below references")
    parser.add_argument("--json", action="store_true", help="print one JSON object; rates are 0..1")
    parser.add_argument(
        "--case-sensitive", action="store_true", help="tell A from a; NIST's sclite does not"
    )
    parser.add_argument(
        "--deletable", action="store_true", help="allow to leave out a (word) of REF, as sclite -D"
    )
    parser.add_argument(
        "--normalize",
        action="store_true",
        help="write both alike first: apostrophes, numbers as English words, no accents, no "
        "punctuation, no invisible characters",
    )
    return run("asr-score", lambda: _score(parser.parse_args(argv)))


def _score(arguments: argparse.Namespace) -> int:
    from asr._progress import say
    from asr.scoring import compare

    systems = _systems(arguments)
    if remark := systems[0].remark():
        say(f"asr-score: {remark}")
    comparisons = [compare(a, b) for a, b in combinations(systems, 2)]
    if arguments.json:
        record = _record(systems, comparisons, arguments.align)
        if arguments.normalize:
            record["normalize"] = vars(_normalizer(arguments))
        put(json.dumps(record, ensure_ascii=False))
    else:
        put(*_lines(systems, comparisons, arguments))
    return 0


def _systems(arguments: argparse.Namespace) -> "list[System]":
    from asr._progress import say
    from asr.scoring import read_file, score_system

    ref_file = read_file(arguments.ref)
    written = _writer(arguments)
    refs = written(ref_file.texts)
    doubts = [(arguments.ref, remark) for remark in ref_file.remarks]
    systems = []
    for name in arguments.hyps:
        file = read_file(name)
        doubts += [(name, remark) for remark in file.remarks]
        if silent := file.silent_in(ref_file):
            names = ", ".join(silent[:NAMES_SHOWN]) + (" ..." if silent[NAMES_SHOWN:] else "")
            doubts.append((name, f"no words of {names}; all of theirs count as deleted"))
        hyps = written(file.against(ref_file))
        systems.append(
            score_system(name, refs, hyps, ref_file.speakers, deletable=arguments.deletable)
        )
    for name, remark in doubts:
        say(f"asr-score: {name}: {remark}")
    return systems


def _normalizer(arguments: argparse.Namespace) -> "Normalizer":
    from asr.text import Normalizer

    return Normalizer(case="keep" if arguments.case_sensitive else "lower")


def _writer(arguments: argparse.Namespace) -> Callable[[dict[str, str]], dict[str, str]]:
    """Return a function that brings texts into the form in which they are compared."""
    convert: Callable[[str], str] = str if arguments.case_sensitive else str.lower
    if arguments.normalize:
        from asr.scoring import normalized

        convert = partial(normalized, _normalizer(arguments), deletable=arguments.deletable)
    return lambda texts: {name: convert(text) for name, text in texts.items()}


def _lines(
    systems: "list[System]", comparisons: "list[Comparison]", arguments: argparse.Namespace
) -> list[str]:
    from asr.scoring import report

    lines = []
    if arguments.normalize:
        settings = vars(_normalizer(arguments)).items()
        lines.append(f"normalised: {', '.join(f'{key}={value!r}' for key, value in settings)}")
    for system in systems:
        lines += [system.name] if len(systems) > 1 else []
        lines += system.nist_lines()
        lines += ["", *report.table(system)] if arguments.table else []
        lines += ["", *report.aligned(system)] if arguments.align else []
    if len(comparisons) > 1:
        return [*lines, report.mean(systems), *report.matrix(comparisons)]
    return [*lines, *(line for found in comparisons for line in report.comparison(found))]


def _record(
    systems: "list[System]", comparisons: "list[Comparison]", align: bool
) -> dict[str, object]:
    """Return one system's scores, or a list of several systems' scores and their comparisons."""
    from asr.scoring import breakdown

    records = []
    for system in systems:
        record = {"name": system.name, **system.as_dict(), **breakdown.as_dict(system)}
        if align:
            record["aligned"] = {u.id: u.steps for u in system.utterances}
        records.append(record)
    if len(records) == 1:
        return records[0]
    return {"systems": records, "comparisons": [found.as_dict() for found in comparisons]}


if __name__ == "__main__":
    sys.exit(main())

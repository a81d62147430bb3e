"""Where the errors are, and NIST's tables and alignments of them."""

import re

import pytest
from folders import real_material
from hypothesis import given, settings, strategies as st

from asr.scoring import report
from asr.scoring.breakdown import MOST, as_dict, by_length, by_speaker, word_errors
from asr.scoring.significance import compare
from asr.scoring.system import System, score_system
from asr.scoring.transcripts import read_transcripts
from asr.scoring.wer import Score

TEXTS = st.lists(st.sampled_from(["a", "b", "cc", "d\u00e9", "\u4f60\u597d"]), max_size=30).map(
    " ".join
)


def system(*pairs: tuple[str, str]) -> System:
    refs, hyps = ({f"s{i % 2}-{i}": pair[k] for i, pair in enumerate(pairs)} for k in (0, 1))
    return score_system("hyp.trn", refs, hyps)


def numbers(lines: list[str]) -> list[list[str]]:
    """The cells of a table's lines that hold numbers, with the names of the rows."""
    rows = [re.findall(r"[^\s|]+", line) for line in lines]
    return [row for row in rows if len(row) == 9 and row[0] != "SPKR"]


@pytest.mark.parametrize(("file", "title"), [("test1.sys", "percent"), ("test1.raw", "counts")])
def test_nist_tables_of_the_sctk_example(file: str, title: str) -> None:
    sctk = real_material("sctk")
    refs, hyps = (
        {name: text.lower() for name, text in read_transcripts(sctk / name_of).items()}
        for name_of in ("csrnab.ref", "csrnab.hyp")
    )
    lines = report.table(score_system("csrnab.hyp", refs, hyps))
    start = lines.index(f"{title} by speaker")
    ours = numbers(lines[start : lines.index("", start)])
    assert len(ours) == 7
    assert ours == numbers((sctk / file).read_text().splitlines())


def test_by_speaker_and_length() -> None:
    found = system(("a b", "a"), ("", ""), ("a b c d e f", "a b c d e x"), ("a " * 41, "a " * 41))
    assert {name: s.word.errors for name, s in by_speaker(found).items()} == {"s0": 2, "s1": 0}
    assert {name: (s.utterances, s.word.errors) for name, s in by_length(found).items()} == {
        "0": (1, 0),
        "1-5": (1, 1),
        "6-10": (1, 1),
        "41+": (1, 0),
    }


def test_unknown_speakers_are_one_row() -> None:
    found = score_system("hyp", {"1": "a", "2": "b"}, {"1": "a", "2": "b"})
    assert list(by_speaker(found)) == ["?"]
    assert any(line.startswith("| ?") for line in report.table(found))


def test_words_that_go_wrong_most_often_come_first() -> None:
    found = word_errors(
        system(("a b", "a x"), ("b c", "x c"), ("a", "a z"), ("c", "q"), ("c a", "a"))
    )
    assert found.confused == [(("b", "x"), 2), (("c", "q"), 1)]
    assert found.missed == [("c", 1)]
    assert found.invented == [("z", 1)]
    assert as_dict(system(("a", "b")))["confused"] == [["a", "b", 1]]


def test_lists_of_words_end() -> None:
    found = word_errors(system(*((f"w{i}", "") for i in range(50))))
    assert len(found.missed) == MOST


@settings(max_examples=25)
@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=5))
def test_breakdowns_add_up(pairs: list[tuple[str, str]]) -> None:
    found = system(*pairs)
    for parts in (by_speaker(found), by_length(found)):
        assert sum(parts.values(), Score()) == found.total


def test_aligned_texts_by_hand() -> None:
    assert report.aligned(system(("the cat sat", "a cat sat down"), ("", ""))) == [
        "id: (s0-0)",
        "Scores: (#C #S #D #I) 2 1 0 1",
        "REF:  the cat sat ****",
        "HYP:  a   cat sat down",
        "Eval: S           I",
        "",
        "id: (s1-1)",
        "Scores: (#C #S #D #I) 0 0 0 0",
        "REF:",
        "HYP:",
        "Eval:",
        "",
    ]


@settings(max_examples=25)
@given(TEXTS, TEXTS)
def test_aligned_texts_hold_all_words_in_lines_a_terminal_shows(ref: str, hyp: str) -> None:
    lines = report.aligned(system((ref, hyp)))
    for name, text in (("REF:", ref), ("HYP:", hyp)):
        words = " ".join(line[5:] for line in lines if line.startswith(name)).split()
        assert [word for word in words if set(word) != {"*"}] == text.split()
    assert max(map(len, lines)) <= 100


def test_wide_letters_stay_below_each_other() -> None:
    lines = report.aligned(system(("\u4f60\u597d a", "x a")))
    assert lines[2:5] == ["REF:  \u4f60\u597d a", "HYP:  x    a", "Eval: S"]


def test_comparisons_as_text() -> None:
    refs = {f"s-{i}": "a b c d" for i in range(12)}
    hyps = [{name: f"a b c {last}" for name in refs} for last in "dxd"]
    a, b, c = (score_system(name, refs, h) for name, h in zip("abc", hyps, strict=True))
    lines = report.comparison(compare(a, b))
    assert lines[0].startswith("a is better than b: 0.00 against 25.00 % WER, more than chance")
    assert [line.split()[0] for line in lines[1:]] == [
        "MAPSSWE",
        "bootstrap",
        "Wilcoxon",
        "sign",
        "McNemar",
    ]
    several = report.matrix([compare(a, b), compare(a, c), compare(b, c)])
    assert several[1] == "a and c have the same WER"
    assert several[3:] == [
        "  MAPSSWE  b             c",
        "  a        a, p < 0.001  same, p = 1.000",
        "  b                      c, p < 0.001",
    ]

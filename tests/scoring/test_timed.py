"""NIST's .stm and .ctm: recognised, joined, divided as sclite does."""

from pathlib import Path

import pytest

from asr.cli.score import main
from asr.errors import ScoreError, TextError
from asr.scoring.timed import is_ctm, is_stm
from asr.scoring.transcripts import TranscriptFile, read_file

STM = """;; LABEL "F" "Female" "Female Talkers"
2345 A 2345-a 0.10 2.03 <O,F> uh huh { yes / yeah } i thought
2345 A inter_segment_gap 2.03 2.50 ignore_time_segment_in_scoring
2345 A 2345-b 2.50 3.04 dog walking is a very

2345 A 2345-a 3.50 4.59 yes but
2345 B 2345-c 0.0 9 <O,M>
"""
CTM = """;; words need not be in the order of their times
2345 A 0.20 0.2 uh 0.98
2345 A 0.05 0.1 huh
2345 A 2.10 0.2 cough NA
2345 A 2.45 0.2 dog 1
2345 A 3.30 0.2 yes -6.763
2345 A 8.00 0.2 but 1e-3
2345 b 1.34 0.2 I 0.5
"""


def read(folder: Path, content: str) -> TranscriptFile:
    path = folder / "file"
    path.write_text(content)
    return read_file(path)


def test_stm(tmp_path: Path) -> None:
    found = read(tmp_path, STM)
    assert found.texts == {
        "2345_A_2345-a_0.100_2.030": "uh huh { yes / yeah } i thought",
        "2345_A_2345-b_2.500_3.040": "dog walking is a very",
        "2345_A_2345-a_3.500_4.590": "yes but",
        "2345_B_2345-c_0.000_9.000": "",
    }
    assert list(found.speakers.values()) == ["2345-a", "2345-b", "2345-a", "2345-c"]
    assert len(found.segments) == 5


def test_ctm_words_are_joined_by_their_time(tmp_path: Path) -> None:
    assert read(tmp_path, CTM).texts == {"2345_A": "huh uh cough dog yes but", "2345_b": "I"}
    assert read(tmp_path, "u1 1 0.5 0.1 b\nu1 1 0.1 0.1 a\nu2 1 0.0 0.1 c\n").texts == {
        "u1": "a b",
        "u2": "c",
    }


def test_ctm_alternatives_keep_their_order(tmp_path: Path) -> None:
    text = (
        "7654 A 1.00 0.2 well\n7654 A * * <ALT_BEGIN>\n7654 A 12.00 0.34 UM\n7654 A 12.50 0.1 EH\n"
        "7654 A * * <ALT>\n7654 A 12.00 0.34 UH\n7654 A * * <ALT_END>\n7654 A 13.0 0.1 yes\n"
    )
    assert read(tmp_path, text).texts == {"7654": "well { UM EH / UH } yes"}


def test_words_fall_to_the_segment_that_holds_their_middle(tmp_path: Path) -> None:
    texts = read(tmp_path, CTM).against(read(tmp_path, STM))
    assert list(texts.values()) == [
        "huh uh",  # what comes before the first segment is the first's
        "dog",  # its middle is at 2.55; "cough" is ignored
        "yes but",  # from the gap before it, and from after the end
        "I",
    ]


def test_asr_score_of_stm_and_ctm(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "ref.stm").write_text(STM)
    (tmp_path / "hyp.ctm").write_text(CTM)
    assert main([str(tmp_path / "ref.stm"), str(tmp_path / "hyp.ctm"), "--table"]) == 0
    output = capsys.readouterr().out
    # uh huh yes i thought / huh uh: 3 deletions, 1 substitution; dog: 4 deletions; I: inserted
    assert output.startswith("%WER 75.00 [ 9 / 12, 1 ins, 7 del, 1 sub ]")
    assert "| 2345-c" in output


def test_words_need_segments(tmp_path: Path) -> None:
    refs = read(tmp_path, STM)
    problem = "no segment of file 99 channel a is in the references"
    with pytest.raises(ScoreError, match=problem):
        read(tmp_path, CTM + "99 A 0.1 0.1 x\n").against(refs)


def test_a_recording_without_words_has_deletions_and_is_named(tmp_path: Path) -> None:
    refs = read(tmp_path, STM)
    hyps = read(tmp_path, "2345 A 0.1 0.1 x\n")
    texts = hyps.against(refs)
    assert set(texts) == set(refs.texts)
    assert " ".join(texts.values()).split() == ["x"]
    assert hyps.silent_in(refs) == ["2345 channel b"]
    (tmp_path / "none.ctm").write_text(";; nothing was recognised\n")
    nothing = read_file(tmp_path / "none.ctm")
    assert set(nothing.against(refs).values()) == {""}


def test_a_recording_without_words_against_references_without_times(tmp_path: Path) -> None:
    refs = read(tmp_path, "hello there (a)\ngood morning all (B)\n (c)\n")
    hyps = read(tmp_path, "a 1 0.5 0.3 hello 0.9\na 1 1.0 0.3 there 0.9\n")
    assert hyps.against(refs) == {"a": "hello there", "B": "", "c": ""}
    assert hyps.silent_in(refs) == ["B"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("f A 0.1 0.2 x\nf A zero 0.2 x\n", "line 2 is not file channel start duration word"),
        ("f A 0.1 0.2 x\nf A 0.1 0.2 x y\n", "line 2 is not file channel start duration word"),
        ("f A s 0.1 0.2 x\n\nf A s 0.3\n", "line 3 is not file channel speaker start end text"),
        ("f A s 0.1 0.2 x\nf A s 0.3 0.2 x\n", "line 2 ends at 0.2, before it starts at 0.3"),
    ],
)
def test_bad_lines_are_one_error(tmp_path: Path, content: str, problem: str) -> None:
    with pytest.raises(TextError, match=problem):
        read(tmp_path, content)


def test_a_segment_twice_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ScoreError, match="ids stand there again"):
        read(tmp_path, "f A s 0.1 0.2 x\nf A s 0.1 0.2 y\n")


def test_a_speaker_who_is_a_number_makes_no_ctm(tmp_path: Path) -> None:
    found = read(tmp_path, "f A 1089 0.10 2.03\nf A 1089 2.10 3.03 more words\n")
    assert list(found.texts.values()) == ["", "more words"]


@pytest.mark.parametrize(
    "text", ["call me 5 4 3", "a b c 1 2 d", "a b 1.5 c d", "a b c 2.5 1 d", ""]
)
def test_plain_text_is_neither(text: str) -> None:
    assert not is_ctm(text)
    assert not is_stm(text)


def test_long_lines_are_read_in_linear_time(tmp_path: Path) -> None:
    text = "word " * 1_000_000 + " " * 1_000_000 + "end"
    for line in ("a b 0.1 0.2" + " " * 1_000_000 + "c d e", "a" * 1_000_000, "1" * 1_000_000 + " "):
        assert not is_ctm(line)
        assert not is_stm(line)
    assert read(tmp_path, f"f A s 0.1 0.2 {text}\n").texts == {"f_A_s_0.100_0.200": text}
    assert read(tmp_path, text).texts == {"1": text}

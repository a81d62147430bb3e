"""Scores against hand counts, jiwer, and NIST's own figures."""

import json
import math

import jiwer
import pytest
from folders import real_material
from hypothesis import given, settings, strategies as st

from asr.errors import ScoreError
from asr.scoring.alignment import align
from asr.scoring.transcripts import read_transcripts
from asr.scoring.wer import ErrorCounts, Score, count, score, score_utterance

WORDS = st.lists(st.sampled_from(["a", "b", "cc", "d\u00e9"]), max_size=8)
TEXTS = WORDS.map(" ".join)


def test_counts_by_hand() -> None:
    result = score(["the cat sat on the mat", "yes"], ["the hat sat the mat now", "yes"])
    assert result.word == ErrorCounts(words=7, ins=1, dels=1, sub=1)
    assert result.word.errors == 3
    assert result.word.rate == 3 / 7
    # "the cat sat on the mat" to "the hat sat the mat now": c>h, "on " deleted, " now" inserted
    assert result.char == ErrorCounts(words=25, ins=4, dels=3, sub=1)
    assert (result.utterances, result.wrong_utterances) == (2, 1)


def test_nist_lines() -> None:
    counts = ErrorCounts(words=8234, ins=119, dels=127, sub=692)
    assert counts.nist_line() == "%WER 11.39 [ 938 / 8234, 119 ins, 127 del, 692 sub ]"
    assert Score(counts, counts, 4, 1).nist_lines()[1:] == [
        "%CER 11.39 [ 938 / 8234, 119 ins, 127 del, 692 sub ]",
        "%SER 25.00 [ 1 / 4 ]",
    ]


def test_nist_counts_of_the_sctk_example() -> None:
    sctk = real_material("sctk")
    refs, hyps = (
        {name: text.lower() for name, text in read_transcripts(sctk / file).items()}
        for file in ("csrnab.ref", "csrnab.hyp")
    )
    total = score(refs, hyps)
    assert (total.utterances, total.wrong_utterances) == (51, 38)
    assert total.word == ErrorCounts(words=1406, ins=26, dels=12, sub=131)
    speakers = {"4t0": (458, 12, 9, 64), "4t1": (544, 4, 3, 32), "4t2": (404, 10, 0, 35)}
    for speaker, expected in speakers.items():
        part = [
            {k: v for k, v in side.items() if k.lower()[:3] == speaker} for side in (refs, hyps)
        ]
        assert score(*part).word == ErrorCounts(*expected)


@settings(deadline=None)
@given(TEXTS.filter(bool), TEXTS)
def test_rates_are_those_of_jiwer(ref: str, hyp: str) -> None:
    result = score_utterance(ref, hyp)
    assert result.word.rate == pytest.approx(jiwer.wer(ref, hyp))
    assert result.char.rate == pytest.approx(jiwer.cer(ref, hyp))


@settings(deadline=None)
@given(WORDS, WORDS)
def test_counts_are_those_of_the_alignment(ref: list[str], hyp: list[str]) -> None:
    ops = [op for op, _, _ in align(ref, hyp)]
    counts = count(ref, hyp)
    assert counts == ErrorCounts(len(ref), ops.count("ins"), ops.count("del"), ops.count("sub"))
    assert counts.words - counts.dels + counts.ins == len(hyp)


@settings(deadline=None)
@given(st.lists(st.tuples(TEXTS, TEXTS)))
def test_score_is_the_sum_over_utterances(pairs: list[tuple[str, str]]) -> None:
    total = score([ref for ref, _ in pairs], [hyp for _, hyp in pairs])
    assert total == sum((score_utterance(*pair) for pair in pairs), Score())
    assert total.utterances == len(pairs)


def test_white_space_and_unicode_form_are_no_errors() -> None:
    assert score_utterance(" caf\u00e9\t a\u3000b ", "cafe\u0301 a b").word == ErrorCounts(words=3)
    assert score_utterance("a\u00a0b", "a b").char == ErrorCounts(words=3)


def test_case_is_an_error_unless_folded_before() -> None:
    assert score_utterance("A", "a").word.sub == 1


def test_empty_references() -> None:
    assert score_utterance("", "a bc").word == ErrorCounts(words=0, ins=2)
    assert score_utterance("", "a bc").char == ErrorCounts(words=0, ins=4)
    assert score_utterance("", "").wrong_utterances == 0
    assert score(["", "a b"], ["x", "a b"]).word.rate == 0.5
    assert score([""], [""]).word.rate == 0.0
    assert score([], []).sentence_error_rate == 0.0
    assert score([""], ["x"]).word.rate == math.inf


def test_as_dict_is_json_without_infinity() -> None:
    fields = score(["a b", "c"], ["a", "c"]).as_dict()
    assert fields["wer"] == 1 / 3
    assert fields["ser"] == 0.5
    assert fields["cer"] == 2 / 4
    assert [fields[key] for key in ("errors", "words", "ins", "del", "sub")] == [1, 3, 0, 1, 0]
    assert (fields["utterances"], fields["characters"]["words"]) == (2, 4)
    strict = json.dumps(score([""], ["x"]).as_dict(), allow_nan=False)
    assert json.loads(strict)["wer"] is None


def test_alternatives_count_for_words_and_characters() -> None:
    result = score_utterance("for { @ / an } { investor's / investor }", "for investor")
    assert result.word == ErrorCounts(words=2)
    assert result.char == ErrorCounts(words=12)


def test_ids_decide_which_texts_belong_together() -> None:
    assert score({"u1": "a", "U2": "b"}, {"u2": "b", "u1": "a"}).word.errors == 0


@pytest.mark.parametrize(
    ("refs", "hyps", "problem"),
    [
        (["a"], ["a", "b"], "1 references, 2 hypotheses"),
        ({"u": "a"}, ["a"], "on one side only"),
        ({"u": "a"}, {"v": "a"}, "have no hypothesis: u; .*have no reference: v"),
        (["{ a"], ["a"], "not closed"),
    ],
)
def test_what_does_not_belong_together_is_an_error(
    refs: object, hyps: object, problem: str
) -> None:
    with pytest.raises(ScoreError, match=problem):
        score(refs, hyps)  # type: ignore[arg-type]


def test_a_huge_line_is_right_or_one_error() -> None:
    line = "word " * 2_000_000
    assert score_utterance(line, line).word == ErrorCounts(words=2_000_000)
    with pytest.raises(ScoreError, match="too many to align"):
        score_utterance(line, line.replace("word", "ward"))

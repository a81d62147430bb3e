"""Alignment against an exhaustive search, and NIST's alternatives against their expansions."""

import itertools
from functools import cache

import pytest
from hypothesis import given, settings, strategies as st

import asr.scoring.alignment
from asr.errors import ScoreError
from asr.scoring.alignment import Deletable, align

WORDS = st.lists(st.sampled_from("abc"), max_size=5)


@cache
def cheapest(ref: str, hyp: str) -> tuple[int, int]:
    """Return (errors, substitutions) of the best of all alignments of two strings of words."""
    if not ref or not hyp:
        return len(ref) + len(hyp), 0
    wrong = int(ref[0] != hyp[0])
    errors, sub = cheapest(ref[1:], hyp[1:])
    skips = [cheapest(ref[1:], hyp), cheapest(ref, hyp[1:])]
    return min((errors + wrong, sub + wrong), *((errors + 1, sub) for errors, sub in skips))


def cost(steps: list[asr.scoring.alignment.AlignedPair]) -> tuple[int, int]:
    ops = [op for op, _, _ in steps]
    return len(ops) - ops.count("cor"), ops.count("sub")


def chosen_of(ref: list[str], hyp: list[str]) -> list[str]:
    return [word for _, word, _ in align(ref, hyp) if word is not None]


def test_steps_by_hand() -> None:
    assert align(["the", "cat", "sat"], ["the", "hat", "sat", "down"]) == [
        ("cor", "the", "the"),
        ("sub", "cat", "hat"),
        ("cor", "sat", "sat"),
        ("ins", None, "down"),
    ]
    assert align(["a"], []) == [("del", "a", None)]
    assert align([], []) == []


def test_among_the_fewest_errors_most_words_are_correct() -> None:
    # two substitutions would do as well; sclite takes the deletion and the insertion
    assert [op for op, _, _ in align(["a", "b"], ["b", "c"])] == ["del", "cor", "ins"]


@settings(deadline=None)
@given(WORDS, WORDS)
def test_alignment_is_the_cheapest(ref: list[str], hyp: list[str]) -> None:
    steps = align(ref, hyp)
    assert cost(steps) == cheapest("".join(ref), "".join(hyp))
    assert [word for _, word, _ in steps if word is not None] == ref
    assert [word for _, _, word in steps if word is not None] == hyp
    for op, left, right in steps:
        assert (op == "cor") == (left == right)
        assert (op == "ins") == (left is None)
        assert (op == "del") == (right is None)


@settings(deadline=None)
@given(WORDS, WORDS)
def test_swapping_the_sides_swaps_insertions_and_deletions(ref: list[str], hyp: list[str]) -> None:
    there = [op for op, _, _ in align(ref, hyp)]
    back = [op for op, _, _ in align(hyp, ref)]
    assert [there.count(op) for op in ("cor", "sub", "ins", "del")] == [
        back.count(op) for op in ("cor", "sub", "del", "ins")
    ]


SEGMENT = WORDS.map(lambda words: [words]) | st.lists(WORDS, min_size=1, max_size=3)


@settings(deadline=None)
@given(st.lists(SEGMENT, max_size=3), WORDS)
def test_alternatives_equal_the_best_expansion(
    segments: list[list[list[str]]], hyp: list[str]
) -> None:
    ref: list[str] = []
    for branches in segments:
        written = " / ".join(" ".join(branch) or "@" for branch in branches)
        ref += ["{", *written.split(), "}"]
    expansions = [list(itertools.chain(*choice)) for choice in itertools.product(*segments)]
    best = min(cheapest("".join(expansion), "".join(hyp)) for expansion in expansions)
    assert cost(align(ref, hyp)) == best
    chosen = chosen_of(ref, hyp)
    assert chosen in expansions
    assert cheapest("".join(chosen), "".join(hyp)) == best


@pytest.mark.parametrize(
    ("hyp", "chosen"),
    [("x a y", "x a y"), ("x b c y", "x b c y"), ("x b d y", "x b d y"), ("x y", "x y")],
)
def test_nested_alternatives(hyp: str, chosen: str) -> None:
    ref = ["x", "{", "a", "/", "b", "{", "c", "/", "d", "}", "/", "@", "}", "y"]
    assert chosen_of(ref, hyp.split()) == chosen.split()


def test_a_deletable_word_may_be_left_out_but_not_misheard() -> None:
    ref = ["a", Deletable("uh"), "b"]
    assert align(ref, ["a", "uh", "b"])[1] == ("cor", "uh", "uh")
    assert align(ref, ["a", "b"])[1] == ("cor", "uh", None)
    assert cost(align(ref, ["a", "x", "b"])) == (1, 0)


def test_marks_outside_alternatives_are_words() -> None:
    assert cost(align(["@", "/", "}"], ["@", "/", "}"])) == (0, 0)


def test_an_open_alternative_is_an_error() -> None:
    with pytest.raises(ScoreError, match="not closed by }"):
        align(["a", "{", "b", "/", "c"], ["a"])


def test_too_long_is_an_error_not_a_full_memory() -> None:
    with pytest.raises(ScoreError, match="20000 reference against 20000 hypothesis"):
        align(["a"] * 20_000, ["b"] * 20_000)

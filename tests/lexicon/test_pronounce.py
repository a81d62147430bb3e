"""Pronunciations: alignment and search against enumeration, and how often guesses are right."""

import math
import random
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from folders import real_material
from hypothesis import given, strategies as st

import asr.lexicon.graphones
from asr._folders import find_model
from asr.errors import LanguageModelError
from asr.lexicon.dictionary import read_dictionary
from asr.lexicon.graphones import STEPS, Graphone, align
from asr.lexicon.guess import Pronouncer, pronounce
from asr.scoring import align as align_words

Pairs = list[tuple[str, list[str]]]
PAIRS = st.lists(
    st.tuples(st.text("abc", min_size=1, max_size=4), st.lists(st.sampled_from("XYZ"), max_size=5)),
    min_size=1,
    max_size=4,
)
SPELLINGS = {"f": "F", "o": "OW", "n": "N", "k": "K", "e": "EH", "d": "D"}


def ways(letters: str, phones: tuple[str, ...]) -> list[list[Graphone]]:
    """All alignments."""
    if not letters:
        return [] if phones else [[]]
    return [
        [Graphone(letters[:i], phones[:j]), *rest]
        for i, j in STEPS
        if i <= len(letters) and j <= len(phones)
        for rest in ways(letters[i:], phones[j:])
    ]


def toy(count: int) -> dict[str, list[tuple[str, ...]]]:
    """Words of a language where ph is F, a final e is silent, and c is S before e, else K."""
    rng = random.Random(0)
    words = {
        "".join(rng.choice(["f", "ph", "o", "n", "c", "k", "e", "d"]) for _ in range(5))
        for _ in range(count)
    }
    return {word: [spoken(word)] for word in sorted(words)}


def spoken(word: str) -> tuple[str, ...]:
    phones = []
    for letter, following in pairwise(word.replace("ph", "f") + "."):
        if letter == "c":
            phones.append("S" if following == "e" else "K")
        elif (letter, following) != ("e", "."):
            phones.append(SPELLINGS[letter])
    return tuple(phones)


@given(PAIRS)
def test_graphones_are_the_word_and_its_phones(pairs: Pairs) -> None:
    for (word, phones), graphones in zip(pairs, align(pairs), strict=True):
        assert bool(graphones) == bool(ways(word, tuple(phones)))
        if graphones:
            assert "".join(letters for letters, _ in graphones) == word
            assert [phone for _, spoken in graphones for phone in spoken] == phones
            assert all((len(letters), len(spoken)) in STEPS for letters, spoken in graphones)


@given(PAIRS)
def test_expectation_is_that_over_all_alignments(pairs: Pairs) -> None:
    weights: dict[Graphone, float] = {}
    lattice = asr.lexicon.graphones._lattice(pairs)
    for _ in range(3):
        expected: defaultdict[Graphone, float] = defaultdict(float)
        for word, phones in pairs:
            found = ways(word, tuple(phones))
            likely = [math.prod(weights.get(g, 1.0) for g in way) for way in found]
            for way, probability in zip(found, likely, strict=True):
                for graphone in way:
                    expected[graphone] += probability / sum(likely)
        lattice.counts.fill(0.0)
        asr.lexicon.graphones._expect(lattice)
        counts = np.sort(lattice.counts[lattice.counts > 0])
        assert counts == pytest.approx(sorted(expected.values()))
        lattice.weight[...] = lattice.counts / max(counts.sum(), 1.0)
        weights = {g: count / sum(expected.values()) for g, count in expected.items()}


def test_letters_find_their_phones() -> None:
    words = toy(200)
    found = align([(word, phones) for word, (phones,) in words.items()])
    graphones = {graphone for sequence in found for graphone in sequence}
    assert Graphone("ph", ("F",)) in graphones or Graphone("p", ()) in graphones
    assert {Graphone("o", ("OW",)), Graphone("c", ("S",)), Graphone("e", ())} <= graphones
    assert not any(g.letters == "o" and g.phones == ("N",) for g in graphones)


def test_new_words_follow_the_rules_of_the_known_ones() -> None:
    words = toy(1500)
    held_out = [*words][::10]
    guess = Pronouncer.train({word: words[word] for word in words if word not in held_out})
    right = sum(guess(word) in words[word] for word in held_out)
    assert right >= 0.99 * len(held_out)


def test_the_search_finds_the_likeliest_graphones() -> None:
    guess = Pronouncer.train(toy(40))

    def sequences(word: str) -> Iterator[tuple[Graphone, ...]]:
        if not word:
            yield ()
        for graphone in guess.graphones:
            if word.startswith(graphone.letters):
                for rest in sequences(word[len(graphone.letters) :]):
                    yield (graphone, *rest)

    def score(sequence: tuple[Graphone, ...]) -> float:
        return sum(guess.lm.score([f"{g.letters} {' '.join(g.phones)}" for g in sequence]))

    for word in ("ce", "cod", "phone", "ecode"):
        best = max(sequences(word), key=score)
        assert guess(word) == tuple(phone for graphone in best for phone in graphone.phones)


def test_dictionary_words_keep_all_pronunciations_and_others_are_guessed() -> None:
    words = toy(300) | {"read": [("R", "EH", "D"), ("R", "IY", "D")]}
    found = pronounce(["Read", "phone", "READ", "caf\u00e9", "DOC", "Read"], words)
    assert found.pronunciations["Read"] == found.pronunciations["READ"] == words["read"]
    assert found.pronunciations["DOC"] == [("D", "OW", "K")]
    assert found.left_out == ("caf\u00e9",)
    assert set(found.guessed) <= {"phone", "DOC"} and "DOC" in found.guessed
    assert found.pronunciations.keys() == {"Read", "phone", "READ", "DOC"}


def test_nothing_is_learned_where_nothing_is_lacking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pronouncer, "train", lambda dictionary: pytest.fail("trained"))
    assert pronounce(["A"], {"a": [("AH",)]}).guessed == ()


def test_dictionary_as_the_cmu_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "dictionary"
    path.write_text(
        ";;; a comment\nread R EH1 D\nread(2) R IY1 D # now\n\nREAD(3) R IY0 D\nt\u00e9 T EY1\n"
        "ma M a1\n",
        encoding="utf-8",
    )
    assert read_dictionary(path) == {
        "read": [("R", "EH", "D"), ("R", "IY", "D")],
        "t\u00e9": [("T", "EY")],
        "ma": [("M", "a1")],  # a tone, no stress
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no word in it"),
        (b"a AH\nword\n", "line 2: word has no phones"),
        (b"caf\xe9 K AE F EY\n", "line 1: not UTF-8"),
    ],
)
def test_bad_dictionaries(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "dictionary").write_bytes(content)
    with pytest.raises(LanguageModelError, match=message):
        read_dictionary(tmp_path / "dictionary")


def test_the_lexicon_of_a_model_is_not_read_alone():
    with pytest.raises(LanguageModelError, match=r"npz: a part of a model, .* give a text"):
        read_dictionary(find_model("english") / "lexicon.npz")


def test_dictionaries_that_teach_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LanguageModelError, match="none of the 1 words"):
        Pronouncer.train({"a": [("B", "C", "D")]})
    monkeypatch.setattr(asr.lexicon.graphones, "_MOST_GRAPHONES", 10)
    with pytest.raises(LanguageModelError, match="has 2 letters and 1 phones"):
        Pronouncer.train({"ab": [("B",)]})


def test_english() -> None:
    """A tenth of the CMU dictionary; all but every 50th word of it give 24.0 and 5.8 %."""
    words = read_dictionary(real_material("data", "text", "cmudict.dict"))
    assert len({phone for several in words.values() for p in several for phone in p}) == 39
    taught, asked = [*words][::10], [*words][5::200]
    guess = Pronouncer.train({word: words[word] for word in taught})
    wrong = sum(guess(word) not in words[word] for word in asked)
    errors = phones = 0
    for word in asked:
        steps = align_words(words[word][0], guess(word) or ())
        errors += sum(operation != "cor" for operation, _, _ in steps)
        phones += len(words[word][0])
    assert wrong / len(asked) < 0.5
    assert errors / phones < 0.14


def test_a_dictionary_with_a_word_of_thousands_of_letters():
    dictionary = {"ab": [("A", "B")], "a" * 5000: [("A",) * 5000]}
    with pytest.raises(LanguageModelError, match="a word of 5000 letters and one of 5000 phones"):
        Pronouncer.train(dictionary)

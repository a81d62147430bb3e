"""Normalizer and Vocabulary."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from asr.errors import ConfigError, VocabularyError
from asr.text import BLANK, Normalizer, Vocabulary

LETTERS = Vocabulary(("<blank>", " ", "A", "B", "C"))


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("", ""),
        ("  Hello,\t world!\n", "HELLO WORLD"),
        ("\u201cDon\u2019t\u2014stop!\u201d she said", "DON'T STOP SHE SAID"),
        ("rock 'n' roll, the dogs' bowls", "ROCK N ROLL THE DOGS BOWLS"),
        ("co-op/state\u2013of\u2212the_art", "CO OP STATE OF THE ART"),
        ("caf\u00e9 cafe\u0301 na\u00efve", "CAFE CAFE NAIVE"),
        ("Stra\u00dfe", "STRASSE"),
        ("\ufb01ne \uff21\uff22 x\u00b2", "FINE AB X TWO"),  # ligature, full width, superscript
        ("so\u00adft zero\u200bwidth", "SOFT ZEROWIDTH"),
        ("U.S. end.Next", "U S END NEXT"),
        ("in 1905, 5% & $2", "IN NINETEEN OH FIVE FIVE PERCENT AND TWO DOLLARS"),
        ("\u0939\u093f\u0928\u094d\u0926\u0940", "\u0939\u093f\u0928\u094d\u0926\u0940"),  # vowels
        ("\u2026 \U0001f600 ''", ""),
    ],
)
def test_normalises(written: str, words: str) -> None:
    assert Normalizer()(written) == words


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("Mr. Todd and MRS GREY met dr. Who", "MISTER TODD AND MISSUS GREY MET DOCTOR WHO"),
        ("'Mr' Todd; Mr.Todd; Mr", "MISTER TODD MISTER TODD MISTER"),
        ("At St. James' on Oak St., St", "AT SAINT JAMES ON OAK ST ST"),
        ("Nuts, bolts etc., &c. J. Todd, Esq.", "NUTS BOLTS ET CETERA ET CETERA J TODD ESQUIRE"),
        ("etched drs. stir on Main St. He left", "ETCHED DRS STIR ON MAIN ST HE LEFT"),
    ],
)
def test_abbreviations_are_written_as_they_are_said(written: str, said: str) -> None:
    assert Normalizer()(written) == said
    assert Normalizer(case="lower")(written) == said.lower()
    assert Normalizer(numbers="keep")("Mr. Todd") == "MR TODD"
    kept = Normalizer(case="keep")("mr Todd MR Todd Mr. Todd")
    assert kept == "mister Todd MISTER Todd Mister Todd"


def test_each_field_changes_the_text() -> None:
    text = "It\u2019s 2 Caf\u00e9s-"
    assert Normalizer()(text) == "IT'S TWO CAFES"
    assert Normalizer(case="lower")(text) == "it's two cafes"
    assert Normalizer(case="keep")(text) == "It's two Cafes"
    assert Normalizer(numbers="keep")(text) == "IT'S 2 CAFES"
    assert Normalizer(strip_accents=False)(text) == "IT'S TWO CAF\u00c9S"
    assert Normalizer()("C\u00e6sar, \u0152DIPUS") == "CAESAR OEDIPUS"
    assert Normalizer(strip_accents=False)("C\u00e6sar") == "C\u00c6SAR"
    assert Normalizer(keep="")(text) == "ITS TWO CAFES"
    assert Normalizer(keep="'-")("-co-op's-") == "CO-OP'S"


@pytest.mark.parametrize(("key", "value"), [("case", "title"), ("numbers", "xx")])
def test_unknown_option_names_the_key_and_what_is_allowed(key: str, value: str) -> None:
    options: dict[str, Any] = {key: value}
    with pytest.raises(ConfigError, match=f"text.{key} is '{value}'; allowed: .*keep"):
        Normalizer(**options)


@settings(deadline=None)
@given(
    st.text() | st.text("aZ \u00e9\u0301'\u2019-.,%&$5019stndmrec\u0130\u00df\u0149"),
    st.sampled_from(["upper", "lower", "keep"]),
    st.sampled_from(["en", "keep"]),
    st.booleans(),
    st.sampled_from(["'", "", "'-", "."]),
)
def test_normalising_twice_changes_nothing_more(
    text: str, case: str, numbers: str, strip_accents: bool, keep: str
) -> None:
    normalize = Normalizer(case, numbers, strip_accents, keep)
    once = normalize(text)
    assert normalize(once) == once
    assert once == " ".join(once.split())


def test_vocabulary_from_texts_is_sorted_behind_the_blank() -> None:
    vocabulary = Vocabulary.from_texts(["B A", "C'B"])
    assert vocabulary.tokens == ("<blank>", " ", "'", "A", "B", "C")
    assert len(vocabulary) == 6
    assert vocabulary.encode("B A") == [4, 1, 3]
    assert vocabulary.decode([4, 1, 3]) == "B A"


@settings(deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Z", "C"])), min_size=1).filter(any))
def test_decode_undoes_encode(texts: list[str]) -> None:
    vocabulary = Vocabulary.from_texts(texts)
    for text in texts:
        ids = vocabulary.encode(text)
        assert BLANK not in ids
        assert vocabulary.decode(ids) == text


def test_file_holds_one_token_a_line(tmp_path: Path) -> None:
    path = tmp_path / "tokens.txt"
    vocabulary = Vocabulary(("<blank>", " ", "\u00e9", "AH0"))
    vocabulary.save(path)
    assert path.read_bytes() == "<blank>\n<space>\n\u00e9\nAH0\n".encode()
    assert Vocabulary.load(path) == vocabulary
    path.write_bytes(b"\xef\xbb\xbf<blank>\r\n<space>\r\nA")  # as an editor on Windows leaves it
    assert Vocabulary.load(path).tokens == ("<blank>", " ", "A")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "first token"),
        (b"A\n<blank>\n", "first token is .*'A'"),
        (b"<blank>\n", "no token beside"),
        (b"<blank>\nA\nA\n", "'A' stands 2 times"),
        (b"<blank>\nA\n\nB\n", "'' is empty"),
        (b"<blank>\nA \n", "'A ' is empty or holds white space"),
        (b"<blank>\nA\n \n", "line 3 is a space; write <space>"),
        (b"<blank>\n\xe9\n", "utf-8"),
    ],
)
def test_malformed_file_is_one_error_with_its_name(
    tmp_path: Path, content: bytes, problem: str
) -> None:
    path = tmp_path / "tokens.txt"
    path.write_bytes(content)
    with pytest.raises(VocabularyError, match=problem) as caught:
        Vocabulary.load(path)
    assert str(path) in str(caught.value)


def test_missing_file_and_texts_without_characters(tmp_path: Path) -> None:
    with pytest.raises(VocabularyError, match=r"none\.txt"):
        Vocabulary.load(tmp_path / "none.txt")
    with pytest.raises(VocabularyError, match="are the texts empty"):
        Vocabulary.from_texts(["", ""])
    with pytest.raises(VocabularyError, match="<space>"):
        Vocabulary(("<blank>", "<space>"))


def test_encode_names_unknown_characters_with_code_points() -> None:
    with pytest.raises(VocabularyError, match=r"'\u00c9' \(U\+00C9\) 2x, 'x' \(U\+0078\) 1x"):
        LETTERS.encode("A\u00c9B\u00c9x")


@pytest.mark.parametrize("index", [0, 5, -1])
def test_decode_refuses_the_blank_and_ids_outside(index: int) -> None:
    with pytest.raises(VocabularyError, match=rf"id {index} .*1\.\.4"):
        LETTERS.decode([2, index])


def test_check_texts_accepts_what_encode_does() -> None:
    LETTERS.check_texts([("u1", "A B"), ("u2", "")])


def test_check_texts_is_one_error_with_counts_and_examples() -> None:
    texts = [("u1", "AB"), ("u2", "AD!"), ("u3", "D"), ("u4", "D C"), ("u5", "D" * 100)]
    with pytest.raises(VocabularyError) as caught:
        LETTERS.check_texts(texts)
    message = str(caught.value)
    assert "4 of 5 transcripts" in message
    assert "'D' (U+0044) 103x, '!' (U+0021) 1x" in message
    assert "u2: 'AD!'; u3: 'D'; u4: 'D C'" in message
    assert "u5" not in message
    assert "text.case" not in message


def test_check_texts_recognises_a_case_mismatch() -> None:
    remedy = 'lower case, the vocabulary is upper case: set text.case="upper"'
    with pytest.raises(VocabularyError, match=remedy):
        LETTERS.check_texts([("u1", "ab"), ("u2", "A c")])
    with pytest.raises(VocabularyError, match=r'set text\.case="lower"'):
        Vocabulary.from_texts(["abc"]).check_texts([("u1", "AB")])


def test_many_unknown_characters_are_summed_up() -> None:
    with pytest.raises(VocabularyError, match="and 18 more"):
        LETTERS.check_texts([("u1", "abcdefghijklmnopqrstuvwxyz")])


def test_words_as_tokens(tmp_path: Path):
    vocabulary = Vocabulary.from_texts(["two one", "one"], "word")
    assert vocabulary.tokens == ("<blank>", "one", "two")
    assert vocabulary.encode("two one one") == [2, 1, 1]
    assert vocabulary.decode([2, 1, 1]) == "two one one"
    vocabulary.save(tmp_path / "tokens.txt")
    assert Vocabulary.load(tmp_path / "tokens.txt", "word") == vocabulary
    with pytest.raises(VocabularyError, match=r"1 of 2 transcripts hold words .*'three' 1x"):
        vocabulary.check_texts([("a", "one three"), ("b", "two")])

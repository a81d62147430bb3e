"""Pronunciations of a model: read from a dictionary, kept with the model, encoded, guessed."""

import io
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from asr.decode import BeamDecoder
from asr.errors import DecoderError, LanguageModelError, VocabularyError
from asr.lexicon.guess import Pronouncer
from asr.lexicon.pronunciations import Pronunciations
from asr.lexicon.trie import Lexicon
from asr.lm import NgramModel, estimate
from asr.text import Normalizer

DICTIONARY = """;;; as the CMU dictionary has them
'cause K AH0 Z # of because
cause K AA1 Z
don't D OW1 N T
don't(2) D OW1 N
ice-cream AY1 S K R IY2 M
read R EH1 D
read(2) R IY1 D
read(3) R EH0 D
r\u00e9sum\u00e9 R EH1 Z AH0 M EY2
... D AA1 T S
"""
Spoken = dict[str, list[str]]  # words and their pronunciations


def read(folder: Path, content: str, **text: str | bool) -> Pronunciations:
    (folder / "dictionary").write_text(content, encoding="utf-8")
    return Pronunciations.read(folder / "dictionary", Normalizer(**text))  # type: ignore[arg-type]


def shown(pronunciations: Pronunciations, lexicon: Lexicon | None = None) -> Spoken:
    lexicon = lexicon or pronunciations.lexicon
    return {
        word: [pronunciations.phones.decode(ids) for ids in lexicon.of(word)]
        for word in lexicon.words
    }


@pytest.fixture
def small(tmp_path: Path) -> Pronunciations:
    return read(tmp_path, DICTIONARY)


def test_words_are_those_of_transcripts(small: Pronunciations):
    assert shown(small) == {
        "CAUSE": ["K AA Z"],  # and not 'cause
        "DON'T": ["D OW N T", "D OW N"],
        "READ": ["R EH D", "R IY D"],  # the third differs in stress alone
        "RESUME": ["R EH Z AH M EY"],
    }
    assert small.phones.unit == "word"
    assert small.phones.tokens == ("<blank>", *sorted(small.phones.tokens[1:]))
    assert set(small.phones.tokens[1:]) == {*"DKMNRTZ", "AA", "AH", "EH", "EY", "IY", "OW"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ({"case": "lower"}, {"cause", "don't", "read", "resume"}),
        ({"strip_accents": False}, {"CAUSE", "DON'T", "READ", "R\u00c9SUM\u00c9"}),
        ({"keep": "-"}, {"CAUSE", "DONT", "ICE-CREAM", "READ", "RESUME"}),
    ],
)
def test_words_are_normalised_as_the_texts_are(tmp_path: Path, text: dict, words: set[str]):
    assert set(read(tmp_path, DICTIONARY, **text).lexicon.words) == words


def test_a_word_is_said_as_the_entry_of_its_own(tmp_path: Path):
    """Whichever of those that normalise to it comes first."""
    lines = ["'em AH0 M", "em EH1 M", "em. IY1 M"]
    for order in (lines, lines[::-1]):
        assert shown(read(tmp_path, "\n".join(order))) == {"EM": ["EH M"]}
    assert shown(read(tmp_path, "'bout B AW1 T")) == {"BOUT": ["B AW T"]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no word in it"),
        ("read\n", "line 1: read has no phones"),
        ("ice-cream AY S\n... D AA T S\n", "no dictionary to learn phones from"),
    ],
)
def test_a_dictionary_with_mistakes(tmp_path: Path, content: str, message: str):
    with pytest.raises(LanguageModelError, match=f"dictionary: {message}"):
        read(tmp_path, content)


def test_a_dictionary_that_is_not_there(tmp_path: Path):
    with pytest.raises(LanguageModelError, match="none: cannot be read"):
        Pronunciations.read(tmp_path / "none", Normalizer())


def test_what_is_saved_is_loaded(tmp_path: Path):
    content = "don't D OW1 N T\n\u0436\u0443\u043a ZH UH K\nstra\u00dfe \u0283 t\nread R EH D\n"
    content += "read R IY D\n"
    before = read(tmp_path, content, case="lower", strip_accents=False)
    before.save(tmp_path / "exp")
    after = Pronunciations.load(tmp_path / "exp")
    assert after.phones == before.phones
    assert shown(after) == shown(before)
    assert {"don't", "\u0436\u0443\u043a", "stra\u00dfe"} <= set(after.lexicon.words)
    for name in ("word", "tokens"):
        ours, theirs = getattr(after.lexicon, name), getattr(before.lexicon, name)
        assert np.array_equal(ours, theirs)
        assert theirs.dtype == np.int32
    assert after.lexicon.word.dtype == np.int32
    assert after.lexicon.tokens.dtype == np.uint8
    assert {path.name for path in (tmp_path / "exp").iterdir()} == {"phones.txt", "lexicon.npz"}


def test_the_same_pronunciations_are_the_same_bytes(small: Pronunciations, tmp_path: Path):
    for name in "ab":
        small.save(tmp_path / name)
    Pronunciations.load(tmp_path / "b").save(tmp_path / "b")
    for name in ("phones.txt", "lexicon.npz"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


# Files that are not what was saved.


def refusal(folder: Path) -> str:
    """What is said of the lexicon in a folder."""
    with pytest.raises(DecoderError) as caught:
        Pronunciations.load(folder)
    message = str(caught.value)
    assert message.startswith(f"{folder / 'lexicon.npz'}: not a lexicon of a model (")
    assert message.endswith("; copy the model again")
    return message


@pytest.fixture
def folder(small: Pronunciations, tmp_path: Path) -> Path:
    small.save(tmp_path / "exp")
    return tmp_path / "exp"


def npz(**arrays: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.savez(content, **arrays)
    return content.getvalue()


def npy(array: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


WORDS = np.frombuffer(b"READ\nCAT", np.uint8)
WORD, IDS = np.array([0, 1], np.int32), np.array([[1, 2], [3, 0]], np.uint8)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04",
        b"this is no archive",
        npy(IDS),
        pickle.dumps([1]),
        npz(word=WORD, tokens=IDS),
        npz(words=WORDS, word=WORD),
        npz(words=np.frombuffer(b"\xff", np.uint8), word=WORD, tokens=IDS),
        npz(words=WORDS, word=WORD + 1, tokens=IDS),
        npz(words=WORDS, word=WORD - 1, tokens=IDS),
        npz(words=WORDS, word=WORD, tokens=IDS + 90),
        npz(words=WORDS, word=WORD, tokens=IDS.astype(np.int32) - 1),
        npz(words=WORDS, word=WORD, tokens=IDS[:, :1].repeat(3, 1)[:1]),
        npz(words=WORDS, word=WORD[:0], tokens=IDS[:0]),
        npz(words=WORDS, word=np.array(1), tokens=IDS),
        npz(words=WORDS, word=WORD[:, None], tokens=IDS),
        npz(words=WORDS, word=np.array(["a", "b"]), tokens=IDS),
    ],
)
def test_a_lexicon_that_is_none(folder: Path, content: bytes):
    (folder / "lexicon.npz").write_bytes(content)
    refusal(folder)


class Bomb:
    """Leaves a file behind where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["words", "word", "tokens"])
def test_a_pickle_is_refused_and_not_run(folder: Path, tmp_path: Path, name: str):
    bomb = np.array([Bomb(tmp_path / "ran")], dtype=object)
    (folder / "lexicon.npz").write_bytes(
        npz(**{"words": WORDS, "word": WORD, "tokens": IDS, name: bomb})
    )
    assert "allow_pickle=False" in refusal(folder)
    assert not (tmp_path / "ran").exists()
    with np.load(folder / "lexicon.npz", allow_pickle=True) as file:  # so it would have
        file[name]
    assert (tmp_path / "ran").exists()


def test_a_lexicon_that_was_cut(folder: Path):
    content = (folder / "lexicon.npz").read_bytes()
    for length in range(0, len(content), 7):
        (folder / "lexicon.npz").write_bytes(content[:length])
        refusal(folder)


@settings(max_examples=300)
@given(position=st.integers(0, 2**20), bit=st.integers(0, 7))
def test_a_damaged_lexicon_is_the_same_or_an_error(saved: Path, position: int, bit: int):
    content = bytearray((saved / "lexicon.npz").read_bytes())
    content[position % len(content)] ^= 1 << bit
    harmed = saved / "harmed"
    harmed.mkdir(exist_ok=True)
    (harmed / "phones.txt").write_bytes((saved / "phones.txt").read_bytes())
    (harmed / "lexicon.npz").write_bytes(content)
    try:
        found = shown(Pronunciations.load(harmed))
    except DecoderError as error:
        assert "lexicon.npz: not a lexicon of a model" in str(error)
    else:
        assert found == shown(Pronunciations.load(saved))


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    read(folder, DICTIONARY).save(folder)
    return folder


def test_files_that_do_not_belong_together(folder: Path):
    lines = (folder / "phones.txt").read_text().splitlines()
    (folder / "phones.txt").write_text("\n".join(lines[:-1]) + "\n")
    assert "words or phones that do not exist" in refusal(folder)
    (folder / "phones.txt").write_text("AA\n")
    with pytest.raises(VocabularyError, match=r"phones\.txt: not a token file"):
        Pronunciations.load(folder)


@pytest.mark.parametrize("name", ["phones.txt", "lexicon.npz"])
def test_a_missing_file(folder: Path, name: str):
    (folder / name).unlink()
    with pytest.raises((VocabularyError, DecoderError), match=name):
        Pronunciations.load(folder)


# What is done with them.


def test_a_text_is_encoded_as_it_is_usually_said(small: Pronunciations):
    ids = small.encode("DON'T READ")
    assert small.phones.decode(ids) == "D OW N T R EH D"
    assert small.encode("DON'T READ CAUSE")[: len(ids)] == ids
    for lacking in ("", "READ FISH", "FISH", "read"):
        assert small.encode(lacking) == ()
    assert small.lacks("READ FISH DON'T CHIPS FISH") == ["FISH", "CHIPS", "FISH"]
    assert small.lacks("") == []


def lm_of(*sentences: str, order: int = 2) -> NgramModel:
    return estimate([sentence.split() for sentence in sentences], order)


def test_the_words_of_a_language_model(small: Pronunciations):
    lexicon = small.among(lm_of("READ THE RESUME", "READ"))
    assert shown(small, lexicon) == {"READ": ["R EH D", "R IY D"], "RESUME": ["R EH Z AH M EY"]}


def test_a_language_model_that_phones_cannot_be_read_with(small: Pronunciations):
    with pytest.raises(DecoderError, match=r"over characters.*add --unit tokens"):
        small.among(lm_of("R E A D <space> I T"))
    with pytest.raises(DecoderError, match=r"no word of the language model.*upper and lower case"):
        small.among(lm_of("read the resume"))


def test_words_are_found_by_what_is_heard(small: Pronunciations):
    lexicon = small.among(lm_of("READ CAUSE", "CAUSE READ", "READ RESUME"))
    decoder = BeamDecoder(small.phones, lexicon=lexicon)
    heard = [id_ for phone in small.encode("READ CAUSE") for id_ in (phone, 0)]
    frames = np.full((len(heard), len(small.phones)), 0.01, np.float32)
    frames[np.arange(len(heard)), heard] = 0.9
    assert decoder.decode(np.log(frames))[0].text == "READ CAUSE"


def regular(folder: Path) -> Pronunciations:
    """All words of three letters, each letter always one phone."""
    sounds = {letter: letter.upper() for letter in "bdklmt"} | {"a": "AH", "i": "IH", "o": "OW"}
    words = (c + v + e for c in "bdklmt" for v in "aio" for e in "bdklmt")
    lines = (f"{word} {' '.join(sounds[letter] for letter in word)}\n" for word in words)
    return read(folder, "".join(line for line in lines if not line.startswith("kim ")))


def test_pronunciations_are_guessed_from_the_others(tmp_path: Path, capsys):
    spoken = regular(tmp_path)
    assert "KIM" not in spoken.lexicon.words
    guessed = spoken.guessed(["KIM", "BALDOK", "BAD"])
    # Not which words: they are a client's, in a server.
    said = capsys.readouterr().err
    assert said.startswith("guessing how to pronounce 2 words: some seconds\n")
    assert "KIM" not in said
    assert shown(spoken, guessed) == {
        "KIM": ["K IH M"],
        "BALDOK": ["B AH L D OW K"],
        "BAD": ["B AH D"],  # is known
    }
    with pytest.raises(
        DecoderError, match="'ZOO': its pronunciation cannot be guessed; leave it out"
    ):
        spoken.guessed(["KIM", "ZOO"])


def test_guessing_is_learnt_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A server guesses for many clients, and learning takes seconds."""
    spoken, trained, train = regular(tmp_path), [], Pronouncer.train
    monkeypatch.setattr(Pronouncer, "train", lambda known: trained.append(1) or train(known))
    spoken.guessed(["BAD"])
    assert not trained
    for word in ("KIM", "BALDOK"):
        spoken.guessed([word])
    assert trained == [1]


def test_a_known_word_keeps_all_its_pronunciations(small: Pronunciations):
    assert shown(small, small.guessed(["READ"])) == {"READ": ["R EH D", "R IY D"]}


def test_entries_go_before_those_of_the_same_words(small: Pronunciations):
    spoken = {"READ": [("D", "IY")], "TEA": [("T", "IY"), ("T", "EH")]}
    more = small.with_entries(spoken)
    assert more.entries() == {
        "CAUSE": [("K", "AA", "Z")],
        "DON'T": [("D", "OW", "N", "T"), ("D", "OW", "N")],
        "RESUME": [("R", "EH", "Z", "AH", "M", "EY")],
        **spoken,
    }
    assert more.phones.decode(more.encode("TEA READ")) == "T IY D IY"
    assert small.with_entries({}) is small
    with pytest.raises(VocabularyError):
        small.with_entries({"SHE": [("SH", "IY")]})


def test_a_dictionary_too_small_to_guess_from(tmp_path: Path):
    """No word of it has at most two phones for each letter."""
    spoken = read(tmp_path, "x A B C D E F\n")
    with pytest.raises(LanguageModelError, match="none of the 1 words"):
        spoken.guesses(["XX"])


# Lexicons made of others.

SPELLINGS = st.dictionaries(
    st.text("ABC", min_size=1, max_size=4),
    st.lists(
        st.lists(st.integers(1, 9), min_size=1, max_size=5).map(tuple), min_size=1, max_size=3
    ),
    max_size=8,
)


def lexicon_of(spelled: dict[str, list[tuple[int, ...]]]) -> Lexicon:
    rows = [(i, ids) for i, several in enumerate(spelled.values()) for ids in several]
    return Lexicon.of_spellings(tuple(spelled), rows)


def spellings(lexicon: Lexicon) -> dict[str, list[tuple[int, ...]]]:
    return {word: lexicon.of(word) for word in lexicon.words}


@given(SPELLINGS, st.sets(st.text("ABC", min_size=1, max_size=4)), st.data())
def test_a_part_of_a_lexicon_keeps_its_spellings(spelled: dict, others: set[str], data):
    wanted = data.draw(st.sets(st.sampled_from(sorted(spelled)))) if spelled else set()
    part = lexicon_of(spelled).among([*wanted, *others])
    expected = {word: spelled[word] for word in spelled if word in wanted | others}
    assert spellings(part) == expected
    assert tuple(expected) == part.words  # in their order


@given(SPELLINGS, SPELLINGS)
def test_joined_lexicons_keep_their_spellings(one: dict, other: dict):
    more = {word: spelled for word, spelled in other.items() if word not in one}
    joined = lexicon_of(one).joined(lexicon_of(more))
    assert spellings(joined) == one | more
    assert spellings(joined.among(one)) == one
    assert spellings(joined.among(more)) == more

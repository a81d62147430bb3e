# ruff: noqa: RUF001
"""asr-lm and asr-lexicon write texts as a model does, and warn where that seems forgotten."""

import json
from pathlib import Path

import pytest

from asr.cli import lexicon, lm
from asr.cli.texts import oddities
from asr.lm import load_lm
from asr.manifest import Utterance, write_manifest

GERMAN = "Zwölf Äpfel, <unk> bitte!\nDie Kühe; zwölf Kühe.\n"


def words_of(path: Path) -> set[str]:
    model = load_lm(path)
    return {w for i, w in enumerate(model.words) if i not in (model.unk, model.bos, model.eos)}


@pytest.fixture
def text(tmp_path: Path) -> str:
    (tmp_path / "text").write_text(GERMAN)
    return str(tmp_path / "text")


def estimate(text: str, *more: str) -> set[str]:
    out = Path(text).parent / "lm.arpa"
    assert lm.main(["train", text, "--order", "1", "--out", str(out), *more]) == 0
    return words_of(out)


def test_texts_are_written_as_a_model_or_a_configuration_says(text: str) -> None:
    kept = {"zwölf", "äpfel", "bitte", "die", "kühe"}
    folder = Path(text).parent
    (folder / "exp").mkdir()
    settings = {"case": "upper", "numbers": "keep", "strip_accents": False, "keep": "'"}
    (folder / "exp" / "config.json").write_text(json.dumps({"text": settings}))
    (folder / "a.toml").write_text('[text]\ncase = "lower"\nstrip_accents = true\n')
    assert estimate(text, "--language", "any") == kept
    assert estimate(text, "--model", str(folder / "exp")) == {word.upper() for word in kept}
    assert estimate(text, "--text", str(folder / "a.toml")) == {
        "zwolf", "apfel", "bitte", "die", "kuhe",
    }  # fmt: skip
    (folder / "exp" / "config.json").rename(folder / "exp" / "bundle.json")
    assert estimate(text, "--model", str(folder / "exp")) == {word.upper() for word in kept}
    assert estimate(text, "--model", "english") == {"ZWOLF", "APFEL", "BITTE", "DIE", "KUHE"}
    characters = estimate(text, "--language", "any", "--unit", "character")
    assert {"z", "ö", "<space>"} <= characters and "Z" not in characters


def test_a_text_as_it_is_gives_a_warning(
    text: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert "Äpfel," in estimate(text)
    shown = capsys.readouterr().err
    assert "the text has capitals beside small letters and punctuation. Where" in shown
    assert "--model EXP, --text CONF or --language NAME" in shown
    estimate(text, "--language", "any")
    (tmp_path / "clean").write_text("ZWÖLF <unk> ÄPFEL\nDON'T\n")
    estimate(str(tmp_path / "clean"))
    assert "the text has" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("sentence", "found"),
    [
        ("he said no", ""),
        ("HE SAID DON'T", ""),
        ("in 1905", "digits"),
        ("He said", "capitals beside small letters"),
        ("he said, no", "punctuation"),
        ("हिन्दी में", ""),
        ("In 1905, no", "capitals beside small letters, punctuation and digits"),
    ],
)
def test_what_no_normalised_text_has(sentence: str, found: str) -> None:
    assert oddities([sentence.split()]) == found


@pytest.mark.parametrize(
    ("options", "status", "complaint"),
    [
        (["--language", "xx"], 2, "language 'xx' has no preset"),
        (["--model", "nope"], 2, "--model nope: does not exist"),
        (["--text", "nope.toml"], 2, "nope.toml: cannot be read"),
    ],
)
def test_options_that_cannot_be_used(
    text: str, capsys: pytest.CaptureFixture[str], options: list[str], status: int, complaint: str
) -> None:
    assert lm.main(["train", text, "--out", f"{text}.arpa", *options]) == status
    assert complaint in capsys.readouterr().err


@pytest.fixture
def manifest(tmp_path: Path) -> str:
    utterances = [
        Utterance(
            id="a", audio=tmp_path / "a.wav", duration=1.0, text="Äpfel, Ёлка", language="any"
        )
    ]
    write_manifest(tmp_path / "m.jsonl", utterances)
    return str(tmp_path / "m.jsonl")


def test_a_lexicon_of_any_alphabet(manifest: str, capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path(manifest).parent
    (folder / "dict").write_text("äpfel E p f @ l\nапфель a p f E l'\nёлка j o l k a\n")
    out = folder / "lexicon.txt"
    assert lexicon.main([str(folder / "dict"), manifest, "--out", str(out)]) == 0
    assert out.read_text().splitlines() == ["äpfel E p f @ l", "ёлка j o l k a"]
    assert lexicon.main(["--graphemes", manifest, "--out", str(out)]) == 0
    assert out.read_text().splitlines() == ["äpfel ä p f e l", "ёлка ё л к а"]
    assert "lose letters" not in capsys.readouterr().err
    more = ["--language", "en", "--out", str(out)]
    assert lexicon.main(["--graphemes", manifest, *more]) == 0
    assert "texts lose letters such as" in capsys.readouterr().err
    assert lexicon.main(["--graphemes", "--out", str(out), manifest]) == 0
    assert lexicon.main([str(folder / "dict"), "--out", str(out)]) == 2
    assert "no SOURCE" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "sign"),
    [
        ("He said that he was not in.\nShe went home again with them.\n", "letters in a symbol"),
        ("the 120\nof 90\nand 70\n", "numbers after its words"),
        ("".join(f"it is {a}{b}\n" for a in "abcdefgh" for b in "ijklmno"), "entries of 'it'"),
    ],
)
def test_a_text_is_no_dictionary(
    manifest: str, capsys: pytest.CaptureFixture[str], content: str, sign: str
) -> None:
    path = Path(manifest).parent / "text"
    path.write_text(content)
    assert lexicon.main([str(path), manifest, "--out", f"{path}.out"]) == 1
    shown = capsys.readouterr().err
    assert sign in shown and "asr-lexicon --graphemes" in shown

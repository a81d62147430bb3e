"""--lm and --lexicon of asr-train take files and models, by folder or by name."""

from pathlib import Path

import pytest
from folders import ENGLISH

from asr.cli import lm
from asr.cli.knowledge import language_models, pronunciations, say_once, with_guesses
from asr.config import Config
from asr.errors import ConfigError, LanguageModelError
from asr.lm import load_lm
from asr.text import Normalizer
from asr.training import hands_on


def test_language_models_of_a_model(tmp_path: Path) -> None:
    for source in (Path("english"), ENGLISH):
        found = language_models(source)
        assert set(found.files) == {"lm.bin", "lstm.npz", "decoder.json"}
        assert found.files["lm.bin"] == ENGLISH / "lm.bin"
    language_models(None).put_into(tmp_path / "none")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("suffix", [".bin", ".arpa"])
def test_a_language_model_in_a_file(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "text").write_text("a b\nb a\n" * 9)
    path = tmp_path / f"model{suffix}"
    assert lm.main(["train", str(tmp_path / "text"), "--order", "2", "--out", str(path)]) == 0
    found = language_models(path)
    for _ in range(2):  # what is there already does not matter
        found.put_into(tmp_path / "exp")
    assert load_lm(tmp_path / "exp" / "lm.bin").counts == load_lm(path).counts
    language_models(tmp_path / "exp" / "lm.bin").put_into(tmp_path / "exp")  # the very file


def test_files_that_are_no_language_models(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--lm nope: no such file or model"):
        language_models(Path("nope"))
    with pytest.raises(ConfigError, match=r"--lm .*: the model has no lm\.bin"):
        language_models(tmp_path)
    (tmp_path / "text.txt").write_text("some text\n")
    with pytest.raises(LanguageModelError):
        language_models(tmp_path / "text.txt").put_into(tmp_path / "exp")
    (tmp_path / "cut.bin").write_bytes((ENGLISH / "lm.bin").read_bytes()[:700])
    with pytest.raises(LanguageModelError, match=r"cut\.bin: "):
        language_models(tmp_path / "cut.bin").put_into(tmp_path / "exp")
    assert not (tmp_path / "exp" / "lm.bin").exists()


def test_pronunciations_of_a_model(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    spoken = pronunciations(Path("english"), Normalizer(), ["THE CAT", "ZWOLF"])
    assert len(spoken.phones) == 40 and not spoken.lacks("CAT")
    assert capsys.readouterr().err == ""
    pronunciations(Path("english"), Normalizer(), ["CAT ZWOLFTE XQPFEL"])
    assert "lacks 2 of 3 words of the transcripts" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="lacks all 2 words of the transcripts, such as 'the'"):
        pronunciations(Path("english"), Normalizer(case="lower"), ["the cat"])
    with pytest.raises(ConfigError, match="the model has no pronunciations"):
        pronunciations(tmp_path, Normalizer(), ["THE"])
    (tmp_path / "d").write_text("cat K AE T\n")
    pronunciations(tmp_path / "d", Normalizer(), ["THE OLD CAT"])
    said = capsys.readouterr().err
    assert said.endswith(f"before those of a model: --lexicon {tmp_path / 'd'} --lexicon MODEL\n")
    assert not pronunciations(tmp_path / "d", Normalizer(), ["CAT"]).lacks("CAT")


def test_a_model_is_the_last_of_several_lexicons(tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("SOAMESQUE S OW M EH S K\n")
    normalise = Normalizer(**vars(Config().text))
    with pytest.raises(ConfigError, match="--lexicon english: is a model; give it last"):
        pronunciations(names, normalise, [], [Path("english")])


def test_processes_that_share_a_run_say_things_once(monkeypatch, capsys) -> None:
    for rank in ("0", "1", "2"):
        monkeypatch.setenv("RANK", rank)
        say_once("the lexicon lacks a word")
    assert capsys.readouterr().err == "the lexicon lacks a word\n"


def test_names_are_guessed_and_a_foreign_text_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    """The pronunciations of the English model; SEATTLE'S is SEATTLE with a Z."""
    spoken = pronunciations(Path("english"), Normalizer(), ["THE CAT"])
    assert with_guesses(spoken, ["THE CAT"]) is spoken
    assert with_guesses(spoken, ["ZWOLFTE XQPFEL CAT"]) is spoken
    assert capsys.readouterr().err == ""
    more = with_guesses(spoken, ["THE MILLS OF SEATTLE'S AND THE ZWOLFTE OF THEM"])
    assert capsys.readouterr().err.startswith(
        "the lexicon lacks 2 words of the transcripts; guessed: SEATTLE'S S IY AE T AH L Z;"
    )
    assert not more.lacks("SEATTLE'S ZWOLFTE CAT") and more.phones == spoken.phones


@pytest.mark.parametrize(
    ("config", "text", "reason"),
    [
        (Config(), "THE OLD MAN AND THE SEA", ""),
        (Config(), "WIR HABEN ZWOLF KUHE GEZAHLT", "its lexicon lacks"),
        ({"case": "lower"}, "the old man", "its texts are written in another way"),
    ],
)
def test_what_the_english_model_hands_on(
    config: Config | dict[str, str], text: str, reason: str
) -> None:
    from asr.config import config_from_dict

    if isinstance(config, dict):
        config = config_from_dict({"text": config})
    found = hands_on(ENGLISH, config, [text])
    assert found.startswith(reason) and bool(found) == bool(reason)

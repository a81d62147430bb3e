# ruff: noqa: RUF001
"""Presets of languages: letters are kept, numbers become words of the language."""

import pytest

from asr.config import TextConfig, load_config
from asr.errors import ConfigError
from asr.text import LANGUAGES, Normalizer, language_settings, lost_letters


def normalised(language: str, text: str) -> str:
    return Normalizer(**language_settings(language))(text)


def test_english_is_the_default() -> None:
    assert Normalizer(**language_settings("en")) == Normalizer()
    assert TextConfig(**language_settings("en")) == TextConfig()


@pytest.mark.parametrize("language", [name for name in LANGUAGES if name != "en"])
def test_letters_are_kept_in_lower_case(language: str) -> None:
    assert normalised(language, "Größe, Żółw – ÇA; Ёлка!") == "größe żółw ça ёлка"


def test_any_language_leaves_digits() -> None:
    assert normalised("any", "Drei Kühe, 3 %") == "drei kühe 3"


def test_turkish_has_two_letters_i() -> None:
    assert normalised("tr", "IŞIK İyi") == "ışık iyi"


@pytest.mark.parametrize(
    ("language", "written", "words"),
    [
        ("de", "3 Kühe, 21 %", "drei kühe einundzwanzig prozent"),
        ("de", "1905 und 2024", "neunzehnhundertfünf und zweitausendvierundzwanzig"),
        ("de", "1.234,5", "eintausendzweihundertvierunddreißig komma fünf"),
        ("de", "007", "null null sieben"),
        ("fr", "80 € et 71", "quatre vingts et soixante et onze"),
        ("es", "16 y ２", "dieciséis y dos"),
    ],
)
def test_numbers_become_words_of_the_language(language: str, written: str, words: str) -> None:
    pytest.importorskip("num2words")
    assert normalised(language, written) == words
    assert normalised(language, words) == words


def test_numbers_without_the_package_name_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from asr.errors import MissingDependencyError
    from asr.text import _foreign

    _foreign.cache_clear()
    monkeypatch.setitem(sys.modules, "num2words", None)
    assert normalised("de", "Drei Kühe") == "drei kühe"
    with pytest.raises(MissingDependencyError, match=r"pip install '.*\[numbers\]', or set text\."):
        normalised("de", "3 Kühe")


def test_a_language_gives_what_nothing_else_gives(tmp_path) -> None:
    conf = tmp_path / "a.toml"
    conf.write_text('[text]\nkeep = "-"\nstrip_accents = true\n')
    text = load_config(conf, ['text.case="keep"'], language="de").text
    assert text == TextConfig(case="keep", numbers="de", strip_accents=True, keep="-")
    with pytest.raises(ConfigError, match="language 'xx' has no preset; allowed: en, any"):
        load_config(conf, language="xx")
    with pytest.raises(ConfigError, match=r"text\.numbers is 'xx'; allowed: en, keep"):
        load_config(conf, ["text.numbers=xx"])


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        ("Zwölf Äpfel", {"ö", "ä"}),
        ("don’t", set()),
        ("Straße", set()),
        ("Ёж", {"ё"}),
        ("e\u0301", {"é"}),
    ],
)
def test_letters_that_english_loses(text: str, lost: set[str]) -> None:
    assert lost_letters(text, Normalizer()(text)) == lost
    assert lost_letters(text, normalised("any", text)) == set()

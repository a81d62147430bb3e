"""Normalise transcripts, spell out numbers, and keep the vocabulary of a model (blank = 0).

Numbers in digits become English words:

    1,234,567  one million two hundred and thirty four thousand five hundred and sixty seven
    1905       nineteen oh five   (four digits without a comma, 1100-1999 and 2010-2099: a year)
    1990s      nineteen nineties
    21st       twenty first
    3.14       three point one four
    007        zero zero seven    (a leading zero, or more than 15 digits: digit by digit)
    $3.50      three dollars and fifty cents         $3.5 million  three point five million dollars
    -5 %       minus five percent                    &             and

Abbreviations become what is said: Mr. Todd is "mister todd", and etc. "et cetera" (ABBREVIATIONS).
Fractions, times and ranges are read as their numbers: 1/2 is "one two", 10:30 is "ten thirty".

Other languages are presets of the settings (`language_settings`). Their numbers become words by the
package num2words, which is optional: 1.234,5 is read as one number, and 1905 as a year where the
language says nineteen hundred (YEARS).
"""

import io
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from functools import cache, cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from asr._atomic import write_atomically
from asr._install import install
from asr._json import read_bytes
from asr.errors import ConfigError, MissingDependencyError, VocabularyError

BLANK = 0
BLANK_TOKEN = "<blank>"
SPACE_TOKEN = "<space>"  # how tokens.txt writes the space
TOKENS = "tokens.txt"  # in a model's folder: the tokens of its output
PHONES = "phones.txt"  # ... and the phones of its second output, if it has one
SPEAKERS = "speakers.txt"  # ... and hashes of the speakers that it has learned from

APOSTROPHES = dict.fromkeys(map(ord, "\u2018\u2019\u201b\u02bc\u2032`\u00b4"), "'")
ACCENTS: dict[int, str | None] = {
    **dict.fromkeys(range(0x300, 0x370)),  # the combining marks of Latin, Greek and Cyrillic
    **{ord("æ"): "ae", ord("Æ"): "AE", ord("œ"): "oe", ord("Œ"): "OE"},  # Unicode keeps them whole
}
CASES: dict[str, Callable[[str], str]] = {
    "upper": str.upper,
    "lower": str.lower,
    "turkish": lambda text: text.translate({0x130: "i", 0x49: "\u0131"}).lower(),  # dotless i
    "keep": str,
}
# Languages whose numbers num2words writes, and their word for %.
PERCENT = {
    "cs": "procent", "da": "procent", "de": "prozent", "es": "por ciento", "fi": "prosenttia",
    "fr": "pour cent", "hu": "százalék", "id": "persen", "it": "per cento", "lt": "procentas",
    "lv": "procents", "nl": "procent", "no": "prosent", "pl": "procent", "pt": "por cento",
    "ro": "la sută", "ru": "процентов", "sl": "odstotkov", "sv": "procent", "uk": "відсотків",
}  # fmt: skip
ABBREVIATIONS = {  # what English says for them; St. only before a name, as it also is a street
    "Mr.": "Mister",
    "Mrs.": "Missus",
    "Dr.": "Doctor",
    "Messrs.": "Messrs",
    "Esq.": "Esquire",
    "etc.": "et cetera",
    "&c.": "et cetera",
    "viz.": "viz",
    "St.": "Saint",
}
YEARS = ("da", "de", "nl", "no")  # languages that say nineteen hundred, not a thousand nine hundred
NUMBERS = ("en", "keep", *PERCENT)
LANGUAGES = ("en", "any", "tr", *PERCENT)


def check_language(name: str) -> None:
    """Raise a ConfigError unless a language has a preset."""
    if name not in LANGUAGES:
        raise ConfigError(
            f"language {name!r} has no preset; allowed: {', '.join(LANGUAGES)}; any keeps all "
            "letters, in lower case, and leaves digits as they are"
        )


def language_settings(name: str) -> dict[str, Any]:
    """Return the settings of a `Normalizer` for a language.

    "en" are the defaults; all others keep every letter, in lower case. "any" and "tr" leave digits
    as they are.

    Raises:
        ConfigError: the language has no preset.
    """
    check_language(name)
    if name == "en":
        return {"case": "upper", "numbers": "en", "strip_accents": True}
    case = "turkish" if name == "tr" else "lower"
    numbers = name if name in PERCENT else "keep"
    return {"case": case, "numbers": numbers, "strip_accents": False}


@dataclass(frozen=True)
class Normalizer:
    """A normaliser of written text to transcripts; applying it twice changes nothing more.

    Apostrophes of all shapes become ', the characters in `keep` stay inside words (and go at
    their edges), a remaining apostrophe is dropped (don't -> dont), and every other punctuation
    mark, dash or symbol separates words. The text is brought to Unicode's NFKC form.

    Args:
        case: "upper", "lower", "turkish" (lower, with dotless i) or "keep".
        numbers: "en" writes digits and abbreviations as English words (asr.text says how), another
            language writes digits as its words, "keep" leaves them.
        strip_accents: e-acute becomes e, ae as one letter becomes two; others (o-slash) stay.
        keep: punctuation that may stand inside a word.

    Raises:
        ConfigError: an unknown case or numbers.
    """

    case: str = "upper"
    numbers: str = "en"
    strip_accents: bool = True
    keep: str = "'"

    def __post_init__(self) -> None:
        for key, value, allowed in (
            ("case", self.case, CASES),
            ("numbers", self.numbers, NUMBERS),
        ):
            if value not in allowed:
                raise ConfigError(f"text.{key} is {value!r}; allowed: {', '.join(allowed)}")

    def __call__(self, text: str) -> str:
        """Return the normalised text; words are separated by single spaces."""
        text = unicodedata.normalize("NFKC", text.translate(APOSTROPHES))
        if self.numbers == "en":
            text = spell_numbers(spell_abbreviations(text))
        elif self.numbers != "keep":
            text = spell_foreign_numbers(text, self.numbers)
        text = CASES[self.case](text)
        if self.strip_accents:
            text = unicodedata.normalize("NFKD", text).translate(ACCENTS)
        text = unicodedata.normalize("NFKC", text).translate(APOSTROPHES)
        words = (word.strip(self.keep) for word in text.translate(_cleaning(self.keep)).split())
        text = " ".join(filter(None, words))
        return spell_titles(text) if self.numbers == "en" else text


def lost_letters(text: str, normalised: str) -> set[str]:
    """Return the letters of a text that its normalisation loses or exchanges, in lower case."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    before = {c for c in unicodedata.normalize("NFC", folded) if c.isalpha() and ord(c) > 127}
    return before - set(unicodedata.normalize("NFC", normalised.casefold()))


class _Cleaning(dict[int, int | str | None]):
    """A table for str.translate that computes the entry of a character when it first occurs."""

    def __init__(self, keep: str) -> None:
        super().__init__((ord(character), character) for character in keep)
        self.setdefault(ord("'"), None)

    def __missing__(self, code: int) -> int | str | None:
        character = chr(code)
        category = unicodedata.category(character)
        value: int | str | None = " "
        if category[0] in "LMN":
            value = code
        elif category[0] == "C" and not character.isspace():  # soft hyphen, zero-width marks
            value = None
        self[code] = value
        return value


_cleaning = cache(_Cleaning)


@dataclass(frozen=True)
class Vocabulary:
    """The tokens of a model; a token's place is its id, and token 0 is the blank.

    Args:
        tokens: characters, the space among them, or whole words.
        unit: "character", which can write any text, or "word", for a few fixed words.

    Raises:
        VocabularyError: no blank at 0, nothing beside it, or an empty, doubled or blank token.
    """

    tokens: tuple[str, ...]
    unit: str = "character"

    def __post_init__(self) -> None:
        if not self.tokens or self.tokens[BLANK] != BLANK_TOKEN:
            raise VocabularyError(f"the first token is {self.tokens[:1]}; it must be {BLANK_TOKEN}")
        if len(self.tokens) == 1:
            raise VocabularyError(f"there is no token beside {BLANK_TOKEN}; are the texts empty?")
        for token, times in Counter(self.tokens).items():
            if times > 1:
                raise VocabularyError(f"token {token!r} stands {times} times; once is allowed")
            if token != " " and (token == SPACE_TOKEN or token.split() != [token]):
                raise VocabularyError(f"token {token!r} is empty or holds white space")

    @classmethod
    def from_texts(cls, texts: Iterable[str], unit: str = "character") -> "Vocabulary":
        """Return the blank and the sorted characters or words of normalised texts."""
        units = set().union(*(_split(text, unit) for text in texts))
        return cls((BLANK_TOKEN, *sorted(units)), unit)

    @classmethod
    def load(cls, path: str | Path, unit: str = "character") -> "Vocabulary":
        """Read tokens.txt: one token a line in UTF-8, <blank> first, <space> for the space.

        Raises:
            VocabularyError: the file cannot be read or breaks these rules.
        """
        try:
            content = read_bytes(Path(path)).decode("utf-8-sig")
            lines = io.StringIO(content, newline=None).read().removesuffix("\n").split("\n")
            if " " in lines:
                raise VocabularyError(f"line {lines.index(' ') + 1} is a space; write <space>")
            return cls(tuple(" " if line == SPACE_TOKEN else line for line in lines), unit)
        except (OSError, ValueError, VocabularyError) as error:
            raise VocabularyError(f"{path}: not a token file: {error}") from error

    def save(self, path: str | Path) -> None:
        """Write tokens.txt."""
        lines = (SPACE_TOKEN if token == " " else token for token in self.tokens)
        write_atomically(path, "".join(f"{line}\n" for line in lines))

    def __len__(self) -> int:
        return len(self.tokens)

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {token: index for index, token in enumerate(self.tokens)}

    def encode(self, text: str) -> list[int]:
        """Return the ids of the characters or words of a text, each in 1..V-1.

        Raises:
            VocabularyError: one of them is not in the vocabulary.
        """
        try:
            return [self._ids[unit] for unit in _split(text, self.unit)]
        except KeyError:
            unknown = self._unknown(text)
            message = f"{_shorten(text)} holds {_describe(unknown)}, not in the vocabulary"
            raise VocabularyError(message) from None

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of ids in 1..V-1, repeats merged and blanks dropped beforehand.

        Raises:
            VocabularyError: an id is the blank or outside the vocabulary.
        """
        ids = list(ids)
        for index in ids:
            if not BLANK < index < len(self):
                raise VocabularyError(f"id {index} is no token; allowed: 1..{len(self) - 1}")
        return ("" if self.unit == "character" else " ").join(self.tokens[index] for index in ids)

    def _unknown(self, text: str) -> Counter[str]:
        return Counter(unit for unit in _split(text, self.unit) if unit not in self._ids)

    def check_texts(self, texts: Iterable[tuple[str, str]]) -> None:
        """Check that the vocabulary can write the texts, given as (utterance id, text).

        Raises:
            VocabularyError: it cannot: how many texts, which characters, and what to change.
        """
        total, unknown, affected = 0, Counter[str](), list[tuple[str, str]]()
        for utterance, text in texts:
            total += 1
            if missing := self._unknown(text):
                unknown += missing
                affected.append((utterance, text))
        if affected:
            examples = "; ".join(f"{name}: {_shorten(text)}" for name, text in affected[:3])
            raise VocabularyError(
                f"{len(affected)} of {total} transcripts hold {self.unit}s that the vocabulary "
                f"lacks: {_describe(unknown)}. For example {examples}. {self._remedy(unknown)}"
            )

    def _remedy(self, unknown: Iterable[str]) -> str:
        for found, wanted in (("lower", "upper"), ("upper", "lower")):
            if all(c != CASES[wanted](c) and CASES[wanted](c) in self._ids for c in unknown):
                return (
                    f"The transcripts are {found} case, the vocabulary is {wanted} case: "
                    f'set text.case="{wanted}"'
                )
        return "Normalise the transcripts as the training text was, or make a new vocabulary"


def _split(text: str, unit: str) -> Iterable[str]:
    return text if unit == "character" else text.split()


def _describe(units: Counter[str]) -> str:
    """Return the most frequent units with code point and count, such as 'a' (U+0061) 3x."""
    common = list(islice(units.most_common(), 8))
    shown = [f"{u!r}{f' (U+{ord(u):04X})' if len(u) == 1 else ''} {n}x" for u, n in common]
    more = len(units) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _shorten(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")


_NUMBER = r"(?<!\d)(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)"
_DECIMAL = rf"(?:{_NUMBER}(?:\.\d+)*|(?<!\w)\.\d+)"
_MAGNITUDE = r"hundred|thousand|million|billion|trillion"
_MONEY = re.compile(rf"([$£€¥])\s?({_DECIMAL})(?:\s({_MAGNITUDE})\b)?", re.IGNORECASE)
_MINUS = re.compile(r"(?<!\S)[-\u2212](?=[\d$£€¥])")
_ORDINAL = re.compile(rf"({_NUMBER})(?:st|nd|rd|th)\b", re.IGNORECASE)
_DECADE = re.compile(r"(?<!\d)(\d*0)'?s\b", re.IGNORECASE)
_PLAIN = re.compile(_DECIMAL)
_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_COINS = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "€": ("euro", "euros", "cent", "cents"),
    "¥": ("yen", "yen", "sen", "sen"),
}


_SAID = {short.lower().removesuffix("."): said for short, said in ABBREVIATIONS.items()}
_ABBREVIATED = re.compile(
    r"(?<!\w)(?:(?:(?i:esq|etc)|&c)\.(?!\w)|(?i:st)\.(?=\s+[A-Z])"
    r"(?!\s+(?i:an?|and|but|he|his|i|in|it|on|she|that|the|then|there|they|this|we|you)\b))"
)
_TITLED = re.compile(r"(?<!\S)(?:mrs?|dr)(?!\S)", re.IGNORECASE)


def spell_abbreviations(text: str) -> str:
    """Replace abbreviations that their period tells from words by what English says for them."""
    return _ABBREVIATED.sub(lambda match: f" {_SAID[match[0].lower().removesuffix('.')]} ", text)


def spell_titles(text: str) -> str:
    """Replace Mr, Mrs and Dr, which many write without a period, in a text without punctuation."""
    return _TITLED.sub(lambda match: cased_like(match[0], _SAID[match[0].lower()]), text)


def cased_like(short: str, said: str) -> str:
    """Return what is said for an abbreviation in the abbreviation's case."""
    if short.islower():
        return said.lower()
    return said.upper() if short.isupper() else said


def spell_numbers(text: str) -> str:
    """Replace digits, %, & and money by English words, as the table in asr.text shows."""
    if any(map(str.isdecimal, text)):
        text = "".join(str(int(c)) if c.isdecimal() else c for c in text)  # other scripts' digits
        text = _MINUS.sub("minus ", text)
        text = _MONEY.sub(lambda match: f" {_money(*match.groups())} ", text)
        text = _ORDINAL.sub(lambda match: f" {_ordinal(match[1])} ", text)
        text = _DECADE.sub(lambda match: f" {_plural(_spell(match[1]))} ", text)
        text = _PLAIN.sub(lambda match: f" {_spell(match[0])} ", text)
    return text.replace("%", " percent ").replace("&", " and ")


_FOREIGN = re.compile(r"(\d{1,3}(?:[.\u00a0\u202f]\d{3})+(?!\d)|\d+)(?:,(\d+))?")


def spell_foreign_numbers(text: str, language: str) -> str:
    """Replace digits and % by words of a language other than English.

    Raises:
        MissingDependencyError: there are digits, and num2words is not installed.
    """
    if any(map(str.isdecimal, text)):
        text = "".join(str(int(c)) if c.isdecimal() else c for c in text)  # other scripts' digits
        text = _FOREIGN.sub(lambda match: f" {_foreign(*match.groups(), language)} ", text)
    return text.replace("%", f" {PERCENT[language]} ")


@cache
def _foreign(whole: str, fraction: str | None, language: str) -> str:
    try:
        from num2words import num2words
    except ModuleNotFoundError:
        raise MissingDependencyError(
            f"text.numbers is {language!r}, which writes digits such as {whole} as words, by a "
            f"package that is not installed: {install('numbers')}, or set text.numbers=keep"
        ) from None
    digits = re.sub(r"\D", "", whole)
    if len(digits) > 15 or (len(digits) > 1 and digits.startswith("0")):
        return " ".join(str(num2words(int(digit), lang=language)) for digit in digits)
    if fraction:
        return str(num2words(Decimal(f"{digits}.{fraction}"), lang=language))
    year = language in YEARS and len(whole) == 4 and 1100 <= int(digits) <= 1999
    return str(num2words(int(digits), lang=language, to="year" if year else "cardinal"))


@cache
def _inflect() -> Any:  # the import is slow, and most transcripts hold no digit
    import inflect

    return inflect.engine()


def _in_words(number: int | str) -> str:
    words = str(_inflect().number_to_words(number))
    return words.replace(",", "").replace("-", " ")


def _digits(digits: str) -> str:
    return " ".join(_DIGITS[int(digit)] for digit in digits)


def _spell(number: str) -> str:
    """Return the words of a decimal number such as 1,000.25, of a year, or of single digits."""
    whole, *fractions = number.split(".")
    parts = [_year(whole) if whole and not fractions else _cardinal(whole)]
    parts += [f"point {_digits(fraction)}" for fraction in fractions]
    return " ".join(filter(None, parts))


def _cardinal(number: str) -> str:
    digits = number.replace(",", "")
    if len(digits) > 15 or (len(digits) > 1 and digits.startswith("0")):
        return _digits(digits)
    return _in_words(int(digits)) if digits else ""


def _year(number: str) -> str:
    if len(number) != 4 or not (1100 <= int(number) <= 1999 or 2010 <= int(number) <= 2099):
        return _cardinal(number)
    century, year = divmod(int(number), 100)
    rest = "hundred" if year == 0 else f"oh {_in_words(year)}" if year < 10 else _in_words(year)
    return f"{_in_words(century)} {rest}"


def _ordinal(number: str) -> str:
    digits = number.replace(",", "")
    if len(digits) > 15:
        return _digits(digits)
    return _in_words(_inflect().ordinal(int(digits)))


def _plural(words: str) -> str:
    return words[:-1] + "ies" if words.endswith("y") else words + "s"


def _money(sign: str, amount: str, magnitude: str | None) -> str:
    one, many, one_cent, cents = _COINS[sign]
    whole, point, fraction = amount.partition(".")
    if magnitude or (point and not (whole and len(fraction) == 2)):
        return " ".join(filter(None, (_spell(amount), magnitude, many)))
    parts = [f"{_cardinal(whole)} {one if whole == '1' else many}"] if whole.strip("0") else []
    if fraction.strip("0"):
        parts.append(f"{_in_words(int(fraction))} {one_cent if fraction == '01' else cents}")
    return " and ".join(parts) or f"zero {many}"

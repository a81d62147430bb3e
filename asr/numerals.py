"""Numbers in digits to English words.

    1,234,567  one million two hundred and thirty four thousand five hundred and sixty seven
    1905       nineteen oh five   (four digits without a comma, 1100-1999 and 2010-2099: a year)
    1990s      nineteen nineties
    21st       twenty first
    3.14       three point one four
    007        zero zero seven    (a leading zero, or more than 15 digits: digit by digit)
    $3.50      three dollars and fifty cents         $3.5 million  three point five million dollars
    -5 %       minus five percent                    &             and

Fractions, times and ranges are read as their numbers: 1/2 is "one two", 10:30 is "ten thirty".
"""

import re
from functools import cache
from typing import Any

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


def spell_numbers(text: str) -> str:
    """Replace digits, %, & and money by English words, as the table above shows."""
    if any(map(str.isdecimal, text)):
        text = "".join(str(int(c)) if c.isdecimal() else c for c in text)  # other scripts' digits
        text = _MINUS.sub("minus ", text)
        text = _MONEY.sub(lambda match: f" {_money(*match.groups())} ", text)
        text = _ORDINAL.sub(lambda match: f" {_ordinal(match[1])} ", text)
        text = _DECADE.sub(lambda match: f" {_plural(_spell(match[1]))} ", text)
        text = _PLAIN.sub(lambda match: f" {_spell(match[0])} ", text)
    return text.replace("%", " percent ").replace("&", " and ")


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
    """Words of a decimal number such as 1,000.25, of a year, or of single digits."""
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

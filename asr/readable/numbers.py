"""Write English numbers in digits: inverse text normalisation by rules.

    numerals("in nineteen twenty five it cost twenty dollars".split())   ->   1925, $20

Usual style guides are followed: numbers from one to nine stay words, unless they stand with a unit,
a sign or another numeral. Years, times of day, money, percentages, decimals, ordinals, dates,
decades, telephone numbers and digits that are read one by one have their own forms. Words such as
`half past ten`, `two thirds`, `a hundred` and `hundreds` stay words.

A rule looks at the words from some place on and returns a numeral or None. The rules are tried in
the order of `_RULES`, so that the longest reading comes first: twenty dollars and fifty cents,
before twenty dollars, before twenty.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple


def _numbered(words: str, numbers: Iterable[int]) -> dict[str, int]:
    return dict(zip(words.split(), numbers, strict=True))


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_UNITS = _numbered("one two three four five six seven eight nine", range(1, 10))
_TEENS = _numbered(
    "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen", range(10, 20)
)
_TENS = _numbered("twenty thirty forty fifty sixty seventy eighty ninety", range(20, 100, 10))
_MAGNITUDES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_NOUGHT = {"zero": 0, "oh": 0, "o": 0}
REPEATS = {"double": 2, "triple": 3}  # before a digit
_ORDINALS = _numbered("first second third fourth fifth sixth seventh eighth ninth", range(1, 10))
_LATE_ORDINALS = {
    **{f"{word}th": number for word, number in _TEENS.items() if word != "twelve"},
    "twelfth": 12,
    **{f"{word[:-1]}ieth": number for word, number in _TENS.items()},
}
_LARGE_ORDINALS = {"hundredth": 100, "thousandth": 10**3, "millionth": 10**6}
_DECADES = {f"{word[:-1]}ies": number for word, number in _TENS.items()}
_FRACTIONS = _set(
    "halves thirds quarters fourths fifths sixths sevenths eighths ninths tenths hundredths "
    "thousandths"
)
_MONTHS = _set(
    "january february march april may june july august september october november december"
)
_BEFORE_YEAR = _MONTHS | _set(
    "in since by until till from of year before after during around circa and to spring summer "
    "autumn fall winter early late mid anno"
)
_BEFORE_DATE = _set("on by since until till before after from to last this next every of in and")
_BEFORE_TIME = _set("at by until till before after around about from to past")
_DAY_PARTS = ("in the morning", "in the afternoon", "in the evening", "at night", "tonight")
_COINS = {"dollar": "$", "dollars": "$", "euro": "€", "euros": "€", "yen": "¥"}
_CENTS = _set("cent cents")
_COUNTED = _set("percent") | _COINS.keys()  # after an amount, not after a year
_LABELS = _set(
    "page pages chapter room flight route highway interstate figure table section volume item "
    "verse scene grade gate platform channel extension bus question exercise lesson unit "
    "apartment suite box version level phase step number numbers appendix article paragraph "
    "track lane bay ward model"
)
_MEASURES = _set(
    "degrees kilometers kilometres kilograms kilos centimeters centimetres millimeters "
    "millimetres milligrams grams liters litres milliliters millilitres volts watts kilowatts "
    "megawatts amps hertz kilohertz megahertz gigahertz bytes kilobytes megabytes gigabytes "
    "terabytes pixels decibels knots calories"
)


@dataclass(frozen=True)
class Numeral:
    """Words first..stop - 1 and how they are written."""

    first: int
    stop: int
    text: str


class _Count(NamedTuple):
    """A whole number, where it ends, and how it was said."""

    value: int
    stop: int
    is_hundreds: bool = False  # counts hundreds, as nineteen hundred


class _NumberWords:
    """Words with the places where a pause or a mark separates them."""

    def __init__(self, words: Sequence[str], breaks: Sequence[bool]) -> None:
        self.words = words
        self._breaks = breaks

    def at(self, place: int) -> str:
        """Return a word, or "" outside of the text."""
        return self.words[place] if 0 <= place < len(self.words) else ""

    def next(self, place: int) -> str:
        """Return the word at a place, or "" if something separates it from the word before."""
        return "" if place > 0 and self._breaks[place - 1] else self.at(place)

    def follows(self, place: int, text: str) -> int:
        """Return the place after some words if they stand here, else 0."""
        wanted = text.split()
        found = all(self.next(place + i) == word for i, word in enumerate(wanted))
        return place + len(wanted) if found else 0

    def before(self, place: int) -> str:
        """Return the word before a place, or "" if something separates the two."""
        return self.at(place - 1) if place > 0 and not self._breaks[place - 1] else ""


def numerals(
    words: Sequence[str], breaks: Sequence[bool] | None = None, first: int = 0
) -> list[Numeral]:
    """Return the numbers that are to be written in digits, in order.

    Args:
        words: in lower case.
        breaks: whether a mark or pause after a word ends a number; None: never.
        first: the first word that can be part of a number; those before it are context.
    """
    text = _NumberWords(words, breaks if breaks is not None else [False] * len(words))
    found: list[Numeral] = []
    at = first
    while at < len(words):
        numeral, at = _first(text, at)
        if numeral:
            found.append(numeral)
    return found


def _first(text: _NumberWords, at: int) -> tuple[Numeral | None, int]:
    """Return what the first rule that fits makes of the words here, and the next place."""
    if stop := _kept(text, at):
        return None, stop
    for rule in _RULES:
        if numeral := rule(text, at):
            return numeral, numeral.stop
    count = _count(text, at)  # a small number, which stays words
    return None, count.stop if count else at + 1


def _kept(text: _NumberWords, at: int) -> int:
    """Return the place after words that stay words although they hold a number, else 0."""
    for start in ("half past", "quarter past", "quarter to", "half a", "half an"):
        if stop := text.follows(at, start):
            count = _count(text, stop)
            return count.stop if count else stop
    part = text.next(at + 1)
    if text.at(at) == "one" and part in ("half", "quarter", *_ORDINALS, *_LATE_ORDINALS):
        return at + 2  # a fraction, as one fifth
    count = _count(text, at)
    if count and text.next(count.stop) in _FRACTIONS:
        return count.stop + 1
    return 0


# Whole numbers


def _small(text: _NumberWords, at: int) -> _Count | None:
    """Read a number below 100."""
    word = text.at(at)
    if word in _TENS:
        unit = _UNITS.get(text.next(at + 1), 0)
        return _Count(_TENS[word] + unit, at + 1 + (unit > 0))
    value = _UNITS.get(word) or _TEENS.get(word)
    return _Count(value, at + 1) if value else None


def _group(text: _NumberWords, at: int) -> _Count | None:
    """Read a number below 10,000 without a magnitude, such as two hundred and five."""
    small = _small(text, at)
    if text.at(at) == "a" and text.next(at + 1) == "hundred":
        small = _Count(1, at + 1)
    if not small or text.next(small.stop) != "hundred":
        return None if text.at(at) == "a" else small
    stop = small.stop + 1
    rest = _small(text, stop + 1) if text.next(stop) == "and" else None
    if rest is None and text.next(stop):
        rest = _small(text, stop)
    if rest and text.next(rest.stop) == "hundred":  # two hundred three hundred: two numbers
        rest = None
    many = small.value >= 10
    return _Count(
        100 * small.value + (rest.value if rest else 0), rest.stop if rest else stop, many
    )


def _count(text: _NumberWords, at: int) -> _Count | None:
    """Read a whole number of any size, such as two million three hundred thousand and five."""
    if text.at(at) == "zero":
        return _Count(0, at + 1)
    value, stop, largest, hundreds = 0, at, 10**15, False
    while True:
        start = stop
        if value and text.next(stop) == "and":
            start = stop + 1
        if value and not text.next(start):
            break
        group = _group(text, start)
        if not group:
            break
        magnitude = _MAGNITUDES.get(text.next(group.stop), 1)
        if magnitude >= largest or (start > stop and value % 1000 and magnitude == 1):
            break
        if value and magnitude == 1 and group.value >= 1000:
            break
        value += group.value * magnitude
        stop = group.stop + (magnitude > 1)
        largest, hundreds = magnitude, group.is_hundreds and magnitude == 1
        if magnitude == 1:
            break
    return _Count(value, stop, hundreds) if stop > at else None


def _written(value: int) -> str:
    """Return a number in digits, grouped by commas from 1,000 on."""
    return f"{value:,}"


def _amount(text: _NumberWords, at: int) -> tuple[str, int] | None:
    """Read a number as an amount: 20, 3.5, 2 million, 2.5 million; return it with its end."""
    if decimal := _decimal_digits(text, at):
        written, stop = decimal
        magnitude = text.next(stop)
        return (f"{written} {magnitude}", stop + 1) if magnitude in _MAGNITUDES else decimal
    count = _count(text, at)
    if not count:
        return None
    return _of_millions(text, count, at) or (_written(count.value), count.stop)


def _of_millions(text: _NumberWords, count: _Count, at: int) -> tuple[str, int] | None:
    """Return a round number of millions with the word, as 2 million."""
    magnitude = text.at(count.stop - 1)
    group = _group(text, at)
    if magnitude not in ("million", "billion", "trillion") or not group:
        return None
    return (
        (f"{_written(group.value)} {magnitude}", count.stop)
        if group.stop + 1 == count.stop
        else None
    )


def _decimal_digits(text: _NumberWords, at: int) -> tuple[str, int] | None:
    """Read a decimal such as three point one four."""
    count = _count(text, at)
    if count is None and text.at(at) in _NOUGHT:
        count = _Count(0, at + 1)
    if not count or text.next(count.stop) != "point":
        return None
    if text.before(at) == "at" and count == _Count(1, at + 1):  # at one point two men came
        return None
    stop, digits = count.stop + 1, ""
    while (digit := digit_of(text.next(stop))) is not None:
        digits, stop = digits + str(digit), stop + 1
    if not digits and (small := _small(text, stop)) and text.next(stop):
        digits, stop = str(small.value), small.stop
    return (f"{_written(count.value)}.{digits}", stop) if digits else None


def digit_of(word: str) -> int | None:
    """Return the digit that a word says, also oh for zero."""
    return _NOUGHT.get(word, _UNITS.get(word))


# Rules: what stands here, or None


def _money(text: _NumberWords, at: int) -> Numeral | None:
    """Write twenty dollars and fifty cents as $20.50."""
    amount = _amount(text, at)
    if not amount:
        return None
    written, stop = amount
    year = _year_number(text, at)  # nineteen ninety five dollars
    if year and year.stop > stop and text.next(year.stop) in _COINS:
        written, stop = _written(year.value), year.stop
    sign = _COINS.get(text.next(stop))
    if not sign:
        return _pounds(text, at, written, stop) or _cents(text, at, written, stop)
    stop += 1
    start = stop + 1 if text.next(stop) == "and" else stop
    cents = _small(text, start) if text.next(start) else None
    if cents and text.next(cents.stop) in _CENTS and "." not in written:
        return Numeral(at, cents.stop + 1, f"{sign}{written}.{cents.value:02}")
    return Numeral(at, stop, sign + written)


def _pounds(text: _NumberWords, at: int, written: str, stop: int) -> Numeral | None:
    """Write pounds with a sign only where they are surely money: with pence or sterling."""
    if text.next(stop) not in ("pound", "pounds"):
        return None
    if text.next(stop + 1) == "sterling":
        return Numeral(at, stop + 2, f"£{written}")
    start = stop + 2 if text.next(stop + 1) == "and" else stop + 1
    pence = _small(text, start) if text.next(start) else None
    if pence and text.next(pence.stop) in ("pence", "penny"):
        return Numeral(at, pence.stop + 1, f"£{written}.{pence.value:02}")
    return None


def _cents(text: _NumberWords, at: int, written: str, stop: int) -> Numeral | None:
    """Write cents and pence with a number in digits."""
    if text.next(stop) in _CENTS or text.next(stop) == "pence":
        return Numeral(at, stop, written)
    return None


def _percent(text: _NumberWords, at: int) -> Numeral | None:
    """Write five percent as 5%."""
    amount = _amount(text, at)
    if not amount:
        return None
    stop = amount[1]
    end = text.follows(stop, "percent") or text.follows(stop, "per cent")
    return Numeral(at, end, f"{amount[0]}%") if end else None


def _negative(text: _NumberWords, at: int) -> Numeral | None:
    """Write minus five degrees as -5 degrees; between two numbers, minus stays a word."""
    if text.at(at) not in ("minus", "negative") or _is_number(text.before(at)):
        return None
    rule = _percent(text, at + 1) if text.next(at + 1) else None
    if rule:
        return Numeral(at, rule.stop, f"-{rule.text}")
    amount = _amount(text, at + 1) if text.next(at + 1) else None
    return Numeral(at, amount[1], f"-{amount[0]}") if amount else None


def _is_number(word: str) -> bool:
    return word in _UNITS or word in _TEENS or word in _TENS or word in ("hundred", *_MAGNITUDES)


def _decimal(text: _NumberWords, at: int) -> Numeral | None:
    """Write three point one four as 3.14."""
    if not _decimal_digits(text, at):
        return None
    amount = _amount(text, at)
    return Numeral(at, amount[1], amount[0]) if amount else None


def _date(text: _NumberWords, at: int) -> Numeral | None:
    """Write march fifth nineteen twenty five as March 5, 1925, and march fifth as March 5."""
    if text.at(at) not in _MONTHS:
        return None
    month, is_month = text.at(at).capitalize(), text.before(at) in _BEFORE_DATE
    if text.at(at) == "may" and not is_month and (text.before(at) or text.next(at + 1) == "the"):
        return None
    if text.next(at + 1) == "the":
        day = _ordinal_number(text, at + 2)
        return Numeral(at, day.stop, f"{month} the {_ordinal_of(day.value)}") if day else None
    day = _ordinal_number(text, at + 1) if text.next(at + 1) else None
    if not day or not 1 <= day.value <= 31:
        return None
    year = _year_number(text, day.stop)
    if year:
        return Numeral(at, year.stop, f"{month} {day.value}, {year.value}")
    return Numeral(at, day.stop, f"{month} {day.value}")


def _day_of_month(text: _NumberWords, at: int) -> Numeral | None:
    """Write the fifth of march as the 5th of March."""
    day = _ordinal_number(text, at)
    if not day or text.next(day.stop) != "of" or text.next(day.stop + 1) not in _MONTHS:
        return None
    if not 1 <= day.value <= 31 or (text.before(at) != "the" and day.value < 10):
        return None
    month = text.at(day.stop + 1).capitalize()
    return Numeral(at, day.stop + 2, f"{_ordinal_of(day.value)} of {month}")


def _month_and_year(text: _NumberWords, at: int) -> Numeral | None:
    """Write a year after a month, which is then surely one."""
    if text.before(at) not in _MONTHS:
        return None
    year = _year_number(text, at)
    return Numeral(at, year.stop, str(year.value)) if year else None


def _ordinal_number(text: _NumberWords, at: int) -> _Count | None:
    """Read an ordinal such as one hundred and twenty first."""
    word = text.at(at)
    if word in _ORDINALS or word in _LATE_ORDINALS:
        return _Count(_ORDINALS.get(word) or _LATE_ORDINALS[word], at + 1)
    if word in _TENS and text.next(at + 1) in _ORDINALS:
        return _Count(_TENS[word] + _ORDINALS[text.at(at + 1)], at + 2)
    count = _count(text, at)
    if not count:
        return None
    if size := _LARGE_ORDINALS.get(text.next(count.stop)):
        return _Count(count.value * size, count.stop + 1)
    return _ordinal_after(text, count) if count.value >= 100 else None


def _ordinal_after(text: _NumberWords, count: _Count) -> _Count | None:
    """Read the end of a long ordinal: (one hundred) and first, (one hundred twenty) first."""
    start = count.stop + 1 if text.next(count.stop) == "and" else count.stop
    if not text.next(start):
        return None
    if count.value % 100 == 0:
        end = _ordinal_number(text, start)
        return _Count(count.value + end.value, end.stop) if end and end.value < 100 else None
    if start == count.stop and count.value % 10 == 0 and count.value % 100 >= 20:
        unit = _ORDINALS.get(text.at(start))
        return _Count(count.value + unit, start + 1) if unit else None
    return None


def _ordinal_of(value: int) -> str:
    """Return an ordinal in digits: 1st, 2nd, 3rd, 11th."""
    teen = value % 100 in (11, 12, 13)
    return f"{_written(value)}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(value % 10, 'th')}"


def _ordinal(text: _NumberWords, at: int) -> Numeral | None:
    """Write twenty first as 21st; ordinals below tenth stay words."""
    found = _ordinal_number(text, at)
    if not found or found.value < 10:
        return None
    return Numeral(at, found.stop, _ordinal_of(found.value))


def _year_number(text: _NumberWords, at: int) -> _Count | None:
    """Read a year: nineteen twenty five, nineteen oh five, eighteen hundred, two thousand five."""
    century = _small(text, at)
    if not century:
        return None
    if 10 <= century.value <= 20 and text.next(century.stop):
        if text.next(century.stop) in ("oh", "o"):
            unit = _UNITS.get(text.next(century.stop + 1))
            return _Count(100 * century.value + unit, century.stop + 2) if unit else None
        rest = _small(text, century.stop)
        if rest and rest.value >= 10 and text.next(rest.stop) not in ("hundred", *_MAGNITUDES):
            return _Count(100 * century.value + rest.value, rest.stop)
    count = _count(text, at)
    if (
        count
        and (count.is_hundreds or text.at(at + 1) == "thousand")
        and 1000 <= count.value <= 2099
    ):
        return count
    return None


def _decade(text: _NumberWords, at: int) -> Numeral | None:
    """Write nineteen twenties as 1920s, and eighteen hundreds as 1800s."""
    century = _small(text, at)
    if not century or not 10 <= century.value <= 20:
        return None
    word = text.next(century.stop)
    if word in _DECADES:
        return Numeral(at, century.stop + 1, f"{century.value}{_DECADES[word]}s")
    if word == "hundreds":
        return Numeral(at, century.stop + 1, f"{century.value}00s")
    return None


def _year(text: _NumberWords, at: int) -> Numeral | None:
    """Write nineteen twenty five as 1925.

    What could be an amount or a time of day, such as eighteen hundred or eleven fifty, is a year
    only where the word before expects one.
    """
    year, first = _year_number(text, at), _small(text, at)
    if not year or not first or text.next(year.stop) in _COUNTED:
        return None
    before = text.before(at)
    if text.at(first.stop) in ("hundred", "thousand"):
        is_precise = first.value >= 10 and year.value % 100 > 0
        is_year = before in _BEFORE_YEAR or is_precise
    else:
        can_be_time = first.value <= 12
        is_year = not can_be_time or (before in _BEFORE_YEAR and before not in _BEFORE_TIME)
    return Numeral(at, year.stop, str(year.value)) if is_year else None


def _half_of_day(text: _NumberWords, at: int) -> tuple[str, int] | None:
    """Read a m or p m; return it in capitals with its end."""
    for half in ("a", "p"):
        end = text.follows(at, f"{half} m")
        if not end and text.next(at) in (f"{half}m", f"{half}.m."):
            end = at + 1 if f"{half}m" != "am" else 0
        if end:
            return f"{half.upper()}M", end
    return None


def _minutes(text: _NumberWords, at: int) -> _Count | None:
    """Read minutes: thirty, fifteen, oh five."""
    if text.next(at) in ("oh", "o"):
        unit = _UNITS.get(text.next(at + 1))
        return _Count(unit, at + 2) if unit else None
    small = _small(text, at) if text.next(at) else None
    return small if small and 10 <= small.value <= 59 else None


def _time(text: _NumberWords, at: int) -> Numeral | None:
    """Write two thirty p m as 2:30 PM, two p m as 2 PM, five o'clock as 5 o'clock."""
    word = text.at(at)
    hour = _UNITS.get(word) or (_TEENS.get(word, 99))
    if hour > 12:
        return None
    minutes = _minutes(text, at + 1)
    stop = minutes.stop if minutes else at + 1
    clock = f"{hour}:{minutes.value:02}" if minutes else str(hour)
    if half := _half_of_day(text, stop):
        return Numeral(at, half[1], f"{clock} {half[0]}")
    if text.next(stop) == "o'clock":
        return Numeral(at, stop, clock)
    if any(text.follows(stop, part) for part in _DAY_PARTS) and (
        minutes or text.before(at) == "at"
    ):
        return Numeral(at, stop, clock)
    if minutes and not _goes_on(text, stop):
        is_oh = text.at(at + 1) in ("oh", "o")
        if text.before(at) in _BEFORE_TIME or not is_oh:
            return Numeral(at, stop, clock)
    return None


def _goes_on(text: _NumberWords, at: int) -> bool:
    """Return whether a number goes on here."""
    word = text.next(at)
    return _is_number(word) or word in _NOUGHT or word in ("percent", *_COINS, *_CENTS)


def _telephone(digits: str) -> str:
    """Return digits as they are grouped in North American telephone numbers; others ungrouped."""
    if len(digits) == 7:
        return f"{digits[:3]}-{digits[3:]}"
    if len(digits) == 10:
        return f"{digits[:3]}-{digits[3:6]}-{digits[6:]}"
    if len(digits) == 11 and digits[0] == "1":
        return f"1-{digits[1:4]}-{digits[4:7]}-{digits[7:]}"
    return digits


def _digit_string(text: _NumberWords, at: int) -> Numeral | None:
    """Write digits that are read one by one together: five five five one two three four."""
    digits, stop, repeats = "", at, 1
    while word := text.at(at) if stop == at else text.next(stop):
        if word in REPEATS and digit_of(text.next(stop + 1)) is not None:
            repeats = REPEATS[word]
        elif (digit := digit_of(word)) is not None:
            hundred = text.next(stop + 1) == "hundred" and digits == "1"
            digits += str(digit) * repeats + ("00" if hundred else "")
            stop, repeats = stop + hundred, 1
        else:
            break
        stop += 1
    if len(digits) < (4 if text.at(at) in ("oh", "o") else 3):
        return None
    if len(digits) == 3 and digits[1] == "0" and text.before(at) == "at":  # a time
        return None
    if text.next(stop) == "hundred" or text.next(stop) in _MAGNITUDES:
        return None
    return Numeral(at, stop, _telephone(digits))


def _labelled(text: _NumberWords, at: int) -> Numeral | None:
    """Write a number that names something in digits, however small: page five, room two twelve."""
    if text.before(at) not in _LABELS:
        return None
    digits, stop = "", at
    while small := (_small(text, stop) if stop == at or text.next(stop) else None):
        digits, stop = digits + str(small.value), small.stop
        if text.next(stop) in ("oh", "o", "zero"):
            digits, stop = digits + "0", stop + 1
    count = _count(text, at)
    if count and count.stop >= stop:
        return Numeral(at, count.stop, _written(count.value))
    return Numeral(at, stop, digits) if digits else None


def _measured(text: _NumberWords, at: int) -> Numeral | None:
    """Write a number before a unit of measure in digits, however small: five kilometers."""
    amount = _amount(text, at)
    if not amount or text.next(amount[1]) not in _MEASURES:
        return None
    return Numeral(at, amount[1], amount[0])


def _range(text: _NumberWords, at: int) -> Numeral | None:
    """Write a small number in digits where a larger one follows it: five to ten."""
    count = _count(text, at)
    if not count or count.value >= 10 or text.next(count.stop) not in ("to", "or"):
        return None
    other = _count(text, count.stop + 1) if text.next(count.stop + 1) else None
    if not other or other.value < 10 or text.at(at) == "zero":
        return None
    return Numeral(at, count.stop, str(count.value))


def _cardinal(text: _NumberWords, at: int) -> Numeral | None:
    """Write a number from 10 on in digits."""
    amount = _amount(text, at)
    count = _count(text, at)
    if not amount or not count or (count.value < 10 and " " not in amount[0]):
        return None
    if count == _Count(100, at + 2) and text.at(at) == "a":  # a hundred men
        return None
    return Numeral(at, amount[1], amount[0])


_RULES: tuple[Callable[[_NumberWords, int], Numeral | None], ...] = (
    _negative,
    _date,
    _day_of_month,
    _month_and_year,
    _money,
    _percent,
    _decade,
    _labelled,
    _measured,
    _decimal,
    _ordinal,
    _digit_string,
    _year,
    _time,
    _range,
    _cardinal,
)

"""Sentences with numbers, dates, times, amounts, addresses and spelt names, one a line.

usage: python spoken.py TEXT > spoken.txt     TEXT: sentences with capitals, as of modern.py

Books and pages write 555-0192, and no text has "m i c h a e l". People say both. So these 300,000
sentences are drawn by chance, always the same ones: in half of them what is said stands alone, in
the others in a sentence. Names are words that TEXT writes with a capital within its sentences.
"""

import re
import sys
from calendar import monthrange
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from num2words import num2words


def say(number: int, to: str = "cardinal") -> str:
    """Return a number in words, without hyphens."""
    return str(num2words(number, to=to)).replace(",", "").replace("-", " ")


def words(text: str) -> list[str]:
    """Return the words of a text."""
    return text.split()


SENTENCES = 300_000
LEAST_USE = 5  # times that TEXT has a name
NAME = re.compile(r"(?<=[a-z,] )([A-Z][a-z]{2,11})\b")
DIGITS = words("zero one two three four five six seven eight nine")
MONTHS = words(
    "January February March April May June July August September October November December"
)
DAYS = words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
STREETS = words("Street Road Avenue Lane Drive Court Way Place Boulevard Square Close Terrace")
STREET_NAMES = words(  # that are no names of people, so that TEXT may lack them
    "Main Oak Pine Maple Cedar Elm Walnut Chestnut Birch Cherry Willow Ash Poplar Laurel Sycamore "
    "Park Lake Hill Ridge Valley View Highland Meadow Forest Garden River Spring Prospect Sunset "
    "Church Chapel School College Mill Market Bridge Station Court Bank Castle High Front Center "
    "King Queen Prince Green White Broad Water Union Liberty Franklin Washington Lincoln Jefferson"
)
UNITS = words(
    "percent degrees miles kilometers meters feet inches pounds ounces grams kilograms liters "
    "gallons minutes hours seconds days weeks months years people tickets cups points"
)
CURRENCIES = words("dollars dollars dollars pounds euros bucks rupees")
LETTERS = "abcdefghijklmnopqrstuvwxyz"


class Speaker:
    """Draws what is said."""

    def __init__(self, names: Sequence[str], seed: int = 1) -> None:
        """Hold the names to choose from."""
        self.random = Random(seed)
        self.names = names
        # One sentence in so many is of this kind, and where a sentence goes on, it does with these.
        self.kinds: dict[Callable[[], str], tuple[int, str]] = {
            self.telephone: (
                14,
                "My number is {}.|Call me at {}.|You can reach me on {}.|Please dial {}."
                "|The phone number is {}.|Call me back on {}, please.|It's {}.|Her number is {}.",
            ),
            self.code: (
                10,
                "My pin is {}.|The code is {}.|Order number {}.|The last four digits are {}."
                "|My account number is {}.|Room {}.|Press {}.|Enter {}.|Extension {}.|Number {}.",
            ),
            self.cardinal: (
                10,
                "There are {} of them.|About {}.|We need {} more.|I counted {}.|Page {}."
                "|Set it to {}.|More than {} people came.|Chapter {}.|That makes {} in all.",
            ),
            self.quantity: (
                8,
                "It takes {}.|I need {}.|Add {}.|It is about {} away.|Wait {}.|That is {}."
                "|Set a timer for {}.|It went up by {}.|It lasts {}.|I have {}.",
            ),
            self.date: (
                14,
                "I was born on {}.|My date of birth is {}.|On {}.|The meeting is on {}.|Until {}."
                "|We leave on {}.|What happened on {}?|Remind me on {}.|It was due on {}.",
            ),
            self.time: (
                10,
                "At {}.|Wake me up at {}.|The train leaves at {}.|Let's meet at {}.|Not before {}."
                "|Set an alarm for {}.|The shop opens at {}.|It is {}.|I will be there by {}.",
            ),
            self.money: (
                8,
                "That will be {}.|It costs {}.|I paid {} for it.|The total is {}.|You owe me {}."
                "|Send {} to my brother.|The rent is {} a month.|I have {} left.",
            ),
            self.address: (
                10,
                "I live at {}.|My address is {}.|Take me to {}.|Send it to {}.|The house at {}."
                "|Turn left at {}.|Deliver it to {}, please.",
            ),
            self.spelt: (
                12,
                "That's {}.|My name is spelled {}.|It is spelled {}.|My last name is {}."
                "|Spelled {}.|Let me spell that, {}.|You write it {}.",
            ),
            self.plate: (
                6,
                "Flight {}.|The license plate is {}.|My confirmation code is {}.|Gate {}."
                "|The reference is {}.|Model {}.|The serial number is {}.|Seat {}.",
            ),
            self.online: (
                4,
                "My email address is {}.|Send it to {}.|Go to {}.|You find it at {}.|Visit {}.",
            ),
        }

    def sentence(self) -> str:
        """Return one sentence."""
        kinds = list(self.kinds)
        kind = self.random.choices(kinds, [self.kinds[kind][0] for kind in kinds])[0]
        said = kind()
        if self.random.random() < 0.5:
            return said[0].upper() + said[1:] + "."
        return self.random.choice(self.kinds[kind][1].split("|")).format(said)

    def number(self, least: int, most: int) -> str:
        """Return a number in words; small ones are as likely as large ones."""
        if self.random.random() < 0.5:
            most = min(most, max(least, 10 ** self.random.randint(1, len(str(most)))))
        words = say(self.random.randint(least, most))
        words = re.sub(
            r"^one (?=hundred|thousand)", self.random.choice(("one ", "one ", "a ")), words
        )
        return words.replace(" and ", self.random.choice((" ", " and ")))

    def digits(self, count: int) -> str:
        """Return digits, each for itself."""
        zero = self.random.choice(("zero", "zero", "oh"))
        words = [self.random.choice(DIGITS) for _ in range(count)]
        return " ".join(zero if word == "zero" else word for word in words)

    def pair(self) -> str:
        """Return two digits as people say them in longer numbers."""
        value = self.random.randint(1, 99)
        return f"oh {DIGITS[value]}" if value < 10 else say(value)

    def letters(self, count: int) -> str:
        """Return letters."""
        return " ".join(self.random.choice(LETTERS) for _ in range(count))

    def telephone(self) -> str:
        """Return a telephone number."""
        groups = self.random.choice(
            ((3, 4), (3, 3, 4), (3, 3, 4), (1, 3, 3, 4), (5, 6), (10,), (8,))
        )
        return ", ".join(self.digits(group) for group in groups)

    def code(self) -> str:
        """Return a short number: digits, pairs of them, or one digit and a pair."""
        form = self.random.random()
        if form < 0.5:
            return self.digits(self.random.randint(2, 9))
        if form < 0.75:
            return f"{self.pair()} {self.pair()}"
        return f"{self.random.choice(DIGITS[1:])} {self.pair()}"

    def cardinal(self) -> str:
        """Return a number."""
        return self.number(0, self.random.choice((99, 999, 9999, 10**6, 10**7)))

    def quantity(self) -> str:
        """Return a number of something."""
        number, unit = (
            self.number(2, self.random.choice((20, 100, 1000))),
            self.random.choice(UNITS),
        )
        if self.random.random() < 0.25:
            number = f"{number} point {self.digits(self.random.choice((1, 1, 2)))}"
        elif self.random.random() < 0.1:
            number = f"{number} and a {self.random.choice(('half', 'quarter'))}"
        return f"{number} {unit}"

    def year(self) -> str:
        """Return a year."""
        year = self.random.choice(
            (self.random.randint(1900, 2030), self.random.randint(1500, 2030))
        )
        words = say(year, to="year")
        if year > 2009 and self.random.random() < 0.3:
            words = say(year)
        return words if self.random.random() < 0.5 else words.replace(" and ", " ")

    def date(self) -> str:
        """Return a day, with or without its year."""
        number = self.random.randrange(12)
        month, day = MONTHS[number], self.random.randint(1, monthrange(2000, number + 1)[1])
        ordinal = say(day, to="ordinal")
        form = self.random.random()
        if form < 0.15:
            said = f"the {ordinal} of {month}"
        elif form < 0.4:
            said = f"{month} {say(day)}"
        elif form < 0.5:
            return f"{month} {self.year()}"
        else:
            said = f"{month} {self.random.choice(('', '', 'the '))}{ordinal}"
        if self.random.random() < 0.15:
            said = f"{self.random.choice(DAYS)}, {said}"
        return f"{said}, {self.year()}" if self.random.random() < 0.6 else said

    def time(self) -> str:
        """Return a time of day."""
        hour = say(self.random.randint(1, 12))
        form = self.random.random()
        if form < 0.2:
            part = self.random.choice(
                ("half", "half", "quarter", "a quarter", "ten", "twenty", "five")
            )
            said = (
                f"{part} {'past' if part == 'half' else self.random.choice(('past', 'to'))} {hour}"
            )
        elif form < 0.35:
            said = f"{hour} o'clock"
        elif form < 0.5:
            said = hour
        else:
            quarter = say(self.random.choice((10, 15, 15, 20, 30, 30, 30, 40, 45, 45, 50)))
            said = f"{hour} {self.random.choice((quarter, quarter, self.pair()))}"
        if self.random.random() < 0.4:
            said += self.random.choice((" a m", " p m", " p m", " in the morning", " tonight"))
        return said

    def money(self) -> str:
        """Return an amount of money."""
        amount = self.number(1, self.random.choice((20, 100, 1000, 100_000)))
        currency = self.random.choice(CURRENCIES)
        form = self.random.random()
        if form < 0.2:
            return f"{self.pair()} {self.pair()}"
        if form < 0.5:
            cents = say(self.random.randint(1, 99))
            return f"{amount} {currency} and {cents} {'pence' if currency == 'pounds' else 'cents'}"
        return f"{amount} {currency}"

    def address(self) -> str:
        """Return a house, a street and perhaps a flat, a town or a code."""
        house = self.random.choice((self.pair, self.code, lambda: self.number(1, 999)))()
        form = self.random.random()
        if form < 0.2:
            name = say(self.random.randint(1, 120), to="ordinal")
        else:
            name = self.random.choice(self.names if form < 0.6 else STREET_NAMES)
        if self.random.random() < 0.15:
            name = f"{self.random.choice(('North', 'South', 'East', 'West'))} {name}"
        said = f"{house} {name} {self.random.choice(STREETS)}"
        form = self.random.random()
        if form < 0.1:
            said += (
                f", apartment {self.random.choice((self.digits(1), self.letters(1), self.pair()))}"
            )
        elif form < 0.3:
            said += f", {self.random.choice(self.names)}"
        if self.random.random() < 0.3:
            said += f", {self.digits(self.random.choice((3, 5, 5)))}"
        return said

    def spelt(self) -> str:
        """Return a name letter by letter, before or after the name itself, or alone."""
        name = self.random.choice(self.names)
        letters = " ".join(name.lower())
        if self.random.random() < 0.1:  # two of the same
            letters = re.sub(r"\b(\w) \1\b", r"double \1", letters)
        form = self.random.random()
        if form < 0.15:
            return f"{name}, {letters}"
        if form < 0.2:
            return f"{letters}, {name}"
        if form < 0.35:  # two names
            return f"{letters} {' '.join(self.random.choice(self.names).lower())}"
        return letters

    def plate(self) -> str:
        """Return letters and numbers mixed."""
        parts = [
            self.letters(self.random.randint(1, 3)),
            self.random.choice((self.digits(self.random.randint(1, 4)), self.pair(), self.code())),
        ]
        if self.random.random() < 0.2:
            parts.reverse()
        if self.random.random() < 0.3:
            parts.append(self.letters(self.random.randint(1, 3)))
        return " ".join(parts)

    def online(self) -> str:
        """Return an address of electronic mail, or of a page."""
        name, other = (self.random.choice(self.names).lower() for _ in range(2))
        site = self.random.choice(("com", "com", "com", "org", "net", "gov", "edu", "co dot u k"))
        if self.random.random() < 0.4:
            return f"{self.random.choice(('', 'w w w dot '))}{name} dot {site}"
        between = self.random.choice((" dot ", " dot ", " ", " underscore "))
        number = self.random.choice(("", "", "", f" {self.pair()}"))
        host = self.random.choice(
            ("gmail", "yahoo", "hotmail", "outlook", self.random.choice(self.names))
        )
        return f"{name}{between}{other}{number} at {host.lower()} dot {site}"


def names_in(text: str) -> list[str]:
    """Return the words that a text writes with a capital within its sentences, in order."""
    uses = Counter(NAME.findall(text))
    return sorted(name for name, count in uses.items() if count >= LEAST_USE)


def main() -> None:
    """Write the sentences."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        names = names_in(Path(sys.argv[1]).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        sys.exit(f"{sys.argv[1]}: cannot be read ({error}); give text in UTF-8")
    if not names:
        sys.exit(f"{sys.argv[1]}: no name is used {LEAST_USE} times; give sentences with capitals")
    speaker = Speaker(names)
    sys.stdout.reconfigure(encoding="utf-8")
    sys.stdout.writelines(f"{speaker.sentence()}\n" for _ in range(SENTENCES))


if __name__ == "__main__":
    main()

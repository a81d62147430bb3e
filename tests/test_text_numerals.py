"""Numbers in words, against the words a person would say."""

import subprocess
import sys

import pytest

from asr.text import spell_numbers


@pytest.mark.parametrize(
    ("digits", "words"),
    [
        ("0", "zero"),
        ("42", "forty two"),
        ("101", "one hundred and one"),
        (
            "1,234,567",
            "one million two hundred and thirty four thousand five hundred and sixty seven",
        ),
        ("1,2,3", "one , two , three"),
        ("1000", "one thousand"),
        ("1,905", "one thousand nine hundred and five"),
        ("1905", "nineteen oh five"),
        ("1900", "nineteen hundred"),
        ("1984", "nineteen eighty four"),
        ("2005", "two thousand and five"),
        ("2024", "twenty twenty four"),
        ("1990s", "nineteen nineties"),
        ("90's", "nineties"),
        ("1st", "first"),
        ("21ST", "twenty first"),
        ("1,000th", "one thousandth"),
        ("3.14", "three point one four"),
        (".5", "point five"),
        ("0.05", "zero point zero five"),
        ("1.2.3", "one point two point three"),
        ("007", "zero zero seven"),
        ("1" * 16, " ".join(["one"] * 16)),
        ("$1", "one dollar"),
        ("$0", "zero dollars"),
        ("$3.50", "three dollars and fifty cents"),
        ("$0.99", "ninety nine cents"),
        ("£1.01", "one pound and one penny"),
        ("€2,000.00", "two thousand euros"),
        ("$3.5 million", "three point five million dollars"),
        ("¥ 500", "five hundred yen"),
        ("5%", "five percent"),
        ("-5 degrees", "minus five degrees"),
        ("5-6", "five - six"),
        ("B52", "B fifty two"),
        ("\u0663", "three"),  # Arabic-Indic
        ("black & white", "black and white"),
    ],
)
def test_reads_as_a_person_does(digits: str, words: str) -> None:
    assert " ".join(spell_numbers(digits).split()) == words


def test_long_runs_of_digits_take_no_quadratic_time() -> None:
    assert spell_numbers("0" * 100_000).split() == ["zero"] * 100_000


def test_inflect_is_imported_for_digits_only() -> None:
    program = (
        "import sys; from asr.text import spell_numbers; spell_numbers('no digit');"
        "print('inflect' in sys.modules); spell_numbers('1'); print('inflect' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert result.stdout.split() == [b"False", b"True"]

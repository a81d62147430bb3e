"""Pronouncing dictionaries in the format of the CMU dictionary: a word and its phones a line."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from asr.errors import LanguageModelError
from asr.lm import opened

Pronunciation = tuple[str, ...]
_VARIANT = re.compile(r"\(\d+\)$")  # read(2), as the CMU dictionary numbers pronunciations
MOST_PHONES = 500  # languages have 11 to 150; tones and stress multiply the vowels
LONGEST_PHONE = 3.0  # letters, in the mean; words of a text have more
MOST_VARIANTS = 30  # pronunciations of a word; lines of a text begin with the same word more often
_STRESSED = re.compile(r"([A-Z]{2})[012]")  # a vowel of ARPAbet with its stress


def read_entries(path: Path | str) -> Iterator[tuple[int, str, list[str]]]:
    """Yield the number of each line that has an entry, its word, and the symbols after the word.

    Lines that begin with ;;; and everything after a # are comments; word(2) is another
    pronunciation of word, and comes back as word. The file may be packed by gzip or xz.

    Raises:
        LanguageModelError: the file cannot be read or is not UTF-8.
    """
    if Path(path).suffix == ".npz":
        raise LanguageModelError(
            f"{path}: a part of a model, not read alone; give a text (asr-train also takes "
            "the model's name)"
        )
    with opened(path) as file:
        for number, line in enumerate(chain.from_iterable(map(bytes.splitlines, file)), 1):
            try:
                text = line.decode("utf-8-sig").split("#")[0]
            except UnicodeDecodeError as error:
                raise LanguageModelError(
                    f"{path}: line {number}: not UTF-8 ({error.reason}); convert the file to UTF-8"
                ) from error
            word, *symbols = text.split() or [""]
            if word and not word.startswith(";;;"):
                yield number, _VARIANT.sub("", word), symbols


def read_dictionary(path: Path | str) -> dict[str, list[Pronunciation]]:
    """Read the different pronunciations of each word; words come back in lower case.

    The lines are those of `read_entries`. Stress is dropped: AH0 and AH1 both become AH, which
    leaves the 39 phones of the CMU dictionary.

    Raises:
        LanguageModelError: the file cannot be read, is empty or not UTF-8, a word has no phones,
            or the file looks like a text.
    """
    pronunciations: dict[str, list[Pronunciation]] = {}
    for number, word, phones in read_entries(path):
        if not phones:
            raise LanguageModelError(
                f"{path}: line {number}: {word} has no phones; give a word and its phones"
            )
        known = pronunciations.setdefault(unicodedata.normalize("NFC", word.lower()), [])
        spoken = tuple(_STRESSED.sub(r"\1", phone) for phone in phones)
        if spoken not in known:
            known.append(spoken)
    if not pronunciations:
        raise LanguageModelError(f"{path}: no word in it; give a word and its phones a line")
    _check_is_dictionary(path, pronunciations)
    return pronunciations


def _check_is_dictionary(path: Path | str, found: dict[str, list[Pronunciation]]) -> None:
    """Refuse a text or a list of counts, whose words would be taken for phones."""
    phones = Counter(chain.from_iterable(chain.from_iterable(found.values())))
    letters = sum(len(phone) * count for phone, count in phones.items()) / phones.total()
    most = max(found, key=lambda word: len(found[word]))
    signs = {
        f"{len(phones)} different symbols after its words": len(phones) > MOST_PHONES,
        f"{letters:.1f} letters in a symbol": letters > LONGEST_PHONE,
        f"{len(found[most])} entries of {most!r}": len(found[most]) > MOST_VARIANTS,
        "numbers after its words": all(phone.isdecimal() for phone in phones),
    }
    for sign in (sign for sign, holds in signs.items() if holds):
        raise LanguageModelError(
            f"{path}: no dictionary but a text or a list, by its {sign}; give a word and its "
            "phones a line, or let words be spelled: asr-lexicon --graphemes"
        )

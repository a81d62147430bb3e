"""Pronouncing dictionaries: lines of a word and its phones, as the CMU dictionary has them."""

import re
from pathlib import Path

from asr.errors import LanguageModelError
from asr.lm import opened

Pronunciation = tuple[str, ...]
VARIANT = re.compile(r"\(\d+\)$")  # read(2), as the CMU dictionary numbers pronunciations
_STRESSED = re.compile(r"([A-Z]{2})[012]")  # a vowel of ARPAbet with its stress


def read_dictionary(path: Path | str) -> dict[str, list[Pronunciation]]:
    """Read the different pronunciations of words; words come back in lower case.

    Lines that begin with ;;; and what follows a # are comments; word(2) is another pronunciation
    of word. Stress is dropped: AH0 and AH1 are both AH, which leaves 39 phones of the CMU
    dictionary. The file may be packed by gzip or xz.

    Raises:
        LanguageModelError: the file cannot be read, is empty or not UTF-8, or a word has no phones.
    """
    pronunciations: dict[str, list[Pronunciation]] = {}
    with opened(path) as file:
        for number, line in enumerate(file, 1):
            try:
                text = line.decode("utf-8-sig").split("#")[0]
            except UnicodeDecodeError as error:
                raise LanguageModelError(
                    f"{path}: line {number}: not UTF-8 ({error.reason}); convert the file to UTF-8"
                ) from error
            word, *phones = text.split() or [""]
            if not word or word.startswith(";;;"):
                continue
            if not phones:
                raise LanguageModelError(
                    f"{path}: line {number}: {word} has no phones; give a word and its phones"
                )
            known = pronunciations.setdefault(VARIANT.sub("", word).lower(), [])
            spoken = tuple(_STRESSED.sub(r"\1", phone) for phone in phones)
            if spoken not in known:
                known.append(spoken)
    if not pronunciations:
        raise LanguageModelError(f"{path}: no word in it; give a word and its phones a line")
    return pronunciations

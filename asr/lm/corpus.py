"""Text for language models: one sentence a line, from files or standard input."""

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from asr.errors import LanguageModelError
from asr.lm.files import opened
from asr.text import SPACE_TOKEN

UNITS = ("word", "character")
UNK, BOS, EOS = "<unk>", "<s>", "</s>"  # for a word that a model lacks; around each sentence


def read_sentences(paths: Sequence[Path | str], unit: str = "word") -> Iterator[list[str]]:
    """Return an iterator over the sentences of UTF-8 files, plain or packed by gzip, bzip2 or xz.

    Blank lines are skipped. The word <unk> in a text stands for an unknown word.

    Args:
        paths: files; `-` is standard input.
        unit: "word" for what white space separates; "character" for the characters of these
            words, with SPACE_TOKEN between words.

    Raises:
        LanguageModelError: a file cannot be read or is not UTF-8, a word is <s> or </s>, or there
            is no sentence at all.
    """
    lines = (words for path in paths for _, words in _read(path))
    sentences = (units_of(words, unit) for words in lines)
    first = next(sentences, None)
    if first is None:
        names = ", ".join(map(str, paths))
        raise LanguageModelError(f"{names}: no sentence in it; give text, one sentence a line")
    return chain([first], sentences)


def read_words(path: Path | str) -> list[str]:
    """Read a list of words, one a line.

    Raises:
        LanguageModelError: as `read_sentences` does, or a line holds several words.
    """
    words = []
    for number, line in _read(path):
        if len(line) > 1:
            raise LanguageModelError(
                f"{path}: line {number}: {' '.join(line)!r}; give one word a line"
            )
        words += line
    if not words:
        raise LanguageModelError(f"{path}: no word in it; give words, one a line")
    return words


def text_lines(path: Path | str) -> Iterator[tuple[int, str]]:
    """Yield the number and the text of each line of a UTF-8 file, `-` for standard input.

    Raises:
        LanguageModelError: the file cannot be read, or a line is not UTF-8.
    """
    with opened(path) as file:
        for number, line in enumerate(file, 1):
            try:
                yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise LanguageModelError(
                    f"{path}: line {number}: not UTF-8 ({error.reason}); convert the file to UTF-8"
                ) from error


def _read(path: Path | str) -> Iterator[tuple[int, list[str]]]:
    """Yield the number and the words of each line that is not blank."""
    for number, line in text_lines(path):
        words = line.split()
        if BOS in words or EOS in words:
            raise LanguageModelError(
                f"{path}: line {number}: holds <s> or </s>, which are put around each line "
                "automatically; remove them"
            )
        if words:
            yield number, words


def units_of(words: list[str], unit: str) -> list[str]:
    """Return words themselves, or their characters with SPACE_TOKEN between words."""
    if unit == "character":
        return [SPACE_TOKEN if character == " " else character for character in " ".join(words)]
    return words

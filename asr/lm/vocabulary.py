"""The vocabulary of an LSTM language model, and sentences as ids."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asr._atomic import write_atomically
from asr._json import read_bytes
from asr.errors import LanguageModelError
from asr.lm.corpus import EOS, UNITS, UNK, units_of
from asr.text import SPACE_TOKEN

BOUNDARY, UNKNOWN = 0, 1  # ids of </s> (and <s>), and of <unk>


@dataclass(frozen=True)
class LmVocabulary:
    """The units of a language model: the index of a token is its id; other units are <unk>.

    Args:
        tokens: </s>, <unk>, then words, or characters with the space as <space>.
        unit: "word" or "character".

    Raises:
        LanguageModelError: the tokens begin otherwise, one is there twice, or the unit is unknown.
    """

    tokens: tuple[str, ...]
    unit: str

    def __post_init__(self) -> None:
        tokens = self.tokens
        if tokens[:2] != (EOS, UNK) or len(tokens) < 3 or len(set(tokens)) < len(tokens):
            raise LanguageModelError(
                f"begins with {tokens[:2]}; the vocabulary of a language model has {EOS}, {UNK}, "
                "then other tokens once each: give the --out folder of asr-lm train-lstm"
            )
        if self.unit not in UNITS:
            raise LanguageModelError(f"unit is {self.unit!r}; allowed: {', '.join(UNITS)}")

    @classmethod
    def load(cls, path: Path, unit: str) -> "LmVocabulary":
        """Read a vocabulary, one token a line.

        Raises:
            LanguageModelError: the file cannot be read, or is another kind of vocabulary.
        """
        try:
            tokens = tuple(read_bytes(path).decode().removesuffix("\n").split("\n"))
        except (OSError, ValueError) as error:
            raise LanguageModelError(f"{path}: not a token file ({error})") from error
        try:
            return cls(tokens, unit)
        except LanguageModelError as error:
            raise LanguageModelError(f"{path}: {error}") from error

    def save(self, path: Path) -> None:
        """Write the vocabulary, one token a line."""
        write_atomically(path, "".join(f"{token}\n" for token in self.tokens))

    def __len__(self) -> int:
        return len(self.tokens)

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {token: index for index, token in enumerate(self.tokens)}

    def split(self, text: str) -> list[str]:
        """Split a text into units, as `asr.lm.corpus.read_sentences` does."""
        return units_of(text.split(), self.unit)

    def encode(self, units: Iterable[str]) -> list[int]:
        """Return the ids of the units of a sentence, followed by BOUNDARY."""
        ids = self._ids
        return [*(ids.get(unit, UNKNOWN) for unit in units), BOUNDARY]

    def word_ends(self, ids: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Return which tokens of concatenated sentences end a word: one token for each word."""
        ends: NDArray[np.bool_] = ids != BOUNDARY
        if self.unit == "character":
            ends = np.isin(ids, (BOUNDARY, self._ids.get(SPACE_TOKEN, BOUNDARY)))
        return ends

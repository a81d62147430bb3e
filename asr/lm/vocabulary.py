"""The units that an LSTM language model tells apart, and sentences as their ids."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asr._atomic import write_atomically
from asr.errors import LanguageModelError
from asr.lm.corpus import UNITS
from asr.lm.ngram import EOS, UNK
from asr.text import SPACE_TOKEN

BOUNDARY, UNKNOWN = 0, 1  # ids of </s> (and <s>), and of <unk>


@dataclass(frozen=True)
class LmVocabulary:
    """The units a model tells apart; a unit's place is its id, and all others are <unk>.

    Args:
        tokens: </s>, <unk>, then words, or characters with the space as <space>.
        unit: "word" or "character".

    Raises:
        LanguageModelError: the tokens begin otherwise, or one is there twice; another unit.
    """

    tokens: tuple[str, ...]
    unit: str

    def __post_init__(self) -> None:
        tokens = self.tokens
        if tokens[:2] != (EOS, UNK) or len(tokens) < 3 or len(set(tokens)) < len(tokens):
            raise LanguageModelError(
                f"begins with {tokens[:2]}; a language model's has {EOS}, {UNK}, then other "
                "tokens once each: give the --out folder of asr-lm train-lstm"
            )
        if self.unit not in UNITS:
            raise LanguageModelError(f"unit is {self.unit!r}; allowed: {', '.join(UNITS)}")

    @classmethod
    def load(cls, path: Path, unit: str) -> "LmVocabulary":
        """Read one token a line.

        Raises:
            LanguageModelError: the file cannot be read, or is not the vocabulary of such a model.
        """
        try:
            tokens = tuple(path.read_bytes().decode().removesuffix("\n").split("\n"))
        except (OSError, UnicodeDecodeError) as error:
            raise LanguageModelError(f"{path}: not a token file: {error}") from error
        try:
            return cls(tokens, unit)
        except LanguageModelError as error:
            raise LanguageModelError(f"{path}: {error}") from error

    def save(self, path: Path) -> None:
        """Write one token a line."""
        write_atomically(path, "".join(f"{token}\n" for token in self.tokens))

    def __len__(self) -> int:
        return len(self.tokens)

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {token: index for index, token in enumerate(self.tokens)}

    def split(self, text: str) -> list[str]:
        """The units of a text, as `asr.lm.corpus.read_sentences` reads them."""
        words = text.split()
        if self.unit == "word":
            return words
        return [SPACE_TOKEN if character == " " else character for character in " ".join(words)]

    def encode(self, units: Iterable[str]) -> list[int]:
        """The ids of the units of a sentence, and BOUNDARY behind them."""
        ids = self._ids
        return [*(ids.get(unit, UNKNOWN) for unit in units), BOUNDARY]

    def word_ends(self, ids: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Where a word ends in encoded sentences, one behind the other: as often as words stand."""
        ends: NDArray[np.bool_] = ids != BOUNDARY
        if self.unit == "character":
            ends = np.isin(ids, (BOUNDARY, self._ids.get(SPACE_TOKEN, BOUNDARY)))
        return ends

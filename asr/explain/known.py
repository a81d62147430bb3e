"""The path of a text that is known to be spoken, beside that of the text that is recognised.

Shapes: T' output frames, V tokens, U tokens of the text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asr.config import TextConfig
from asr.decode import Hypothesis, forced_alignment, timed_words
from asr.errors import DecoderError, TextError
from asr.formats import Word
from asr.lexicon import Pronunciations
from asr.text import Normalizer, Vocabulary

_SHOWN = 60  # letters of the text in a message


@dataclass(frozen=True, eq=False)
class KnownText:
    """A text that somebody says is spoken, where it is, and how probable the network finds it."""

    text: str  # as the model writes it
    words: tuple[Word, ...]  # times from the start of the piece
    path: NDArray[np.int64]  # (T',), the most probable path that writes the text
    log_prob: float  # of this path, natural logarithm
    best_log_prob: float  # of the path of the recognised text


def known_text(
    text: str,
    log_probs: NDArray[np.float32],
    recognised: Sequence[int],
    spelling: "Spelling",
    frame_s: float,
) -> KnownText:
    """Align a known text with the output of a network.

    Args:
        text: as somebody wrote it.
        log_probs: float32 (T', V).
        recognised: U ids of the text that the decoder found.
        spelling: how the model writes texts.
        frame_s: seconds from one output frame to the next.

    Raises:
        TextError: the text has no words, the model cannot write it, or it does not fit into the
            frames.
    """
    try:
        spelled = spelling.of(text, log_probs)
        alignment = forced_alignment(log_probs, spelled.tokens)
        words = timed_words(log_probs, spelled, alignment, frame_s)
    except TextError as error:
        short = text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
        raise TextError(f"--text {short!r}: {error}") from error
    return KnownText(
        text=spelled.text,
        words=words,
        path=alignment.path(spelled.tokens, len(log_probs)),
        log_prob=alignment.log_prob,
        best_log_prob=forced_alignment(log_probs, recognised).log_prob,
    )


@dataclass(frozen=True)
class Spelling:
    """The way a model spells texts: with its own tokens, or with the phones of its lexicon."""

    folder: Path  # of the model
    vocabulary: Vocabulary  # of the output that is read
    config: TextConfig
    phones: bool

    def of(self, text: str, log_probs: NDArray[np.float32]) -> Hypothesis:
        """Spell a text; of several pronunciations of a word, take the most probable one.

        Raises:
            TextError: there are no words, or the model cannot write them.
            DecoderError: the lexicon is damaged.
        """
        normalised = Normalizer(**vars(self.config))(text)
        if not normalised:
            raise TextError("holds no word; give the words that are spoken")
        if self.phones:
            words = normalised.split()
            return _in_phones(words, self._pronunciations(words), log_probs)
        return Hypothesis.of_tokens(self.vocabulary.encode(normalised), self.vocabulary, 0.0)

    def _pronunciations(self, words: Sequence[str]) -> list[list[tuple[int, ...]]]:
        """Return the pronunciations of each word, guessed where the lexicon has none."""
        known = Pronunciations.load(self.folder)
        lacking = dict.fromkeys(word for word in words if word not in known.lexicon)
        try:
            lexicon = known.lexicon.joined(known.guessed(lacking)) if lacking else known.lexicon
        except DecoderError as error:
            reason, _, _ = str(error).partition(";")  # the rest names options of asr-transcribe
            raise TextError(f"{reason}; leave the word out") from error
        return [lexicon.of(word) for word in words]


def _in_phones(
    words: Sequence[str],
    pronunciations: Sequence[Sequence[tuple[int, ...]]],
    log_probs: NDArray[np.float32],
) -> Hypothesis:
    """Return the words with one pronunciation each, chosen word by word for the best path."""
    chosen = [several[0] for several in pronunciations]
    for place, several in enumerate(pronunciations):
        if len(several) > 1:
            ways = [[*chosen[:place], way, *chosen[place + 1 :]] for way in several]
            chosen = max(ways, key=lambda way: _log_prob(log_probs, way))
    spans = tuple(pairwise(accumulate(map(len, chosen), initial=0)))
    return Hypothesis(tuple(words), tuple(chain.from_iterable(chosen)), spans, 0.0, 0.0)


def _log_prob(log_probs: NDArray[np.float32], spelled: Sequence[tuple[int, ...]]) -> float:
    """Return the log-probability of the best path; -inf where there is none."""
    try:
        return forced_alignment(log_probs, [*chain.from_iterable(spelled)]).log_prob
    except TextError:
        return -np.inf

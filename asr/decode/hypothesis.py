"""What a decoder finds, and what every decoder can do."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from asr.text import Vocabulary

Span = tuple[int, int]  # first place, and the one after the last
NBEST = 20  # hypotheses to draw confidences from; with more nothing was gained


@dataclass(frozen=True)
class Hypothesis:
    """What may have been said. Scores are natural logarithms, comparable within an utterance."""

    words: tuple[str, ...]
    tokens: tuple[int, ...]  # of the most probable spelling, separators included
    spans: tuple[Span, ...]  # where among the tokens each word is
    acoustic: float  # log-probability of all paths, of all spellings that were found
    score: float  # the same with language model, word scores and hotwords

    @classmethod
    def of_tokens(
        cls, tokens: Sequence[int], vocabulary: Vocabulary, log_prob: float
    ) -> "Hypothesis":
        """What tokens say in the vocabulary's own units: spaces separate words, or each is one.

        Raises:
            VocabularyError: an id is the blank or outside the vocabulary.
        """
        spans = tuple(_word_spans(tokens, vocabulary))
        words = tuple(vocabulary.decode(tokens[begin:end]) for begin, end in spans)
        return cls(words, tuple(tokens), spans, log_prob, log_prob)

    @property
    def text(self) -> str:
        """The words, separated by spaces."""
        return " ".join(self.words)


class Decoder(Protocol):
    """From log-probabilities to hypotheses."""

    def decode(self, log_probs: NDArray[np.float32], nbest: int = 1) -> list[Hypothesis]:
        """The best hypotheses of an utterance, float (T, V), best first: at least one."""


def _word_spans(tokens: Sequence[int], vocabulary: Vocabulary) -> list[Span]:
    if vocabulary.unit == "word":
        return [(place, place + 1) for place in range(len(tokens))]
    spaces = [place for place, token in enumerate(tokens) if vocabulary.tokens[token] == " "]
    edges = pairwise([-1, *spaces, len(tokens)])
    return [(left + 1, right) for left, right in edges if left + 1 < right]

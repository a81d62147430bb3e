"""The hypotheses that decoders return, and the protocol of all decoders."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from asr.text import Vocabulary

Span = tuple[int, int]  # the first index, and the one after the last
NBEST = 20  # hypotheses to compute confidences from; more of them gained nothing


@dataclass(frozen=True)
class Hypothesis:
    """A possible transcript. Scores are natural logarithms, comparable within an utterance."""

    words: tuple[str, ...]
    tokens: tuple[int, ...]  # of the most probable spelling, separators included
    spans: tuple[Span, ...]  # the tokens of each word
    acoustic: float  # log-probability of all paths, over all spellings that were found
    score: float  # acoustic, and the scores of language model, words and hotwords
    language: float = 0.0  # log-probability by the n-gram model, </s> included, without its weight

    @classmethod
    def of_tokens(
        cls, tokens: Sequence[int], vocabulary: Vocabulary, log_prob: float
    ) -> "Hypothesis":
        """Make a hypothesis of tokens in the vocabulary's own units.

        Spaces separate words, or each token is a word.

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
    """A decoder of log-probabilities."""

    def decode(self, log_probs: NDArray[np.float32], nbest: int = 1) -> list[Hypothesis]:
        """Return the best hypotheses of an utterance, float (T, V), best first: at least one."""


def _word_spans(tokens: Sequence[int], vocabulary: Vocabulary) -> list[Span]:
    """Return the spans of the words among the tokens."""
    if vocabulary.unit == "word":
        return [(place, place + 1) for place in range(len(tokens))]
    spaces = [place for place, token in enumerate(tokens) if vocabulary.tokens[token] == " "]
    edges = pairwise([-1, *spaces, len(tokens)])
    return [(left + 1, right) for left, right in edges if left + 1 < right]

"""What a decoder finds, and what every decoder can do."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

NBEST = 20  # hypotheses to draw confidences from; with more nothing was gained


@dataclass(frozen=True)
class Hypothesis:
    """What may have been said. Scores are natural logarithms, comparable within an utterance."""

    words: tuple[str, ...]
    tokens: tuple[int, ...]  # of the most probable spelling, separators included
    acoustic: float  # log-probability of all paths, of all spellings that were found
    score: float  # the same with language model, word scores and hotwords

    @property
    def text(self) -> str:
        """The words, separated by spaces."""
        return " ".join(self.words)


class Decoder(Protocol):
    """From log-probabilities to hypotheses."""

    def decode(self, log_probs: NDArray[np.float32], nbest: int = 1) -> list[Hypothesis]:
        """The best hypotheses of an utterance, float (T, V), best first: at least one."""

"""Best-path CTC decoding: one token per frame, repeats merged, blanks dropped.

Source: Graves et al. 2006, section 3.2. Shapes: T frames, V tokens; token 0 is the blank.
"""

from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from asr.decode.hypothesis import Hypothesis
from asr.text import BLANK, Vocabulary


def best_path(log_probs: NDArray[np.float32]) -> list[int]:
    """Return the tokens of the most probable path.

    Args:
        log_probs: float (T, V), natural-log probabilities of one utterance's valid frames.

    Returns:
        Token ids in 1..V-1; an all-blank or empty utterance gives [].

    Raises:
        ValueError: log_probs is not 2-D.
    """
    if log_probs.ndim != 2:
        raise ValueError(f"log_probs has {log_probs.ndim} axes; it must be (T, V)")
    best = log_probs.argmax(axis=1).tolist()
    return [token for token, _ in groupby(best) if token != BLANK]


class GreedyDecoder:
    """A decoder that returns the best path alone: no language model, no alternatives."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary

    def decode(self, log_probs: NDArray[np.float32], nbest: int = 1) -> list[Hypothesis]:
        """Return the one hypothesis, scored by its best path, whatever nbest is."""
        tokens = best_path(log_probs)
        log_prob = float(log_probs.max(axis=1, initial=-np.inf).sum())
        return [Hypothesis.of_tokens(tokens, self.vocabulary, log_prob)]

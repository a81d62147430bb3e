"""Connectionist temporal classification: the loss, and the fewest frames it can work with.

Source: Graves et al. 2006, 'Connectionist temporal classification', ICML.
Shapes: N utterances, T frames, U tokens, V vocabulary entries; token 0 is the blank.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from asr.text import BLANK


def frames_needed(tokens: Sequence[int]) -> int:
    """Return the fewest frames that emit these tokens: one each, a blank between equal ones."""
    repeats = sum(left == right for left, right in pairwise(tokens))
    return len(tokens) + repeats


def ctc_loss(log_probs: Tensor, num_frames: Tensor, tokens: Tensor, num_tokens: Tensor) -> Tensor:
    """Return the negative log-likelihood of each utterance's tokens, in nats.

    Args:
        log_probs: float (N, T, V), natural-log probabilities.
        num_frames: int64 (N,), valid frames of each utterance.
        tokens: int64 (N, U), padded with any value.
        num_tokens: int64 (N,), valid tokens of each utterance.

    Returns:
        float (N,); infinite for an utterance of fewer frames than `frames_needed`: leave it out.
    """
    return torch.nn.functional.ctc_loss(
        log_probs.transpose(0, 1),  # (N, T, V) -> (T, N, V)
        tokens,
        num_frames,
        num_tokens,
        blank=BLANK,
        reduction="none",
    )

"""Connectionist temporal classification: the loss, and what it needs of an utterance.

Source: Graves et al. 2006, 'Connectionist temporal classification', ICML.
Shapes: N utterances, T frames, U tokens, V vocabulary entries; token 0 is the blank.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from asr.text import BLANK


def frames_needed(tokens: Sequence[int]) -> int:
    """Fewest frames that can emit these tokens: one each, and a blank between equal neighbours."""
    repeats = sum(left == right for left, right in pairwise(tokens))
    return len(tokens) + repeats


def ctc_loss(log_probs: Tensor, num_frames: Tensor, tokens: Tensor, num_tokens: Tensor) -> Tensor:
    """Negative log-likelihood of each utterance's tokens, in nats.

    Args:
        log_probs: float (N, T, V), natural-log probabilities.
        num_frames: int64 (N,), valid frames of each utterance.
        tokens: int64 (N, U), padded with any value.
        num_tokens: int64 (N,), valid tokens of each utterance.

    Returns:
        float (N,); infinite where frames are fewer than `frames_needed`: leave those out before.
    """
    return torch.nn.functional.ctc_loss(
        log_probs.transpose(0, 1),  # (N, T, V) -> (T, N, V)
        tokens,
        num_frames,
        num_tokens,
        blank=BLANK,
        reduction="none",
    )

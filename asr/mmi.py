"""Lattice-free maximum mutual information: what else could have been read, summed.

CTC raises the probability of what was said. With a language model in the search that is not quite
what is wanted: what was said is to win against everything else that the language model allows. The
denominator is the sum over all of that, under a trigram of the training texts' tokens (or phones).

Source: Povey et al. 2016, 'Purely sequence-trained neural networks for ASR based on lattice-free
MMI', Interspeech; with the paths of CTC: Xiang and Ou 2019, 'CRF-based single-stage acoustic
modeling with CTC topology', ICASSP. Shapes: N utterances, T' frames, V tokens, 0 being the blank;
as context of a token, 0 is the beginning or the end.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from asr.ctc import ctc_loss
from asr.distributed import threads
from asr.errors import ConfigError
from asr.features import frame_mask
from asr.text import BLANK

EDGE = BLANK  # no token: what comes before the first and after the last
MOST_TOKENS = 100  # time and memory grow as the square of them, and faster


def token_trigram(texts: Iterable[Sequence[int]], size: int) -> Tensor:
    """P(r | p q) of tokens in texts as float (V, V, V), indexed [p, q, r]; sums to 1 over r.

    Witten-Bell: a context that was followed by k different tokens leaves k unseen ones, shared out
    as the shorter context does. Source: Witten and Bell 1991, 'The zero-frequency problem'.

    Args:
        texts: of token ids, 1 to size - 1.
        size: V.

    Raises:
        ConfigError: there are more than MOST_TOKENS.
    """
    if size > MOST_TOKENS:
        raise ConfigError(
            f"train.mmi is for at most {MOST_TOKENS} tokens, such as characters or phones; here "
            f"are {size}: set train.mmi=0"
        )
    seen: Counter[tuple[int, int, int]] = Counter()
    for text in texts:
        padded = [EDGE, EDGE, *text, EDGE]
        seen.update(zip(padded, padded[1:], padded[2:], strict=False))
    counts = torch.zeros(size, size, size)
    for gram, count in seen.items():
        counts[gram] = count
    unigram = _witten_bell(counts.sum((0, 1)), torch.tensor(1 / size))
    return _witten_bell(counts, _witten_bell(counts.sum(0), unigram))


def _witten_bell(counts: Tensor, shorter: Tensor) -> Tensor:
    kinds = (counts > 0).sum(-1, keepdim=True).clamp(min=1)
    return (counts + kinds * shorter) / (counts.sum(-1, keepdim=True) + kinds)


def mmi_loss(
    log_probs: Tensor, num_frames: Tensor, tokens: Tensor, num_tokens: Tensor, trigram: Tensor
) -> Tensor:
    """Negative log-posterior of each utterance's text among all texts, in nats, float (N,).

    The arguments are those of `ctc_loss`, and the trigram of `token_trigram`; infinite where frames
    are too few.
    """
    ctc = ctc_loss(log_probs, num_frames, tokens, num_tokens)
    return ctc + competition(log_probs, num_frames, tokens, num_tokens, trigram)


def competition(
    log_probs: Tensor, num_frames: Tensor, tokens: Tensor, num_tokens: Tensor, trigram: Tensor
) -> Tensor:
    """What makes `mmi_loss` of the CTC loss, float (N,).

    The prior moves no weight; with it the sum is the loss of a posterior, and never negative.
    """
    prior = log_prior(tokens, num_tokens, trigram)
    return log_denominator(log_probs, num_frames, trigram) - prior


def log_prior(tokens: Tensor, num_tokens: Tensor, trigram: Tensor) -> Tensor:
    """Log-probability of each text under the trigram, float (N,).

    Args:
        tokens: int64 (N, U), padded with any value.
        num_tokens: int64 (N,), valid tokens of each text.
        trigram: float (V, V, V), as `token_trigram` makes it.
    """
    edge = tokens.new_full((len(tokens), 1), EDGE)
    inside = torch.where(frame_mask(num_tokens, tokens.shape[1]), tokens, EDGE)
    padded = torch.cat([edge, edge, inside, edge], dim=1)
    found = trigram[padded[:, :-2], padded[:, 1:-1], padded[:, 2:]].log()  # (N, U + 1)
    return torch.where(frame_mask(num_tokens + 1, found.shape[1]), found, 0.0).sum(1)


def log_denominator(log_probs: Tensor, num_frames: Tensor, trigram: Tensor) -> Tensor:
    """Logarithm of the summed probability of all texts, each weighed by the trigram.

    Args:
        log_probs: float (N, T', V), natural-log probabilities.
        num_frames: int64 (N,), valid frames of each utterance, at least one.
        trigram: float (V, V, V), as `token_trigram` makes it.

    Returns:
        float (N,), at most 0. Differentiable once, by `log_probs`.
    """
    result: Tensor = _LogDenominator.apply(log_probs, num_frames, trigram)
    return result


class _LogDenominator(torch.autograd.Function):
    """Forward-backward over all contexts at once; its gradient is the posterior of each token."""

    @staticmethod
    def forward(ctx: Any, log_probs: Tensor, num_frames: Tensor, trigram: Tensor) -> Tensor:
        valid = frame_mask(num_frames, log_probs.shape[1])[:, :, None]
        probs = torch.where(valid, log_probs.detach().exp(), 0)
        probs[:, :, BLANK] += ~valid[:, :, 0]  # blanks after the end change nothing
        probs = probs.permute(1, 2, 0)[..., None].contiguous()  # (T', V, N, 1)
        contexts = _Contexts(trigram.to(probs))
        with threads(1):  # a frame is too small to be split: waking another thread takes longer
            reached, total = contexts.forward(probs)
            if ctx.needs_input_grad[0]:
                posterior = contexts.posterior(probs, reached).permute(2, 0, 1)
                ctx.save_for_backward(torch.where(valid, posterior, 0))
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (posterior,) = ctx.saved_tensors
        return gradient[:, None, None] * posterior, None, None


class _Contexts:
    """Recursions over the last two tokens p q, apart for a frame in q and one in a blank after it:
    two equal tokens have a blank between them. States are (V, N, V), indexed [q, n, p].
    """

    def __init__(self, trigram: Tensor) -> None:
        by_last = trigram.transpose(0, 1).clone()  # [q, p, r]
        self.end = by_last[:, None, :, EDGE].clone()
        by_last[:, :, EDGE] = 0
        self.again = by_last.diagonal(dim1=0, dim2=2).T[..., None].clone()  # [q, p]: q after p q
        by_last.diagonal(dim1=0, dim2=2).zero_()
        self.other = by_last  # [q, p, r]: another token r after p q

    def forward(self, probs: Tensor) -> tuple[Tensor, Tensor]:
        """What is reached in each frame, in a token and in a blank, (T', 2, V, N, V), scaled to
        sum to about 1; and the logarithm of all at the end, unscaled, (N,).
        """
        frames, size, batch, _ = probs.shape
        reached = probs.new_empty(frames, 2, size, batch, size)
        in_token, in_blank = probs.new_zeros(2, size, batch, size)
        in_blank[EDGE, :, EDGE] = 1
        total = probs.new_zeros(batch)
        for prob, (token, blank) in zip(probs, reached, strict=True):
            anywhere = in_token + in_blank
            scale = anywhere.sum((0, 2))
            total += scale.log()
            scaled = prob / scale[:, None]
            entered = torch.bmm(anywhere, self.other)  # [q, n, r]
            entered.diagonal(dim1=0, dim2=2).add_(torch.bmm(in_blank, self.again)[..., 0].T)
            torch.add(entered.transpose(0, 2), in_token, out=token).mul_(scaled)
            torch.mul(anywhere, scaled[BLANK], out=blank)
            in_token, in_blank = token, blank
        return reached, total + ((in_token + in_blank) * self.end).sum((0, 2)).log()

    def posterior(self, probs: Tensor, reached: Tensor) -> Tensor:
        """(T', V, N): the probability of each token in a frame, over all texts."""
        posterior = torch.empty_like(probs[..., 0])
        after_token = after_blank = self.end.expand(reached.shape[2:])
        other = self.other.transpose(1, 2).contiguous()  # [q, r, p]
        again = self.again.transpose(1, 2)  # [q, 1, p]
        for frame in range(len(probs) - 1, -1, -1):
            in_token, in_blank = reached[frame]
            shares = (in_token * after_token).sum(2)
            shares[BLANK] = (in_blank * after_blank).sum((0, 2))  # BLANK is EDGE, which none enters
            posterior[frame] = shares / shares.sum(0)
            prob = probs[frame] / after_blank.sum((0, 2))[:, None]  # scaled to sum to about 1
            stay = after_token * prob
            anew = stay.diagonal(dim1=0, dim2=2).T[..., None].clone()  # [q, n, 1]
            onwards = torch.bmm(stay.transpose(0, 2), other).addcmul_(after_blank, prob[BLANK])
            after_token = stay.add_(onwards)
            after_blank = onwards.baddbmm_(anew, again)
        return posterior

"""Lattice-free maximum mutual information (MMI): the denominator, a sum over all texts.

CTC raises the probability of the transcript. But a search with a language model needs more: the
transcript must win against every other text that the language model allows. The denominator sums
the probabilities of all texts, weighted by a denominator language model: a trigram of the training
texts' tokens (or phones).

Source: Povey et al. 2016, 'Purely sequence-trained neural networks for ASR based on lattice-free
MMI', Interspeech; with the paths of CTC: Xiang and Ou 2019, 'CRF-based single-stage acoustic
modeling with CTC topology', ICASSP. Shapes: N utterances, T' frames, U tokens of a text, V tokens
of the vocabulary. Token 0 is the blank; as context of a token, 0 is the beginning or the end.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.utils.weak import WeakTensorKeyDictionary

from asr._cuda import Graphed
from asr.ctc import ctc_loss
from asr.distributed import threads
from asr.errors import ConfigError
from asr.features import frame_mask
from asr.text import BLANK

EDGE = BLANK  # stands before the first token and after the last
CHUNK = 16  # frames that a GPU gets at once
MOST_TOKENS = 100  # time and memory grow faster than their square


def token_trigram(texts: Iterable[Sequence[int]], size: int) -> Tensor:
    """Return the denominator language model P(r | p q), float (V, V, V), indexed [p, q, r].

    It sums to 1 over r. Smoothing is Witten-Bell's: a context that k different tokens followed
    gets k more counts, distributed by the model of the shorter context. Source: Witten and Bell
    1991, 'The zero-frequency problem', IEEE Transactions on Information Theory.

    Args:
        texts: token ids of each text, 1..size - 1.
        size: V, blank included.

    Raises:
        ConfigError: size is more than MOST_TOKENS.
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
    """Return probabilities of counts (..., V), smoothed by those of a shorter context."""
    kinds = (counts > 0).sum(-1, keepdim=True).clamp(min=1)
    return (counts + kinds * shorter) / (counts.sum(-1, keepdim=True) + kinds)


def mmi_loss(
    log_probs: Tensor, num_frames: Tensor, tokens: Tensor, num_tokens: Tensor, trigram: Tensor
) -> Tensor:
    """Return the negative log-posterior of each utterance's text among all texts, in nats.

    Args:
        log_probs: float (N, T', V), natural-log probabilities.
        num_frames: int64 (N,), valid frames of each utterance, at least one.
        tokens: int64 (N, U), padded with any value.
        num_tokens: int64 (N,), valid tokens of each utterance.
        trigram: float (V, V, V), from `token_trigram`.

    Returns:
        float (N,); infinite for an utterance of fewer frames than `asr.ctc.frames_needed`.
    """
    ctc = ctc_loss(log_probs, num_frames, tokens, num_tokens)
    return ctc + denominator_loss(log_probs, num_frames, tokens, num_tokens, trigram)


def denominator_loss(
    log_probs: Tensor, num_frames: Tensor, tokens: Tensor, num_tokens: Tensor, trigram: Tensor
) -> Tensor:
    """Return `mmi_loss` without its CTC loss: log-denominator minus log-prior, float (N,).

    The prior has no gradient. It makes the sum with the CTC loss a posterior's: never negative.
    """
    prior = log_prior(tokens, num_tokens, trigram)
    return log_denominator(log_probs, num_frames, trigram) - prior


def log_prior(tokens: Tensor, num_tokens: Tensor, trigram: Tensor) -> Tensor:
    """Return the log-probability of each text under the trigram, float (N,).

    Args:
        tokens: int64 (N, U), padded with any value.
        num_tokens: int64 (N,), valid tokens of each text.
        trigram: float (V, V, V), from `token_trigram`.
    """
    edge = tokens.new_full((len(tokens), 1), EDGE)
    inside = torch.where(frame_mask(num_tokens, tokens.shape[1]), tokens, EDGE)
    padded = torch.cat([edge, edge, inside, edge], dim=1)
    found = trigram[padded[:, :-2], padded[:, 1:-1], padded[:, 2:]].log()  # (N, U + 1)
    return torch.where(frame_mask(num_tokens + 1, found.shape[1]), found, 0.0).sum(1)


def log_denominator(log_probs: Tensor, num_frames: Tensor, trigram: Tensor) -> Tensor:
    """Return the logarithm of the sum over all texts of probability times trigram probability.

    Args:
        log_probs: float (N, T', V), natural-log probabilities.
        num_frames: int64 (N,), valid frames of each utterance, at least one.
        trigram: float (V, V, V), from `token_trigram`.

    Returns:
        float (N,), at most 0. It can be differentiated once, with respect to `log_probs`.
    """
    result: Tensor = _LogDenominator.apply(log_probs, num_frames, trigram)
    return result


class _LogDenominator(torch.autograd.Function):
    """The forward-backward algorithm; the gradient is the posterior of each token in a frame."""

    @staticmethod
    def forward(ctx: Any, log_probs: Tensor, num_frames: Tensor, trigram: Tensor) -> Tensor:
        batch, length, _ = log_probs.shape
        known, counts = log_probs.detach(), num_frames
        if known.is_cuda:  # few shapes, so that few graphs are recorded
            more = -batch % 8
            known = nn.functional.pad(known, (0, 0, 0, -length % CHUNK, 0, more))
            counts = nn.functional.pad(counts, (0, more))
        valid = frame_mask(counts, known.shape[1])[:, :, None]
        probs = torch.where(valid, known.exp(), 0)
        probs[:, :, BLANK] += ~valid[:, :, 0]  # blanks after the end have probability 1
        probs = probs.permute(1, 2, 0)[..., None].contiguous()  # (T', V, N, 1)
        contexts = _Contexts.of(trigram.to(probs))
        with threads(1):  # a frame is too small to be split: waking another thread takes longer
            reached, total = contexts.forward(probs)
            if ctx.needs_input_grad[0]:
                posterior = contexts.posterior(probs, reached).permute(2, 0, 1)
                ctx.save_for_backward(torch.where(valid, posterior, 0)[:batch, :length])
        return total[:batch].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (posterior,) = ctx.saved_tensors
        return gradient[:, None, None] * posterior, None, None


class _Contexts:
    """The forward and backward recursions over contexts, the last two tokens p q of a text.

    A context has two states, since CTC needs a blank between two equal tokens: the frame is in q,
    or in a blank after q. The values of a state are (V, N, V), indexed [q, n, p].
    """

    _known = WeakTensorKeyDictionary()  # by trigram: a GPU needs the same ones for all its graphs

    @classmethod
    def of(cls, trigram: Tensor) -> "_Contexts":
        """Return the contexts of a trigram, which are made once: it must not be changed later."""
        if trigram not in cls._known:
            cls._known[trigram] = cls(trigram)
        known: _Contexts = cls._known[trigram]
        return known

    def __init__(self, trigram: Tensor) -> None:
        by_last = trigram.transpose(0, 1).clone()  # [q, p, r]
        self.end = by_last[:, None, :, EDGE].clone()
        by_last[:, :, EDGE] = 0
        self.again = by_last.diagonal(dim1=0, dim2=2).T[..., None].clone()  # [q, p]: q after p q
        by_last.diagonal(dim1=0, dim2=2).zero_()
        self.other = by_last  # [q, p, r]: another token r after p q
        on_gpu = trigram.is_cuda
        self.onwards = Graphed(self._onwards) if on_gpu else self._onwards
        self.back = Graphed(self._back) if on_gpu else self._back

    def forward(self, probs: Tensor) -> tuple[Tensor, Tensor]:
        """Return the forward probabilities of each frame and the log-denominator.

        Args:
            probs: float (T', V, N, 1).

        Returns:
            float (T', 2, V, N, V), in a token and in a blank, scaled to sum to about 1 in each
            frame; and the unscaled logarithm of the sum at the end, float (N,).
        """
        frames, size, batch, _ = probs.shape
        reached = probs.new_empty(frames, 2, size, batch, size)
        scales = probs.new_empty(frames, batch)
        states = probs.new_zeros(2, size, batch, size)
        states[1, EDGE, :, EDGE] = 1
        for some in self._chunks(probs):
            self.onwards(states, probs[some], reached[some], scales[some])
        return reached, scales.log().sum(0) + (states.sum(0) * self.end).sum((0, 2)).log()

    def posterior(self, probs: Tensor, reached: Tensor) -> Tensor:
        """Return the posterior of each token in each frame, over all texts: float (T', V, N).

        Args:
            probs: float (T', V, N, 1).
            reached: float (T', 2, V, N, V), from `forward`.
        """
        posterior = torch.empty_like(probs[..., 0])
        after = self.end.expand_as(reached[0]).clone()
        for some in reversed(self._chunks(probs)):
            self.back(after, probs[some], reached[some], posterior[some])
        return posterior

    @staticmethod
    def _chunks(probs: Tensor) -> list[slice]:
        """Return what a graph does at once; the CPU does all."""
        step = CHUNK if probs.is_cuda else len(probs)
        return [slice(first, first + step) for first in range(0, len(probs), step)]

    def _onwards(self, states: Tensor, probs: Tensor, reached: Tensor, scales: Tensor) -> None:
        """Fill `reached` and `scales` of some frames, and change the states (2, V, N, V)."""
        in_token, in_blank = states
        for prob, (token, blank), scale in zip(probs, reached, scales, strict=True):
            anywhere = in_token + in_blank
            torch.sum(anywhere, (0, 2), out=scale)
            scaled = prob / scale[:, None]
            entered = torch.bmm(anywhere, self.other)  # [q, n, r]
            entered.diagonal(dim1=0, dim2=2).add_(torch.bmm(in_blank, self.again)[..., 0].T)
            torch.add(entered.transpose(0, 2), in_token, out=token).mul_(scaled)
            torch.mul(anywhere, scaled[BLANK], out=blank)
            in_token, in_blank = token, blank
        states.copy_(reached[-1])

    def _back(self, after: Tensor, probs: Tensor, reached: Tensor, posterior: Tensor) -> None:
        """Fill `posterior` of some frames, from the last; change what is after (2, V, N, V)."""
        after_token, after_blank = after
        other = self.other.transpose(1, 2).contiguous()  # [q, r, p]
        again = self.again.transpose(1, 2)  # [q, 1, p]
        for frame in range(len(probs) - 1, -1, -1):
            in_token, in_blank = reached[frame]
            shares = (in_token * after_token).sum(2)
            shares[BLANK] = (in_blank * after_blank).sum((0, 2))  # BLANK is EDGE, which none enters
            torch.div(shares, shares.sum(0), out=posterior[frame])
            prob = probs[frame] / after_blank.sum((0, 2))[:, None]  # scaled to sum to about 1
            stay = after_token * prob
            anew = stay.diagonal(dim1=0, dim2=2).T[..., None].clone()  # [q, n, 1]
            by_last = stay.transpose(0, 2).contiguous()  # else bmm multiplies matrix by matrix
            onwards = torch.bmm(by_last, other).addcmul_(after_blank, prob[BLANK])
            after_token = stay.add_(onwards)
            after_blank = onwards.baddbmm_(anew, again)
        torch.stack((after_token, after_blank), out=after)

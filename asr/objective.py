"""What a network is trained for: CTC over its tokens and phones, MMI, and views that agree.

Two views of an utterance, augmented apart, say the same; so what the network makes of each is a
target for the other, frame by frame, beside the transcript.

Source: Yao et al. 2025, 'CR-CTC: Consistency regularization on CTC for improved speech
recognition', ICLR. Shapes: N utterances, T' output frames, V tokens or phones.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Generator, Tensor

from asr.config import TrainConfig
from asr.ctc import ctc_loss
from asr.data import Batch
from asr.features import frame_mask
from asr.mmi import competition

Augment = Callable[[Tensor, Tensor, Generator], Tensor]  # as asr.augment.Augmenter is


@dataclass(frozen=True)
class Losses:
    """Summed over the utterances of a batch, in nats; of several views the mean."""

    total: Tensor  # what is minimised
    tokens: Tensor  # CTC of the tokens alone


class Objective:
    """Weighs what `Losses.total` is made of; `views` of each utterance are to be shown.

    Args:
        config: the weights.
        trigram: of phones, or of tokens where no phones are learned (asr.mmi.token_trigram);
            without it there is no MMI.
    """

    def __init__(self, config: TrainConfig, trigram: Tensor | None = None) -> None:
        self.config = config
        self.trigram = trigram
        self.begin_epoch(0)

    def begin_epoch(self, epoch: int) -> None:
        """The first `train.ctc_fraction` of all epochs, counted from 0, have CTC alone."""
        refining = epoch >= ctc_epochs(self.config)
        self.mmi = self.config.mmi if refining else 0.0
        self.consistency = self.config.consistency if refining else 0.0
        self.views = 2 if self.consistency else 1

    def show(self, batch: Batch, augment: Augment, generator: Generator) -> tuple[Tensor, Tensor]:
        """Log-mel (views * N, T, M) and int64 (views * N,) frames of its views, augmented apart."""
        seen = [augment(batch.log_mel, batch.num_frames, generator) for _ in range(self.views)]
        return torch.cat(seen), batch.num_frames.repeat(self.views)

    def __call__(self, outputs: Sequence[Tensor], num_frames: Tensor, batch: Batch) -> Losses:
        """Judge the views of a batch, one whole set of utterances behind the other.

        Args:
            outputs: log-probabilities of tokens, and of phones if the network has them, each
                (views * N, T', V).
            num_frames: int64 (views * N,).
            batch: N utterances.
        """
        texts = batch.texts[: len(outputs)]
        parts = [
            self._sum(ctc_loss, output, num_frames, *text)
            for output, text in zip(outputs, texts, strict=True)
        ]
        tokens = parts[0]
        if self.mmi and self.trigram is not None:
            loss = partial(competition, trigram=self.trigram)
            parts[-1] = parts[-1] + self.mmi * self._sum(loss, outputs[-1], num_frames, *texts[-1])
        if self.consistency:
            parts = [
                part + self.consistency * disagreement(log_probs, num_frames)
                for part, log_probs in zip(parts, outputs, strict=True)
            ]
        phones = self.config.phone_weight
        shares = [1 - phones, phones] if len(parts) > 1 else [1.0]
        total = torch.stack([s * part for s, part in zip(shares, parts, strict=True)]).sum()
        return Losses(total, tokens)

    def _sum(
        self,
        loss: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor],
        log_probs: Tensor,
        num_frames: Tensor,
        tokens: Tensor,
        num_tokens: Tensor,
    ) -> Tensor:
        """A loss of all views, where there is something to be read."""
        several = num_tokens.repeat(self.views)
        losses = loss(log_probs, num_frames, tokens.repeat(self.views, 1), several)
        return torch.where(several > 0, losses, 0.0).sum() / self.views


def ctc_epochs(config: TrainConfig) -> int:
    """How many epochs have CTC of one view alone; they are the first ones."""
    return int(config.ctc_fraction * config.epochs)


def disagreement(log_probs: Tensor, num_frames: Tensor) -> Tensor:
    """Kullback-Leibler divergence of each of two views from the other, summed over valid frames.

    The mean over both; a view as a target is not moved. Log-probabilities (2 * N, T', V), one view
    behind the other; int64 (2 * N,) frames.
    """
    target = log_probs.detach().roll(len(log_probs) // 2, dims=0)
    divergence = (target.exp() * (target - log_probs)).sum(2)  # (2 * N, T')
    valid = frame_mask(num_frames, log_probs.shape[1])
    return torch.where(valid, divergence, 0.0).sum() / 2

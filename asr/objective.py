"""What the acoustic model minimises: CTC over tokens and phones, MMI, and the consistency loss.

The consistency loss shows an utterance in two views, augmented apart: what the network makes of
each is a target for the other, frame by frame, beside the transcript. `AcousticTask` hands all of
this to the training loop.

Source: Yao et al. 2025, 'CR-CTC: Consistency regularization on CTC for improved speech
recognition', ICLR. Shapes: N utterances, T' output frames, V tokens or phones.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Generator, Tensor

from asr.augment import Augmenter
from asr.config import Config, TrainConfig
from asr.ctc import ctc_loss
from asr.data import Batch, Epoch, Loader
from asr.decode import GreedyDecoder
from asr.evaluation import validate
from asr.features import frame_mask
from asr.mmi import denominator_loss, token_trigram
from asr.model import AcousticModel
from asr.text import Vocabulary
from asr.training import Coach, Facts, freeze

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
            loss = partial(denominator_loss, trigram=self.trigram)
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


class AcousticTask:
    """See asr.train.Task."""

    def __init__(
        self,
        config: Config,
        vocabulary: Vocabulary,
        train: Loader,
        valid: Loader,
        device: str,
        *,
        num_phones: int = 0,
        trigram: Tensor | None = None,
    ) -> None:
        self.config = config
        self.vocabulary = vocabulary
        self.train = train
        self.valid = valid
        self.device = torch.device(device)
        self.model = AcousticModel(config, len(vocabulary), num_phones).to(self.device)
        freeze(self.model, config.train.freeze)
        self.augment = Augmenter(config.augment, config.features)
        self.objective = Objective(config.train, self._trigram(trigram, num_phones))
        facts = Facts.of(train.examples, config)
        self.coach = Coach(self.model, facts, config.train, speaks=train.group.rank == 0)

    def _trigram(self, known: Tensor | None, num_phones: int) -> Tensor | None:
        """Of what words are read from, for the objective; by default of the training texts."""
        if not self.config.train.mmi:
            return None
        if known is None:
            texts = (e.phones if num_phones else e.tokens for e in self.train.examples)
            known = token_trigram(filter(None, texts), num_phones or len(self.vocabulary))
        return known.to(self.device)

    def batches(self, epoch: int) -> Epoch:
        """The training batches of an epoch."""
        self.objective.begin_epoch(epoch)
        batches = self.train.training_epoch(epoch)
        train = self.config.train
        self.coach.planned = train.epochs * len(batches) // train.accumulate
        return batches

    def loss(self, batch: Batch, generator: Generator) -> tuple[Tensor, int]:
        """What is minimised, summed over the batch, in nats, and its number of tokens."""
        batch = batch.to(self.device)
        views = self.objective.show(batch, self.augment, generator)
        outputs, num_frames = self.model.from_log_mel(*views)
        losses = self.objective(outputs, num_frames, batch)
        one_view = slice(len(batch.examples))
        self.coach.count(batch, outputs[0][one_view], num_frames[one_view], losses.tokens)
        return losses.total, sum(len(example.tokens) for example in batch.examples)

    def describe(self, batch: Batch) -> str:
        """Ids of the utterances."""
        return ", ".join(example.utterance.id for example in batch.examples)

    def seconds(self, batch: Batch) -> float:
        """Seconds of audio, as recorded."""
        return sum(example.utterance.duration for example in batch.examples)

    def report(self) -> dict[str, float]:
        """Share of blank frames, probability of all other tokens in a frame, and share of the
        references' tokens that is emitted.
        """
        return self.coach.report()

    def state(self) -> dict[str, Any]:
        """What the coach counted, of JSON types: with it `report` goes on after a resume."""
        return self.coach.state()

    def restore(self, state: dict[str, Any]) -> None:
        """The inverse of `state`."""
        self.coach.restore(state)

    def validate(self, model: AcousticModel) -> dict[str, float]:
        """CTC loss for a token, greedy WER and CER, over the shares of all processes.

        By 'error' the best epoch is chosen: the WER, or what tells more of a beam search's: the
        phones' error where they are read, the MMI loss where it is taught.
        """
        trigram = self.objective.trigram
        result = validate(model, self.valid, GreedyDecoder(self.vocabulary), trigram)
        word, char, phone = result.score.word, result.score.char, result.phones
        counts = [(result.ctc.nats, result.ctc.tokens), (result.mmi.nats, result.mmi.tokens)]
        counts += [(each.errors, each.words) for each in (word, char, phone)]
        sums = torch.tensor(counts, dtype=torch.float64, device=self.device)
        self.valid.group.sum([sums])
        loss, mmi, wer, self.coach.cer, per = (sums[:, 0] / sums[:, 1].clamp(min=1)).tolist()
        figures = {"loss": loss, "error": wer, "cer": self.coach.cer}
        if model.phone_output:
            figures |= {"wer": wer, "per": per, "error": per}
        if trigram is not None:
            figures |= {"wer": wer, "error": mmi}
        return figures

"""The loss of the acoustic model: CTC over tokens and phones, MMI, and the consistency loss.

The consistency loss shows an utterance in two views, augmented independently: the network's output
for each view is a target for the other, frame by frame, beside the transcript. `AcousticTask` hands
the objective to the training loop.

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
    """The losses of a batch, summed over utterances, in nats; of several views the mean."""

    total: Tensor  # to be minimised
    tokens: Tensor  # the CTC loss of the tokens alone


class Objective:
    """The weighted loss; `views` is how many views of each utterance it wants.

    Args:
        config: the weights.
        trigram: denominator language model of MMI (asr.mmi.token_trigram), over phones, or over
            tokens if no phones are learned; None: no MMI.
    """

    def __init__(self, config: TrainConfig, trigram: Tensor | None = None) -> None:
        self.config = config
        self.trigram = trigram
        self.begin_epoch(0)

    def begin_epoch(self, epoch: int) -> None:
        """Switch on MMI and consistency after the first `train.ctc_fraction` of the epochs."""
        refining = epoch >= ctc_epochs(self.config)
        self.mmi = self.config.mmi if refining else 0.0
        self.consistency = self.config.consistency if refining else 0.0
        self.views = 2 if self.consistency else 1

    def show(self, batch: Batch, augment: Augment, generator: Generator) -> tuple[Tensor, Tensor]:
        """Augment each view on its own; return log-mel (views * N, T, M), frames (views * N,)."""
        seen = [augment(batch.log_mel, batch.num_frames, generator) for _ in range(self.views)]
        return torch.cat(seen), batch.num_frames.repeat(self.views)

    def __call__(self, outputs: Sequence[Tensor], num_frames: Tensor, batch: Batch) -> Losses:
        """Compute the losses of a batch whose views follow each other, N utterances each.

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
                part + self.consistency * consistency_loss(log_probs, num_frames)
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
        """Return the mean over views of a loss, summed over the utterances that have labels."""
        several = num_tokens.repeat(self.views)
        losses = loss(log_probs, num_frames, tokens.repeat(self.views, 1), several)
        return torch.where(several > 0, losses, 0.0).sum() / self.views


def ctc_epochs(config: TrainConfig) -> int:
    """Return the number of epochs, the first ones, that use CTC alone and one view."""
    return int(config.ctc_fraction * config.epochs + 1e-9)  # 0.29 * 100 is a little less than 29


def consistency_loss(log_probs: Tensor, num_frames: Tensor) -> Tensor:
    """Return the symmetric Kullback-Leibler divergence of two views, summed over valid frames.

    It is the mean of both directions; no gradient flows into the view that is the target.
    Log-probabilities are (2 * N, T', V), one view after the other; frames int64 (2 * N,).
    """
    target = log_probs.detach().roll(len(log_probs) // 2, dims=0)
    divergence = (target.exp() * (target - log_probs)).sum(2)  # (2 * N, T')
    valid = frame_mask(num_frames, log_probs.shape[1])
    return torch.where(valid, divergence, 0.0).sum() / 2


class AcousticTask:
    """The task of the acoustic model; see asr.train.Task."""

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
        self.judge: Callable[[AcousticModel], dict[str, float]] | None = None  # more figures
        self.objective = Objective(config.train, self._trigram(trigram, num_phones))
        facts = Facts.of(train.examples, config)
        self.coach = Coach(self.model, facts, config.train, is_main=train.group.rank == 0)

    def _trigram(self, known: Tensor | None, num_phones: int) -> Tensor | None:
        """Return the denominator language model; by default that of the training transcripts."""
        if not self.config.train.mmi:
            return None
        if known is None:
            texts = (e.phones if num_phones else e.tokens for e in self.train.examples)
            known = token_trigram(filter(None, texts), num_phones or len(self.vocabulary))
        return known.to(self.device)

    def batches(self, epoch: int) -> Epoch:
        """Return the training batches of an epoch."""
        self.objective.begin_epoch(epoch)
        batches = self.train.training_epoch(epoch)
        train = self.config.train
        self.coach.planned = train.epochs * len(batches) // train.accumulate
        return batches

    def loss(self, batch: Batch, generator: Generator) -> tuple[Tensor, int]:
        """Return the loss of a batch, summed, in nats, and its number of tokens."""
        batch = batch.to(self.device)
        views = self.objective.show(batch, self.augment, generator)
        outputs, num_frames = self.model.from_log_mel(*views)
        losses = self.objective(outputs, num_frames, batch)
        one_view = slice(len(batch.examples))
        self.coach.count(batch, outputs[0][one_view], num_frames[one_view], losses.tokens)
        return losses.total, sum(len(example.tokens) for example in batch.examples)

    def describe(self, batch: Batch) -> str:
        """Return the ids of the utterances."""
        return ", ".join(example.utterance.id for example in batch.examples)

    def seconds(self, batch: Batch) -> float:
        """Return the seconds of audio, as recorded."""
        return sum(example.utterance.duration for example in batch.examples)

    def report(self) -> dict[str, float]:
        """Return the coach's figures: blank_rate, nonblank_prob, emitted (see StepSums)."""
        return self.coach.report()

    def state(self) -> dict[str, Any]:
        """Return the coach's counts, in JSON types: `report` goes on with them after a resume."""
        return self.coach.state()

    def restore(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned."""
        self.coach.restore(state)

    def validate(self, model: AcousticModel) -> dict[str, float]:
        """Return CTC loss per token, WER and CER of greedy decoding, over all processes.

        The best epoch is chosen by 'error': the greedy WER, or the phone error rate if phones are
        learned, or the MMI loss if MMI is used. The latter two tell more about a beam search.
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
        return figures | (self.judge(model) if self.judge else {})

"""The training task of the acoustic model: objective, greedy WER, a coach for the blank phase."""

from typing import Any

import torch
from torch import Generator, Tensor

from asr.adapt import freeze
from asr.augment import Augmenter
from asr.coach import Coach
from asr.config import Config
from asr.data import Batch, Loader
from asr.decode.greedy import GreedyDecoder
from asr.diagnosis import Facts
from asr.epoch import Epoch
from asr.mmi import token_trigram
from asr.model import AcousticModel
from asr.objective import Objective
from asr.text import Vocabulary
from asr.validation import validate


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

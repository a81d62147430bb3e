"""The training task of the acoustic model: CTC loss, greedy WER, and a watch on the blank phase.

A CTC model begins by emitting blanks only: that plateau is normal, and its end is announced.
"""

import torch
from torch import Generator, Tensor

from asr.augment import Augmenter
from asr.config import Config
from asr.ctc import ctc_loss
from asr.data import Batch, Epoch, Loader
from asr.decode.greedy import GreedyDecoder
from asr.evaluate import evaluate
from asr.features import frame_mask
from asr.model import AcousticModel
from asr.progress import say
from asr.text import BLANK, Vocabulary

PLATEAU_EMITS = 0.1  # in the plateau less than this share of the references' tokens is emitted
WATCH_STEPS = 25  # steps between two looks


class BlankWatch:
    """Counts blank frames and emitted tokens of best paths; announces the blank plateau's end."""

    def __init__(self, device: torch.device, speaks: bool) -> None:
        self.speaks = speaks
        self.steps = 0
        self.plateau_since: int | None = None
        # Frames, blank ones, tokens emitted, tokens of the references: of now, of the epoch.
        self._window = torch.zeros(4, device=device)
        self._epoch = torch.zeros(4, device=device)

    def add(self, log_probs: Tensor, num_frames: Tensor, num_tokens: Tensor) -> None:
        """Count a batch: (N, T, V) log-probabilities, (N,) frames and reference tokens."""
        best = log_probs.argmax(2)  # (N, T)
        valid = frame_mask(num_frames, best.shape[1])
        blank = (best == BLANK) & valid
        new = torch.ones_like(valid)
        new[:, 1:] = best[:, 1:] != best[:, :-1]
        emitted = (valid & ~blank & new).sum()
        self._window += torch.stack([valid.sum(), blank.sum(), emitted, num_tokens.sum()])
        self.steps += 1
        if self.steps % WATCH_STEPS == 0:
            self._look()

    def report(self) -> dict[str, float]:
        """Figures since the last report."""
        frames, blanks, emitted, tokens = (self._epoch + self._window).tolist()
        self._epoch.zero_()
        self._window.zero_()
        return {"blank_rate": blanks / max(frames, 1), "emitted": emitted / max(tokens, 1)}

    def _look(self) -> None:
        _, _, emitted, tokens = self._window.tolist()
        self._epoch += self._window
        self._window.zero_()
        in_plateau = emitted < PLATEAU_EMITS * tokens
        if in_plateau and self.plateau_since is None:
            self.plateau_since = self.steps
            self._say(f"step {self.steps}: blank plateau: almost only blanks, as every CTC start")
        elif self.plateau_since is not None and not in_plateau:
            self.plateau_since = None
            self._say(
                f"step {self.steps}: the blank plateau is over, {emitted / tokens:.0%} emitted"
            )

    def _say(self, message: str) -> None:
        if self.speaks:
            say(message)


class AcousticTask:
    """See asr.train.Task."""

    def __init__(
        self, config: Config, vocabulary: Vocabulary, train: Loader, valid: Loader, device: str
    ) -> None:
        self.config = config
        self.vocabulary = vocabulary
        self.train = train
        self.valid = valid
        self.device = torch.device(device)
        self.model = AcousticModel(config, len(vocabulary)).to(self.device)
        self.augment = Augmenter(config.augment, config.features)
        self.watch = BlankWatch(self.device, speaks=train.group.rank == 0)

    def batches(self, epoch: int) -> Epoch:
        """The training batches of an epoch."""
        return self.train.training_epoch(epoch)

    def loss(self, batch: Batch, generator: Generator) -> tuple[Tensor, int]:
        """CTC loss summed over the batch, in nats, and its number of tokens."""
        batch = batch.to(self.device)
        log_mel = self.augment(batch.log_mel, batch.num_frames, generator)
        features = self.model.frontend.from_log_mel(log_mel, batch.num_frames)
        log_probs, num_frames = self.model(features, batch.num_frames)
        self.watch.add(log_probs.detach(), num_frames, batch.num_tokens)
        loss = ctc_loss(log_probs, num_frames, batch.tokens, batch.num_tokens)
        return loss.sum(), sum(len(example.tokens) for example in batch.examples)

    def describe(self, batch: Batch) -> str:
        """Ids of the utterances."""
        return ", ".join(example.utterance.id for example in batch.examples)

    def seconds(self, batch: Batch) -> float:
        """Seconds of audio, as recorded."""
        return sum(example.utterance.duration for example in batch.examples)

    def report(self) -> dict[str, float]:
        """Share of blank frames, and tokens emitted for each token of the references."""
        return self.watch.report()

    def validate(self, model: AcousticModel) -> dict[str, float]:
        """CTC loss for a token, greedy WER and CER, over the shares of all processes."""
        result = evaluate(model, self.valid, GreedyDecoder(self.vocabulary))
        score = result.score
        word, char = score.word, score.char
        counts = [result.loss_sum, result.loss_tokens]
        counts += [word.errors, word.words, char.errors, char.words]
        sums = torch.tensor(counts, dtype=torch.float64, device=self.device)
        self.valid.group.sum([sums])
        loss_sum, tokens, word_errors, words, char_errors, chars = sums.tolist()
        return {
            "loss": loss_sum / max(tokens, 1),
            "error": word_errors / max(words, 1),
            "cer": char_errors / max(chars, 1),
        }

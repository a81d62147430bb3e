"""A training step by itself: for measuring how long one takes, and for learning by heart."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from asr.augment import Augmenter
from asr.config import Config
from asr.ctc import ctc_loss
from asr.data import Batch
from asr.model import AcousticModel
from asr.objective import Objective

WARMUP_STEPS = 20


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let torch compute in so many threads inside the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Stepper:
    """A fresh model and its optimizer, as the configuration has them; augmentation if wanted."""

    def __init__(
        self, config: Config, vocabulary_size: int, device: str, *, augmented: bool
    ) -> None:
        torch.manual_seed(config.train.seed)
        self.config = config
        self.device = torch.device(device)
        self.model = AcousticModel(config, vocabulary_size).to(self.device)
        self.augment = Augmenter(config.augment, config.features) if augmented else None
        self.generator = torch.Generator().manual_seed(config.train.seed)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), config.train.learning_rate, weight_decay=0.0
        )
        self.warmup = torch.optim.lr_scheduler.LinearLR(
            self.optimizer, 1 / WARMUP_STEPS, total_iters=WARMUP_STEPS
        )

    def step(self, batch: Batch) -> tuple[float, Tensor, Tensor]:
        """Learn from a batch once.

        Returns:
            The loss before it, in nats a token; log-probabilities (views * N, T', V) and int64
            (views * N,) frames, where augmentation shows several views of each utterance.
        """
        batch, views = batch.to(self.device), 1
        log_mel = batch.log_mel
        if self.augment:
            views = Objective(self.config.train).views
            seen = [self.augment(log_mel, batch.num_frames, self.generator) for _ in range(views)]
            log_mel = torch.cat(seen)
        log_probs, num_frames = self.model.from_log_mel(log_mel, batch.num_frames.repeat(views))
        tokens, num_tokens = batch.tokens.repeat(views, 1), batch.num_tokens.repeat(views)
        losses = ctc_loss(log_probs, num_frames, tokens, num_tokens)
        loss = losses.sum() / num_tokens.sum()
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.train.clip_norm)
        self.optimizer.step()
        self.warmup.step()
        return float(loss.detach()), log_probs.detach().cpu(), num_frames.cpu()

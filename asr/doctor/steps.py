"""A training step by itself: for measuring how long one takes, and for learning by heart."""

from dataclasses import replace

import torch
from torch import Tensor

from asr.augment import Augmenter
from asr.config import Config
from asr.data import Batch
from asr.model import AcousticModel
from asr.objective import Augment, Objective

WARMUP_STEPS = 20


class Stepper:
    """A fresh model and its optimizer, as the configuration has them.

    Args:
        config: of the training.
        vocabulary_size: tokens, the blank included.
        device: 'cpu' or 'cuda'.
        augmented: whether to augment, and to show as many views as training does.
        trigram: of tokens, on the device; without it there is no MMI.
    """

    def __init__(
        self,
        config: Config,
        vocabulary_size: int,
        device: str,
        *,
        augmented: bool,
        trigram: Tensor | None = None,
    ) -> None:
        torch.manual_seed(config.train.seed)
        self.config = config
        self.device = torch.device(device)
        self.model = AcousticModel(config, vocabulary_size).to(self.device)
        if augmented:
            self.augment: Augment = Augmenter(config.augment, config.features)
            self.objective = Objective(config.train, trigram)
        else:
            self.augment = lambda log_mel, num_frames, generator: log_mel
            self.objective = Objective(replace(config.train, consistency=0.0))
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
            The CTC loss before it, in nats a token; log-probabilities (views * N, T', V) and int64
            (views * N,) frames, where augmentation shows several views of each utterance.
        """
        batch = batch.to(self.device)
        views = self.objective.show(batch, self.augment, self.generator)
        outputs, num_frames = self.model.from_log_mel(*views)
        losses = self.objective(outputs, num_frames, batch)
        num_tokens = batch.num_tokens.sum()
        self.optimizer.zero_grad()
        (losses.total / num_tokens).backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.train.clip_norm)
        self.optimizer.step()
        self.warmup.step()
        ctc = float(losses.tokens.detach() / num_tokens)
        return ctc, outputs[0].detach().cpu(), num_frames.cpu()

"""Set up the training step that asr-train takes, for the doctor to time and to learn with."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from asr.config import MOST_BATCH_S, Config
from asr.data import Batch, Example, Frames, Loader
from asr.distributed import ProcessGroup
from asr.objective import AcousticTask
from asr.text import Vocabulary
from asr.train import Trainer


def make_trainer(
    examples: Sequence[Example], config: Config, vocabulary: Vocabulary, device: str
) -> tuple[Trainer, AcousticTask]:
    """Return a trainer of a fresh model, and its task; `Trainer.step` writes no files.

    Args:
        examples: the training set, from which MMI takes its trigram of tokens.
        config: of the training.
        vocabulary: of the training set.
        device: 'cpu' or 'cuda'.
    """
    torch.manual_seed(config.train.seed)
    loader = Loader(examples, Frames(config), config, ProcessGroup())
    task = AcousticTask(config, vocabulary, loader, loader, device)
    task.coach.is_main = False  # the doctor names causes itself
    return Trainer(task, config.train, Path(), ProcessGroup()), task


def make_batch(examples: Sequence[Example], config: Config, processes: int = 1) -> Batch:
    """Return one batch of all these utterances, unchanged, or the first process's share of it.

    Raises:
        AudioError: one of the recordings cannot be read.
    """
    data = replace(config.data, batch_s=MOST_BATCH_S, cache="none")
    config = replace(config, data=data)
    loader = Loader(examples, Frames(config), config, ProcessGroup(size=processes))
    (batch,) = filter(None, loader.in_order())
    return batch

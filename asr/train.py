"""The training loop. What is trained, and how it is judged, is the task's business.

Every epoch: batches, AdamW with warm-up and cosine decay, gradient clipping, an average of the
weights; then validation of the averaged weights, checkpoints, log.jsonl and tensorboard.
"""

import copy
import json
import math
import time
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from asr.checkpoint import Checkpoint, load_checkpoint, restore_parameters, save_checkpoint
from asr.config import TrainConfig
from asr.errors import CheckpointError, TrainingError
from asr.parallel import Group
from asr.progress import progress, say

PATIENCE = 20  # steps in a row that may be skipped for a loss or gradient that is not finite


class Batches(Protocol):
    """The batches of one epoch."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Any: ...


class Task(Protocol):
    """A model, its data and its judge."""

    @property
    def model(self) -> nn.Module:
        """What is trained."""

    def batches(self, epoch: int) -> Batches:
        """The training batches of an epoch, the same for the same epoch; None: an empty share."""

    def loss(self, batch: Any, generator: Generator) -> tuple[Tensor, int]:
        """Summed loss over a batch, and the number of tokens in it."""

    def describe(self, batch: Any) -> str:
        """Names of what is in the batch, for messages."""

    def seconds(self, batch: Any) -> float:
        """Amount of data in the batch: seconds of audio, or tokens of text."""

    def report(self) -> dict[str, float]:
        """Figures gathered while training since the last call."""

    def validate(self, model: Any) -> dict[str, float]:
        """Figures on held-out data; 'loss' and 'error' (lower is better) among them."""


class Trainer:
    """Trains a task into an experiment folder."""

    def __init__(
        self,
        task: Task,
        config: TrainConfig,
        folder: Path,
        group: Group,
        rate: str = "audio_s_per_s",  # the figure of data learnt from in a second
    ) -> None:
        self.task = task
        self.group = group
        self.config = config
        self.folder = folder
        self.rate = rate
        self.optimizer = torch.optim.AdamW(
            task.model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self.average = copy.deepcopy(task.model).eval().requires_grad_(False)
        self.step = 0
        self.first_epoch = 0
        self.best = (math.inf, math.inf)  # validation error, and loss where errors are equal
        self.spent_s = 0.0  # on all epochs so far
        self.skipped_in_a_row = 0

    def run(self) -> None:
        """Train all epochs that remain.

        Raises:
            TrainingError: the loss or the gradient was not finite for PATIENCE steps in a row.
        """
        speaks = self.group.rank == 0
        with SummaryWriter(str(self.folder)) if speaks else nullcontext() as board:
            for epoch in range(self.first_epoch, self.config.epochs):
                started = time.perf_counter()
                figures = self._train_epoch(epoch)
                figures |= {f"valid_{k}": v for k, v in self.task.validate(self.average).items()}
                self.spent_s += time.perf_counter() - started
                if board:
                    self._record(board, epoch, figures)
                    self._save(epoch, figures)

    def resume(self) -> None:
        """Go on after the last epoch that was finished.

        Raises:
            CheckpointError: no checkpoint, or one that is damaged or does not fit.
        """
        checkpoint = load_checkpoint(self.folder / "last")
        try:
            self._restore(checkpoint)
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"{self.folder / 'last'}: not a checkpoint of asr-train ({error!r})"
            ) from error

    def _restore(self, checkpoint: Checkpoint) -> None:
        restore_parameters(self.task.model, checkpoint.tensors["model"], "last/")
        restore_parameters(self.average, checkpoint.tensors["average"], "last/")
        self._restore_optimizer(checkpoint.tensors["optimizer"])
        state = checkpoint.state
        self.first_epoch, self.step = state["epoch"] + 1, state["step"]
        self.best, self.spent_s = tuple(state["best"]), state["spent_s"]

    def _train_epoch(self, epoch: int) -> dict[str, float]:
        self.task.model.train()
        batches = self.task.batches(epoch)
        sums = torch.zeros(3)  # loss, tokens, seconds of data
        skipped = 0
        started = time.perf_counter()
        title = f"epoch {epoch + 1}/{self.config.epochs}"
        bar = progress(batches, title, shown=self.group.rank == 0)
        for position, batch in enumerate(bar):
            self._set_learning_rate((epoch + position / len(batches)) / self.config.epochs)
            done = self._gradient(batch, seeded(self.config.seed, epoch, position, self.group.rank))
            if self._update(bool(torch.isfinite(done[0]))):
                sums += done
            else:
                skipped += 1
                self._say_skipped(batch)
        elapsed = time.perf_counter() - started
        loss, tokens, data_s = sums.tolist()
        return {
            "train_loss": loss / max(tokens, 1),
            "skipped_steps": skipped,
            "learning_rate": self.optimizer.param_groups[0]["lr"],
            "seconds": elapsed,
            self.rate: data_s / elapsed,
            **self.task.report(),
        }

    def _gradient(self, batch: Any, generator: Generator) -> Tensor:
        """Leave the gradient of the mean loss of a token; return loss sum, tokens and seconds.

        Dropout follows from the generator's seed too, so no random state outlives a step. All
        three sums, like the gradient, are of the whole batch: of the shares of all processes.
        """
        torch.manual_seed(generator.initial_seed())
        parameters = list(self.task.model.parameters())
        for parameter in parameters:
            parameter.grad = torch.zeros_like(parameter)
        done = torch.zeros(3, device=parameters[0].device)
        if batch is not None:
            loss, tokens = self.task.loss(batch, generator)
            loss.backward()
            done = torch.stack(
                [loss.detach(), *done.new_tensor([tokens, self.task.seconds(batch)])]
            )
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        self.group.sum([*gradients, done])
        torch._foreach_div_(gradients, done[1].clamp(min=1))
        return done.cpu()

    def _update(self, finite: bool) -> bool:
        """One step of the optimizer; False, and nothing changed, when it would not be finite."""
        norm = nn.utils.clip_grad_norm_(self.task.model.parameters(), self.config.clip_norm)
        self.step += 1
        if not (finite and torch.isfinite(norm)):
            self.skipped_in_a_row += 1
            if self.skipped_in_a_row >= PATIENCE:
                raise TrainingError(
                    f"{PATIENCE} steps in a row had no finite loss or gradient; "
                    "lower train.learning_rate, or check the manifest's transcripts and audio"
                )
            return False
        self.skipped_in_a_row = 0
        self.optimizer.step()
        self._update_average()
        return True

    def _say_skipped(self, batch: Any) -> None:
        names = "an empty share" if batch is None else self.task.describe(batch)
        say(f"step {self.step}: loss or gradient not finite: {names}")

    @torch.no_grad()
    def _update_average(self) -> None:
        """Exponential moving average of the weights; short at first, when they move fast."""
        decay = min(self.config.ema_decay, self.step / (10 + self.step))
        averaged: list[Tensor] = list(self.average.parameters())
        current: list[Tensor] = list(self.task.model.parameters())
        torch._foreach_lerp_(averaged, current, 1 - decay)

    def _set_learning_rate(self, done: float) -> None:
        """Linear warm-up over steps, times a cosine from 1 to final_lr_fraction over `done`."""
        low = self.config.final_lr_fraction
        decay = low + (1 - low) * 0.5 * (1 + math.cos(math.pi * done))
        warmup = min(1.0, (self.step + 1) / max(self.config.warmup_steps, 1))
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.learning_rate * warmup * decay

    def _record(self, board: SummaryWriter, epoch: int, figures: dict[str, float]) -> None:
        for name, value in figures.items():
            board.add_scalar(name, value, epoch + 1)
        line = {"epoch": epoch + 1, "step": self.step, **figures}
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
        left_min = self.spent_s / (epoch + 1) * (self.config.epochs - epoch - 1) / 60
        shown = "  ".join(f"{name} {value:.3g}" for name, value in figures.items())
        say(f"epoch {epoch + 1}/{self.config.epochs}  {shown}  minutes_left {left_min:.1f}")

    def _save(self, epoch: int, figures: dict[str, float]) -> None:
        average: dict[str, Tensor] = dict(self.average.named_parameters())
        judged = (figures["valid_error"], figures["valid_loss"])
        better = judged < self.best
        self.best = min(self.best, judged)
        state = {
            "epoch": epoch,
            "step": self.step,
            "best": self.best,
            "spent_s": self.spent_s,
            "figures": figures,
        }
        if better:
            save_checkpoint(self.folder / "best", Checkpoint({"model": average}, state))
        tensors: dict[str, dict[str, Tensor]] = {
            "model": dict(self.task.model.named_parameters()),
            "average": average,
            "optimizer": self._optimizer_tensors(),
        }
        save_checkpoint(self.folder / "last", Checkpoint(tensors, state))

    def _optimizer_tensors(self) -> dict[str, Tensor]:
        states: Iterable[tuple[int, dict[str, Tensor]]] = self.optimizer.state_dict()[
            "state"
        ].items()
        return {f"{index}.{name}": value for index, s in states for name, value in s.items()}

    def _restore_optimizer(self, tensors: dict[str, Tensor]) -> None:
        states: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            index, name = key.split(".", 1)
            states.setdefault(int(index), {})[name] = value
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": states})


def seeded(*numbers: int) -> Generator:
    """A generator whose stream follows from these numbers alone."""
    return Generator().manual_seed(int(np.random.SeedSequence(numbers).generate_state(1)[0]))

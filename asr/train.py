"""The training loop: batches, steps of the optimizer, validation, checkpoints that resume exactly.

A `Task` says what is trained and how it is judged: asr.objective has the task of the acoustic
model, asr.training that of the LSTM language model. Every epoch trains on its batches, then
validates the EMA (exponential moving average) of the weights, and writes the log and best/. last/
is saved after each epoch and every few minutes within one. A run that was stopped at any moment, by
a signal or by SIGKILL, resumes to the same bits as a run that was never stopped.
"""

import copy
import math
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from torch import Generator, Tensor, nn

from asr._progress import progress, say
from asr.checkpoint import Checkpoint, load_newest, restore_parameters, save_checkpoint
from asr.config import TrainConfig
from asr.distributed import ProcessGroup
from asr.errors import CheckpointError, TrainingError
from asr.training import StopRequest, Tally, TrainLog, epoch_lines, processes_lines, stop_line


class Batches(Protocol):
    """The batches of one epoch; None is an empty share of a batch."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Any]: ...
    def __getitem__(self, part: slice, /) -> "Batches": ...

    @property
    def padding(self) -> float:
        """The share of the batches that is padding."""


class Task(Protocol):
    """A model with its data, its loss and its validation."""

    @property
    def model(self) -> nn.Module:
        """The model to train; parameters that need no gradient stay as they are."""

    def batches(self, epoch: int) -> Batches:
        """Return the training batches of an epoch, the same ones for the same epoch."""

    def loss(self, batch: Any, generator: Generator) -> tuple[Tensor, int]:
        """Return the summed loss of a batch, and the number of tokens in it."""

    def describe(self, batch: Any) -> str:
        """Name the contents of a batch, for messages."""

    def seconds(self, batch: Any) -> float:
        """Return the amount of data in a batch: seconds of audio, or tokens of text."""

    def report(self) -> dict[str, float]:
        """Return the figures gathered in training since the last call."""

    def validate(self, model: Any) -> dict[str, float]:
        """Return figures on held-out data, with 'loss' and 'error' (lower is better) among them."""


@runtime_checkable
class Counting(Protocol):
    """A task whose reports follow from counts, which a resumed run must continue."""

    def state(self) -> dict[str, Any]:
        """Return the counts since the last report, in JSON types."""

    def restore(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned."""


class Learner:
    """AdamW with warm-up, cosine decay, gradient clipping, and an EMA of the weights."""

    def __init__(self, model: nn.Module, config: TrainConfig) -> None:
        self.model = model
        self.config = config
        self.average = copy.deepcopy(model).eval().requires_grad_(False)
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self.step = 0  # updates so far, skipped ones included

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return next(self.model.parameters()).device

    def begin_step(self, done: float) -> float:
        """Zero the gradients; set and return the learning rate for the share of training done.

        The rate is a linear warm-up over steps, times a cosine from 1 to final_lr_fraction over
        `done`. Gradients are zeros, not None, even in a process without data: processes sum theirs.
        """
        low = self.config.final_lr_fraction
        decay = low + (1 - low) * 0.5 * (1 + math.cos(math.pi * done))
        self.step += 1
        warmup = min(1.0, self.step / max(self.config.warmup_steps, 1))
        rate = self.config.learning_rate * warmup * decay
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        for parameter in self.parameters:
            parameter.grad = torch.zeros_like(parameter)
        return rate

    def gradients(self) -> list[Tensor]:
        """Return the gradient of each parameter that is not frozen."""
        return [parameter.grad for parameter in self.parameters if parameter.grad is not None]

    def clip(self) -> Tensor:
        """Clip the gradient to clip_norm; return its norm before, a scalar on the device."""
        return nn.utils.clip_grad_norm_(self.parameters, self.config.clip_norm)

    @torch.no_grad()
    def update(self) -> None:
        """Update the weights, then their EMA, whose decay is smaller in the first steps."""
        self.optimizer.step()
        decay = min(self.config.ema_decay, self.step / (10 + self.step))
        averaged: list[Tensor] = list(self.average.parameters())
        current: list[Tensor] = list(self.model.parameters())
        torch._foreach_lerp_(averaged, current, 1 - decay)

    def tensors(self) -> dict[str, dict[str, Tensor]]:
        """Return the whole state except `step`, in named groups of tensors."""
        states: Iterable[tuple[int, dict[str, Tensor]]] = self.optimizer.state_dict()[
            "state"
        ].items()
        return {
            "model": dict(self.model.named_parameters()),
            "average": dict(self.average.named_parameters()),
            "optimizer": {f"{i}.{name}": value for i, s in states for name, value in s.items()},
        }

    def restore(self, tensors: dict[str, dict[str, Tensor]], step: int, source: str) -> None:
        """Restore what `tensors` returned.

        Raises:
            CheckpointError: names or shapes differ.
            KeyError, ValueError: tensors are missing.
        """
        restore_parameters(self.model, tensors["model"], source)
        restore_parameters(self.average, tensors["average"], source)
        states: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors["optimizer"].items():
            index, name = key.split(".", 1)
            states.setdefault(int(index), {})[name] = value
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": states})
        self.step = step


T = TypeVar("T")

MOST_SKIPPED = 20  # steps in a row that may be skipped because loss or gradient is not finite


class Trainer:
    """A trainer of one task, which writes an experiment folder."""

    def __init__(
        self,
        task: Task,
        config: TrainConfig,
        folder: Path,
        group: ProcessGroup,
        rate: str = "audio_s_per_s",  # name of the figure 'amount of data per second'
    ) -> None:
        self.task = task
        self.group = group
        self.config = config
        self.folder = folder
        self.rate = rate
        self.learner = Learner(task.model, config)
        self.epoch = 0  # the epoch in progress, from 0
        self.tally = Tally()  # of this epoch
        self.skipped_in_a_row = 0
        self.best: tuple[float, float] | None = None  # validation error, and loss to break a tie
        self.best_epoch = 0  # that reached it, from 1
        self.spent_s = 0.0  # on the epochs before this one
        self.saved_at_s = time.perf_counter()

    @property
    def is_main(self) -> bool:
        """Whether this process, of all in the group, writes files and messages."""
        return self.group.rank == 0

    def run(self) -> signal.Signals | None:
        """Train until the epochs are done, patience ends or a signal comes; return that signal.

        Raises:
            TrainingError: the loss or the gradient was not finite for MOST_SKIPPED steps in a row.
            CheckpointError: a checkpoint cannot be written.
        """
        log = TrainLog(self.folder, self.epoch, self.config.epochs) if self.is_main else None
        with StopRequest(told=self.is_main) as stop, log or nullcontext():
            while not self._is_done():
                figures = self._train_epoch(stop)
                if figures is None:
                    return stop.signal or signal.SIGTERM  # where another process got the signal
                figures |= self._validate()
                if log:
                    log.write(self.epoch, self.learner.step, figures, self.spent_s)
                self._save_epoch(figures)
                self.epoch, self.tally = self.epoch + 1, Tally()
                lines = epoch_lines(self.epoch, self.config, figures, self.spent_s, self.best_epoch)
                self._say(*lines)
            if log:
                log.finish()
        return None

    def _is_done(self) -> bool:
        """Return whether all epochs are done, or train.patience of them brought nothing better."""
        config, waited = self.config, self.epoch - self.best_epoch
        return self.epoch >= config.epochs or 0 < config.patience <= waited

    def resume(self) -> None:
        """Continue from the newest checkpoint that is whole.

        Raises:
            CheckpointError: no checkpoint is whole, or it does not fit.
        """
        checkpoint, refused = load_newest(self.folder / "last")
        if refused:
            self._say(f"{refused}; going on from the checkpoint before it")
        try:
            self._restore(checkpoint)
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"{self.folder / 'last'}: not a checkpoint of asr-train ({error!r})"
            ) from error

    def _restore(self, checkpoint: Checkpoint) -> None:
        state = checkpoint.state
        self.learner.restore(checkpoint.tensors, state["step"], "last/")
        self.best, self.spent_s = state["best"] and tuple(state["best"]), state["spent_s"]
        self.skipped_in_a_row = state.get("skipped_in_a_row", 0)
        if "so_far" in state:
            self.epoch, self.tally = state["epoch"], Tally(**state["so_far"])
        else:
            self.epoch = state["epoch"] + 1
        self.best_epoch = state.get("best_epoch", self.epoch)
        if isinstance(self.task, Counting) and "task" in state:
            self.task.restore(state["task"])
        self._say(*processes_lines(state.get("processes", self.group.size), self.group.size))

    def _train_epoch(self, stop: StopRequest) -> dict[str, float] | None:
        """Train the rest of the epoch; return None if a signal asked to stop and all is saved."""
        self.task.model.train()
        batches = self.task.batches(self.epoch)
        title = f"epoch {self.epoch + 1}/{self.config.epochs}"
        bar = progress(batches[self.tally.position :], title, shown=self.is_main)
        since = time.perf_counter()
        for some in chunks(bar, self.config.accumulate):
            stopping = self.step(some, len(batches), stop.signal is not None)
            now = time.perf_counter()
            self.tally.elapsed_s += now - since
            since = now
            if stopping or now - self.saved_at_s >= self.config.checkpoint_minutes * 60:
                self._save_last(so_far=asdict(self.tally))
            if stopping:
                where = self.learner.step, self.tally.position, len(batches), self.epoch + 1
                self._say(stop_line(*where))
                return None
        self._save_last(so_far=asdict(self.tally))  # validation can take minutes
        return {
            **self.tally.figures(self.config.clip_norm, self.rate),
            "padding": batches.padding,
            **self.task.report(),
        }

    def step(self, batches: list[Any], epoch_batches: int, stop: bool) -> bool:
        """Train on some batches in one step; return whether any process was asked to stop.

        All sums, like the gradient, are over whole batches: over the shares of all processes. They
        are copied from the device together; only then does a step wait for the device.
        """
        learner, tally = self.learner, self.tally
        done = (self.epoch + tally.position / epoch_batches) / self.config.epochs
        tally.learning_rate = learner.begin_step(done)
        sums = self._backward(batches)
        sums[3] = float(stop)
        gradients = learner.gradients()
        self.group.sum([*gradients, sums])
        torch._foreach_div_(gradients, sums[1].clamp(min=1))
        loss, tokens, amount, stops, norm = torch.stack([*sums, learner.clip()]).tolist()
        tally.position += len(batches)
        if math.isfinite(loss) and math.isfinite(norm):
            learner.update()
            tally.add(loss, tokens, amount, norm)
            self.skipped_in_a_row = 0
        else:
            self._skip(batches)
        return bool(stops)

    def _backward(self, batches: list[Any]) -> Tensor:
        """Compute the gradient of the summed loss; return loss, tokens, amount of data, and a zero.

        Dropout follows from the seed of a batch's generator, too: no random state outlives a batch.
        """
        sums = torch.zeros(4, device=self.learner.device)
        tokens, amount = 0, 0.0
        for position, batch in enumerate(batches, start=self.tally.position):
            if batch is None:
                continue
            generator = seeded(self.config.seed, self.epoch, position, self.group.rank)
            torch.manual_seed(generator.initial_seed())
            loss, count = self.task.loss(batch, generator)
            loss.backward()
            sums[0] += loss.detach()
            tokens, amount = tokens + count, amount + self.task.seconds(batch)
        sums[1], sums[2] = tokens, amount
        return sums

    def _skip(self, batches: list[Any]) -> None:
        """Count a skipped step and name its utterances: each process those of its own share."""
        self.tally.skipped += 1
        self.skipped_in_a_row += 1
        own = [self.task.describe(batch) for batch in batches if batch is not None]
        names = ", ".join(own) or "an empty share"
        say(f"step {self.learner.step}: loss or gradient not finite, skipped: {names}")
        if self.skipped_in_a_row >= MOST_SKIPPED:
            raise TrainingError(
                f"{MOST_SKIPPED} steps in a row had no finite loss or gradient; lower "
                f"train.learning_rate ({self.config.learning_rate:g}), or check transcripts and "
                "audio of the utterances named; --resume goes on from the last checkpoint"
            )

    def _validate(self) -> dict[str, float]:
        """Validate the EMA of the weights; add the epoch's time and this time to the time spent."""
        since = time.perf_counter()
        figures = {f"valid_{k}": v for k, v in self.task.validate(self.learner.average).items()}
        self.spent_s += self.tally.elapsed_s + time.perf_counter() - since
        return figures

    def _save_epoch(self, figures: dict[str, float]) -> None:
        """Save the finished epoch, and the EMA of the weights in best/ if no epoch was better."""
        judged = (figures["valid_error"], figures["valid_loss"])
        if self.best is None or judged < self.best:
            self.best, self.best_epoch = judged, self.epoch + 1
            average = {"model": self.learner.tensors()["average"]}
            if self.is_main:
                best = Checkpoint(average, self._state(figures=figures))
                save_checkpoint(self.folder / "best", best)
        self._save_last(figures=figures)

    def _save_last(self, **state: Any) -> None:
        """Save everything that a resume needs; this checkpoint and the one before it are kept."""
        if self.is_main:
            checkpoint = Checkpoint(self.learner.tensors(), self._state(**state))
            save_checkpoint(self.folder / "last", checkpoint, keep=True)
        self.saved_at_s = time.perf_counter()

    def _state(self, **state: Any) -> dict[str, Any]:
        return {
            "epoch": self.epoch,
            "step": self.learner.step,
            "skipped_in_a_row": self.skipped_in_a_row,
            "best": self.best,
            "best_epoch": self.best_epoch,
            "spent_s": self.spent_s,
            "processes": self.group.size,
            **({"task": self.task.state()} if isinstance(self.task, Counting) else {}),
            **state,
        }

    def _say(self, *lines: str) -> None:
        if self.is_main:
            say(*lines)


def chunks(items: Iterator[T], size: int) -> Iterator[list[T]]:
    """Yield lists of `size` items; the last one can be shorter."""
    while chunk := list(islice(items, size)):
        yield chunk


def seeded(*numbers: int) -> Generator:
    """Return a generator whose stream depends on these numbers alone."""
    return Generator().manual_seed(int(np.random.SeedSequence(numbers).generate_state(1)[0]))

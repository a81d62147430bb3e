"""The training loop: batches, steps of the optimizer, validation, checkpoints that resume exactly.

What is trained, and how it is judged, is the business of a `Task`: asr.objective has that of the
acoustic model, asr.training that of the language model. Every epoch has batches, steps of the
learner, and a validation of the averaged weights, which writes the log and best/. last/ is saved
after each epoch and every few minutes within one: a run that was stopped at any moment, by a signal
or by SIGKILL, goes on to the very bits of one that was not.
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
from asr.distributed import Group
from asr.errors import CheckpointError, TrainingError
from asr.training import StopRequest, Tally, TrainLog


class Batches(Protocol):
    """The batches of one epoch; None: an empty share of one."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Any]: ...
    def __getitem__(self, part: slice, /) -> "Batches": ...

    @property
    def padding(self) -> float:
        """Share of the batches that is padding."""


class Task(Protocol):
    """A model, its data and its judge."""

    @property
    def model(self) -> nn.Module:
        """What is trained; parameters that need no gradient stay as they are."""

    def batches(self, epoch: int) -> Batches:
        """The training batches of an epoch, the same for the same epoch."""

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


@runtime_checkable
class Counting(Protocol):
    """A task whose reports follow from counts that a resumed run must go on with."""

    def state(self) -> dict[str, Any]:
        """What was gathered since the last report, of JSON types."""

    def restore(self, state: dict[str, Any]) -> None:
        """The inverse of `state`."""


class Learner:
    """AdamW with warm-up and cosine decay, gradient clipping, a moving average of the weights."""

    def __init__(self, model: nn.Module, config: TrainConfig) -> None:
        self.model = model
        self.config = config
        self.average = copy.deepcopy(model).eval().requires_grad_(False)
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self.step = 0  # updates so far, those that were skipped included

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.model.parameters()).device

    def begin_step(self, done: float) -> float:
        """Set the gradient to zero, and the learning rate to that of a share of training done.

        The rate, which is returned: a linear warm-up over steps, times a cosine from 1 to
        final_lr_fraction over `done`. There is a gradient even in a process that will have no
        data: processes sum theirs.
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
        """The gradient of each parameter that is not frozen."""
        return [parameter.grad for parameter in self.parameters if parameter.grad is not None]

    def clip(self) -> Tensor:
        """Clip the gradient to clip_norm; return its norm before, a scalar on the device."""
        return nn.utils.clip_grad_norm_(self.parameters, self.config.clip_norm)

    @torch.no_grad()
    def update(self) -> None:
        """Move the weights; let their average follow, closely at first, when they move fast."""
        self.optimizer.step()
        decay = min(self.config.ema_decay, self.step / (10 + self.step))
        averaged: list[Tensor] = list(self.average.parameters())
        current: list[Tensor] = list(self.model.parameters())
        torch._foreach_lerp_(averaged, current, 1 - decay)

    def tensors(self) -> dict[str, dict[str, Tensor]]:
        """All state but `step`, in named groups."""
        states: Iterable[tuple[int, dict[str, Tensor]]] = self.optimizer.state_dict()[
            "state"
        ].items()
        return {
            "model": dict(self.model.named_parameters()),
            "average": dict(self.average.named_parameters()),
            "optimizer": {f"{i}.{name}": value for i, s in states for name, value in s.items()},
        }

    def restore(self, tensors: dict[str, dict[str, Tensor]], step: int, source: str) -> None:
        """The inverse of `tensors`.

        Raises:
            CheckpointError: names or shapes differ.
            KeyError, ValueError: no such tensors.
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

PATIENCE = 20  # steps in a row that may be skipped for a loss or gradient that is not finite


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
        self.learner = Learner(task.model, config)
        self.epoch = 0  # at work, from 0
        self.tally = Tally()  # of this epoch
        self.skipped_in_a_row = 0
        self.best: tuple[float, float] | None = None  # validation error; loss where it is equal
        self.spent_s = 0.0  # on the epochs before this one
        self.saved_at_s = time.perf_counter()

    @property
    def speaks(self) -> bool:
        """Whether this process, of all in the group, writes files and messages."""
        return self.group.rank == 0

    def run(self) -> signal.Signals | None:
        """Train all epochs that remain, or until a signal asks to stop; return that signal.

        Raises:
            TrainingError: the loss or the gradient was not finite for PATIENCE steps in a row.
            CheckpointError: a checkpoint cannot be written.
        """
        log = TrainLog(self.folder, self.epoch) if self.speaks else None
        with StopRequest() as stop, log or nullcontext():
            while self.epoch < self.config.epochs:
                figures = self._train_epoch(stop)
                if figures is None:
                    return stop.signal or signal.SIGTERM  # another process of the group was asked
                figures |= self._validate()
                if log:
                    log.write(self.epoch, self.learner.step, figures)
                    self._save_epoch(figures)
                    self._say_epoch(figures)
                self.epoch, self.tally = self.epoch + 1, Tally()
        return None

    def resume(self) -> None:
        """Go on after the last checkpoint that is whole.

        Raises:
            CheckpointError: no checkpoint that is whole, or one that does not fit.
        """
        checkpoint, refused = load_newest(self.folder / "last")
        if refused and self.speaks:
            say(f"{refused}; going on from the checkpoint before it")
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
        if isinstance(self.task, Counting) and "task" in state:
            self.task.restore(state["task"])
        if self.speaks and state.get("processes", self.group.size) != self.group.size:
            say(
                f"{state['processes']} processes before, {self.group.size} now: the result is "
                "as good as that of a run never stopped, but not the same to the bit"
            )

    def _train_epoch(self, stop: StopRequest) -> dict[str, float] | None:
        """Train what is left of the epoch; None: a process was asked to stop, and all is saved."""
        self.task.model.train()
        batches = self.task.batches(self.epoch)
        title = f"epoch {self.epoch + 1}/{self.config.epochs}"
        bar = progress(batches[self.tally.position :], title, shown=self.speaks)
        since = time.perf_counter()
        for some in chunks(bar, self.config.accumulate):
            stopping = self.step(some, len(batches), stop.signal is not None)
            now = time.perf_counter()
            self.tally.elapsed_s += now - since
            since = now
            if stopping or now - self.saved_at_s >= self.config.checkpoint_minutes * 60:
                self._save_last(so_far=asdict(self.tally))
            if stopping:
                self._say_stopped(len(batches))
                return None
        self._save_last(so_far=asdict(self.tally))  # validation can take minutes
        return {
            **self.tally.figures(self.config.clip_norm, self.rate),
            "padding": batches.padding,
            **self.task.report(),
        }

    def step(self, batches: list[Any], epoch_batches: int, stop: bool) -> bool:
        """One step of the learner on some batches; whether any process has been asked to stop.

        All sums, like the gradient, are of whole batches: of the shares of all processes. They
        come from the device together, the only time in a step that the program waits for it.
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
        """Leave the gradient of the summed loss; return loss, tokens, amount of data, and a zero.

        Dropout follows from the seed of a batch's generator too: no random state outlives a batch.
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
        """Count a step that was not made, and name what was in it: each process its own share."""
        self.tally.skipped += 1
        self.skipped_in_a_row += 1
        own = [self.task.describe(batch) for batch in batches if batch is not None]
        names = ", ".join(own) or "an empty share"
        say(f"step {self.learner.step}: loss or gradient not finite, skipped: {names}")
        if self.skipped_in_a_row >= PATIENCE:
            raise TrainingError(
                f"{PATIENCE} steps in a row had no finite loss or gradient; lower "
                f"train.learning_rate ({self.config.learning_rate:g}), or check transcripts and "
                "audio of the utterances named; --resume goes on from the last checkpoint"
            )

    def _validate(self) -> dict[str, float]:
        """Judge the average; add the time of the epoch, and of this, to what was spent."""
        since = time.perf_counter()
        figures = {f"valid_{k}": v for k, v in self.task.validate(self.learner.average).items()}
        self.spent_s += self.tally.elapsed_s + time.perf_counter() - since
        return figures

    def _save_epoch(self, figures: dict[str, float]) -> None:
        """Save the epoch that is done, and its average as best/ if there was no better one."""
        judged = (figures["valid_error"], figures["valid_loss"])
        better = self.best is None or judged < self.best
        if better:
            self.best = judged
            average = {"model": self.learner.tensors()["average"]}
            save_checkpoint(self.folder / "best", Checkpoint(average, self._state(figures=figures)))
        self._save_last(figures=figures)

    def _save_last(self, **state: Any) -> None:
        """Save what is needed to go on; this one and the one before it are kept."""
        if self.speaks:
            checkpoint = Checkpoint(self.learner.tensors(), self._state(**state))
            save_checkpoint(self.folder / "last", checkpoint, keep=True)
        self.saved_at_s = time.perf_counter()

    def _state(self, **state: Any) -> dict[str, Any]:
        return {
            "epoch": self.epoch,
            "step": self.learner.step,
            "skipped_in_a_row": self.skipped_in_a_row,
            "best": self.best,
            "spent_s": self.spent_s,
            "processes": self.group.size,
            **({"task": self.task.state()} if isinstance(self.task, Counting) else {}),
            **state,
        }

    def _say_stopped(self, epoch_batches: int) -> None:
        if self.speaks:
            say(
                f"stopped after step {self.learner.step} (batch {self.tally.position} of "
                f"{epoch_batches} of epoch {self.epoch + 1}), saved; --resume goes on from here"
            )

    def _say_epoch(self, figures: dict[str, float]) -> None:
        done, all_epochs = self.epoch + 1, self.config.epochs
        left_min = self.spent_s / done * (all_epochs - done) / 60
        shown = "  ".join(f"{name} {value:.3g}" for name, value in figures.items())
        say(f"epoch {done}/{all_epochs}  {shown}  minutes_left {left_min:.1f}")


def chunks(items: Iterator[T], size: int) -> Iterator[list[T]]:
    """Lists of so many items; the last one can be shorter."""
    while chunk := list(islice(items, size)):
        yield chunk


def seeded(*numbers: int) -> Generator:
    """A generator whose stream follows from these numbers alone."""
    return Generator().manual_seed(int(np.random.SeedSequence(numbers).generate_state(1)[0]))

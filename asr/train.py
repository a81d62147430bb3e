"""The training loop. What is trained, and how it is judged, is the task's business.

Every epoch: batches, steps of the learner, validation of the averaged weights; the log and best/.
last/ is saved after each epoch and every few minutes within one, so that a run which was stopped at
any moment, by a signal or by SIGKILL, goes on to the very bits of one that was not.
"""

import math
import signal
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Generator, Tensor

from asr.checkpoint import Checkpoint, load_newest, save_checkpoint
from asr.config import TrainConfig
from asr.errors import CheckpointError, TrainingError
from asr.learner import Learner
from asr.parallel import Group
from asr.progress import progress, say
from asr.stopping import StopRequest
from asr.tally import Tally
from asr.task import Counting, Task
from asr.train_log import TrainLog

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
            stopping = self._step(some, len(batches), stop.signal is not None)
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

    def _step(self, batches: list[Any], epoch_batches: int, stop: bool) -> bool:
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

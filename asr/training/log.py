"""The log of a training run: log.jsonl, with one line for each epoch, curves.html, tensorboard."""

import json
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Self

from torch.utils.tensorboard import SummaryWriter

from asr._atomic import write_atomically
from asr.errors import TrainingError
from asr.reports import CurvesPage, State


@dataclass
class Tally:
    """Sums over the finished batches of an epoch, of all processes; JSON types only."""

    position: int = 0  # batches done
    loss: float = 0.0
    tokens: float = 0.0
    amount: float = 0.0  # of data learned from: seconds of audio, or tokens of text
    skipped: int = 0  # steps whose loss or gradient was not finite
    learning_rate: float = 0.0  # of the last step
    elapsed_s: float = 0.0
    norms: list[float] = field(default_factory=list)  # of the gradient, before it was clipped

    def add(self, loss: float, tokens: float, amount: float, norm: float) -> None:
        """Add the sums of one step."""
        self.loss += loss
        self.tokens += tokens
        self.amount += amount
        self.norms.append(norm)

    def figures(self, clip_norm: float, rate: str) -> dict[str, float]:
        """Return the figures for the log; `rate` names the amount of data per second."""
        norms = self.norms or [0.0]
        elapsed_s = max(self.elapsed_s, 1e-9)
        return {
            "train_loss": self.loss / max(self.tokens, 1),
            "skipped_steps": self.skipped,
            "grad_norm": median(norms),
            "grad_norm_max": max(norms),
            "clipped": sum(norm > clip_norm for norm in norms) / len(norms),
            "learning_rate": self.learning_rate,
            "seconds": elapsed_s,
            rate: self.amount / elapsed_s,
        }


class TrainLog:
    """The log of an experiment folder, continued after `done` of its epochs. Use it as a context.

    Lines of later epochs are dropped: a run that was killed between its log and its checkpoint has
    left them.
    """

    def __init__(self, folder: Path, done: int, epochs: int) -> None:
        self.path = folder / "log.jsonl"
        try:
            self.lines = self.path.read_text(encoding="utf-8").splitlines()[:done]
        except FileNotFoundError:
            self.lines = []
        self.board = SummaryWriter(str(folder), purge_step=done + 1)
        self.curves = CurvesPage(folder / "curves.html", epochs)

    def __enter__(self) -> Self:
        self._draw("running")
        return self

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        done = len(self.lines) >= self.curves.epochs
        self._draw("failed" if failure else "finished" if done else "stopped")
        with suppress(OSError):  # a full disk, which writing the checkpoint has reported already
            self.board.close()

    def write(self, epoch: int, step: int, figures: dict[str, float], spent_s: float) -> None:
        """Append the figures of an epoch, counted from 0; `spent_s` is the time of all so far.

        Raises:
            TrainingError: the disk is full, or the file cannot be written.
        """
        self.lines.append(json.dumps({"epoch": epoch + 1, "step": step, **figures}))
        try:
            write_atomically(self.path, "".join(f"{line}\n" for line in self.lines))
            for name, value in figures.items():
                self.board.add_scalar(name, value, epoch + 1)
        except OSError as error:
            raise TrainingError(
                f"{self.path}: cannot be written ({error.strerror}); make room, then --resume"
            ) from error
        left = self.curves.epochs - epoch - 1
        self._draw("running", spent_s / (epoch + 1) * left)

    def finish(self) -> None:
        """Note that no epoch will follow, be it that all are done or that patience has ended."""
        self.curves.epochs = len(self.lines)

    def _draw(self, state: State, left_s: float | None = None) -> None:
        self.curves.write([json.loads(line) for line in self.lines], state, left_s)

"""The log of a training run: log.jsonl, with a line an epoch, and the same for tensorboard."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Self

from torch.utils.tensorboard import SummaryWriter

from asr.atomic import write_atomically
from asr.errors import TrainingError


class TrainLog:
    """Goes on with the log of a folder after so many epochs. Use as a context.

    Lines of later epochs go: a run that was killed between its log and its checkpoint left them.
    """

    def __init__(self, folder: Path, epochs: int) -> None:
        self.path = folder / "log.jsonl"
        try:
            self.lines = self.path.read_text(encoding="utf-8").splitlines()[:epochs]
        except FileNotFoundError:
            self.lines = []
        self.board = SummaryWriter(str(folder), purge_step=epochs + 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # a full disk, of which the writing of a checkpoint has told
            self.board.close()

    def write(self, epoch: int, step: int, figures: dict[str, float]) -> None:
        """Append an epoch, counted from 0.

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

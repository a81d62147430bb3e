"""curves.html of asr-train: the log of a run as curves, which the page loads anew while it runs."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from asr._progress import say
from asr.reports.page import PAGES, write_page

State = Literal["running", "finished", "stopped", "failed"]


class CurvesPage:
    """A page with the curves of a run that is planned to have a number of epochs.

    It is a picture of log.jsonl, so that training goes on where it cannot be written; that is said
    once.
    """

    def __init__(self, path: Path, epochs: int) -> None:
        self.path = path
        self.epochs = epochs
        self.is_told = False  # whether it was said that the page cannot be written

    def write(
        self, lines: Sequence[Mapping[str, float]], state: State, left_s: float | None = None
    ) -> None:
        """Write the page anew.

        Args:
            lines: the figures of each epoch so far, with "epoch" and "step" among them.
            state: of the run.
            left_s: seconds until the end, if that can be told.
        """
        names = dict.fromkeys(name for line in lines for name in line)
        data = {
            "name": self.path.absolute().parent.name,
            "state": state,
            "epochs": self.epochs,
            "written": time.time(),
            "left_s": left_s,
            "figures": {
                name: np.array([line.get(name, np.nan) for line in lines], np.float32)
                for name in names
            },
        }
        try:
            write_page(self.path, PAGES / "curves.html", f"Training {data['name']}", data)
        except OSError as error:
            if not self.is_told:
                say(
                    f"{self.path}: cannot be written ({error.strerror}); training goes on, and "
                    "log.jsonl has the figures"
                )
            self.is_told = True

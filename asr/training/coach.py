"""A coach for CTC training: it watches the blank plateau, and gives advice if that lasts too long.

A CTC model first learns that tokens are rare, then how frequent each one is, and only then to
listen. Until then its best paths consist almost only of blanks, and its loss is not below the
entropy of the tokens: the loss of a model that knows their frequencies and hears nothing. For a
time this is normal. When it lasts longer, the figures of the last steps point to a likely cause,
and each cause is reported once.

Shapes: N utterances, T frames, V tokens (0 is the blank), M mel bands.
"""

import math
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn

from asr._progress import say
from asr.config import TrainConfig
from asr.data import Batch
from asr.features import frame_mask
from asr.text import BLANK
from asr.training.diagnosis import Cause, Facts, Signs, likely_cause

WATCH_STEPS = 25  # steps between two looks
PLATEAU_EMITS = 0.1  # in the plateau, a smaller share of the references' tokens is emitted

# In 24 runs of recipes/fsdd and recipes/librispeech, with batches of 30 and 120 s, the plateau
# ended between steps 100 and 200, mostly before the warm-up of the learning rate was over.
NORMAL_STEPS = 300  # after the warm-up
LISTENS = 0.95  # a model listens if its loss is below this share of the entropy of the tokens
READS = 0.9  # ... or its character error rate is below this

KEPT = ("batches", "in_plateau", "cer", "lowest_loss", "movement")  # attributes kept by a resume


@dataclass(frozen=True)
class StepSums:
    """Sums over the batches of some steps."""

    frames: float
    blanks: float  # frames whose best token is the blank
    nonblank: float  # probabilities of all other tokens, summed over frames
    emitted: float  # tokens of best paths
    tokens: float  # of references
    loss: float  # nats
    utterances: float
    constant: float  # utterances whose frames are all the same

    def as_dict(self) -> dict[str, float]:
        """Return the figures of the log."""
        return {
            "blank_rate": self.blanks / max(self.frames, 1),
            "nonblank_prob": self.nonblank / max(self.frames, 1),
            "emitted": self.emitted / max(self.tokens, 1),
        }


class Coach:
    """A watcher of the blank plateau, which gathers figures of each batch and gives advice.

    Args:
        model: the model in training.
        facts: of the training set.
        config: of the run.
        is_main: whether this process writes the messages.
    """

    def __init__(
        self, model: nn.Module, facts: Facts, config: TrainConfig, *, is_main: bool
    ) -> None:
        self.facts = facts
        self.is_main = is_main
        self.accumulate = config.accumulate
        self.enough = config.warmup_steps + NORMAL_STEPS  # steps by which a model listens
        self.planned = 0  # steps of the whole run
        self.cer = math.inf  # of the last validation
        self.told: set[Cause] = set()
        self.in_plateau = False
        self.batches = 0
        self.lowest_loss = math.inf
        self.movement = 0.0
        self._parameters = [p for p in model.parameters() if p.requires_grad]
        self._weights: Tensor | None = None  # as of the last look
        device = self._parameters[0].device
        self._window = torch.zeros(len(fields(StepSums)), dtype=torch.float64, device=device)
        self._epoch = torch.zeros_like(self._window)

    @torch.no_grad()
    def count(self, batch: Batch, log_probs: Tensor, num_frames: Tensor, loss: Tensor) -> None:
        """Count a batch: (N, T, V) log-probabilities, (N,) frames, and its summed loss in nats."""
        best = log_probs.argmax(2)  # (N, T)
        valid = frame_mask(num_frames, best.shape[1])
        blank = (best == BLANK) & valid
        new = torch.ones_like(valid)
        new[:, 1:] = best[:, 1:] != best[:, :-1]
        nonblank = (1 - log_probs[:, :, BLANK].exp()) * valid
        constant = is_constant(batch.log_mel, batch.num_frames)
        emitted = valid & ~blank & new
        utterances = torch.ones_like(constant)
        # in the order of StepSums
        parts = (valid, blank, nonblank, emitted, batch.num_tokens, loss, utterances, constant)
        self._window += torch.stack([part.sum().double() for part in parts])
        self.batches += 1
        if self.batches % (WATCH_STEPS * self.accumulate) == 0:
            self._look()

    @property
    def steps(self) -> int:
        """Steps of the optimizer so far."""
        return self.batches // self.accumulate

    def report(self) -> dict[str, float]:
        """Return the figures since the last report."""
        found = StepSums(*(self._epoch + self._window).tolist()).as_dict()
        self._epoch.zero_()
        self._window.zero_()
        return found

    def state(self) -> dict[str, Any]:
        """Return what was counted and reported, in JSON types, for `restore`."""
        return {
            **{name: getattr(self, name) for name in KEPT},
            "told": [cause.name for cause in self.told],
            "sums": [self._window.tolist(), self._epoch.tolist()],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned; the weights of the last look are not kept."""
        for name in KEPT:
            setattr(self, name, state[name])
        self.told = {Cause[name] for name in state["told"]}
        for own, kept in zip((self._window, self._epoch), state["sums"], strict=True):
            own.copy_(torch.tensor(kept, dtype=own.dtype))

    def _look(self) -> None:
        """Judge the last steps, and start a new window."""
        window = StepSums(*self._window.tolist())
        self._epoch += self._window
        self._window.zero_()
        self._tell_plateau(window.as_dict()["emitted"])
        loss = window.loss / max(window.tokens, 1)
        self.lowest_loss = min(self.lowest_loss, loss)
        self._measure_movement()
        if self._is_overdue(loss):
            self._advise(window, loss)

    def _tell_plateau(self, emitted: float) -> None:
        """Report when best paths become almost empty, and when they fill again."""
        if self.in_plateau == (emitted < PLATEAU_EMITS):
            return
        self.in_plateau = not self.in_plateau
        self._say(
            "blank plateau: almost only blanks, as usual at the start"
            if self.in_plateau
            else f"the blank plateau is over, {emitted:.0%} emitted"
        )

    def _measure_movement(self) -> None:
        """Measure how far the weights have moved since the last look."""
        weights = nn.utils.parameters_to_vector(self._parameters).detach()
        if self._weights is not None:
            moved = (weights - self._weights).norm() / self._weights.norm()
            self.movement = max(self.movement, moved.item())
        self._weights = weights

    def _is_overdue(self, loss: float) -> bool:
        """Return whether the model should listen by now, and does not."""
        late = self.steps >= min(self.enough, self.planned / 2)
        return late and loss > LISTENS * self.facts.entropy and self.cer > READS

    def _advise(self, window: StepSums, loss: float) -> None:
        """Report the likely cause of a late start, unless it was reported before."""
        signs = Signs(
            look=WATCH_STEPS,
            loss=loss,
            lowest_loss=self.lowest_loss,
            movement=self.movement,
            constant=window.constant / max(window.utterances, 1),
            fill=self.facts.fill,
            duration_s=self.facts.duration_s,
            planned=self.planned,
            enough=self.enough,
        )
        cause = likely_cause(signs)
        if cause in self.told:
            return
        self.told.add(cause)
        figures = window.as_dict()
        self._say(
            f"the model does not listen yet, later than usual: loss {loss:.2f} (entropy of the "
            f"tokens: {self.facts.entropy:.2f}), {figures['blank_rate']:.0%} blanks, other "
            f"tokens {figures['nonblank_prob']:.0%} likely. Probably "
            + cause.value.format(**vars(signs))
        )

    def _say(self, message: str) -> None:
        if self.is_main:
            say(f"step {self.steps}: {message}")


def is_constant(log_mel: Tensor, num_frames: Tensor) -> Tensor:
    """Return which utterances have only equal valid frames: (N, T, M) to bool (N,)."""
    differs = (log_mel != log_mel[:, :1]).any(2) & frame_mask(num_frames, log_mel.shape[1])
    return ~differs.any(1)

"""What learns: a model, the average of its weights, and the optimizer that moves them.

Parameters that need no gradient are frozen: neither gradient nor weight decay touches them.
"""

import copy
import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from asr.checkpoint import restore_parameters
from asr.config import TrainConfig


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

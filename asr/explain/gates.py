"""Gates and states of a recurrent network, from the equations of its cells written out.

Shapes: T' frames of one utterance, I inputs, H cells in each direction, D directions.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from asr.explain.cells import GruStep, RnnStep, gru_step, rnn_step, unrolled
from asr.lstm import LstmStep, LstmWeights, RecurrentLayer, RecurrentStack, lstm_reference

DIRECTIONS = ("forward", "backward")
HIDDEN = "hidden_state"
KEEPING = ("forget_gate", "update_gate")  # of LSTM and GRU: the share of old content that is kept


@dataclass(frozen=True, eq=False)
class Trace:
    """The gates and states of one direction of one layer, in the order of the recording."""

    layer: int  # 1 is the lowest
    direction: str  # of DIRECTIONS
    values: dict[str, NDArray[np.float32]]  # (T', H), by the names of LstmStep, GruStep, RnnStep

    @property
    def kept(self) -> NDArray[np.float32] | None:
        """The gate (T', H) that says how much of the old content is kept, if there is one."""
        return next((self.values[name] for name in KEEPING if name in self.values), None)


def trace_network(network: RecurrentStack, frames: Tensor) -> tuple[list[Trace], Tensor]:
    """Run a network step by step over one utterance.

    Every cell is run by `lstm_step`, `gru_step` or `rnn_step`, and each layer reads what the layer
    below gave so.

    Args:
        network: in evaluation mode, so that there is no dropout.
        frames: float (T', I).

    Returns:
        The traces, of the lowest layer first, and the network's outputs (T', D * H).
    """
    traces: list[Trace] = []
    with torch.no_grad():
        for number, layer in enumerate(network.layers, 1):
            assert isinstance(layer, RecurrentLayer)
            found = [_run(cell, frames, bool(d)) for d, cell in enumerate(layer.directions)]
            frames = layer.norm(torch.cat([values[HIDDEN] for values in found], dim=1))
            traces += [
                Trace(number, direction, {name: value.numpy() for name, value in values.items()})
                for direction, values in zip(DIRECTIONS, found, strict=False)
            ]
    return traces, frames


def _run(cell: nn.Module, frames: Tensor, backward: bool) -> dict[str, Tensor]:
    """Run one direction over (T', I) frames; return (T', H) of each gate and state."""
    steps = _steps(cell, (frames.flip(0) if backward else frames)[None])
    names = [field.name for field in fields(steps[0])]
    values = {name: torch.cat([getattr(step, name) for step in steps]) for name in names}
    return {name: value.flip(0) if backward else value for name, value in values.items()}


def _steps(cell: nn.Module, frames: Tensor) -> Sequence[LstmStep | GruStep | RnnStep]:
    """Return the steps of a cell over (1, T', I) frames, from a zero state."""
    if isinstance(cell, nn.LSTM):
        return lstm_reference(frames, LstmWeights.of(cell))
    if isinstance(cell, nn.GRU):
        return unrolled(partial(gru_step, gru=cell), frames, cell.hidden_size)
    assert isinstance(cell, nn.RNN)
    return unrolled(partial(rnn_step, rnn=cell), frames, cell.hidden_size)


def half_lives_ms(kept: NDArray[np.float32], frame_shift_ms: float) -> NDArray[np.float64]:
    """Return the time in which each cell loses half of its content, (H,), in ms.

    It is ln(1/2) / ln(mean) frames: content is multiplied in each frame by the gate `kept` (T', H).
    A mean of 1 is taken as 1 - 1e-6, so that the time is finite.
    """
    mean = np.clip(kept.mean(axis=0, dtype=np.float64), 1e-6, 1 - 1e-6)
    lives: NDArray[np.float64] = np.log(0.5) / np.log(mean) * frame_shift_ms
    return lives

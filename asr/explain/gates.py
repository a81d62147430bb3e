"""Gates and states of a recurrent network, from the equations written out in asr/lstm.py.

Shapes: T' frames of one utterance, I inputs, H cells in each direction, D directions.
"""

from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from asr.lstm import LstmStep, LstmWeights, RecurrentLayer, RecurrentStack, lstm_reference

DIRECTIONS = ("forward", "backward")
HIDDEN = "hidden_state"
_GATES = tuple(field.name for field in fields(LstmStep))


@dataclass(frozen=True, eq=False)
class Trace:
    """The gates and states of one direction of one layer, in the order of the recording."""

    layer: int  # 1 is the lowest
    direction: str  # of DIRECTIONS
    values: dict[str, NDArray[np.float32]]  # (T', H), by the names of LstmStep


def trace_network(network: RecurrentStack, frames: Tensor) -> tuple[list[Trace], Tensor]:
    """Run a network step by step over one utterance.

    Every LSTM is run by `lstm_step`, and each layer reads what the layer below gave so. GRU and
    plain recurrent cells have no written-out form here: they are run by torch, and have hidden
    states alone.

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
    inputs = frames.flip(0) if backward else frames
    if isinstance(cell, nn.LSTM):
        steps = lstm_reference(inputs[None], LstmWeights.of(cell))
        values = {name: torch.cat([getattr(step, name) for step in steps]) for name in _GATES}
    else:
        values = {HIDDEN: cell(inputs[:, None])[0][:, 0]}
    return {name: value.flip(0) if backward else value for name, value in values.items()}


def half_lives_ms(forget_gate: NDArray[np.float32], frame_shift_ms: float) -> NDArray[np.float64]:
    """Return the time in which each cell loses half of its content, (H,), in ms.

    It is ln(1/2) / ln(mean f) frames: content is multiplied by f in each frame. A mean forget gate
    of 1 is taken as 1 - 1e-6, so that the time is finite.
    """
    mean = np.clip(forget_gate.mean(axis=0, dtype=np.float64), 1e-6, 1 - 1e-6)
    lives: NDArray[np.float64] = np.log(0.5) / np.log(mean) * frame_shift_ms
    return lives

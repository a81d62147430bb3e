"""The GRU and the plain recurrent cell, written out as `asr.lstm.lstm_step` writes out the LSTM.

The GRU has no cell state: its hidden state is at once what it remembers and what it shows. The
update gate says how much of it is kept, as the forget gate of the LSTM does for the cell state. The
plain cell computes its whole state anew in each step.

Sources: Cho et al. 2014, 'Learning phrase representations using RNN encoder-decoder', in the form
of torch.nn.GRU, where z keeps the old state and r acts behind the recurrent weights; Elman 1990,
'Finding structure in time'.

Shapes: N utterances, T frames, I inputs, H hidden cells. Tensors are batch first.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class GruStep:
    """The gates and states of one time step of a GRU, each float (N, H)."""

    reset_gate: Tensor
    update_gate: Tensor
    candidate: Tensor
    hidden_state: Tensor


@dataclass(frozen=True)
class RnnStep:
    """The state of one time step of a plain recurrent cell, float (N, H)."""

    hidden_state: Tensor


SimpleStep = TypeVar("SimpleStep", GruStep, RnnStep)


def gru_step(frame: Tensor, hidden: Tensor, gru: nn.GRU) -> GruStep:
    """Read a frame (N, I), given the hidden state (N, H) of the step before."""
    named = gru.get_parameter
    new = frame @ named("weight_ih_l0").T + named("bias_ih_l0")  # (N, 3H)
    old = hidden @ named("weight_hh_l0").T + named("bias_hh_l0")
    (r_new, z_new, n_new), (r_old, z_old, n_old) = new.chunk(3, dim=1), old.chunk(3, dim=1)
    reset_gate = torch.sigmoid(r_new + r_old)
    update_gate = torch.sigmoid(z_new + z_old)
    candidate = torch.tanh(n_new + reset_gate * n_old)
    hidden_state = update_gate * hidden + (1 - update_gate) * candidate
    return GruStep(reset_gate, update_gate, candidate, hidden_state)


def rnn_step(frame: Tensor, hidden: Tensor, rnn: nn.RNN) -> RnnStep:
    """Read a frame (N, I), given the hidden state (N, H) of the step before."""
    named = rnn.get_parameter
    new = frame @ named("weight_ih_l0").T + named("bias_ih_l0")  # (N, H)
    return RnnStep(torch.tanh(new + hidden @ named("weight_hh_l0").T + named("bias_hh_l0")))


def unrolled(
    step: Callable[[Tensor, Tensor], SimpleStep], frames: Tensor, hidden_size: int
) -> list[SimpleStep]:
    """Read (N, T, I) frames one after another, from a zero state; return the T steps."""
    hidden = frames.new_zeros(len(frames), hidden_size)
    steps = []
    for frame in frames.unbind(1):
        steps.append(step(frame, hidden))
        hidden = steps[-1].hidden_state
    return steps

"""The LSTM twice: written out gate by gate to read and explain, and fast and exact to train.

The reference (`lstm_step`, `lstm_reference`) follows Graves, Mohamed and Hinton 2013, 'Speech
recognition with deep recurrent neural networks', equations 3 to 7, without peephole weights, and
keeps every intermediate. Weights have the layout of torch.nn.LSTM: rows i, f, g, o.

The fast layers run one recurrent network in each direction, the backward one on input reversed
within each utterance's length: nothing ever reads padding, so no packing is needed, and both the
CPU's (oneDNN) and the GPU's (cuDNN) fused kernels can be used.

Shapes: N utterances, T frames, I inputs, H hidden cells, D directions. Batch first; inside a layer
the kernels run time first, which they prefer.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import dropout

from asr.config import ModelConfig
from asr.features import mask_frames
from asr.front import stack_frames

CELLS = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}


@dataclass(frozen=True)
class LstmStep:
    """All values of one time step, each float (N, H)."""

    input_gate: Tensor
    forget_gate: Tensor
    candidate: Tensor
    output_gate: Tensor
    cell_state: Tensor
    hidden_state: Tensor


@dataclass(frozen=True)
class LstmWeights:
    """Weights of one direction: (4H, I), (4H, H) and the sum of both biases (4H,)."""

    input: Tensor
    recurrent: Tensor
    bias: Tensor

    @classmethod
    def of(cls, lstm: nn.LSTM) -> "LstmWeights":
        """The weights of a one-layer, one-direction torch.nn.LSTM."""
        named = lstm.get_parameter
        bias = named("bias_ih_l0") + named("bias_hh_l0")
        return cls(named("weight_ih_l0"), named("weight_hh_l0"), bias)


def lstm_step(frame: Tensor, hidden: Tensor, cell: Tensor, weights: LstmWeights) -> LstmStep:
    """One step: frame (N, I), previous hidden and cell state (N, H)."""
    sums = frame @ weights.input.T + hidden @ weights.recurrent.T + weights.bias  # (N, 4H)
    i, f, g, o = sums.chunk(4, dim=1)
    input_gate = torch.sigmoid(i)
    forget_gate = torch.sigmoid(f)
    candidate = torch.tanh(g)
    output_gate = torch.sigmoid(o)
    cell_state = forget_gate * cell + input_gate * candidate
    hidden_state = output_gate * torch.tanh(cell_state)
    return LstmStep(input_gate, forget_gate, candidate, output_gate, cell_state, hidden_state)


def lstm_reference(frames: Tensor, weights: LstmWeights) -> list[LstmStep]:
    """Run (N, T, I) frames from a zero state; return the T steps."""
    hidden = cell = frames.new_zeros(frames.shape[0], weights.recurrent.shape[1])
    steps = []
    for frame in frames.unbind(1):
        step = lstm_step(frame, hidden, cell, weights)
        hidden, cell = step.hidden_state, step.cell_state
        steps.append(step)
    return steps


def reverse_within(frames: Tensor, num_frames: Tensor) -> Tensor:
    """Reverse (N, T, I) in time within each utterance's length; padding stays where it is."""
    time = torch.arange(frames.shape[1], device=frames.device)
    last = num_frames[:, None] - 1
    index = torch.where(time <= last, last - time, time)  # (N, T)
    return frames.gather(1, index.unsqueeze(2).expand_as(frames))


class RecurrentLayer(nn.Module):
    """One layer: the recurrent network each way, then projection, normalisation and residual."""

    def __init__(self, inputs: int, config: ModelConfig) -> None:
        super().__init__()
        directions = 2 if config.bidirectional else 1
        cell = CELLS[config.cell]
        self.directions = nn.ModuleList(cell(inputs, config.hidden) for _ in range(directions))
        width = config.hidden * directions
        self.outputs = config.projection or width
        self.projection = nn.Linear(width, self.outputs) if config.projection else nn.Identity()
        self.norm = nn.LayerNorm(self.outputs) if config.layer_norm else nn.Identity()
        self.residual = config.residual and inputs == self.outputs
        self.weight_drop = config.weight_drop
        if config.cell == "lstm":
            self._set_forget_bias(config.hidden, config.forget_bias)

    def _set_forget_bias(self, hidden: int, value: float) -> None:
        """Start by remembering (Gers et al. 2000); torch adds two biases, one of them is zeroed."""
        for lstm in self.directions:
            with torch.no_grad():
                lstm.get_parameter("bias_ih_l0")[hidden : 2 * hidden] = value
                lstm.get_parameter("bias_hh_l0")[hidden : 2 * hidden] = 0.0

    def forward(self, frames: Tensor, num_frames: Tensor) -> Tensor:
        """(N, T, I) frames, int64 (N,) valid frames; returns (N, T, outputs), padding zero."""
        streams = [self._run(0, frames)]
        if len(self.directions) == 2:
            backward = self._run(1, reverse_within(frames, num_frames))
            streams.append(reverse_within(backward, num_frames))
        hidden = self.norm(self.projection(torch.cat(streams, dim=2)))  # (N, T, D*H) -> outputs
        if self.residual:
            hidden = hidden + frames
        return mask_frames(hidden, num_frames)

    def _run(self, direction: int, frames: Tensor) -> Tensor:
        network, frames = self.directions[direction], frames.transpose(0, 1)
        output: Tensor
        if self.training and self.weight_drop:
            output = functional_call(network, self._dropped(network), frames)[0]
        else:
            output = network(frames)[0]
        return output.transpose(0, 1)

    def _dropped(self, network: nn.Module) -> dict[str, Tensor]:
        """Recurrent weights, some of them hidden: dropout that leaves the cells' memory alone.

        Source: Merity, Keskar and Socher 2018, 'Regularizing and optimizing LSTM language models'.
        """
        named = network.named_parameters()
        recurrent = {name: weight for name, weight in named if name.startswith("weight_hh")}
        return {name: dropout(weight, self.weight_drop) for name, weight in recurrent.items()}


class VariationalDropout(nn.Dropout1d):
    """Dropout that hides the same cells in all frames of an utterance.

    Source: Gal and Ghahramani 2016, 'A theoretically grounded application of dropout in recurrent
    neural networks'.
    """

    def forward(self, hidden: Tensor) -> Tensor:
        """(N, T, H) to as many."""
        return super().forward(hidden.transpose(1, 2)).transpose(1, 2)


class RecurrentStack(nn.Module):
    """The deep network: recurrent layers, time reduction between them."""

    def __init__(self, inputs: int, config: ModelConfig) -> None:
        super().__init__()
        self.reduce_after = config.reduce_after
        kind = VariationalDropout if config.variational_dropout else nn.Dropout
        self.dropout = kind(config.dropout)
        self.layers = nn.ModuleList()
        width = inputs
        for number in range(1, config.layers + 1):
            layer = RecurrentLayer(width, config)
            self.layers.append(layer)
            width = layer.outputs * (2 if number in config.reduce_after else 1)
        self.outputs = width

    def forward(self, hidden: Tensor, num_frames: Tensor) -> tuple[Tensor, Tensor]:
        """(N, T, I) frames to (N, T', outputs) and the int64 (N,) valid frames of each."""
        for number, layer in enumerate(self.layers, start=1):
            hidden = layer(hidden, num_frames)
            if number in self.reduce_after:
                hidden, num_frames = stack_frames(hidden, num_frames, 2)
            hidden = self.dropout(hidden)
        return hidden, num_frames

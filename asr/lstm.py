"""The LSTM, twice: gate by gate, to be read and explained, and as fast layers, to be trained.

The cell (`lstm_step`, `lstm_reference`) follows Graves, Mohamed and Hinton 2013, 'Speech
recognition with deep recurrent neural networks', equations 3 to 7, without peephole weights. Its
state is a sum: while the forget gate is near 1, old content and its gradient pass many steps
undiminished, where those of a plain recurrent network vanish (Hochreiter and Schmidhuber 1997).

The layers (`RecurrentLayer`, `RecurrentStack`) read each utterance in both directions. The backward
network gets its frames reversed within the utterance's own length, so that neither direction reads
padding before a valid frame. No packing is needed, and fused kernels run (oneDNN, cuDNN).

Shapes: N utterances, T frames, I inputs, H hidden cells, D directions. Tensors are batch first; the
kernels inside a layer run time first, which is faster.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from asr.config import ModelConfig
from asr.features import mask_frames

CELLS = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}


@dataclass(frozen=True)
class LstmStep:
    """The gates and states of one time step, each float (N, H)."""

    input_gate: Tensor
    forget_gate: Tensor
    candidate: Tensor
    output_gate: Tensor
    cell_state: Tensor
    hidden_state: Tensor


@dataclass(frozen=True)
class LstmWeights:
    """The weights of one direction; their rows belong to i, f, g, o, as in torch.nn.LSTM."""

    input: Tensor  # (4H, I)
    recurrent: Tensor  # (4H, H)
    bias: Tensor  # (4H,), the sum of torch's two

    @classmethod
    def of(cls, lstm: nn.LSTM) -> "LstmWeights":
        """Return the weights of a torch.nn.LSTM of one layer and one direction."""
        named = lstm.get_parameter
        bias = named("bias_ih_l0") + named("bias_hh_l0")
        return cls(named("weight_ih_l0"), named("weight_hh_l0"), bias)


def lstm_step(frame: Tensor, hidden: Tensor, cell: Tensor, weights: LstmWeights) -> LstmStep:
    """Read a frame (N, I), given the hidden and the cell state (N, H) of the step before."""
    sums = frame @ weights.input.T + hidden @ weights.recurrent.T + weights.bias  # (N, 4H)
    i, f, g, o = sums.chunk(4, dim=1)
    input_gate = torch.sigmoid(i)
    forget_gate = torch.sigmoid(f)
    candidate = torch.tanh(g)
    output_gate = torch.sigmoid(o)
    cell_state = forget_gate * cell + input_gate * candidate  # keep some of the old, add some new
    hidden_state = output_gate * torch.tanh(cell_state)
    return LstmStep(input_gate, forget_gate, candidate, output_gate, cell_state, hidden_state)


def lstm_reference(frames: Tensor, weights: LstmWeights) -> list[LstmStep]:
    """Run over (N, T, I) frames from a zero state; return the T steps."""
    hidden = cell = frames.new_zeros(frames.shape[0], weights.recurrent.shape[1])
    steps = []
    for frame in frames.unbind(1):
        step = lstm_step(frame, hidden, cell, weights)
        hidden, cell = step.hidden_state, step.cell_state
        steps.append(step)
    return steps


def reverse_within(frames: Tensor, num_frames: Tensor) -> Tensor:
    """Reverse (N, T, I) frames in time within int64 (N,) lengths; padding stays where it is."""
    time = torch.arange(frames.shape[1], device=frames.device)
    last = num_frames[:, None] - 1
    index = torch.where(time <= last, last - time, time)  # (N, T)
    return frames.gather(1, index.unsqueeze(2).expand_as(frames))


class RecurrentLayer(nn.Module):
    """A layer of one or two directions, followed by layer normalisation if configured."""

    def __init__(self, inputs: int, config: ModelConfig) -> None:
        super().__init__()
        directions = 2 if config.bidirectional else 1
        cell = CELLS[config.cell]
        self.directions = nn.ModuleList(cell(inputs, config.hidden) for _ in range(directions))
        self.outputs = config.hidden * directions
        self.norm = nn.LayerNorm(self.outputs) if config.layer_norm else nn.Identity()
        if config.cell == "lstm":
            self._set_forget_bias(config.hidden, config.forget_bias)

    def _set_forget_bias(self, hidden: int, value: float) -> None:
        """Let every cell remember at first (Gers et al. 2000); torch adds two biases, one is 0."""
        for lstm in self.directions:
            with torch.no_grad():
                lstm.get_parameter("bias_ih_l0")[hidden : 2 * hidden] = value
                lstm.get_parameter("bias_hh_l0")[hidden : 2 * hidden] = 0.0

    def forward(self, frames: Tensor, num_frames: Tensor) -> Tensor:
        """Run over (N, T, I) frames, int64 (N,) valid; return (N, T, D * H), zero in padding."""
        streams = [self._run(0, frames)]
        if len(self.directions) == 2:
            backward = self._run(1, reverse_within(frames, num_frames))
            streams.append(reverse_within(backward, num_frames))
        hidden = self.norm(torch.cat(streams, dim=2))  # (N, T, D * H)
        return mask_frames(hidden, num_frames)

    def _run(self, direction: int, frames: Tensor) -> Tensor:
        """Run one direction over (N, T, I) frames; return (N, T, H)."""
        output: Tensor = self.directions[direction](frames.transpose(0, 1))[0]
        return output.transpose(0, 1)


class RecurrentStack(nn.Module):
    """A deep network: each recurrent layer reads the outputs of the one below, after dropout."""

    def __init__(self, inputs: int, config: ModelConfig) -> None:
        super().__init__()
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList()
        self.outputs = inputs
        for _ in range(config.layers):
            layer = RecurrentLayer(self.outputs, config)
            self.layers.append(layer)
            self.outputs = layer.outputs

    def forward(self, hidden: Tensor, num_frames: Tensor) -> Tensor:
        """Run all layers over (N, T, I) frames, int64 (N,) valid; return (N, T, outputs)."""
        for layer in self.layers:
            hidden = self.dropout(layer(hidden, num_frames))
        return hidden

"""The written-out LSTM against torch.nn.LSTM, the fast stack against packed sequences."""

import math

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from asr.config import ModelConfig
from asr.lstm import (
    CELLS,
    LstmWeights,
    RecurrentStack,
    lstm_reference,
    reverse_within,
)

LENGTHS = torch.tensor([9, 1, 6, 4])
PLAIN = {"dropout": 0.0, "layers": 2, "hidden": 5}
INPUTS = 7


def random_frames(lengths: Tensor = LENGTHS, padding: float = 0.0) -> Tensor:
    """(N, T, I) frames, with a value of choice in the padding."""
    generator = torch.Generator().manual_seed(3)
    frames = torch.randn(len(lengths), int(lengths.max()), INPUTS, generator=generator)
    for row, length in zip(frames, lengths, strict=True):
        row[length:] = padding
    return frames


def seeded_stack(**changes: object) -> RecurrentStack:
    torch.manual_seed(0)
    return RecurrentStack(INPUTS, ModelConfig(**{**PLAIN, **changes}))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_reference_equals_torch(dtype: torch.dtype):
    torch.manual_seed(0)
    lstm = nn.LSTM(INPUTS, 5, batch_first=True).to(dtype)
    frames = random_frames().to(dtype)
    outputs, (hidden, cell) = lstm(frames)
    steps = lstm_reference(frames, LstmWeights.of(lstm))
    ours = torch.stack([step.hidden_state for step in steps], dim=1)
    torch.testing.assert_close(ours, outputs, atol=1e-6, rtol=0)
    torch.testing.assert_close(steps[-1].hidden_state, hidden[0], atol=1e-6, rtol=0)
    torch.testing.assert_close(steps[-1].cell_state, cell[0], atol=1e-6, rtol=0)


def test_reference_by_hand():
    # One cell, weights 1, no bias, input 0 then 1: each gate is sigmoid or tanh of known sums.
    one = torch.ones(4, 1, dtype=torch.float64)
    weights = LstmWeights(one, one, torch.zeros(4, dtype=torch.float64))
    first, second = lstm_reference(torch.tensor([[[0.0], [1.0]]], dtype=torch.float64), weights)
    assert first.input_gate.item() == first.forget_gate.item() == first.output_gate.item() == 0.5
    assert first.candidate.item() == first.cell_state.item() == first.hidden_state.item() == 0.0
    sigmoid, tanh = 0.7310585786300049, 0.7615941559557649  # of 1
    assert second.input_gate.item() == pytest.approx(sigmoid, abs=1e-12)
    assert second.candidate.item() == pytest.approx(tanh, abs=1e-12)
    assert second.cell_state.item() == pytest.approx(sigmoid * tanh, abs=1e-12)
    hidden = sigmoid * math.tanh(sigmoid * tanh)
    assert second.hidden_state.item() == pytest.approx(hidden, abs=1e-12)


def packed_twin(stack: RecurrentStack, cell: str, bidirectional: bool) -> nn.Module:
    """A torch network with the weights of a plain stack."""
    twin = CELLS[cell](INPUTS, 5, len(stack.layers), batch_first=True, bidirectional=bidirectional)
    with torch.no_grad():
        for number, layer in enumerate(stack.layers):
            for network, suffix in zip(layer.directions, ("", "_reverse"), strict=False):
                for name, weight in network.named_parameters():
                    getattr(twin, name.replace("l0", f"l{number}") + suffix).copy_(weight)
    return twin


def gradients_by_twin_name(stack: RecurrentStack) -> dict[str, Tensor]:
    return {
        name.replace("l0", f"l{number}") + suffix: weight.grad
        for number, layer in enumerate(stack.layers)
        for network, suffix in zip(layer.directions, ("", "_reverse"), strict=False)
        for name, weight in network.named_parameters()
    }


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_equals_packed_sequences_in_outputs_and_gradients(cell: str, bidirectional: bool):
    stack = seeded_stack(cell=cell, bidirectional=bidirectional)
    twin = packed_twin(stack, cell, bidirectional)
    frames = random_frames().requires_grad_()
    copy = frames.detach().clone().requires_grad_()
    packed = pack_padded_sequence(copy, LENGTHS, batch_first=True, enforce_sorted=False)
    theirs, _ = pad_packed_sequence(twin(packed)[0], batch_first=True)
    ours = stack(frames, LENGTHS)
    close = {"atol": 1e-5, "rtol": 1e-5}
    torch.testing.assert_close(ours, theirs, **close)

    weights = torch.randn(ours.shape, generator=torch.Generator().manual_seed(1))
    (ours * weights).sum().backward()
    (theirs * weights).sum().backward()
    torch.testing.assert_close(frames.grad, copy.grad, **close)
    ours_by_name = gradients_by_twin_name(stack)
    assert ours_by_name.keys() == dict(twin.named_parameters()).keys()
    for name, weight in twin.named_parameters():
        torch.testing.assert_close(ours_by_name[name], weight.grad, **close)


EVERYTHING = {"layer_norm": True, "layers": 3}


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_batch_gives_what_each_gives_alone(cell: str):
    network = seeded_stack(cell=cell, **EVERYTHING)
    frames = random_frames()
    together = network(frames, LENGTHS)
    for i, length in enumerate(LENGTHS.tolist()):
        alone = network(frames[i : i + 1, :length], LENGTHS[i : i + 1])
        assert alone.shape[1] == length
        torch.testing.assert_close(together[i, :length], alone[0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_what_stands_in_the_padding_is_not_read(cell: str):
    network = seeded_stack(cell=cell, **EVERYTHING)
    clean = network(random_frames(), LENGTHS)
    dirty = network(random_frames(padding=1e6), LENGTHS)
    for i, count in enumerate(LENGTHS.tolist()):
        torch.testing.assert_close(dirty[i, :count], clean[i, :count])
        assert not clean[i, count:].any()


@settings(max_examples=30)
@given(st.lists(st.integers(0, 8), min_size=1, max_size=4))
def test_reversing_within_lengths_twice_changes_nothing(lengths: list[int]):
    frames, counts = torch.arange(len(lengths) * 16.0).reshape(-1, 8, 2), torch.tensor(lengths)
    reversed_once = reverse_within(frames, counts)
    for row, turned, count in zip(frames, reversed_once, lengths, strict=True):
        assert torch.equal(turned, torch.cat([row[:count].flip(0), row[count:]]))
    assert torch.equal(reverse_within(reversed_once, counts), frames)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("cell", "gru"),
        ("layers", 3),
        ("hidden", 6),
        ("bidirectional", False),
        ("layer_norm", True),
        ("dropout", 0.5),
        ("forget_bias", 3.0),
    ],
)
def test_every_key_changes_the_outputs(key: str, value: object):
    default = seeded_stack().train()(random_frames(), LENGTHS)
    changed = seeded_stack(**{key: value}).train()(random_frames(), LENGTHS)
    assert default.shape != changed.shape or not torch.allclose(default, changed)


def test_sizes():
    assert seeded_stack(hidden=5).outputs == 10
    assert seeded_stack(hidden=5, bidirectional=False).outputs == 5


def test_layer_norm_gives_mean_0_and_variance_1():
    output = seeded_stack(layer_norm=True)(random_frames(), LENGTHS)
    valid = output[0]
    torch.testing.assert_close(valid.mean(1), torch.zeros(9), atol=1e-5, rtol=0)
    torch.testing.assert_close(valid.var(1, correction=0), torch.ones(9), atol=1e-2, rtol=0)


def test_dropout_acts_in_training_only():
    stack = seeded_stack(dropout=0.5)
    first = stack(random_frames(), LENGTHS)
    second = stack(random_frames(), LENGTHS)
    assert not torch.equal(first, second)
    assert 0.2 < (first[0] == 0).float().mean() < 0.8
    stack.eval()
    assert torch.equal(stack(random_frames(), LENGTHS), stack(random_frames(), LENGTHS))


def test_forget_gates_start_with_the_bias_asked_for():
    for network in seeded_stack(forget_bias=2.5).layers[0].directions:
        bias = LstmWeights.of(network).bias
        assert bias[5:10].tolist() == [2.5] * 5
        assert bias[:5].abs().max() < 1  # the other gates keep torch's small random values

"""The written-out cell, run over trained weights, against the fast network."""

import numpy as np
import pytest
import torch
from folders import ENGLISH, SAMPLES
from networks import MODELS, make_model, random_features

from asr.audio import read_audio
from asr.checkpoint import load_acoustic_model
from asr.explain import trace_network
from asr.explain.gates import half_lives_ms
from asr.model import AcousticModel

GATES = {
    "lstm": {
        "input_gate",
        "forget_gate",
        "candidate",
        "output_gate",
        "cell_state",
        "hidden_state",
    },
    "gru": {"reset_gate", "update_gate", "candidate", "hidden_state"},
    "rnn": {"hidden_state"},
}


def both_ways(model: AcousticModel, features: torch.Tensor) -> tuple[list, torch.Tensor]:
    """Compare the network's outputs, step by step, with the fast ones; return traces, outputs."""
    with torch.no_grad():
        frames, counts = model.front(features[None], torch.tensor([len(features)]))
        fast = model.network(frames, counts)[0]
    traces, outputs = trace_network(model.network, frames[0])
    torch.testing.assert_close(outputs, fast, atol=1e-5, rtol=0)
    return traces, outputs


@pytest.mark.parametrize("name", MODELS)
def test_gates_give_the_outputs_of_the_fast_network(name: str):
    model = make_model(MODELS[name])
    config = model.config.model
    traces, _ = both_ways(model, random_features(model, 32))
    ways = ["forward", "backward"] if config.bidirectional else ["forward"]
    assert [(trace.layer, trace.direction) for trace in traces] == [
        (layer, way) for layer in range(1, config.layers + 1) for way in ways
    ]
    for trace in traces:
        assert trace.values.keys() == GATES[config.cell]
        assert all(v.shape == (-(-32 // config.stack), 12) for v in trace.values.values())


def test_gates_of_the_english_model_give_its_log_probs():
    model, _ = load_acoustic_model(ENGLISH)
    waveform = torch.tensor(read_audio(SAMPLES / "quickstart.flac").waveform)
    with torch.no_grad():
        features = model.frontend(waveform[None], torch.tensor([len(waveform)]))[0][0]
        expected, _ = model.outputs(features[None], torch.tensor([len(features)]))
    _, outputs = both_ways(model, features)
    for layer, log_probs in zip((model.output, model.phone_output), expected, strict=True):
        with torch.no_grad():
            found = layer(outputs).log_softmax(dim=1)
        torch.testing.assert_close(found.exp(), log_probs[0].exp(), atol=1e-5, rtol=0)


def test_a_backward_direction_is_in_the_order_of_the_recording():
    """The first step of the backward network, from a zero state, is the last frame."""
    model = make_model({"layers": 1, "stack": 1})
    (_, backward), _ = trace_network(model.network, random_features(model, 9))
    values = backward.values
    np.testing.assert_allclose(
        values["cell_state"][-1], values["input_gate"][-1] * values["candidate"][-1], rtol=1e-6
    )
    kept = values["forget_gate"][3] * values["cell_state"][4]
    added = values["input_gate"][3] * values["candidate"][3]
    np.testing.assert_allclose(values["cell_state"][3], kept + added, rtol=1e-5, atol=1e-7)


def test_what_a_gru_keeps_and_what_it_adds():
    model = make_model(MODELS["gru"] | {"layers": 1, "stack": 1})
    (forward, _), _ = trace_network(model.network, random_features(model, 9))
    values = forward.values
    keep = values["update_gate"]
    np.testing.assert_allclose(
        values["hidden_state"][5],
        keep[5] * values["hidden_state"][4] + (1 - keep[5]) * values["candidate"][5],
        rtol=1e-5,
        atol=1e-7,
    )
    assert forward.kept is keep


def test_half_lives():
    gates = np.array([[0.5, 0.25, 1.0], [0.5, 0.25, 1.0]], np.float32)
    lives = half_lives_ms(gates, 30.0)
    np.testing.assert_allclose(lives[:2], [30.0, 15.0])
    assert np.isfinite(lives[2]) and lives[2] > 1e6

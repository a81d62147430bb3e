"""Reach: gradients against finite differences, and the distance at which they fall to 1/100."""

import numpy as np
import pytest
import torch
from networks import MODELS, make_model, random_features

from asr.config import ModelConfig
from asr.explain import Reach, gradient_norms

STEP = 1e-5


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("output", [0, 1])
def test_gradients_are_finite_differences(name: str, output: int):
    model = make_model(MODELS[name], num_phones=4).double()
    features = random_features(model, 10).double()
    last = -(-10 // model.config.model.stack) - 1
    tokens, norms = gradient_norms(model, features, [0, last], output)
    assert norms.shape == (2, 10)

    def log_prob(changed: torch.Tensor, frame: int, token: int) -> float:
        with torch.no_grad():
            found = model.outputs(changed[None], torch.tensor([10]))[0][output]
        if changed is features:
            assert int(found[0, frame, 1:].argmax()) + 1 == token
        return float(found[0, frame, token])

    for row, (frame, token) in enumerate(zip([0, last], tokens.tolist(), strict=True)):
        assert token != 0
        log_prob(features, frame, token)
        slopes = np.zeros(features.shape)
        for place in np.ndindex(*features.shape):
            up, down = features.clone(), features.clone()
            up[place] += STEP
            down[place] -= STEP
            slopes[place] = (log_prob(up, frame, token) - log_prob(down, frame, token)) / 2 / STEP
        expected = np.sqrt((slopes**2).sum(axis=1))
        np.testing.assert_allclose(norms[row], expected, rtol=1e-4, atol=1e-8)


def test_frames_in_several_batches_do_not_mix():
    model = make_model({})
    features = random_features(model, 40)
    tokens, norms = gradient_norms(model, features, list(range(13)))
    for frame in (0, 7, 8, 12):
        alone = gradient_norms(model, features, [frame])
        assert alone[0] == tokens[frame]
        np.testing.assert_allclose(norms[frame], alone[1][0], rtol=1e-3, atol=1e-8)


def test_a_forward_network_hears_nothing_that_comes_later():
    model = make_model(MODELS["forward"])
    _, norms = gradient_norms(model, random_features(model, 30), [4])
    assert (norms[0, : 5 * 3] > 0).all()
    assert not norms[0, 5 * 3 :].any()


def reach_of(norms: np.ndarray, frames: list[int], shift_ms: float = 10.0) -> Reach:
    tokens = ("A",) * len(frames)
    config, places = ModelConfig(stack=1), np.array(frames)
    return Reach("m", config, places, tokens, norms.astype(np.float32), shift_ms, shift_ms)


@pytest.mark.parametrize(("before", "after"), [(5.0, 20.0), (8.0, 8.0)])
def test_exponentials_end_where_they_should(before: float, after: float):
    """Smoothing keeps the slope, and lowers the peak: by no more than half its window, 50 ms."""
    frames = [150, 200, 260, 280]
    distance = np.arange(400) - np.array(frames)[:, None]
    norms = np.exp(np.where(distance < 0, distance / before, -distance / after))
    norms *= np.array([[1.0], [50.0], [1e-3], [7.0]])  # frames count alike
    found = reach_of(norms, frames).ends_ms()
    ends = np.log(100) * np.array([before, after]) * 10
    np.testing.assert_allclose(found, ends, atol=50)


def test_reach_that_never_ends_has_no_distance():
    flat = np.ones((3, 50))
    assert reach_of(flat, [20, 25, 30]).ends_ms() == (None, None)
    half = np.where(np.arange(50) > np.array([20, 25, 30])[:, None], 0.0, 1.0)
    before, after = reach_of(half, [20, 25, 30]).ends_ms()
    assert before is None
    assert after is not None and after <= 20


def test_a_frame_of_output_stands_in_the_middle_of_its_input():
    reach = Reach("m", ModelConfig(), np.array([0, 2, 3]), ("A",) * 3, np.ones((3, 10)), 10.0, 30.0)
    assert reach.centres.tolist() == [1, 7, 9]  # the last frame is short

"""The acoustic model: shapes, probabilities, and one definition of a frame."""

import pytest
import torch
from speech import SMALL, small_config

from asr.model import AcousticModel


def build(**model: object) -> AcousticModel:
    torch.manual_seed(0)
    return AcousticModel(small_config(model=model), 5).eval()


def test_log_probabilities_of_each_frame_sum_to_one():
    model = build()
    waveforms = torch.randn(2, 8000, generator=torch.Generator().manual_seed(0))
    (log_probs,), num_frames = model.from_waveforms(waveforms, torch.tensor([8000, 4000]))
    # 101 and 51 feature frames, three joined to one
    assert log_probs.shape == (2, 34, 5)
    assert num_frames.tolist() == [34, 17]
    torch.testing.assert_close(log_probs.exp().sum(2), torch.ones(2, 34))


def test_from_waveforms_is_front_end_and_network():
    model = build()
    waveforms, num_samples = torch.randn(1, 4000), torch.tensor([4000])
    features, num_frames = model.frontend(waveforms, num_samples)
    expected, _ = model(features, num_frames)
    (log_probs,), _ = model.from_waveforms(waveforms, num_samples)
    assert torch.equal(log_probs, expected)


@pytest.mark.parametrize("changes", [{}, {"stack": 2, "cell": "gru"}])
def test_batch_gives_what_each_gives_alone(changes: dict[str, object]):
    model = build(**changes)
    sizes = [5000, 1, 3210]
    waveforms = torch.zeros(3, 5000)
    for row, size in zip(waveforms, sizes, strict=True):
        row[:size] = torch.randn(size, generator=torch.Generator().manual_seed(size))
    (together,), counts = model.from_waveforms(waveforms, torch.tensor(sizes))
    for i, size in enumerate(sizes):
        (alone,), count = model.from_waveforms(waveforms[i : i + 1, :size], torch.tensor([size]))
        assert count.item() == counts[i].item()
        torch.testing.assert_close(together[i, : counts[i]], alone[0], atol=1e-4, rtol=1e-4)


def test_frame_shift():
    shift_ms = 10.0  # the front end's default
    assert build().frame_shift_ms == shift_ms * SMALL["model"]["stack"]
    assert build(stack=6).frame_shift_ms == 60.0


def test_the_front_end_has_no_trained_weights():
    assert not list(build().frontend.parameters())

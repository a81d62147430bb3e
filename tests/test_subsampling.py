"""Three frames to one: stacking by hand, convolutions of bands, padding that nothing reads."""

import pytest
import torch
from torch import Tensor, nn

from asr.config import Config, FeaturesConfig, ModelConfig
from asr.features import Mfcc
from asr.model import AcousticModel
from asr.subsampling import ConvFront, FrameStack, stack_frames

LENGTHS = torch.tensor([13, 1, 6, 4])
SIZES = [  # cepstra fewer than bands, bands that cannot be halved twice, every order of deltas
    FeaturesConfig(num_mels=40, num_ceps=13, deltas=2),
    FeaturesConfig(num_mels=40, num_ceps=40, deltas=1),
    FeaturesConfig(num_mels=13, num_ceps=9, deltas=0),
]


def random_frames(features: FeaturesConfig) -> Tensor:
    """(N, T, F) frames whose padding is zero, as features are."""
    generator = torch.Generator().manual_seed(3)
    size = (len(LENGTHS), int(LENGTHS.max()), features.num_features)
    frames = torch.randn(size, generator=generator)
    for row, length in zip(frames, LENGTHS, strict=True):
        row[length:] = 0
    return frames


def conv_front(features: FeaturesConfig, stack: int = 3, channels: int = 6) -> ConvFront:
    torch.manual_seed(0)
    return ConvFront(features, ModelConfig(stack=stack, conv_channels=channels))


def test_stacking_by_hand():
    frames = torch.tensor([[[1.0], [2.0], [3.0], [4.0]], [[5.0], [0.0], [0.0], [0.0]]])
    stacked, counts = stack_frames(frames, torch.tensor([4, 1]), 3)
    assert stacked.tolist() == [[[1, 2, 3], [4, 0, 0]], [[5, 0, 0], [0, 0, 0]]]
    assert counts.tolist() == [2, 1]


@pytest.mark.parametrize("kind", [FrameStack, ConvFront])
@pytest.mark.parametrize("stack", [1, 2, 3, 5])
@pytest.mark.parametrize("features", SIZES)
def test_batch_gives_what_each_gives_alone(kind: type, stack: int, features: FeaturesConfig):
    torch.manual_seed(0)
    front = kind(features, ModelConfig(stack=stack, conv_channels=6))
    frames = random_frames(features)
    together, counts = front(frames, LENGTHS)
    assert together.shape == (4, -(-13 // stack), front.outputs)
    for i, length in enumerate(LENGTHS.tolist()):
        alone, count = front(frames[i : i + 1, :length], LENGTHS[i : i + 1])
        assert count.item() == counts[i].item() == alone.shape[1] == -(-length // stack)
        torch.testing.assert_close(together[i, : counts[i]], alone[0], atol=1e-5, rtol=1e-5)


def test_convolutions_read_mel_bands_and_their_deltas():
    features = FeaturesConfig(num_mels=20, num_ceps=20, deltas=1, normalize="none")
    frontend, front = Mfcc(features), conv_front(features)
    generator = torch.Generator().manual_seed(1)
    log_mel, num_frames = torch.randn(1, 30, 20, generator=generator), torch.tensor([30])
    seen: list[Tensor] = []
    front.first.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    front(frontend.from_log_mel(log_mel, num_frames), num_frames)
    bands, deltas = seen[0][0]
    torch.testing.assert_close(bands, log_mel[0], atol=1e-4, rtol=0)
    slope = (2 * (bands[4] - bands[0]) + bands[3] - bands[1]) / 10  # HTK Book eq. 5.16
    torch.testing.assert_close(deltas[2], slope, atol=1e-4, rtol=0)


def test_what_comes_three_frames_later_is_heard_one_frame_later():
    features = SIZES[1]
    front = conv_front(features)
    frames = random_frames(features)[:1]
    later = nn.functional.pad(frames, (0, 0, 3, 0))
    first, _ = front(frames, torch.tensor([13]))
    second, _ = front(later, torch.tensor([16]))
    # the first two read frames before the beginning: none, or silence
    torch.testing.assert_close(second[:, 3:], first[:, 2:], atol=1e-5, rtol=1e-5)


def test_every_weight_learns():
    front = conv_front(SIZES[0])
    outputs, _ = front(random_frames(SIZES[0]), LENGTHS)
    outputs.square()[:, :, ::3].sum().backward()
    for name, weight in front.named_parameters():
        assert weight.grad is not None and weight.grad.abs().sum() > 0, name


def test_channels_are_the_outputs_of_a_quarter_of_the_bands():
    assert [conv_front(sizes, channels=6).outputs for sizes in SIZES] == [60, 60, 24]
    assert conv_front(SIZES[1], channels=32).outputs == 320


def test_the_model_has_convolutions_if_channels_are_given():
    plain, conv = (
        AcousticModel(Config(model=ModelConfig(conv_channels=channels)), 5) for channels in (0, 4)
    )
    assert not list(plain.front.parameters())
    assert [tuple(weight.shape) for weight in conv.front.parameters()][::2] == [
        (4, 3, 5, 5),
        (4, 4, 5, 3),
        (40,),
    ]
    assert plain.frame_shift_ms == conv.frame_shift_ms == 30

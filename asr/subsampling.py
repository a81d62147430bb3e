"""The first step of the network: three frames become one, by stacking or by two convolutions.

Stacking only joins neighbouring frames. The convolutions look at mel bands, where a pattern that
moves up or down (another vocal tract) or in time stays the same pattern, and need fewer weights
to know it again. The cepstra are turned back to bands for that; that the normalisation gave each of
them unit variance evens the bands out.

Shapes: N utterances, T frames, F features, T' = ceil(T / stack) frames, M mel bands, K channels.
"""

import torch
from torch import Tensor, nn

from asr._torchaudio import torchaudio
from asr.config import FeaturesConfig, ModelConfig
from asr.features import frame_mask


def stack_frames(frames: Tensor, num_frames: Tensor, factor: int) -> tuple[Tensor, Tensor]:
    """Join each `factor` neighbouring frames: (N, T, F) to (N, ceil(T / factor), factor * F)."""
    if factor == 1:
        return frames, num_frames
    batch, length, width = frames.shape
    padded = nn.functional.pad(frames, (0, 0, 0, -length % factor))
    return padded.reshape(batch, -1, factor * width), (num_frames + factor - 1) // factor


class FrameStack(nn.Module):
    """Neighbouring frames joined; nothing to train."""

    def __init__(self, features: FeaturesConfig, model: ModelConfig) -> None:
        super().__init__()
        self.stack = model.stack
        self.outputs = features.num_features * model.stack

    def forward(self, frames: Tensor, num_frames: Tensor) -> tuple[Tensor, Tensor]:
        """(N, T, F) frames to (N, T', stack * F) and the int64 (N,) valid frames of each."""
        return stack_frames(frames, num_frames, self.stack)


class ConvFront(nn.Module):
    """Two convolutions over time and mel bands, the second with a stride of `stack` in time.

    After Amodei et al. 2016, 'Deep Speech 2', in small: bands are halved twice, deltas are a second
    channel of the input.
    """

    dct: Tensor  # (M, C)

    def __init__(self, features: FeaturesConfig, model: ModelConfig) -> None:
        super().__init__()
        num_mels, channels = features.num_mels, model.conv_channels
        self.stack = model.stack
        self.streams = (1 + features.deltas, features.num_ceps)
        dct = torchaudio.functional.create_dct(features.num_ceps, num_mels, "ortho")
        self.register_buffer("dct", dct, persistent=False)
        self.first = nn.Conv2d(1 + features.deltas, channels, (5, 5), (1, 2), padding=2)
        self.second = nn.Conv2d(channels, channels, (5, 3), (model.stack, 2), padding=(2, 1))
        self.outputs = channels * -(-num_mels // 4)
        self.norm = nn.LayerNorm(self.outputs)

    def forward(self, frames: Tensor, num_frames: Tensor) -> tuple[Tensor, Tensor]:
        """(N, T, F) frames, padding zero, to (N, T', outputs) and the int64 (N,) valid frames."""
        bands = (frames.unflatten(2, self.streams) @ self.dct.T).transpose(1, 2)  # (N, 1 + d, T, M)
        hidden = torch.relu(self.first(bands))  # (N, K, T, M / 2)
        valid = frame_mask(num_frames, frames.shape[1])[:, None, :, None]
        hidden = torch.relu(self.second(hidden * valid))  # (N, K, T', M / 4)
        hidden = self.norm(hidden.transpose(1, 2).flatten(2))
        return hidden, (num_frames + self.stack - 1) // self.stack

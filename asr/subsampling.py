"""The first step of the network: three frames become one, by stacking or by two convolutions.

Stacking joins neighbouring frames and nothing else. The convolutions read mel bands, where a
pattern stays the same when it moves in time, or up and down with the length of the vocal tract: few
weights recognise it everywhere. The cepstra are transformed back to bands for that. They have unit
variance after the normalisation, which evens out the bands.

Shapes: N utterances, T frames, F features, T' = ceil(T / stack) frames, M mel bands, K channels.
"""

import torch
from torch import Tensor, nn

from asr.config import FeaturesConfig, ModelConfig
from asr.features import cepstra_matrix, frame_mask


def stack_frames(frames: Tensor, num_frames: Tensor, factor: int) -> tuple[Tensor, Tensor]:
    """Join each `factor` neighbouring frames: (N, T, F) to (N, ceil(T / factor), factor * F)."""
    if factor == 1:
        return frames, num_frames
    batch, length, width = frames.shape
    padded = nn.functional.pad(frames, (0, 0, 0, -length % factor))
    return padded.reshape(batch, -1, factor * width), (num_frames + factor - 1) // factor


class FrameStack(nn.Module):
    """A front without weights that joins neighbouring frames."""

    def __init__(self, features: FeaturesConfig, model: ModelConfig) -> None:
        super().__init__()
        self.stack = model.stack
        self.outputs = features.num_features * model.stack

    def forward(self, frames: Tensor, num_frames: Tensor) -> tuple[Tensor, Tensor]:
        """Join (N, T, F) frames to (N, T', stack * F); return them and the int64 (N,) valid."""
        return stack_frames(frames, num_frames, self.stack)


class ConvFront(nn.Module):
    """A front of two convolutions over time and mel bands; the second strides by `stack` in time.

    A small version of Amodei et al. 2016, 'Deep Speech 2': each convolution halves the bands. The
    cepstra and each order of their deltas are a channel of the input.
    """

    dct: Tensor  # (M, C)

    def __init__(self, features: FeaturesConfig, model: ModelConfig) -> None:
        super().__init__()
        num_mels, channels = features.num_mels, model.conv_channels
        self.stack = model.stack
        self.streams = (1 + features.deltas, features.num_ceps)
        self.register_buffer("dct", cepstra_matrix(features), persistent=False)
        self.first = nn.Conv2d(1 + features.deltas, channels, (5, 5), (1, 2), padding=2)
        self.second = nn.Conv2d(channels, channels, (5, 3), (model.stack, 2), padding=(2, 1))
        self.outputs = channels * -(-num_mels // 4)
        self.norm = nn.LayerNorm(self.outputs)

    def forward(self, frames: Tensor, num_frames: Tensor) -> tuple[Tensor, Tensor]:
        """Convolve (N, T, F) frames, zero in padding: (N, T', outputs) and the int64 (N,) valid."""
        bands = (frames.unflatten(2, self.streams) @ self.dct.T).transpose(1, 2)  # (N, 1 + d, T, M)
        hidden = torch.relu(self.first(bands))  # (N, K, T, ceil(M / 2))
        valid = frame_mask(num_frames, frames.shape[1])[:, None, :, None]
        hidden = torch.relu(self.second(hidden * valid))  # (N, K, T', ceil(M / 4))
        hidden = self.norm(hidden.transpose(1, 2).flatten(2))
        return hidden, (num_frames + self.stack - 1) // self.stack

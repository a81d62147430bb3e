"""Reach: from how far away an input frame changes what the network says about a frame.

It is measured by the gradient. For an output frame and its most probable token k, the norm of
d log p(k) / d x is computed for every input frame x. In a plain recurrent network it falls
exponentially with the distance, because each step multiplies it by the recurrent weights and the
slope of tanh: it vanishes. In an LSTM it passes the cell, which multiplies it by the forget gate.

Source: Hochreiter and Schmidhuber 1997, 'Long short-term memory', section 3; Pascanu, Mikolov and
Bengio 2013, 'On the difficulty of training recurrent neural networks'.

Shapes: T input frames, F features, T' output frames, P frames that were asked about, V tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asr.config import ModelConfig
from asr.model import AcousticModel
from asr.text import BLANK

FALLEN = 0.01  # the share of the peak at which reach is said to end
_BATCH = 8  # gradients computed at once: more are hardly faster and need more memory
_LEAST = 3  # frames asked about that the median at a distance needs, where so many were asked about
_AROUND = 5  # input frames on both sides, over which a profile is smoothed


@dataclass(frozen=True, eq=False)
class Reach:
    """The gradients of one model, and how they fall with the distance."""

    name: str
    config: ModelConfig
    frames: NDArray[np.int64]  # (P,), output frames
    tokens: tuple[str, ...]  # of the frames: the most probable one, the blank left aside
    norms: NDArray[np.float32]  # (P, T)
    input_shift_ms: float
    output_shift_ms: float

    @property
    def centres(self) -> NDArray[np.int64]:
        """The input frame (P,) in the middle of each output frame."""
        stack = round(self.output_shift_ms / self.input_shift_ms)
        middles = self.frames * stack + stack // 2
        return middles.clip(max=self.norms.shape[1] - 1)

    def profile(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return distances in ms, negative before the frame, and the usual gradient at each.

        A norm counts as a share of the highest of its own output frame. The median over the output
        frames is smoothed by a running median, which keeps slopes and edges, and is 1 at its peak.
        Distances that too few of the frames have are left out.
        """
        length = self.norms.shape[1]
        shares = np.full((len(self.norms), 2 * length - 1), np.nan)
        for row, (norms, centre) in enumerate(zip(self.norms, self.centres, strict=True)):
            peak = norms.max() or 1.0
            shares[row, length - 1 - centre : 2 * length - 1 - centre] = norms / peak
        known = np.count_nonzero(~np.isnan(shares), axis=0) >= min(_LEAST, len(shares))
        smooth = _smoothed(np.nanmedian(shares[:, known], axis=0))
        distances = (np.flatnonzero(known) - (length - 1)) * self.input_shift_ms
        return distances, smooth / (smooth.max() or 1.0)

    def ends_ms(self) -> tuple[float | None, float | None]:
        """Return the distances, before and after the frame, at which the profile falls to FALLEN.

        None where it does not fall so far within the recording.
        """
        distances, shares = self.profile()
        fallen = distances[shares < FALLEN]
        before, after = -fallen[fallen <= 0], fallen[fallen >= 0]
        return (
            float(before.min()) if len(before) else None,
            float(after.min()) if len(after) else None,
        )


def _smoothed(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the median of each share (n,) and the _AROUND ones on both sides."""
    padded = np.pad(shares, _AROUND, mode="edge")
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * _AROUND + 1)  # (n, 11)
    smooth: NDArray[np.float64] = np.median(around, axis=1)
    return smooth


def gradient_norms(
    model: AcousticModel, features: Tensor, frames: Sequence[int], output: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Compute how much each input frame matters for some output frames.

    Args:
        model: in evaluation mode.
        features: float (T, F), as the model's front end gives them.
        frames: P output frames, 0..T'-1.
        output: 0 for the output over tokens, 1 for the one over phones.

    Returns:
        The most probable token, the blank left aside, of each frame, int64 (P,); and the Euclidean
        norm over the features of the gradient of its log-probability, float32 (P, T).
    """
    tokens, norms = [], []
    for first in range(0, len(frames), _BATCH):
        asked = torch.tensor(frames[first : first + _BATCH])
        count = len(asked)
        inputs = features.detach().expand(count, -1, -1).clone().requires_grad_()  # (P, T, F)
        lengths = torch.full((count,), len(features))
        log_probs = model.outputs(inputs, lengths)[0][output]  # (P, T', V)
        of_frames = log_probs[torch.arange(count), asked]  # (P, V)
        best = of_frames[:, BLANK + 1 :].argmax(dim=1) + BLANK + 1
        chosen = of_frames.gather(1, best[:, None]).sum()  # no frame's depends on another's input
        (gradient,) = torch.autograd.grad(chosen, inputs)
        tokens.append(best.numpy())
        norms.append(gradient.norm(dim=2).numpy())
    return np.concatenate(tokens), np.concatenate(norms).astype(np.float32)

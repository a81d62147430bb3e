"""Waveforms to log-probabilities, whatever computes them: all that recognition needs of a model."""

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from asr.audio import Waveform
from asr.config import TextConfig
from asr.text import Vocabulary

if TYPE_CHECKING:
    from asr.model import AcousticModel


class Acoustics(Protocol):
    """A model ready to run. Shapes: L samples, T' frames, V tokens; token 0 is the blank."""

    name: str  # of its folder
    vocabulary: Vocabulary
    text: TextConfig  # how transcripts were normalised for training
    sample_rate_hz: int
    frame_shift_ms: float  # between two frames of log-probabilities: a whole number of samples

    def log_probs(self, waveform: Waveform) -> NDArray[np.float32]:
        """Float32 (L,) samples at `sample_rate_hz` to natural-log probabilities (T', V)."""


class TorchAcoustics:
    """The model of an experiment folder, run by torch."""

    def __init__(self, model: "AcousticModel", vocabulary: Vocabulary, name: str) -> None:
        self.model = model.eval()
        self.vocabulary = vocabulary
        self.name = name
        self.text = model.config.text
        self.sample_rate_hz = model.config.features.sample_rate_hz
        self.frame_shift_ms = model.frame_shift_ms

    def log_probs(self, waveform: Waveform) -> NDArray[np.float32]:
        """Float32 (L,) samples at `sample_rate_hz` to natural-log probabilities (T', V)."""
        import torch

        with torch.inference_mode():
            samples = torch.tensor(waveform)[None]  # (1, L)
            log_probs, _ = self.model.from_waveforms(samples, torch.tensor([len(waveform)]))
        result: NDArray[np.float32] = log_probs[0].numpy()
        return result


def open_acoustics(folder: Path) -> Acoustics:
    """The acoustic model in a folder.

    Raises:
        CheckpointError: the folder holds no model, or a damaged one.
    """
    from asr.checkpoint import load_model  # imports torch, which takes seconds

    model, vocabulary = load_model(folder)
    return TorchAcoustics(model, vocabulary, folder.name)

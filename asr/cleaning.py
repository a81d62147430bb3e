"""What is done to a recording before its features are computed, as a model was configured."""

from typing import Protocol

from asr.audio import Waveform
from asr.denoising import denoised
from asr.dereverberation import dereverberated


class Cleaning(Protocol):
    """The choices of a configuration (FeaturesConfig) or of a bundle (BundleInfo)."""

    @property
    def sample_rate_hz(self) -> int:
        """Return the rate of the samples."""

    @property
    def denoise(self) -> bool:
        """Return whether loud, steady noise is turned down."""

    @property
    def dereverberate(self) -> bool:
        """Return whether echoes of rooms are taken out."""


def cleaned(waveform: Waveform, how: Cleaning) -> Waveform:
    """Return float32 (L,) samples with less noise and fewer echoes, where that is chosen."""
    if how.denoise:
        waveform = denoised(waveform, how.sample_rate_hz)
    if how.dereverberate:
        waveform = dereverberated(waveform, how.sample_rate_hz)
    return waveform

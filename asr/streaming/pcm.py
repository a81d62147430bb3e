"""Samples that arrive as bytes."""

import numpy as np

from asr.audio import Waveform

SAMPLE = np.dtype("<i2")
_FULL_SCALE = np.float32(32768)


class Pcm16:
    """A decoder of 16-bit signed little-endian mono samples, in pieces of any number of bytes."""

    def __init__(self) -> None:
        self._left_over = b""

    def decode(self, content: bytes) -> Waveform:
        """Return the samples, float32 (L,), that are whole by now."""
        content = self._left_over + content
        whole = len(content) // SAMPLE.itemsize * SAMPLE.itemsize
        self._left_over = content[whole:]
        return np.frombuffer(content[:whole], SAMPLE).astype(np.float32) / _FULL_SCALE

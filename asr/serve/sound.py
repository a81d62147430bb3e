"""The sound of live sessions: bytes as clients send them to waveforms."""

from collections.abc import Iterable, Sequence

import numpy as np

from asr._install import install
from asr.audio import Waveform
from asr.errors import AudioError, MissingDependencyError
from asr.streaming import Pcm16

ENCODINGS = ("pcm16", "opus")
OPUS_RATE_HZ = 48_000  # that Opus decodes to, whatever the rate of its input was


class LiveSound:
    """A decoder of the sound of one session.

    Args:
        encoding: "pcm16", 16-bit signed little-endian mono samples in pieces of any length, or
            "opus", whole packets of Opus, mono or stereo.
        sample_rate_hz: of the samples; Opus is 48,000.

    Raises:
        AudioError: the encoding or its rate is not allowed.
        MissingDependencyError: PyAV, which decodes Opus, is not installed.
    """

    def __init__(self, encoding: str, sample_rate_hz: int) -> None:
        if encoding not in ENCODINGS:
            raise AudioError(f"encoding is {encoding!r}; allowed: {', '.join(ENCODINGS)}")
        if encoding == "opus" and sample_rate_hz != OPUS_RATE_HZ:
            raise AudioError(f"sample_rate is {sample_rate_hz}; for opus allowed: {OPUS_RATE_HZ}")
        self._pcm = Pcm16()
        self._opus = _OpusPackets() if encoding == "opus" else None

    def decode(self, contents: Sequence[bytes]) -> Waveform:
        """Return the samples, float32 (L,), of the next pieces or packets.

        Raises:
            AudioError: a packet is damaged.
        """
        if self._opus:
            return self._opus.decode(contents)
        return self._pcm.decode(b"".join(contents))


class _OpusPackets:
    """A decoder of Opus packets."""

    def __init__(self) -> None:
        try:
            import av
        except ModuleNotFoundError as error:
            raise MissingDependencyError(
                f"encoding opus needs PyAV on the server: {install('media')}; or send pcm16"
            ) from error
        self._av = av
        self._codec = av.CodecContext.create("opus", "r")
        self._codec.sample_rate = OPUS_RATE_HZ
        self._codec.layout = "mono"

    def decode(self, packets: Iterable[bytes]) -> Waveform:
        """Return the samples of packets, float32 (L,), channels mixed to one."""
        pieces = [np.empty(0, np.float32)]
        try:
            for packet in packets:
                frames = self._codec.decode(self._av.Packet(packet))
                pieces += (frame.to_ndarray().mean(axis=0, dtype=np.float32) for frame in frames)
        except (self._av.FFmpegError, ValueError):
            raise AudioError("a message is no packet of Opus; send one packet a message") from None
        return np.clip(np.concatenate(pieces), -1, 1)

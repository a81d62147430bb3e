"""Read the piece of a recording that is explained, which has to fit on one page."""

from pathlib import Path

import numpy as np

from asr.audio import AudioStream, Waveform, read_audio
from asr.errors import AudioError, ConfigError

MOST_S = 60.0  # a page of a minute has 20 MB


def read_piece(audio: Path, rate_hz: int, start: float, end: float | None) -> Waveform:
    """Read a recording from `start` to `end`, in seconds, as float32 (L,); None is its end.

    Little more than MOST_S is decoded, however long the recording is.

    Raises:
        AudioError: the recording cannot be read, ends before the piece does, or the piece is too
            long for a page.
        ConfigError: `start` and `end` are no piece.
    """
    if end is not None:
        if not 0 <= start < end:
            raise ConfigError(f"--start {start:g} --end {end:g}: allowed: 0 <= start < end")
        _check_length(audio, end - start)
        return read_audio(audio, sample_rate_hz=rate_hz, start=start, duration=end - start).waveform
    stream = AudioStream(audio, sample_rate_hz=rate_hz, start=start, block_s=1.0)
    blocks: list[Waveform] = []
    for block in stream:
        blocks.append(block)
        _check_length(audio, stream.promised_s or len(blocks))
    return np.concatenate(blocks)


def _check_length(audio: Path, seconds: float) -> None:
    if seconds > MOST_S:
        raise AudioError(
            f"{audio}: {seconds:.0f} s or more are too long for a page, which holds {MOST_S:g} s; "
            "choose a piece with --start and --end"
        )

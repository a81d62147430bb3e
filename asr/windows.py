"""Recordings of any length, window by window, as if the model had heard the whole at once.

A bidirectional network, and the normalisation of its features, need to hear what comes before and
after a frame. So a window has context on both sides, whose frames are dropped. Windows begin on
whole frames, and their parts join to the frame grid of the recording: frame t starts at sample
t * frame_samples. A short recording is one window.

    parts = [window.part(acoustics.log_probs(window.waveform)) for window in windows(acoustics, a)]

Shapes: L samples, T frames, V tokens.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asr.acoustics import Acoustics
from asr.audio import Waveform
from asr.text import BLANK

# Chosen with scripts/bench/long.py.
WINDOW_S = 30.0  # longest stretch that one window answers for
CONTEXT_S = 5.0  # heard on each side of it
_PAUSE_S = 1.0  # without a token; text before it is decoded apart from text behind it
_BREATH_S = 0.3  # the same, once there is much text
_SEGMENT_S = 30.0  # longest stretch that is decoded at once


@dataclass(frozen=True, eq=False)
class Window:
    """A stretch of a recording with its context, and the frames that it answers for."""

    waveform: Waveform  # float32 (L,)
    first: int  # frame, counted from the start of the waveform
    end: int | None  # the frame after the last; None at the end of the recording

    def part(self, log_probs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Of the frames (T, V) of the waveform, those that the window answers for."""
        return log_probs[self.first : self.end]


def frame_samples_of(acoustics: Acoustics) -> int:
    """Samples from one frame of log-probabilities to the next."""
    return round(acoustics.frame_shift_ms / 1000 * acoustics.sample_rate_hz)


def windows(
    acoustics: Acoustics,
    blocks: Iterable[Waveform],
    *,
    window_s: float = WINDOW_S,
    context_s: float = CONTEXT_S,
) -> Iterator[Window]:
    """Cut blocks, float32 (L,) each, into windows; at most two windows are in memory.

    A window ends where its second half is quietest. The last one also answers for what would have
    been its context.
    """
    frame_samples = frame_samples_of(acoustics)
    longest, context = (round(s * 1000 / acoustics.frame_shift_ms) for s in (window_s, context_s))
    held, begin = np.empty(0, np.float32), 0  # `begin`: its first frame that had no window yet
    for block in blocks:
        held = np.concatenate((held, block))
        while len(held) > (begin + longest + context) * frame_samples:
            half, most = begin + longest // 2, begin + longest
            end = half + quietest(held[half * frame_samples : most * frame_samples], frame_samples)
            yield Window(held[: (end + context) * frame_samples], begin, end)
            dropped = max(0, end - context)
            held, begin = held[dropped * frame_samples :], end - dropped
    if len(held):
        yield Window(held, begin, None)


def quietest(waveform: Waveform, frame_samples: int) -> int:
    """The frame 1..T that follows the quietest of a waveform's; loud ones beside it count, too."""
    frames = waveform.reshape(-1, frame_samples)  # (L,) -> (T, frame_samples)
    energies = np.pad(np.einsum("ts,ts->t", frames, frames), 1, "edge")
    return 1 + int(np.argmin(energies[:-2] + energies[1:-1] + energies[2:]))


class Segmenter:
    """Joins log-probabilities and cuts them anew, in pauses, to be decoded segment by segment.

    A segment ends within its first pause of _PAUSE_S that follows a token; in its second half one
    of _BREATH_S is enough; without any it ends by _SEGMENT_S, with the most probable blank there.
    Where it ends depends neither on how the log-probabilities arrive nor on what follows.
    """

    def __init__(self, acoustics: Acoustics) -> None:
        self.held = np.empty((0, len(acoustics.vocabulary)), np.float32)  # (T, V), not yet ended
        self._pause, self._breath, self._longest = (
            round(s * 1000 / acoustics.frame_shift_ms) for s in (_PAUSE_S, _BREATH_S, _SEGMENT_S)
        )

    def add(self, log_probs: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
        """Go on by (T, V); yield the segments, (T, V), that this ends."""
        self.held = np.concatenate((self.held, log_probs))
        while end := self._end():
            segment, self.held = self.held[:end], self.held[end:]
            yield segment

    def _end(self) -> int:
        """The frame after the last of the segment; 0 if it goes on."""
        tokens = np.flatnonzero(self.held[: self._longest].argmax(axis=1) != BLANK)
        behind = np.append(tokens[1:], min(len(self.held), self._longest))[: len(tokens)]
        needed = np.where(tokens < self._longest // 2, self._pause, self._breath)
        paused = np.flatnonzero(behind - tokens > needed)
        if len(paused):
            return int(tokens[paused[0]] + 1 + needed[paused[0]] // 2)
        if len(self.held) <= self._longest:
            return 0
        last = self._longest - self._breath
        return last + 1 + int(np.argmax(self.held[last : self._longest, BLANK]))

"""Cut recordings of any length: windows for the network, speech in them, segments to decode.

1. `windows` cuts the samples. A bidirectional network, and the normalisation of its features, need
   the sound before and after a frame. So a window has context on both sides, whose frames are
   dropped. Windows begin on whole frames, and their parts join to the frame grid of the recording:
   frame t starts at sample t * frame_samples. A short recording is one window.
2. `speech_log_probs` runs the model on what may be speech, and returns certain blanks elsewhere. It
   knows no language. It makes two tests, the cheap one first:
   - Is the frame louder than the noise around it, or within a second or two of such frames? Steady
     noise, hum and tones are not, and the network does not run on them. The normalisation of the
     features then sees speech alone, too.
   - Is the model sure of its text? CTC networks write text for any sound, but on music and noise
     the entropy of the frames with text is far higher than on speech. The test uses the output
     over tokens even if the decoder reads phones: MMI makes those probabilities too sharp.
3. `Segmenter` joins the parts and cuts them anew, in pauses, so that segments can be decoded
   separately and no cut falls into a word.

Shapes: L samples, T frames, V tokens; token 0 is the blank. Entropies are in nats.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asr.audio import Waveform
from asr.inference import Acoustics, frame_samples_of
from asr.text import BLANK

# Chosen with scripts/bench/long.py.
WINDOW_S = 30.0  # longest stretch that one window answers for
CONTEXT_S = 5.0  # heard on each side of it
_PAUSE_S = 1.0  # without a token: text before and after it is decoded separately
_BREATH_S = 0.3  # the same, once a segment has half of _SEGMENT_S
_SEGMENT_S = 30.0  # longest stretch that is decoded at once


@dataclass(frozen=True, eq=False)
class Window:
    """A stretch of a recording with its context, and the frames that it answers for."""

    waveform: Waveform  # float32 (L,)
    first: int  # frame, counted from the start of the waveform
    end: int | None  # the frame after the last; None at the end of the recording

    def part(self, log_probs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the frames that the window answers for, given all frames (T, V)."""
        return log_probs[self.first : self.end]


def windows(
    acoustics: Acoustics,
    blocks: Iterable[Waveform],
    *,
    window_s: float = WINDOW_S,
    context_s: float = CONTEXT_S,
) -> Iterator[Window]:
    """Cut blocks, float32 (L,) each, into windows; at most two windows are in memory.

    A window ends where its second half is quietest. The last one answers for all frames up to the
    end of the recording.
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
    """Return the frame, 1..T, after the quietest frame of samples (L,), neighbours included."""
    frames = waveform.reshape(-1, frame_samples)  # (L,) -> (T, frame_samples)
    energies = np.pad(np.einsum("ts,ts->t", frames, frames), 1, "edge")
    return 1 + int(np.argmin(energies[:-2] + energies[1:-1] + energies[2:]))


class Segmenter:
    """A buffer that joins log-probabilities and cuts them in pauses, into segments to decode.

    A segment ends within its first pause of _PAUSE_S after a token, or of _BREATH_S once it has
    half of _SEGMENT_S. Without a pause it ends in the last _BREATH_S of _SEGMENT_S, at the most
    probable blank. Its end depends neither on the pieces that arrive nor on what follows.
    """

    def __init__(self, acoustics: Acoustics) -> None:
        self.held = np.empty((0, len(acoustics.vocabulary)), np.float32)  # (T, V), not yet ended
        self._pause, self._breath, self._longest = (
            round(s * 1000 / acoustics.frame_shift_ms) for s in (_PAUSE_S, _BREATH_S, _SEGMENT_S)
        )

    def add(self, log_probs: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
        """Append log-probabilities (T, V); yield each segment (T, V) that is now complete."""
        self.held = np.concatenate((self.held, log_probs))
        while end := self._end():
            segment, self.held = self.held[:end], self.held[end:]
            yield segment

    def _end(self) -> int:
        """Return the frame after the last of the segment; 0 if it is not complete."""
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


SILENCE_PEAK = 1e-3  # -60 dBFS: a recording that never gets louder holds no speech
_ABOVE_NOISE_DB = 6.0  # smoothed levels of pink and brown noise stay below
_NOISE_SHARE = 0.1  # the quantile of the levels of a window that is its noise
_LEAST_POWER = 1e-8  # -80 dB: digital silence and the noise of 16 bits are below
_SMOOTH_S = 0.1
_SHORTEST_S = 0.15  # a word is louder than the noise for this long, a click is not
_GAP_S = 2.0  # a shorter stretch is a pause, which belongs to the speech around it
_MARGIN_S = 0.5  # kept on both sides of a gap, for soft starts and ends of words

# On 1345 utterances of LibriSpeech, half of them MP3 below 5.5 kHz, the doubt of the English model
# is above this on one and at most 1.82 on the others; 64 minutes of noise, tones and music give no
# text up to 1.95.
MAX_DOUBT = 1.85
_DOUBT_S = 6.0  # averaged over this much on both sides
_USUAL_TOKENS = 20  # a prior: as many more tokens, of one nat each, for a few alone prove nothing


def speech_log_probs(acoustics: Acoustics, waveform: Waveform) -> NDArray[np.float32]:
    """Return natural-log probabilities (T, V) of float32 (L,) samples, blanks outside speech."""
    frame_samples, frame_s = frame_samples_of(acoustics), acoustics.frame_shift_ms / 1000
    listened = stands_out(waveform, frame_samples, frame_s)
    log_probs = certain_blanks(len(listened), len(acoustics.vocabulary))
    if listened.any():
        heard = waveform[np.repeat(listened, frame_samples)[: len(waveform)]]
        whole = np.count_nonzero(listened)  # cut after whole frames, there is one more
        found, tokens = (output[:whole] for output in acoustics.with_tokens(heard))
        readable = doubts(tokens, round(_DOUBT_S / frame_s)) <= MAX_DOUBT
        log_probs[np.flatnonzero(listened)[readable]] = found[readable]
    return log_probs


def certain_blanks(num_frames: int, num_tokens: int) -> NDArray[np.float32]:
    """Return log-probabilities (T, V) of no text: the blank has probability 1."""
    log_probs = np.full((num_frames, num_tokens), -np.inf, np.float32)
    log_probs[:, BLANK] = 0.0
    return log_probs


def stands_out(waveform: Waveform, frame_samples: int, frame_s: float) -> NDArray[np.bool_]:
    """Return bool (T,), true in frames of samples (L,) that are louder than the noise.

    T is L // frame_samples + 1. Pauses and margins around such frames are true, too. So is all of a
    recording that is too short to have a level of noise.
    """
    num_frames = len(waveform) // frame_samples + 1
    if np.abs(waveform).max() < SILENCE_PEAK:
        return np.zeros(num_frames, np.bool_)
    levels = _levels_db(waveform, frame_samples, round(_SMOOTH_S / frame_s))
    heard = _long_runs(
        levels > np.quantile(levels, _NOISE_SHARE) + _ABOVE_NOISE_DB,
        round(_SHORTEST_S / frame_s / 2),
    )
    listened = np.ones(num_frames, np.bool_)
    margin, edges = round(_MARGIN_S / frame_s), np.flatnonzero(heard)
    for before, behind in zip([-1, *edges], [*edges, num_frames], strict=True):
        if (behind - before - 1) * frame_s > _GAP_S:
            first = before + 1 + margin if before >= 0 else 0
            last = behind - margin if behind < num_frames else num_frames
            listened[first:last] = False
    return listened


def doubts(log_probs: NDArray[np.float32], around: int) -> NDArray[np.float64]:
    """Return the entropy per frame with a token, (T,), in the `around` frames on both sides.

    It is the entropy of all frames (T, V) there, in nats, divided by the frames whose best token is
    no blank; _USUAL_TOKENS are added to both.
    """
    finite = np.maximum(log_probs, np.finfo(np.float32).min)  # 0 * log 0 is 0
    entropies = -(np.exp(log_probs) * finite).sum(axis=1, dtype=np.float64)
    tokens = _moving_sum(log_probs.argmax(axis=1) != BLANK, around)
    return (_moving_sum(entropies, around) + _USUAL_TOKENS) / (tokens + _USUAL_TOKENS)


def _levels_db(waveform: Waveform, frame_samples: int, smooth: int) -> NDArray[np.float64]:
    """Return the levels (T,) of frames, averaged over `smooth` frames, the DC offset removed.

    The loudest sixth of a frame (5 of 30 ms) does not count: a click is as loud as the noise.
    """
    padding = frame_samples - len(waveform) % frame_samples
    frames = np.pad(waveform - waveform.mean(), (0, padding)).reshape(-1, frame_samples)
    parts = np.add.reduceat(
        np.square(frames, dtype=np.float64), np.arange(6) * frame_samples // 6, axis=1
    )
    energies = (parts.sum(axis=1) - parts.max(axis=1)) / frame_samples * 6 / 5
    count = _moving_sum(np.ones(len(energies)), smooth // 2)
    powers = _moving_sum(energies, smooth // 2) / count
    levels: NDArray[np.float64] = 10 * np.log10(powers + _LEAST_POWER)
    return levels


def _long_runs(values: NDArray[np.bool_], around: int) -> NDArray[np.bool_]:
    """Return bool (T,), true in runs of at least 2 * around + 1 true values: an opening."""
    centres = _moving_sum(values, around) == 2 * around + 1
    opened: NDArray[np.bool_] = _moving_sum(centres, around) > 0
    return opened


def _moving_sum(values: NDArray[np.generic], around: int) -> NDArray[np.float64]:
    """Return the sum of each value and of up to `around` values before and after it, (T,)."""
    sums = np.concatenate(([0.0], np.cumsum(values, dtype=np.float64)))
    places = np.arange(len(values))
    high, low = np.minimum(places + around + 1, len(values)), np.maximum(places - around, 0)
    total: NDArray[np.float64] = sums[high] - sums[low]
    return total

"""Live recognition: words are written while sound still arrives, as soon as they are sure.

A bidirectional network needs the sound that follows a frame. So every STEP_S it runs once more over
the last seconds, and frames that lie RIGHT_S back are final; the others wait for the next step. The
decoder then decodes the final frames of the segment anew. A word is written once two hypotheses in
a row agree on it and another word has begun, or once a pause ends the segment. Readable text waits
for a few words more, because marks depend on the words behind them. Memory holds some seconds of
sound and one segment.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import takewhile
from typing import BinaryIO

import numpy as np
import soxr
from numpy.typing import NDArray

from asr.audio import Waveform
from asr.decode import Rescorer
from asr.errors import AudioError
from asr.readable import LiveWriter, Writer
from asr.recognize import Recognizer
from asr.segmentation import Segmenter, frame_samples_of, speech_log_probs
from asr.text import BLANK

# Chosen with scripts/bench/long.py --live.
STEP_S = 0.5
LEFT_S = 10.0  # context before the frames of a step
RIGHT_S = 0.6  # context after them
_SAMPLE = np.dtype("<i2")
_FULL_SCALE = np.float32(32768)
_RATES_HZ = range(1000, 768_001)


def run_live(
    recognizer: Recognizer, stream: BinaryIO, write: Callable[[str], None], sample_rate_hz: int
) -> float:
    """Write the words in a stream, each once, and a line break after each pause, until it ends.

    Args:
        recognizer: the model.
        stream: raw samples, 16 bits, signed, little-endian, mono; a torn last one is dropped.
        write: takes text to append to what was written, and shows it at once.
        sample_rate_hz: of the stream, which is resampled to the model's rate.

    Returns:
        Seconds of sound that were heard.

    Raises:
        AudioError: the sample rate is not allowed.
    """
    if sample_rate_hz not in _RATES_HZ:
        raise AudioError(
            f"the rate of the live stream is {sample_rate_hz} Hz; allowed: "
            f"{_RATES_HZ.start}..{_RATES_HZ[-1]}"
        )
    listener = Listener(recognizer, write)
    rate_hz, num_samples = recognizer.acoustics.sample_rate_hz, 0
    for waveform in _waveforms(stream, sample_rate_hz, rate_hz):
        listener.hear(waveform)
        num_samples += len(waveform)
    listener.close()
    return num_samples / rate_hz


class Listener:
    """A listener that takes waveforms as they arrive, and writes words."""

    def __init__(self, recognizer: Recognizer, write: Callable[[str], None]) -> None:
        self.decoder, self.acoustics = recognizer.decoder, recognizer.acoustics
        # A hypothesis that is replaced half a second later is not worth the time of an LSTM.
        decoder = self.decoder
        self.guesser = decoder.decoder if isinstance(decoder, Rescorer) else decoder
        self.segmenter = Segmenter(self.acoustics)
        self.line = Line(write, recognizer.writer)
        frames_per_s = 1000 / self.acoustics.frame_shift_ms
        self._left, self._right, self._step = (
            round(seconds * frames_per_s) for seconds in (LEFT_S, RIGHT_S, STEP_S)
        )
        self.heard = np.empty(0, np.float32)  # samples that the next step may need, float32 (L,)
        self._begin = 0  # the first frame of `heard` that is not final

    def hear(self, waveform: Waveform) -> None:
        """Add samples, float32 (L,) at the model's rate; write the words that are now sure."""
        frame_samples = frame_samples_of(self.acoustics)
        self.heard = np.concatenate((self.heard, waveform))
        limit = len(self.heard) // frame_samples - self._right
        if limit <= self._begin:
            return
        log_probs = speech_log_probs(self.acoustics, self.heard)
        # The next step may move a token by a frame, so the cut is where a blank is likeliest.
        recent = max(self._begin, limit - self._step)
        end = recent + 1 + int(np.argmax(log_probs[recent:limit, BLANK]))
        self._take(log_probs[self._begin : end])
        dropped = max(0, end - self._left)
        self.heard, self._begin = self.heard[dropped * frame_samples :], end - dropped
        if (self.segmenter.held.argmax(axis=1) != BLANK).any():
            self.line.suppose(self.guesser.decode(self.segmenter.held)[0].words)

    def close(self) -> None:
        """Write the words that are left."""
        if len(self.heard):
            self._take(speech_log_probs(self.acoustics, self.heard)[self._begin :])
        self._end_line(self.segmenter.held)

    def _take(self, log_probs: NDArray[np.float32]) -> None:
        """Take final frames (T, V); end the line of each segment that they complete."""
        for segment in self.segmenter.add(log_probs):
            self._end_line(segment)

    def _end_line(self, segment: NDArray[np.float32]) -> None:
        if segment[:, BLANK].any():  # not certain blanks alone
            self.line.end(self.decoder.decode(segment)[0].words)


class Line:
    """The words of one segment, written as soon as hypotheses agree on them.

    Args:
        write: takes text to append to what was written.
        writer: makes the text readable; None: words stay as they were recognised.
    """

    def __init__(self, write: Callable[[str], None], writer: Writer | None = None) -> None:
        self._write = write
        self._readable = LiveWriter(writer) if writer else None
        self._supposed: Sequence[str] = ()
        self._sure: list[str] = []  # words
        self._is_begun = False

    def suppose(self, words: Sequence[str]) -> None:
        """Take a hypothesis of the segment so far; its last word may be half a word."""
        pairs = zip(words[:-1], self._supposed, strict=False)
        agreed = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        self._append(words[len(self._sure) : agreed], is_end=False)
        self._supposed = words

    def end(self, words: Sequence[str]) -> None:
        """Take the final hypothesis; words that were written stay, and the others follow."""
        self._append(words[len(self._sure) :], is_end=True)
        if self._is_begun:
            self._write("\n")
        self._supposed, self._sure, self._is_begun = (), [], False

    def _append(self, words: Sequence[str], *, is_end: bool) -> None:
        """Write words that are now sure, or of readable text those that others follow."""
        self._sure += words
        written = self._readable.write(self._sure, is_end=is_end) if self._readable else words
        for word in written:
            self._write(f" {word}" if self._is_begun else word)
            self._is_begun = True


def _waveforms(stream: BinaryIO, from_hz: int, to_hz: int) -> Iterator[Waveform]:
    """Yield the samples of a stream at the wanted rate, float32 (L,), STEP_S each."""
    resampler = soxr.ResampleStream(from_hz, to_hz, 1, dtype="float32", quality="HQ")
    left_over = b""
    while content := stream.read(round(STEP_S * from_hz) * _SAMPLE.itemsize):
        content = left_over + content
        whole = len(content) // _SAMPLE.itemsize * _SAMPLE.itemsize
        left_over = content[whole:]
        waveform = np.frombuffer(content[:whole], _SAMPLE).astype(np.float32) / _FULL_SCALE
        yield waveform if from_hz == to_hz else resampler.resample_chunk(waveform)
    if from_hz != to_hz:
        yield resampler.resample_chunk(np.empty(0, np.float32), last=True)

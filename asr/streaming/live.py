"""Live recognition: words are written while sound still arrives, as soon as they are sure.

A bidirectional network needs the sound that follows a frame. So every STEP_S it runs once more over
the last seconds, and frames that lie RIGHT_S back are final; the others wait for the next step. The
decoder then decodes the final frames of the segment anew. A word is written once two hypotheses in
a row agree on it and another word has begun, or once a pause ends the segment. It is never taken
back: where a later hypothesis reads those frames otherwise, the line goes on behind them. Readable
text waits for a few words more, because marks depend on the words behind them. Memory holds some
seconds of sound and one segment.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import takewhile
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from asr.audio import Waveform, resampler
from asr.decode import Decoder, Rescorer, spoken_words
from asr.errors import AudioError
from asr.formats import Word
from asr.inference import frame_samples_of
from asr.readable import LiveWriter, Writer
from asr.recognize import Recognizer
from asr.segmentation import Segmenter, speech_log_probs
from asr.streaming.pcm import SAMPLE, Pcm16
from asr.text import BLANK

# Chosen with scripts/bench/long.py --live.
STEP_S = 0.5
LEFT_S = 10.0  # context before the frames of a step
RIGHT_S = 0.6  # context after them
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
    check_rate(sample_rate_hz)
    listener = Listener(recognizer, write)
    rate_hz, num_samples = recognizer.acoustics.sample_rate_hz, 0
    for waveform in _waveforms(stream, sample_rate_hz, rate_hz):
        listener.hear(waveform)
        num_samples += len(waveform)
    listener.close()
    return num_samples / rate_hz


def check_rate(sample_rate_hz: int) -> None:
    """Check the sample rate of a live stream.

    Raises:
        AudioError: it is not allowed.
    """
    if sample_rate_hz not in _RATES_HZ:
        raise AudioError(
            f"the rate of the live stream is {sample_rate_hz} Hz; allowed: "
            f"{_RATES_HZ.start}..{_RATES_HZ[-1]}"
        )


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
        self._suppose(log_probs[end:])

    def close(self) -> None:
        """Write the words that are left."""
        if len(self.heard):
            self._take(speech_log_probs(self.acoustics, self.heard)[self._begin :])
        self._end_line(self.segmenter.held)

    def _take(self, log_probs: NDArray[np.float32]) -> None:
        """Take final frames (T, V); end the line of each segment that they complete."""
        for segment in self.segmenter.add(log_probs):
            self._end_line(segment)

    def _suppose(self, tentative: NDArray[np.float32]) -> None:
        """Decode the segment that has not ended; frames that are not yet final, (T, V), wait."""
        if (self.segmenter.held.argmax(axis=1) != BLANK).any():
            self.line.suppose(self._words(self.guesser, self.segmenter.held))

    def _end_line(self, segment: NDArray[np.float32]) -> None:
        if segment[:, BLANK].any():  # not certain blanks alone
            self.line.end(self._words(self.decoder, segment))

    def _words(self, decoder: Decoder, segment: NDArray[np.float32]) -> tuple[Word, ...]:
        """Return the words of a segment (T, V), with times in seconds from its start."""
        frame_s = self.acoustics.frame_shift_ms / 1000
        return spoken_words(segment, decoder.decode(segment), frame_s, None)


class Line:
    """The words of one segment, written as soon as hypotheses agree on them.

    What was written stays. A later hypothesis may have more, fewer or other words in its place, so
    not the number of words but their time tells which ones follow: those whose middle is behind
    the end of the last word that was written.

    Args:
        write: takes text to append to what was written.
        writer: makes the text readable; None: words stay as they were recognised.
    """

    def __init__(self, write: Callable[[str], None], writer: Writer | None = None) -> None:
        self._write = write
        self._readable = LiveWriter(writer) if writer else None
        self._supposed: Sequence[Word] = ()
        self._sure: list[str] = []  # words of the segment that are written, or wait to be
        self._until = 0.0  # the end of the last of them, in seconds from the start of the segment
        self._is_begun = False

    def suppose(self, words: Sequence[Word]) -> None:
        """Take a hypothesis of the segment so far; its last word may be half a word."""
        new, supposed = (words_behind(self._until, some) for some in (words[:-1], self._supposed))
        self._append(agreed(new, supposed), is_end=False)
        self._supposed = words

    def end(self, words: Sequence[Word]) -> None:
        """Take the final hypothesis; words that were written stay, and the others follow."""
        self._append(words_behind(self._until, words), is_end=True)
        if self._is_begun:
            self._write("\n")
        self._supposed, self._sure, self._until, self._is_begun = (), [], 0.0, False

    def _append(self, words: Sequence[Word], *, is_end: bool) -> None:
        """Write words that are now sure, or of readable text those that others follow."""
        if not (words or is_end):
            return  # nothing that a tagger has not read
        spoken = [word.word for word in words]
        self._sure += spoken
        self._until = words[-1].end if words else self._until
        written = self._readable.write(self._sure, is_end=is_end) if self._readable else spoken
        for word in written:
            self._write(f" {word}" if self._is_begun else word)
            self._is_begun = True


def words_behind(until: float, words: Sequence[Word]) -> list[Word]:
    """Return the words of a hypothesis whose middle is behind a time, in seconds."""
    return [word for word in words if (word.start + word.end) / 2 > until]


def agreed(words: Sequence[Word], supposed: Sequence[Word]) -> list[Word]:
    """Return the first words, as far as the hypothesis before had the same ones."""
    pairs = zip(words, supposed, strict=False)
    return [word for word, _ in takewhile(lambda pair: pair[0].word == pair[1].word, pairs)]


def _waveforms(stream: BinaryIO, from_hz: int, to_hz: int) -> Iterator[Waveform]:
    """Yield the samples of a stream at the wanted rate, float32 (L,), STEP_S each."""
    samples, resample = Pcm16(), resampler(from_hz, to_hz)
    while content := stream.read(round(STEP_S * from_hz) * SAMPLE.itemsize):
        yield resample(samples.decode(content), False)
    if from_hz != to_hz:
        yield resample(np.empty(0, np.float32), True)

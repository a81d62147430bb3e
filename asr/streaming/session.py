"""A live session: waveforms in, words with times and confidences out.

A word passes through two stages. It is partial from the first step in which the decoder finds it,
frames that are not yet final included, and may still change. It becomes final once two hypotheses
in a row agree on it and its end lies in final frames, where another word or a short pause follows.
Final words never change. When a longer pause ends the segment, the whole of it is decoded once
more, with rescoring: that is the best text of the segment, and it may differ from the final words.
"""

from collections.abc import Callable, Sequence
from copy import copy, deepcopy
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from asr.audio import Waveform, resampler
from asr.decode import NBEST, BeamDecoder, Decoder, Hypothesis, spoken_words
from asr.formats import Segment, Word
from asr.readable import LiveWriter
from asr.recognize import Recognizer
from asr.streaming.events import EndOfSpeech, LiveEvent, LiveWords
from asr.streaming.live import STEP_S, Listener, agreed, check_rate, words_behind
from asr.text import BLANK

_SETTLED_S = 0.3  # of final frames after the last word: as long as a breath

_Decode = Callable[[NDArray[np.float32]], Sequence[Hypothesis]]


class LiveSession(Listener):
    """A listener that resamples what it hears and gives events instead of text.

    Args:
        recognizer: the model.
        sample_rate_hz: of the waveforms that `add` takes.
        give: takes each event as soon as it is known.

    Raises:
        AudioError: the sample rate is not allowed.
    """

    def __init__(
        self, recognizer: Recognizer, sample_rate_hz: int, give: Callable[[LiveEvent], None]
    ) -> None:
        check_rate(sample_rate_hz)
        super().__init__(recognizer, lambda text: None)
        self.duration = 0.0  # seconds that were added
        self._give = give
        self._guesses = _Guesses(self.guesser)
        self._calibration = recognizer.calibration
        self._writer = LiveWriter(recognizer.writer) if recognizer.writer else None
        self._rate_hz = sample_rate_hz
        self._resample = resampler(sample_rate_hz, self.acoustics.sample_rate_hz)
        self._waiting = list[Waveform]()  # at the model's rate, less than a step in all
        self._frames_before = 0  # in the segments that have ended
        self._behind = 0.0  # the end of the last final word of the session, in seconds
        self._partial = tuple[Word, ...]()

    def add(self, waveform: Waveform) -> None:
        """Add samples, float32 (L,) within [-1, 1]; give the events that follow from them."""
        self.duration += len(waveform) / self._rate_hz
        self._waiting.append(self._resample(waveform, False))
        if sum(map(len, self._waiting)) >= STEP_S * self.acoustics.sample_rate_hz:
            self._hear_waiting()

    def close(self) -> None:
        """Give the events that are left; the end of the last segment is one of them."""
        self._waiting.append(self._resample(np.empty(0, np.float32), True))
        self._hear_waiting()
        super().close()

    def _hear_waiting(self) -> None:
        waveform = np.concatenate(self._waiting)
        self._waiting.clear()
        if len(waveform):
            self.hear(waveform)

    def _suppose(self, tentative: NDArray[np.float32]) -> None:
        held = self.segmenter.held
        heard = np.concatenate((held, tentative))
        words = self._timed_words(heard, partial(self._guesses.hypotheses, len(held)))
        found = words_behind(self._behind, words)
        settled = self._seconds(len(held))
        limits = [settled] * (len(found) - 1) + [settled - _SETTLED_S]  # nothing follows the last
        ended = [word for word, limit in zip(found, limits, strict=False) if word.end <= limit]
        count = len(agreed(ended, self._partial))
        self._tell(found[:count], found[count:])

    def _end_line(self, segment: NDArray[np.float32]) -> None:
        words = self._timed_words(segment, partial(self.decoder.decode, nbest=NBEST))
        self._guesses = _Guesses(self.guesser)
        self._tell(words_behind(self._behind, words), [])
        self._frames_before += len(segment)
        if words:
            text = " ".join(word.word for word in words)
            ended = Segment(text, words[0].start, words[-1].end, tuple(words))
            self._give(EndOfSpeech(self._writer.rewrite(ended) if self._writer else ended))

    def _tell(self, final: Sequence[Word], partial: Sequence[Word]) -> None:
        """Give the words, unless there are none and there were none."""
        if final or partial or self._partial:
            self._give(LiveWords(tuple(final), tuple(partial)))
        self._partial = tuple(partial)
        if final:
            self._behind = final[-1].end

    def _timed_words(self, log_probs: NDArray[np.float32], decode: _Decode) -> list[Word]:
        """Decode the frames (T, V) of the segment; times count from the start of the session."""
        if not (log_probs.argmax(axis=1) != BLANK).any():
            return []
        frame_s, start = self.acoustics.frame_shift_ms / 1000, self._seconds(0)
        words = spoken_words(log_probs, decode(log_probs), frame_s, self._calibration)
        return [replace(word, start=start + word.start, end=start + word.end) for word in words]

    def _seconds(self, frame: int) -> float:
        """Return the time of a frame of the segment since the session began."""
        return (self._frames_before + frame) * self.acoustics.frame_shift_ms / 1000


class _Guesses:
    """The hypotheses of a segment that grows; its final frames are searched once.

    A beam search goes on where it was. It is copied before frames that may still change.
    """

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._search = decoder.start(remember=True) if isinstance(decoder, BeamDecoder) else None
        self._searched = 0  # frames

    def hypotheses(self, num_final: int, log_probs: NDArray[np.float32]) -> list[Hypothesis]:
        """Return the best hypotheses of float (T, V), of which num_final frames never change."""
        if self._search is None:
            return self._decoder.decode(log_probs, NBEST)
        self._search.advance(log_probs[self._searched : num_final])
        self._searched = num_final
        ahead = copy(self._search)
        ahead.state = deepcopy(self._search.state)
        ahead.advance(log_probs[num_final:])
        return ahead.hypotheses(NBEST)

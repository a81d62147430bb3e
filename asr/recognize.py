"""A model ready to recognise: recording in, transcript out.

A recording of any length is read in blocks and passes through the network in windows. The parts
that may be speech are joined and decoded from pause to pause. So memory does not grow with the
recording, and no cut falls into a word.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from asr.audio import AudioStream, Waveform
from asr.channels import MIXED, Channels, Progress
from asr.decode import NBEST, Decoder, GreedyDecoder
from asr.errors import DecoderError
from asr.formats import Segment, Transcript, Word
from asr.inference import Acoustics
from asr.media import Source, source_name
from asr.options import Decoding, DecodingOptions
from asr.segmentation import Segmenter, speech_log_probs, windows
from asr.text import BLANK

if TYPE_CHECKING:
    from asr.decode import Calibration
    from asr.readable import Writer

_BLOCK_S = 10.0


class Recognizer:
    """A recognizer of recordings: an acoustic model and a decoder, greedy if none is given.

    With a calibration, which was fitted to this model and decoder, words have calibrated
    confidences; without one, the mean posterior of their tokens. With a writer, texts are readable.
    """

    def __init__(
        self,
        acoustics: Acoustics,
        decoder: Decoder | None = None,
        calibration: "Calibration | None" = None,
        writer: "Writer | None" = None,
        *,
        words: bool = False,
        channels: Channels = MIXED,
    ) -> None:
        self.acoustics = acoustics
        self.decoder = decoder or GreedyDecoder(acoustics.vocabulary)
        self.calibration, self.writer = calibration, writer
        self.words = words  # whether to say when each word was spoken, unless told otherwise
        self.channels = channels

    @classmethod
    def load(cls, decoding: Decoding | None = None) -> "Recognizer":
        """Load a model and its decoder; by default the English model of the package.

        Raises:
            CheckpointError: the folder holds no model, or a damaged one.
            LanguageModelError, DecoderError: a language model or a setting cannot be used.
        """
        decoding = decoding or DecodingOptions().resolve()
        acoustics = decoding.open_output()
        decoder = decoding.make_decoder(acoustics.vocabulary, acoustics.text)
        found = decoding.calibration(), decoding.load_writer()
        return cls(acoustics, decoder, *found, words=decoding.words, channels=decoding.channels)

    def transcribe(
        self, source: Source, *, words: bool | None = None, progress: Progress | None = None
    ) -> Transcript:
        """Recognise a file, the bytes of one, or a binary stream.

        Args:
            source: the recording.
            words: whether to say when each word was spoken; default: as the model was loaded.
            progress: called at each pause with the seconds done, and the seconds in all or None.

        Raises:
            AudioError: the recording cannot be read, or not to its end.
        """
        words = self.words if words is None else words
        return self.channels.transcribed(self._transcribe, source, words, progress)

    def _transcribe(
        self, source: Source, channel: int | None, words: bool, progress: Progress | None
    ) -> Transcript:
        """Recognise one channel of a recording, or for None their mix."""
        stream = self._stream(source, channel)
        segments = list(self._decoded(stream, words, progress))
        spoken = tuple(word for segment in segments for word in segment.words)
        transcript = Transcript(
            path=source_name(source),
            text=" ".join(segment.text for segment in segments),
            duration=stream.quality.duration,
            words=spoken if words else (),
            warnings=tuple(stream.quality.warnings()),
            quality=stream.quality,
            channel=channel or 1,
        )
        return self.writer.rewrite(transcript, spoken) if self.writer else transcript

    def segments(
        self, source: Source, *, words: bool | None = None, progress: Progress | None = None
    ) -> Iterator[Segment]:
        """Yield the speech between two pauses as a segment, in plain words, once it is decoded.

        Arguments and errors are those of `transcribe`. If the middle of a file is damaged, the
        segments before the damage come first, then the error. With a writer, segments have words
        even if these are not asked for; their confidences are not calibrated then. Channels that
        are to be told apart raise DecoderError: only `transcribe` does that.
        """
        return self._decoded(self._stream(source, self.channels.only), words, progress)

    def _stream(self, source: Source, channel: int | None) -> AudioStream:
        rate_hz = self.acoustics.sample_rate_hz
        return AudioStream(source, sample_rate_hz=rate_hz, block_s=_BLOCK_S, channel=channel)

    def _decoded(
        self, stream: AudioStream, words: bool | None, progress: Progress | None
    ) -> Iterator[Segment]:
        """Yield the segments that have a text."""
        words = self.words if words is None else words
        shift_ms, frames = self.acoustics.frame_shift_ms, 0
        for log_probs in self.log_probs(stream):
            # The last frame may reach beyond the recording.
            limit = stream.quality.duration if stream.is_read else np.inf
            if log_probs[:, BLANK].any():  # not certain blanks alone
                start = frames * shift_ms / 1000
                segment = self._segment(log_probs, start, limit, words=words)
                if segment.text:
                    yield segment
            frames += len(log_probs)
            if progress:
                progress(min(frames * shift_ms / 1000, limit), stream.promised_s)

    def log_probs(self, blocks: Iterable[Waveform]) -> Iterator[NDArray[np.float32]]:
        """Yield the log-probabilities (T, V) of a recording from pause to pause.

        Frames without speech are certain blanks. Joined, the parts have a frame for each frame of
        the recording.

        Args:
            blocks: float32 (L,) each, at the model's rate.
        """
        segmenter = Segmenter(self.acoustics)
        for window in windows(self.acoustics, blocks):
            log_probs = speech_log_probs(self.acoustics, window.waveform)
            yield from segmenter.add(window.part(log_probs))
        yield segmenter.held

    def _segment(
        self, log_probs: NDArray[np.float32], start: float, limit: float, *, words: bool
    ) -> Segment:
        """Decode log-probabilities (T, V) that begin at `start` and end by `limit`, in seconds."""
        frame_s, timed = self.acoustics.frame_shift_ms / 1000, list[Word]()
        nbest = self.decoder.decode(log_probs, NBEST if words else 1)
        if words or self.writer:  # which looks at pauses alone
            from asr.decode import spoken_words  # compiles at its first use

            for word in spoken_words(
                log_probs, nbest, frame_s, self.calibration if words else None
            ):
                end = min(start + word.end, limit)
                timed.append(replace(word, start=start + word.start, end=end))
        said = np.flatnonzero(log_probs.argmax(axis=1) != BLANK)
        edges = (said[0], said[-1] + 1) if len(said) else (0, len(log_probs))
        begin, end = (float(min(start + frame * frame_s, limit)) for frame in edges)
        if timed:  # a word lasts a little longer than what is heard of it
            begin, end = min(begin, timed[0].start), max(end, timed[-1].end)
        return Segment(nbest[0].text, begin, end, tuple(timed))


def load_model(
    folder: Path | str | None = None, options: DecodingOptions | None = None
) -> Recognizer:
    """Load a bundle or experiment folder; without one, the English model of the package.

    Args:
        folder: of the model.
        options: how to decode; default: with the language model and settings in the folder.

    Raises:
        CheckpointError: the folder holds no model, or a damaged one.
        LanguageModelError, DecoderError: a language model or an option cannot be used.
    """
    if not isinstance(options, DecodingOptions | None):
        raise DecoderError(f"options is {options!r}; allowed: asr.DecodingOptions(...)")
    return Recognizer.load((options or DecodingOptions()).resolve(folder))

"""A model ready to recognise: recording in, transcript out.

A recording of any length is read block by block and heard in windows; what may be speech in them is
joined and decoded from pause to pause. So memory does not grow with the recording, and no cut falls
into a word.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from asr.audio import AudioStream, Waveform
from asr.decode import (
    NBEST,
    Decoder,
    GreedyDecoder,
    Hypothesis,
    has_phones,
    included_lm,
    included_lstm,
    load_settings,
)
from asr.formats import Transcript, Word
from asr.inference import Acoustics, open_acoustics
from asr.media import Source, source_name
from asr.segmentation import Segmenter, speech_log_probs, windows
from asr.text import BLANK

if TYPE_CHECKING:
    from asr.decode import Calibration

ENGLISH = Path(__file__).parent / "models" / "english"
_BLOCK_S = 10.0


class Recognizer:
    """Recognises recordings with one acoustic model and a decoder, greedy if none is given.

    With a calibration, fitted to model and decoder, words have the confidences that it gives;
    without one, the mean posterior of their tokens.
    """

    def __init__(
        self,
        acoustics: Acoustics,
        decoder: Decoder | None = None,
        calibration: "Calibration | None" = None,
    ) -> None:
        self.acoustics = acoustics
        self.decoder = decoder or GreedyDecoder(acoustics.vocabulary)
        self.calibration = calibration

    @classmethod
    def load(cls, folder: Path | str | None = None) -> "Recognizer":
        """Load a bundle or experiment folder; without one, the English model of the package.

        Where a language model lies in the folder, it is decoded with, by a beam search: over
        phones, where the model has them.

        Raises:
            CheckpointError: the folder holds no model, or a damaged one.
            LanguageModelError, DecoderError: its language model or settings are damaged.
        """
        folder = Path(folder or ENGLISH)
        path = included_lm(folder)
        if not path:
            return cls(open_acoustics(folder))

        from asr.decode import (
            BeamDecoder,  # imports numba
            load_calibration,
            rescored,
        )
        from asr.lexicon import Pronunciations
        from asr.lm import load_lm

        phones = has_phones(folder)
        acoustics = open_while_compiling(folder, phones=phones)
        lm, config = load_lm(path), load_settings(folder)
        lexicon = Pronunciations.load(folder).among(lm) if phones else None
        beam = BeamDecoder(acoustics.vocabulary, config, lm=lm, lexicon=lexicon)
        decoder = rescored(beam, included_lstm(folder), config)
        return cls(acoustics, decoder, load_calibration(folder))

    def transcribe(self, source: Source, *, words: bool = False) -> Transcript:
        """Recognise a file, the bytes of one, or a binary stream; with `words`, say when each was.

        Raises:
            AudioError: the recording cannot be read, or not to its end.
        """
        stream = AudioStream(source, sample_rate_hz=self.acoustics.sample_rate_hz, block_s=_BLOCK_S)
        texts, timed, frames = list[str](), list[Word](), 0
        for log_probs in self.segments(stream):
            if log_probs[:, BLANK].any():  # not certain blanks alone
                nbest = self.decoder.decode(log_probs, NBEST if words else 1)
                texts.append(nbest[0].text)
                if words:
                    start = frames * self.acoustics.frame_shift_ms / 1000
                    timed += (_later(word, start) for word in self._words(log_probs, nbest))
            frames += len(log_probs)
        duration = stream.quality.duration
        return Transcript(
            path=source_name(source),
            text=" ".join(filter(None, texts)),
            duration=duration,
            # the last frame may reach beyond the recording
            words=tuple(replace(word, end=min(word.end, duration)) for word in timed),
            warnings=tuple(stream.quality.warnings()),
            quality=stream.quality,
        )

    def segments(self, blocks: Iterable[Waveform]) -> Iterator[NDArray[np.float32]]:
        """Log-probabilities (T, V) of a recording from pause to pause, certain blanks where no
        speech is. All joined have a frame for each frame of the recording.

        Args:
            blocks: float32 (L,) each, at the model's rate.
        """
        segmenter = Segmenter(self.acoustics)
        for window in windows(self.acoustics, blocks):
            log_probs = speech_log_probs(self.acoustics, window.waveform)
            yield from segmenter.add(window.part(log_probs))
        yield segmenter.held

    def _words(self, log_probs: NDArray[np.float32], nbest: list[Hypothesis]) -> tuple[Word, ...]:
        from asr.decode import spoken_words  # compiles at its first use

        frame_s = self.acoustics.frame_shift_ms / 1000
        return spoken_words(log_probs, nbest, frame_s, self.calibration)


def open_while_compiling(folder: Path, *, phones: bool) -> Acoustics:
    """What open_acoustics gives; meanwhile, on another core, the search becomes ready."""
    with ThreadPoolExecutor(1) as pool:
        opening = pool.submit(open_acoustics, folder, phones=phones)
        from asr.decode import compile_search  # imports numba

        compile_search()
        return opening.result()


def _later(word: Word, seconds: float) -> Word:
    return replace(word, start=word.start + seconds, end=word.end + seconds)

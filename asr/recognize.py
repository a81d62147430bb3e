"""A model ready to recognise: recording in, transcript out.

Recordings of any length are read block by block and recognised in pieces of at most PIECE_S
seconds, cut where they are quietest, so memory does not grow with the recording.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from asr.acoustics import Acoustics, open_acoustics
from asr.audio import AudioStream, Waveform
from asr.container import Source, source_name
from asr.decode.greedy import GreedyDecoder
from asr.decode.hypothesis import NBEST, Decoder, Hypothesis
from asr.decode.settings import LM, load_settings
from asr.formats import Transcript, Word

if TYPE_CHECKING:
    from asr.decode.confidence import Calibration

ENGLISH = Path(__file__).parent / "models" / "english"
PIECE_S = 30.0  # longest piece; training utterances are shorter still
SILENCE_PEAK = 1e-3  # -60 dBFS: what never gets louder holds no speech
_BLOCK_S = 10.0
_QUIET_S = 0.1  # window in which the energy around a cut is measured


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
        """Load an experiment folder; without one, the English model that comes with the package.

        Where a language model lies in the folder, it is decoded with, by a beam search.

        Raises:
            CheckpointError: the folder holds no model, or a damaged one.
            LanguageModelError, DecoderError: its language model or settings are damaged.
        """
        folder = Path(folder or ENGLISH)
        acoustics = open_acoustics(folder)
        if not (folder / LM).exists():
            return cls(acoustics)

        from asr.decode.beam import BeamDecoder, compile_search  # imports numba
        from asr.decode.confidence import load_calibration
        from asr.lm.binary import load_lm

        compile_search()
        lm = load_lm(folder / LM)
        decoder = BeamDecoder(acoustics.vocabulary, load_settings(folder), lm=lm)
        return cls(acoustics, decoder, load_calibration(folder))

    def transcribe(self, source: Source, *, words: bool = False) -> Transcript:
        """Recognise a file, the bytes of one, or a binary stream; with `words`, say when each was.

        Raises:
            AudioError: the recording cannot be read, or not to its end.
        """
        stream = AudioStream(source, sample_rate_hz=self.acoustics.sample_rate_hz, block_s=_BLOCK_S)
        texts, timed, start = list[str](), list[Word](), 0.0
        for piece in pieces(stream, self.acoustics.sample_rate_hz):
            if np.abs(piece).max() >= SILENCE_PEAK:
                log_probs = self.acoustics.log_probs(piece)
                nbest = self.decoder.decode(log_probs, NBEST if words else 1)
                texts.append(nbest[0].text)
                if words:
                    timed += (_later(word, start) for word in self._words(log_probs, nbest))
            start += len(piece) / self.acoustics.sample_rate_hz
        return Transcript(
            path=source_name(source),
            text=" ".join(filter(None, texts)),
            duration=stream.findings.duration,
            words=tuple(timed),
            warnings=tuple(stream.findings.warnings()),
        )

    def _words(self, log_probs: NDArray[np.float32], nbest: list[Hypothesis]) -> tuple[Word, ...]:
        from asr.decode.confidence import confident_words  # compiles at its first use
        from asr.decode.forced import align_words

        frame_s = self.acoustics.frame_shift_ms / 1000
        if self.calibration is None:
            return align_words(log_probs, nbest[0].tokens, self.acoustics.vocabulary, frame_s)
        return confident_words(
            log_probs, nbest, self.acoustics.vocabulary, frame_s, self.calibration
        )


def _later(word: Word, seconds: float) -> Word:
    return replace(word, start=word.start + seconds, end=word.end + seconds)


def pieces(
    blocks: Iterable[Waveform], sample_rate_hz: int, longest_s: float = PIECE_S
) -> Iterator[Waveform]:
    """Join and cut blocks, float32 (L,), into pieces of at most longest_s seconds.

    A cut falls on the quietest spot of a piece's second half.
    """
    longest = round(longest_s * sample_rate_hz)
    window = round(_QUIET_S * sample_rate_hz)
    pending = np.empty(0, np.float32)
    for block in blocks:
        pending = np.concatenate((pending, block))
        while len(pending) > longest:
            cut = longest // 2 + quietest(pending[longest // 2 : longest], window)
            yield pending[:cut]
            pending = pending[cut:]
    if len(pending):
        yield pending


def quietest(waveform: Waveform, window: int) -> int:
    """The sample in the middle of the quietest window of a waveform, float32 (L,), L >= window."""
    energy = np.concatenate(([0.0], np.cumsum(np.square(waveform, dtype=np.float64))))
    return int(np.argmin(energy[window:] - energy[:-window])) + window // 2

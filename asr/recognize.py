"""A model ready to recognise: recording in, transcript out.

Recordings of any length are read block by block and recognised in pieces of at most PIECE_S
seconds, cut where they are quietest, so memory does not grow with the recording.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from asr.audio import AudioStream, Waveform
from asr.checkpoint import load_model
from asr.container import Source, source_name
from asr.decode.greedy import best_path
from asr.formats import Transcript
from asr.model import AcousticModel
from asr.text import Vocabulary

ENGLISH = Path(__file__).parent / "models" / "english"
PIECE_S = 30.0  # longest piece; training utterances are shorter still
SILENCE_PEAK = 1e-3  # -60 dBFS: what never gets louder holds no speech
_BLOCK_S = 10.0
_QUIET_S = 0.1  # window in which the energy around a cut is measured


class Recognizer:
    """Recognises recordings with one acoustic model and greedy decoding."""

    def __init__(self, model: AcousticModel, vocabulary: Vocabulary) -> None:
        self.model = model.eval()
        self.vocabulary = vocabulary
        self.sample_rate_hz = model.config.features.sample_rate_hz

    @classmethod
    def load(cls, folder: Path | str | None = None) -> "Recognizer":
        """Load an experiment folder; without one, the English model that comes with the package.

        Raises:
            CheckpointError: the folder holds no model, or a damaged one.
        """
        return cls(*load_model(folder or ENGLISH))

    def transcribe(self, source: Source) -> Transcript:
        """Recognise a file, the bytes of one, or a binary stream.

        Raises:
            AudioError: the recording cannot be read, or not to its end.
        """
        stream = AudioStream(source, sample_rate_hz=self.sample_rate_hz, block_s=_BLOCK_S)
        texts = [self._text(piece) for piece in pieces(stream, self.sample_rate_hz)]
        return Transcript(
            path=source_name(source),
            text=" ".join(filter(None, texts)),
            duration=stream.findings.duration,
            warnings=tuple(stream.findings.warnings()),
        )

    def _text(self, waveform: Waveform) -> str:
        if np.abs(waveform).max() < SILENCE_PEAK:
            return ""
        return self.vocabulary.decode(best_path(self.log_probs(waveform))).strip()

    @torch.inference_mode()
    def log_probs(self, waveform: Waveform) -> NDArray[np.float32]:
        """Float32 (L,) samples at `sample_rate_hz` to natural-log probabilities (T, V)."""
        samples = torch.tensor(waveform)[None]  # (1, L)
        log_probs, _ = self.model.from_waveforms(samples, torch.tensor([len(waveform)]))
        result: NDArray[np.float32] = log_probs[0].numpy()
        return result


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

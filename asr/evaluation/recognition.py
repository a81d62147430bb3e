"""Recognise a manifest with any model, to compare the texts with their references."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import nan
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asr._atomic import write_atomically
from asr.audio import Waveform, read_utterance
from asr.formats import trn_line
from asr.inference import Acoustics, TorchAcoustics
from asr.manifest import Utterance
from asr.media import SoundQuality
from asr.sequences import FRAMES
from asr.text import Normalizer

_SILENCE = 1e-10  # power of -100 dBFS: digital silence has a level, too


def normalised_references(
    acoustics: Acoustics, utterances: Iterable[Utterance], *, spelled_by_lexicon: bool
) -> dict[str, str]:
    """Return the references by utterance id, normalised as the model writes text.

    Raises:
        VocabularyError: a reference has symbols that the model lacks, and no lexicon spells it.
    """
    normalizer = Normalizer(**vars(acoustics.text))
    references = {utterance.id: normalizer(utterance.text) for utterance in utterances}
    if not spelled_by_lexicon:
        acoustics.vocabulary.check_texts(references.items())
    return references


@dataclass(frozen=True)
class HeardUtterance:
    """An utterance as the network and the microphone heard it."""

    utterance: Utterance
    log_probs: NDArray[np.float32]  # (T, V)
    quality: SoundQuality | None  # None: frames that others computed, without sound
    range_db: float = nan  # of `level_range_db`


def hear(acoustics: Acoustics, utterances: Iterable[Utterance]) -> Iterator[HeardUtterance]:
    """Yield the log-probabilities and the sound quality of each utterance.

    Raises:
        AudioError: a recording cannot be read; a smaller set would have another score.
    """
    for utterance in utterances:
        if isinstance(acoustics, TorchAcoustics) and utterance.audio.suffix == FRAMES:
            yield HeardUtterance(utterance, acoustics.of_utterance(utterance), None)
            continue
        recording = read_utterance(utterance, acoustics.sample_rate_hz)
        yield HeardUtterance(
            utterance,
            acoustics.log_probs(recording.waveform),
            recording.quality,
            level_range_db(recording.waveform, recording.sample_rate_hz),
        )


def level_range_db(waveform: Waveform, sample_rate_hz: int) -> float:
    """Return the level of the loud frames over that of the quiet ones, in decibels.

    Levels are those of frames of 20 ms; loud and quiet are their 95th and 5th percentile. Speech in
    a quiet room has 40 and more, noise or music in the pauses leaves 10 to 25.
    """
    size = sample_rate_hz // 50
    frames = waveform[: len(waveform) // size * size].reshape(-1, size)
    if not len(frames):
        return 0.0
    levels = 10 * np.log10(np.square(frames, dtype=np.float64).mean(axis=1) + _SILENCE)
    quiet, loud = np.quantile(levels, [0.05, 0.95])
    return float(loud - quiet)


def recognise(
    acoustics: Acoustics, utterances: Iterable[Utterance]
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield id and log-probabilities (T, V) of each utterance.

    Raises:
        AudioError: a recording cannot be read; a smaller set would have another score.
    """
    for heard in hear(acoustics, utterances):
        yield heard.utterance.id, heard.log_probs


def save_texts(folder: Path, references: Mapping[str, str], hypotheses: Mapping[str, str]) -> None:
    """Write texts by utterance id as ref.trn and hyp.trn, which asr-score reads."""
    for name, texts in (("ref", references), ("hyp", hypotheses)):
        lines = (trn_line(utterance, text) for utterance, text in texts.items())
        write_atomically(folder / f"{name}.trn", "".join(f"{line}\n" for line in lines))

"""Recognise a manifest with any model, to compare the texts with their references."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asr._atomic import write_atomically
from asr.audio import read_utterance
from asr.formats import trn_line
from asr.inference import Acoustics, TorchAcoustics
from asr.manifest import Utterance
from asr.sequences import FRAMES
from asr.text import Normalizer


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


def recognise(
    acoustics: Acoustics, utterances: Iterable[Utterance]
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield id and log-probabilities (T, V) of each utterance.

    Raises:
        AudioError: a recording cannot be read; a smaller set would have another score.
    """
    for utterance in utterances:
        if isinstance(acoustics, TorchAcoustics) and utterance.audio.suffix == FRAMES:
            yield utterance.id, acoustics.of_utterance(utterance)
            continue
        recording = read_utterance(utterance, acoustics.sample_rate_hz)
        yield utterance.id, acoustics.log_probs(recording.waveform)


def save_texts(folder: Path, references: Mapping[str, str], hypotheses: Mapping[str, str]) -> None:
    """Write texts by utterance id as ref.trn and hyp.trn, which asr-score reads."""
    for name, texts in (("ref", references), ("hyp", hypotheses)):
        lines = (trn_line(utterance, text) for utterance, text in texts.items())
        write_atomically(folder / f"{name}.trn", "".join(f"{line}\n" for line in lines))

"""Examine a model's folder as recognition loads it, file by file, before somebody else gets it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from asr.decode import LM, LSTM, load_calibration, load_settings
from asr.doctor.finding import Finding
from asr.errors import AsrError, CheckpointError, MissingDependencyError
from asr.inference import open_acoustics
from asr.lexicon import LEXICON, Pronunciations
from asr.lm import LstmArrays, read_binary
from asr.options import DecodingOptions
from asr.readable import TAGGER, Tagger
from asr.text import PHONES

NOISE_S = 1.0
TRIGRAM = "trigram.safetensors"  # of asr.checkpoint, which needs torch


def examine_model(folder: Path) -> list[Finding]:
    """Load every file of a bundle or an experiment that may be read; run the network.

    Returns:
        A finding for each fault. What cannot be loaded alone is not loaded with the others.

    Raises:
        MissingDependencyError: it is an experiment folder, and torch is not installed.
    """
    checks: list[Callable[[Path], object]] = [_check_network, load_settings, load_calibration]
    checks += [_check_phones] if (folder / PHONES).exists() else []
    checks += [_check_lm] if (folder / LM).exists() else []
    checks += [_check_lstm] if (folder / LSTM).exists() else []
    checks += [Pronunciations.load] if (folder / LEXICON).exists() else []
    checks += [_check_tagger] if (folder / TAGGER).exists() else []
    checks += [_check_trigram] if (folder / TRIGRAM).exists() else []
    faults = _faults(folder, checks) or _faults(folder, [_check_together])
    return [
        Finding(kind="damaged-model", dataset="model", count=1, total=0, why=fault)
        for fault in faults
    ]


def _faults(folder: Path, checks: list[Callable[[Path], object]]) -> list[str]:
    """Return the errors of checks, each once: two may meet the same fault."""
    faults: dict[str, None] = {}
    for check in checks:
        try:
            check(folder)
        except MissingDependencyError:
            raise
        except AsrError as error:
            faults[str(error)] = None
    return [*faults]


def _check_network(folder: Path, *, phones: bool = False) -> None:
    """Run the network on a second of noise, steady and with a pause.

    Some models have a network for recordings with steady noise, and another one for the others.

    Raises:
        CheckpointError: it cannot be loaded, or what it gives is no probability.
    """
    acoustics = open_acoustics(folder, phones=phones)
    num_samples = round(NOISE_S * acoustics.sample_rate_hz)
    noise = 0.01 * np.random.default_rng(0).standard_normal(num_samples).astype(np.float32)
    pause = np.where(np.arange(num_samples) < num_samples / 2, np.float32(1e-3), np.float32(1))
    for sound in (noise, noise * pause):
        sums = np.exp(acoustics.log_probs(sound).astype(np.float64)).sum(1)
        if not (len(sums) and np.abs(sums - 1).max() < 1e-2):  # not with NaN
            raise CheckpointError(
                f"{folder}: the network's probabilities of a frame do not sum to 1; train it "
                "again, or copy it again"
            )


def _check_phones(folder: Path) -> None:
    _check_network(folder, phones=True)


def _check_lm(folder: Path) -> None:
    read_binary(folder / LM)


def _check_lstm(folder: Path) -> None:
    LstmArrays.load(folder / LSTM)


def _check_tagger(folder: Path) -> None:
    Tagger.load(folder / TAGGER)


def _check_trigram(folder: Path) -> None:
    """Load the denominator language model, which only training reads; without torch, nothing."""
    try:
        from asr.checkpoint import load_experiment, load_phones, load_trigram
    except ModuleNotFoundError:
        return
    tokens = load_phones(folder) or load_experiment(folder)[1]
    load_trigram(folder, len(tokens))


def _check_together(folder: Path) -> None:
    """Build the decoder that is the default for the model, as asr-transcribe does."""
    decoding = DecodingOptions(words=True).resolve(folder)
    acoustics = decoding.open_output()
    decoding.make_decoder(acoustics.vocabulary, acoustics.text)

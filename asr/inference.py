"""Run the model of a bundle or an experiment: waveforms in, log-probabilities out."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from asr._install import install
from asr.audio import Waveform
from asr.cleaning import cleaned
from asr.config import TextConfig
from asr.denoising import NOISY_DB, is_noisy
from asr.errors import CheckpointError, MissingDependencyError
from asr.export import (
    GRAPH,
    INDEX,
    NOISY,
    Bundle,
    Network,
    checked_log_probs,
    errors_of,
    is_bundle,
    read_bundle,
)
from asr.manifest import Utterance
from asr.sequences import read_frames
from asr.text import Vocabulary

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from asr.model import AcousticModel

_TOKENS = "log_probs"  # the output that every graph has


class Acoustics(Protocol):
    """A model ready to run. Shapes: L samples, T' frames, V tokens; token 0 is the blank."""

    name: str  # of its folder
    vocabulary: Vocabulary
    text: TextConfig  # how transcripts were normalised for training
    sample_rate_hz: int
    frame_shift_ms: float  # between two frames of log-probabilities: a whole number of samples

    def log_probs(self, waveform: Waveform) -> NDArray[np.float32]:
        """Return natural-log probabilities (T', V) of float32 (L,) samples at `sample_rate_hz`."""

    def with_tokens(self, waveform: Waveform) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the log-probabilities of the output that is read, and of the one over tokens."""


class OnnxAcoustics:
    """The model of a bundle; recordings with noise have networks of their own, if it has some."""

    def __init__(self, bundle: Bundle, folder: Path, *, phones: bool = False) -> None:
        self.vocabulary = _read_by(phones, bundle.vocabulary, bundle.phones, folder)
        self._read = "phones" if phones else _TOKENS
        self.name = folder.name
        self.text = bundle.info.text
        self.sample_rate_hz = bundle.info.sample_rate_hz
        self.frame_shift_ms = bundle.info.frame_shift_ms
        self._info, self._folder = bundle.info, folder
        self._widths = {_TOKENS: len(bundle.vocabulary), self._read: len(self.vocabulary)}
        self._network = self._open(GRAPH, bundle.graph)
        self._noisy: bytes | Network | None = bundle.noisy

    def _open(self, name: str, graph: bytes) -> Network:
        path = self._folder / name
        return Network(path, graph, self._info, frame_samples_of(self), self._widths)

    @classmethod
    def load(cls, folder: Path, *, phones: bool = False) -> "OnnxAcoustics":
        """Verify a bundle and prepare its model.

        Raises:
            CheckpointError: it is not whole, or its graph cannot be run.
        """
        with ThreadPoolExecutor(1) as pool:  # hashes while onnxruntime loads
            reading = pool.submit(read_bundle, folder)
            import asr._onnxruntime  # noqa: F401

            return cls(reading.result(), folder, phones=phones)

    def log_probs(self, waveform: Waveform) -> NDArray[np.float32]:
        """Return natural-log probabilities (T', V) of float32 (L,) samples at `sample_rate_hz`."""
        return self._run(waveform)[self._read]

    def with_tokens(self, waveform: Waveform) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the log-probabilities of the output that is read, and of the one over tokens."""
        found = self._run(waveform)
        return found[self._read], found[_TOKENS]

    def _run(self, waveform: Waveform) -> dict[str, NDArray[np.float32]]:
        return self._hearing(waveform).run(cleaned(waveform, self._info))

    def _hearing(self, waveform: Waveform) -> Network:
        """Return the networks for samples (L,); those for noise are opened at the first noise."""
        noisy = self._noisy  # which another thread may replace
        if not noisy or not is_noisy(waveform, self.sample_rate_hz, NOISY_DB):
            return self._network
        if isinstance(noisy, bytes):
            noisy = self._noisy = self._open(NOISY, noisy)
        return noisy


class TorchAcoustics:
    """The model of an experiment folder, run by torch in one thread."""

    def __init__(
        self, model: "AcousticModel", vocabulary: Vocabulary, folder: Path, *, phones: bool = False
    ) -> None:
        self.model = model.eval()
        self._read = int(phones)
        self.vocabulary = vocabulary
        self.name, self._path = folder.name, folder / "best"
        self.text = model.config.text
        self.sample_rate_hz = model.config.features.sample_rate_hz
        self.frame_shift_ms = model.frame_shift_ms

    def log_probs(self, waveform: Waveform) -> NDArray[np.float32]:
        """Return natural-log probabilities (T', V) of float32 (L,) samples at `sample_rate_hz`."""
        return self.with_tokens(waveform)[0]

    def with_tokens(self, waveform: Waveform) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the log-probabilities of the output that is read, and of the one over tokens."""
        waveform = cleaned(waveform, self.model.config.features)
        frames = len(waveform) // frame_samples_of(self) + 1
        return self._run(self.model.from_waveforms, waveform, frames)

    def of_utterance(self, utterance: Utterance) -> NDArray[np.float32]:
        """Return natural-log probabilities (T', V) of the frames in a file.

        Raises:
            FramesError: the file cannot be used.
        """
        given = read_frames(utterance, self.model.config.features)
        frames = -(-len(given) // self.model.config.model.stack)
        return self._run(self.model.from_log_mel, given, frames)[0]

    def _run(
        self, model: "Callable[..., tuple[list[Tensor], Tensor]]", given: Waveform, frames: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the outputs of the model for samples (L,) or frames (T, M), checked."""
        import torch

        from asr.distributed import threads

        with torch.inference_mode(), threads(1):  # as in training: two are slower
            outputs, _ = model(torch.tensor(given)[None], torch.tensor([len(given)]))
        with errors_of(self._path):
            read, tokens = (outputs[i][0].numpy() for i in (self._read, 0))
            checked_log_probs(tokens, frames, tokens.shape[1])
            return checked_log_probs(read, frames, len(self.vocabulary)), tokens


def frame_samples_of(acoustics: Acoustics) -> int:
    """Return the samples from one frame of log-probabilities to the next."""
    return round(acoustics.frame_shift_ms * acoustics.sample_rate_hz / 1000)


def open_acoustics(folder: Path, *, phones: bool = False) -> Acoustics:
    """Open the acoustic model in a folder: a bundle, or else an experiment, which needs torch.

    Args:
        folder: of the model.
        phones: whether to read its output over phones instead of the one over its tokens.

    Raises:
        CheckpointError: the folder holds no model, a damaged one, or one without phones.
        MissingDependencyError: it is an experiment folder, and torch is not installed.
    """
    if is_bundle(folder):
        return OnnxAcoustics.load(folder, phones=phones)
    if not (folder / "config.json").exists():
        raise CheckpointError(
            f"{folder}: holds no model, neither {INDEX} of asr-export nor config.json of asr-train"
        )
    try:
        from asr.checkpoint import load_acoustic_model, load_phones  # late: torch takes seconds
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"{folder}: needs {error.name}: {install('train')}; or asr-export it, where that is"
        ) from error

    model, vocabulary = load_acoustic_model(folder)
    vocabulary = _read_by(phones, vocabulary, load_phones(folder), folder)
    return TorchAcoustics(model, vocabulary, folder, phones=phones)


def _read_by(
    phones: bool, tokens: Vocabulary, of_phones: Vocabulary | None, folder: Path
) -> Vocabulary:
    """Return the vocabulary of the output that is read."""
    if not phones:
        return tokens
    if of_phones is None:
        raise CheckpointError(f"{folder}: the model has no output over phones; use --unit tokens")
    return of_phones

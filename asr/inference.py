"""Run the model of a bundle or an experiment: waveforms in, log-probabilities out."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from asr._install import install
from asr.audio import Waveform
from asr.config import TextConfig
from asr.errors import CheckpointError, MissingDependencyError
from asr.export import GRAPH, INDEX, Bundle, is_bundle, read_bundle
from asr.text import Vocabulary

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

    from asr.model import AcousticModel

_TOKENS = "log_probs"  # the output that every graph has
_OUTSIDE = b"location"  # the key by which an ONNX file names another that holds its weights


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
    """The model of a bundle, run by onnxruntime in one thread.

    A recurrent step is too small to be split, so a second thread gains nothing; for several
    recordings at once there are processes.
    """

    def __init__(self, bundle: Bundle, folder: Path, *, phones: bool = False) -> None:
        self.vocabulary = _read_by(phones, bundle.vocabulary, bundle.phones, folder)
        self._read = "phones" if phones else _TOKENS
        self.name = folder.name
        self.text = bundle.info.text
        self.sample_rate_hz = bundle.info.sample_rate_hz
        self.frame_shift_ms = bundle.info.frame_shift_ms
        if _OUTSIDE in bundle.graph:
            raise CheckpointError(
                f"{folder / GRAPH}: keeps weights outside of itself, which a bundle must not; "
                "make it again with asr-export"
            )
        try:
            self._session = _open_session(bundle.graph)
            probed = self.log_probs(np.zeros(self.sample_rate_hz // 10, np.float32))
        except Exception as error:  # onnxruntime raises many kinds, of no common class
            raise CheckpointError(f"{folder / GRAPH}: cannot be run ({error})") from error
        if probed.ndim != 2 or probed.shape[1] != len(self.vocabulary):
            raise CheckpointError(
                f"{folder / GRAPH}: gives {probed.shape[1:]} log-probabilities a frame, for "
                f"{len(self.vocabulary)} tokens; make the bundle again with asr-export"
            )

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
        return self._run(waveform, self._read)[self._read]

    def with_tokens(self, waveform: Waveform) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the log-probabilities of the output that is read, and of the one over tokens."""
        found = self._run(waveform, self._read, _TOKENS)
        return found[self._read], found[_TOKENS]

    def _run(self, waveform: Waveform, *outputs: str) -> dict[str, NDArray[np.float32]]:
        feed = {"waveforms": waveform[None], "num_samples": np.array([len(waveform)])}  # (1, L)
        found = self._session.run(outputs, feed)
        return {name: output[0] for name, output in zip(outputs, found, strict=True)}


def _open_session(graph: bytes) -> "InferenceSession":
    from asr._onnxruntime import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4  # errors come as exceptions; nothing else is printed
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


class TorchAcoustics:
    """The model of an experiment folder, run by torch in one thread."""

    def __init__(
        self, model: "AcousticModel", vocabulary: Vocabulary, name: str, *, phones: bool = False
    ) -> None:
        self.model = model.eval()
        self._read = int(phones)
        self.vocabulary = vocabulary
        self.name = name
        self.text = model.config.text
        self.sample_rate_hz = model.config.features.sample_rate_hz
        self.frame_shift_ms = model.frame_shift_ms

    def log_probs(self, waveform: Waveform) -> NDArray[np.float32]:
        """Return natural-log probabilities (T', V) of float32 (L,) samples at `sample_rate_hz`."""
        return self.with_tokens(waveform)[0]

    def with_tokens(self, waveform: Waveform) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the log-probabilities of the output that is read, and of the one over tokens."""
        import torch

        from asr.distributed import threads

        with torch.inference_mode(), threads(1):  # as in training: two are slower
            samples = torch.tensor(waveform)[None]  # (1, L)
            outputs, _ = self.model.from_waveforms(samples, torch.tensor([len(waveform)]))
        return outputs[self._read][0].numpy(), outputs[0][0].numpy()


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
    return TorchAcoustics(model, vocabulary, folder.name, phones=phones)


def _read_by(
    phones: bool, tokens: Vocabulary, of_phones: Vocabulary | None, folder: Path
) -> Vocabulary:
    """Return the vocabulary of the output that is read."""
    if not phones:
        return tokens
    if of_phones is None:
        raise CheckpointError(f"{folder}: the model has no output over phones; use --unit tokens")
    return of_phones

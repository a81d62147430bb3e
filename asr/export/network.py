"""The networks of a bundle as one graph, ready to be run."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asr.audio import Waveform
from asr.export.bundle import INDEX, BundleInfo
from asr.export.soundness import check_described, checked_log_probs, errors_of, open_graph


class Network:
    """A graph of a bundle, run by onnxruntime in one thread.

    A recurrent step is too small to be split, so a second thread gains nothing; for several
    recordings at once there are processes. Shapes: L samples, T frames, V tokens.
    """

    def __init__(
        self,
        path: Path,
        graph: bytes,
        info: BundleInfo,
        frame_samples: int,
        widths: Mapping[str, int],
    ) -> None:
        """Prepare a graph, and run it twice.

        Args:
            path: of the graph in its bundle, for errors.
            graph: an ONNX model.
            info: the description of the bundle, with which the graph must agree.
            frame_samples: from one frame of log-probabilities to the next.
            widths: V of each output that is to be read, by its name.

        Raises:
            CheckpointError: it cannot be run, or gives something else.
        """
        self._path, self._frame_samples, self._widths = path, frame_samples, widths
        with errors_of(path):
            self._session = open_graph(graph)
        for samples in (3 * frame_samples - 1, 3 * frame_samples):  # only this shift fits both
            self.run(np.zeros(samples, np.float32))
        described = (info.sample_rate_hz, info.frame_shift_ms)
        check_described(self._session, path.with_name(INDEX), *described)  # both may be wrong

    def run(self, waveform: Waveform) -> dict[str, NDArray[np.float32]]:
        """Return log-probabilities (T, V) of float32 (L,) samples, by the name of the output.

        Raises:
            CheckpointError: the graph cannot be run, or gives something else.
        """
        feed = {"waveforms": waveform[None], "num_samples": np.array([len(waveform)])}  # (1, L)
        frames = len(waveform) // self._frame_samples + 1
        with errors_of(self._path):
            found = zip(self._widths, self._session.run([*self._widths], feed), strict=True)
            return {n: checked_log_probs(given[0], frames, self._widths[n]) for n, given in found}

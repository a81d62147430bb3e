"""The acoustic model as one ONNX graph: waveforms in, log-probabilities out.

    waveforms     float32 (N, L), full scale 1; samples after an utterance's end are zero
    num_samples   int64 (N,), 1..L
    log_probs     float32 (N, T', V), natural logarithms
    phones        the same of phones, where the network has such an output
    num_frames    int64 (N,), valid frames of each utterance

The graph is traced from the modules that were trained, so that it cannot differ from them, but for
what ONNX has no good operator for: the spectrum is a strided convolution with the windowed Fourier
basis, and deltas are a convolution whose groups do not depend on the batch.

Shapes: N utterances, L samples, T feature frames, T' output frames, C cepstra, V tokens.
"""

import logging
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

import asr._onnxruntime  # noqa: F401  telemetry off, before `quantized` loads onnxruntime
from asr.errors import ConfigError
from asr.features import DELTA_WIN, LOG_OFFSET, Mfcc, mask_frames, mel_warp, normalize
from asr.model import AcousticModel

OPSET = 17  # the first with layer normalisation
_FRONTEND = "/frontend/"  # how the names of its nodes start


class _Frontend(nn.Module):
    """The frames of asr.features.Mfcc, by operators that ONNX has; of K warps of the mel axis."""

    basis: Tensor  # (2 * bins, 1, win_length): cosines, then sines
    cepstra: Tensor  # (K, 1, M, C): the DCT of warped frames
    delta: Tensor  # (1, 1, DELTA_WIN)

    def __init__(self, mfcc: Mfcc, warps: Sequence[float]) -> None:
        super().__init__()
        self.mfcc = mfcc
        self.spectrogram = mfcc.mfcc.MelSpectrogram
        basis = _fourier_basis(self.spectrogram.spectrogram.window, self.spectrogram.n_fft)
        self.register_buffer("basis", basis)
        warped = mel_warp(torch.tensor(warps), mfcc.config.num_mels) @ mfcc.mfcc.dct_mat
        self.register_buffer("cepstra", warped[:, None])
        offsets = torch.arange(DELTA_WIN) - DELTA_WIN // 2
        self.register_buffer("delta", (offsets / offsets.square().sum())[None, None])

    def forward(self, waveforms: Tensor, num_samples: Tensor) -> tuple[Tensor, Tensor]:
        """(N, L) waveforms to (K * N, T, F) features and the int64 (K * N,) valid frames of each.

        All utterances with the first warp come first.
        """
        num_frames = self.mfcc.num_frames(num_samples)
        energies = self._power(waveforms) @ self.spectrogram.mel_scale.fb  # (N, T, bins) -> M
        log_mel = mask_frames(torch.log(energies + LOG_OFFSET), num_frames)
        num_frames = num_frames.repeat(len(self.cepstra))
        streams = [(log_mel @ self.cepstra).flatten(0, 1)]  # (N, T, M) -> (K * N, T, C)
        for _ in range(self.mfcc.config.deltas):
            streams.append(self._deltas(streams[-1], num_frames))
        features = torch.cat(streams, dim=2)
        what = self.mfcc.config.normalize
        if what != "none":  # twice, for a sum of float32 over a long recording is rounded
            features = normalize(features, num_frames, "mean")
        return normalize(features, num_frames, what), num_frames

    def _power(self, waveforms: Tensor) -> Tensor:
        """(N, L) waveforms to power spectra (N, T, bins)."""
        width = self.basis.shape[2]
        before = (width + 1) // 2  # a frame is centred on its sample
        padded = nn.functional.pad(waveforms, (before, width - before))[:, None]
        squares = nn.functional.conv1d(padded, self.basis, stride=self.mfcc.hop_length).square()
        cosines, sines = squares.chunk(2, dim=1)
        return (cosines + sines).transpose(1, 2)

    def _deltas(self, features: Tensor, num_frames: Tensor) -> Tensor:
        """(N, T, C) to its deltas; an utterance's own edge frames are repeated."""
        time = torch.arange(features.shape[1])
        nearest = torch.minimum(time, num_frames[:, None] - 1)  # (N, T)
        held = features.gather(1, nearest.unsqueeze(2).expand_as(features)).transpose(1, 2)
        half = DELTA_WIN // 2
        padded = nn.functional.pad(held, (half, half), mode="replicate")
        rows = padded.reshape(-1, 1, padded.shape[2])  # (N, C, T + 4) -> (N * C, 1, T + 4)
        deltas = nn.functional.conv1d(rows, self.delta)
        return deltas.reshape(held.shape).transpose(1, 2)


def _fourier_basis(window: Tensor, n_fft: int) -> Tensor:
    """Windowed cosines and sines (2 * bins, 1, win_length); phases are free in a power spectrum."""
    bins, time = torch.arange(n_fft // 2 + 1), torch.arange(len(window))
    angles = 2 * torch.pi / n_fft * torch.outer(bins, time).double()
    basis = torch.cat([angles.cos(), angles.sin()]) * window.double()
    return basis.float()[:, None]


class _WaveformModel(nn.Module):
    def __init__(self, models: Sequence[AcousticModel], warps: Sequence[float]) -> None:
        super().__init__()
        self.frontend = _Frontend(models[0].frontend, warps)
        self.models = nn.ModuleList(models)
        self.outputs = [model.outputs for model in models]
        self.warps = len(warps)

    def forward(self, waveforms: Tensor, num_samples: Tensor) -> tuple[Tensor, ...]:
        features = self.frontend(waveforms, num_samples)
        found, counts = zip(*(outputs(*features) for outputs in self.outputs), strict=True)
        log_probs = (self._mean(several) for several in zip(*found, strict=True))
        return *log_probs, counts[0].unflatten(0, (self.warps, -1))[0]

    def _mean(self, log_probs: tuple[Tensor, ...]) -> Tensor:
        """Of log-probabilities (K * N, T', V) of each model, normalised again: (N, T', V).

        Means of probabilities are worse (recipes/librispeech/LOG.md): two networks do not say a
        phone in the same frame, and half of one in each of two frames is a deletion.
        """
        heard = torch.cat(log_probs).unflatten(0, (len(log_probs) * self.warps, -1))
        return heard.mean(0).log_softmax(dim=2) if len(heard) > 1 else log_probs[0]


def export_graph(
    model: AcousticModel, *others: AcousticModel, warps: Sequence[float] = (1.0,)
) -> bytes:
    """A model as an ONNX graph, for any number of utterances of any length.

    Others of the same features, frames and tokens make an ensemble, and so do several warps of the
    mel axis (asr.features.mel_warp), by which each model hears: log-probabilities are averaged.
    """
    rate_hz = model.config.features.sample_rate_hz
    outputs = ["log_probs", "phones"] if model.phone_output else ["log_probs"]
    example = torch.zeros(2, rate_hz), torch.tensor([rate_hz, rate_hz // 2])
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of batch sizes and constants, which tests prove right
        torch.onnx.export(
            _WaveformModel([model, *others], warps).eval(),
            example,
            Path(folder, "model.onnx"),
            dynamo=False,  # the newer exporter fixes the number of frames
            opset_version=OPSET,
            input_names=["waveforms", "num_samples"],
            output_names=[*outputs, "num_frames"],
            dynamic_axes={
                "waveforms": {0: "N", 1: "L"},
                "num_samples": {0: "N"},
                **{name: {0: "N", 1: "T"} for name in outputs},
                "num_frames": {0: "N"},
            },
        )
        return Path(folder, "model.onnx").read_bytes()


def quantized(graph: bytes, cell: str) -> bytes:
    """The same graph with the weights of recurrent and linear layers in 8 bits.

    Features are computed as before. Activations are quantised as they come, so log-probabilities
    depend a little on the other utterances of a batch. A scale for each row of a matrix halves the
    difference from float32. Weights without a sign do not saturate on older CPUs.

    Raises:
        ConfigError: the recurrent cell is none that onnxruntime computes in 8 bits.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    if cell != "lstm":
        raise ConfigError(f"model.cell is {cell!r}, --int8 is for 'lstm'; leave --int8 out")
    model = onnx.load_from_string(graph)
    frontend = [node.name for node in model.graph.node if node.name.startswith(_FRONTEND)]
    logging.disable(logging.WARNING)  # it advises another pass, which changes nothing here
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "model.onnx")
            quantize_dynamic(
                model,
                path,
                op_types_to_quantize=["LSTM", "MatMul"],
                nodes_to_exclude=frontend,
                per_channel=True,
                weight_type=QuantType.QUInt8,
            )
            return path.read_bytes()
    finally:
        logging.disable(logging.NOTSET)

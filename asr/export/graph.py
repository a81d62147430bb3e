"""The acoustic model as one ONNX graph: waveforms in, log-probabilities out.

    waveforms     float32 (N, L), full scale 1; samples after an utterance's end are zero
    num_samples   int64 (N,), 1..L
    log_probs     float32 (N, T', V), natural logarithms
    phones        float32 (N, T', P), the same for P phones, if the network has that output
    num_frames    int64 (N,), valid frames of each utterance

The graph is traced from `asr.features.Mfcc` and from the network that was trained, so that it
cannot differ from them. One step is computed otherwise, because ONNX has no good operator for it:
the power spectrum is a strided convolution with the Fourier basis under the window of `Mfcc`.

Shapes: N utterances, L samples, T feature frames, T' output frames, B bins of the spectrum, M mel
bands, C cepstra, F features, V tokens, K warps.
"""

import logging
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

import asr._onnxruntime  # noqa: F401  telemetry off, before `quantized` loads onnxruntime
from asr.augment import mel_warp
from asr.config import FeaturesConfig
from asr.errors import ConfigError
from asr.features import Mfcc, normalize
from asr.model import AcousticModel

OPSET = 17  # the first with layer normalisation
_FRONTEND = "/frontend/"  # prefix of the names of its nodes


class _Frontend(Mfcc):
    """The frames of `Mfcc`, of K warps of the mel axis, with a convolution in place of the FFT."""

    basis: Tensor  # (2 * B, 1, samples of a frame): cosines, then sines
    warped_dct: Tensor  # (K, 1, M, C)

    def __init__(self, config: FeaturesConfig, warps: Sequence[float]) -> None:
        super().__init__(config)
        self.register_buffer("basis", _fourier_basis(self.window, self.n_fft))
        warped_dct = mel_warp(torch.tensor(warps), config.num_mels) @ self.dct
        self.register_buffer("warped_dct", warped_dct[:, None])

    def power_spectrum(self, waveforms: Tensor) -> Tensor:
        """Return the power spectra (N, T, B) of waveforms (N, L)."""
        width = self.basis.shape[2]
        before = (width + 1) // 2  # a frame is centred on its sample
        padded = nn.functional.pad(waveforms, (before, width - before))[:, None]
        squares = nn.functional.conv1d(padded, self.basis, stride=self.hop_length).square()
        cosines, sines = squares.chunk(2, dim=1)
        return (cosines + sines).transpose(1, 2)

    def from_log_mel(self, log_mel: Tensor, num_frames: Tensor) -> Tensor:
        """Return the features (K * N, T, F) of (N, T, M); all utterances of a warp are together."""
        cepstra = (log_mel @ self.warped_dct).flatten(0, 1)  # (N, T, M) -> (K * N, T, C)
        num_frames = num_frames.repeat(len(self.warped_dct))
        if self.config.normalize != "none":  # again below, for long float32 sums are rounded
            cepstra = normalize(cepstra, num_frames, "mean")
        return self.from_cepstra(cepstra, num_frames)


def _fourier_basis(window: Tensor, n_fft: int) -> Tensor:
    """Return windowed cosines and sines (2 * B, 1, samples of a frame).

    Their phase is that of the frame's first sample: it does not matter in a power spectrum.
    """
    bins, time = torch.arange(n_fft // 2 + 1), torch.arange(len(window))
    angles = 2 * torch.pi / n_fft * torch.outer(bins, time).double()
    basis = torch.cat([angles.cos(), angles.sin()]) * window.double()
    return basis.float()[:, None]


class _WaveformModel(nn.Module):
    """One or several acoustic models behind one front end, whose log-probabilities are averaged."""

    def __init__(self, models: Sequence[AcousticModel], warps: Sequence[float]) -> None:
        super().__init__()
        self.frontend = _Frontend(models[0].config.features, warps)
        self.models = nn.ModuleList(models)
        self.outputs = [model.outputs for model in models]
        self.warps = len(warps)

    def forward(self, waveforms: Tensor, num_samples: Tensor) -> tuple[Tensor, ...]:
        features, num_frames = self.frontend(waveforms, num_samples)
        num_frames = num_frames.repeat(self.warps)
        found, counts = zip(*(run(features, num_frames) for run in self.outputs), strict=True)
        log_probs = (self._mean(several) for several in zip(*found, strict=True))
        return *log_probs, counts[0].unflatten(0, (self.warps, -1))[0]

    def _mean(self, log_probs: tuple[Tensor, ...]) -> Tensor:
        """Return the mean (N, T', V), normalised again, of each model's (K * N, T', V).

        A mean of probabilities is worse (recipes/librispeech/LOG.md): two networks do not emit a
        phone in the same frame, and half a phone in each of two frames becomes a deletion.
        """
        heard = torch.cat(log_probs).unflatten(0, (len(log_probs) * self.warps, -1))
        return heard.mean(0).log_softmax(dim=2) if len(heard) > 1 else log_probs[0]


def export_graph(
    model: AcousticModel, *others: AcousticModel, warps: Sequence[float] = (1.0,)
) -> bytes:
    """Return a model as an ONNX graph, for any number of utterances of any length.

    Args:
        model: the acoustic model.
        others: more models of an ensemble, with the same features, frame shift and tokens.
        warps: factors of the mel axis (asr.augment.mel_warp); each model hears every one.

    The log-probabilities of all models and warps are averaged.
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
        return _described(Path(folder, "model.onnx").read_bytes(), model)


def _described(graph: bytes, model: AcousticModel) -> bytes:
    """Return a graph with the rate and frame shift of its model among its properties.

    The numbers of samples and frames give only the product of both.
    """
    import onnx

    proto = onnx.load_from_string(graph)
    described = {
        "sample_rate_hz": str(model.config.features.sample_rate_hz),
        "frame_shift_ms": str(float(model.frame_shift_ms)),
    }
    onnx.helper.set_model_props(proto, described)
    content: bytes = proto.SerializeToString()
    return content


def quantized(graph: bytes, cell: str) -> bytes:
    """Return a graph with the weights of its recurrent and linear layers in 8 bits.

    Features stay in float32. Activations are quantised dynamically, over a whole batch, so
    log-probabilities depend a little on the other utterances. A scale for each row of a matrix
    halves the difference from float32. Weights have a range of 7 bits: sums of products of larger
    signed ones saturate on processors without VNNI, such as those with AVX2 alone, and unsigned
    ones take LSTMs twice the time on processors with VNNI.

    Args:
        graph: an ONNX model, from `export_graph`.
        cell: the recurrent cell of its network, `model.cell`.

    Raises:
        ConfigError: onnxruntime cannot compute this recurrent cell in 8 bits.
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
                reduce_range=True,
                weight_type=QuantType.QInt8,
            )
            rounded = onnx.load(path)
    finally:
        logging.disable(logging.NOTSET)
    small: bytes = rounded.SerializeToString()
    return small

"""The ONNX graph against torch, and asr-export as its users type it."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from folders import ENGLISH
from hypothesis import given, settings, strategies as st
from onnx import numpy_helper

from asr.augment import mel_warp
from asr.checkpoint import load_acoustic_model, load_checkpoint, save_checkpoint
from asr.cli import export, lm, transcribe
from asr.config import config_from_dict
from asr.errors import ConfigError
from asr.export.bundle import FILES, read_bundle
from asr.export.graph import export_graph, quantized
from asr.features import Mfcc
from asr.manifest import read_manifest
from asr.model import AcousticModel

TOKENS = 7
SMALL = {"layers": 2, "hidden": 16}
# Together these use every option of [features] and [model] that changes the computation.
CONFIGS = [
    {"features": {}, "model": {}},
    {"features": {"deltas": 0, "normalize": "none"}, "model": {"stack": 1}},
    {"features": {"deltas": 1, "normalize": "mean"}, "model": {"cell": "gru", "layer_norm": True}},
    {"features": {"filterbank": "slaney", "num_ceps": 40}, "model": {"cell": "rnn", "stack": 2}},
    {"features": {"filterbank": "kaldi", "high_hz": 7000.0}, "model": {"bidirectional": False}},
    {
        "features": {"sample_rate_hz": 8000, "num_mels": 30, "low_hz": 100.0},
        "model": {"layers": 3, "stack": 4},
    },
    {  # 223 samples in a frame, 110 to the next
        "features": {"sample_rate_hz": 11_025, "frame_length_ms": 20.2},
        "model": {"layer_norm": True, "stack": 1},
    },
    {  # 26 bands, then 13, then 7
        "features": {"num_mels": 26, "num_ceps": 20, "deltas": 1},
        "model": {"conv_channels": 8, "layer_norm": True},
    },
]


def make_model(features: dict, model: dict, num_phones: int = 0) -> AcousticModel:
    torch.manual_seed(1)
    config = config_from_dict({"features": features, "model": SMALL | model})
    network = AcousticModel(config, TOKENS, num_phones).eval()
    with torch.no_grad():
        for layer in filter(None, (network.output, network.phone_output)):
            layer.weight *= 5  # far from uniform, as after training
    return network


def open_graph(graph: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(graph, options)


def make_batch(lengths: list[int]) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    waveforms = np.zeros((len(lengths), max(lengths)), np.float32)
    for row, length in zip(waveforms, lengths, strict=True):
        sweep = np.sin(np.arange(length) ** 1.5 / 500)
        row[:length] = 0.3 * sweep + 0.02 * rng.standard_normal(length)
    return waveforms, np.array(lengths)


def run(
    session: onnxruntime.InferenceSession, lengths: list[int], output: str = "log_probs"
) -> list[np.ndarray]:
    """The valid frames of each utterance."""
    waveforms, num_samples = make_batch(lengths)
    feed = {"waveforms": waveforms, "num_samples": num_samples}
    log_probs, num_frames = session.run([output, "num_frames"], feed)
    return [row[:count] for row, count in zip(log_probs, num_frames, strict=True)]


def run_torch(model: AcousticModel, lengths: list[int], output: int = 0) -> list[np.ndarray]:
    waveforms, num_samples = map(torch.tensor, make_batch(lengths))
    with torch.inference_mode():
        waveforms = waveforms.to(next(model.parameters()).dtype)
        outputs, num_frames = model.from_waveforms(waveforms, num_samples)
    return [row[:count].numpy() for row, count in zip(outputs[output], num_frames, strict=True)]


def largest_difference(ours: list[np.ndarray], theirs: list[np.ndarray]) -> float:
    assert [row.shape for row in ours] == [row.shape for row in theirs]
    return max(np.abs(a - b).max() for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("config", CONFIGS)
def test_graph_computes_what_torch_computes(config: dict):
    model = make_model(**config)
    session = open_graph(export_graph(model))
    for lengths in ([1], [160], [161, 16_000], [3000, 1, 40_001, 159]):
        assert largest_difference(run(session, lengths), run_torch(model, lengths)) < 1e-4


@pytest.mark.parametrize("config", [CONFIGS[0], CONFIGS[5], CONFIGS[7]])
def test_phones_are_what_torch_computes(config: dict):
    model = make_model(**config, num_phones=11)
    graph = export_graph(model)
    session = open_graph(graph)
    assert [output.name for output in session.get_outputs()] == [
        "log_probs",
        "phones",
        "num_frames",
    ]
    for lengths in ([1], [3000, 1, 40_001, 159]):
        for number, name in enumerate(("log_probs", "phones")):
            theirs = run_torch(model, lengths, number)
            assert largest_difference(run(session, lengths, name), theirs) < 1e-4
    phones = run(session, [16_000], "phones")[0]
    assert phones.shape[1] == 11
    np.testing.assert_allclose(np.exp(phones).sum(axis=1), 1, atol=1e-5)
    assert model.phone_output is not None
    with torch.no_grad():
        model.phone_output.bias[3] += 4  # no other output depends on it
    changed = open_graph(export_graph(model))
    assert largest_difference(run(changed, [16_000]), run(session, [16_000])) == 0
    assert largest_difference(run(changed, [16_000], "phones"), [phones]) > 1
    rounded = run(open_graph(quantized(graph, "lstm")), [16_000], "phones")[0]
    assert 0 < np.abs(np.exp(phones) - np.exp(rounded)).max() < 0.05


def test_an_ensemble_gives_the_normalised_geometric_mean():
    first = make_model(**CONFIGS[0], num_phones=11)
    second = make_model({}, {"layers": 1, "layer_norm": True}, num_phones=11)
    session = open_graph(export_graph(first, second))
    lengths = [3000, 1, 16_001]
    for number, name in enumerate(("log_probs", "phones")):
        alone = [run_torch(model, lengths, number) for model in (first, second)]
        assert largest_difference(*alone) > 0.1
        product = [np.exp((a + b) / 2) for a, b in zip(*alone, strict=True)]
        mean = [np.log(each / each.sum(1, keepdims=True)) for each in product]
        assert largest_difference(run(session, lengths, name), mean) < 1e-4


def run_warped(model: AcousticModel, lengths: list[int], factor: float) -> list[np.ndarray]:
    with torch.inference_mode():
        log_mel, num_frames = model.frontend.log_mel(*map(torch.tensor, make_batch(lengths)))
        warped = log_mel @ mel_warp(torch.tensor([factor]), log_mel.shape[2])
        outputs, num_frames = model.from_log_mel(warped, num_frames)
    return [row[:count].numpy() for row, count in zip(outputs[0], num_frames, strict=True)]


@pytest.mark.parametrize("config", [CONFIGS[0], CONFIGS[5]])
def test_warps_give_the_normalised_geometric_mean(config: dict):
    """Of each model with each warp: here of two and two."""
    models = [make_model(**config), make_model(config["features"], config["model"] | {"hidden": 8})]
    session = open_graph(export_graph(*models, warps=(0.8, 1.1)))
    for lengths in ([16_000], [3000, 1, 16_001]):
        each = [run_warped(model, lengths, factor) for model in models for factor in (0.8, 1.1)]
        assert largest_difference(*each[:2]) > 0.05
        means = [sum(views) / 4 for views in zip(*each, strict=True)]
        mean = [row - np.logaddexp.reduce(row, axis=1, keepdims=True) for row in means]
        assert largest_difference(run(session, lengths), mean) < 1e-4


@pytest.fixture(scope="module")
def model() -> AcousticModel:
    return make_model({}, {})


def test_without_phones_the_graph_has_no_such_output(graph: bytes):
    names = [output.name for output in open_graph(graph).get_outputs()]
    assert names == ["log_probs", "num_frames"]


@pytest.fixture(scope="module")
def graph(model: AcousticModel) -> bytes:
    return export_graph(model)


@settings(max_examples=25)
@given(lengths=st.lists(st.integers(1, 30_000), min_size=1, max_size=4))
def test_any_batch_of_any_lengths(model: AcousticModel, graph: bytes, lengths: list[int]):
    together = run(open_graph(graph), lengths)
    assert largest_difference(together, run_torch(model, lengths)) < 1e-4


def test_utterance_does_not_depend_on_its_batch(graph: bytes):
    session = open_graph(graph)
    waveforms, num_samples = make_batch([20_000, 4000])
    both = session.run(["log_probs"], {"waveforms": waveforms, "num_samples": num_samples})[0]
    alone = session.run(
        ["log_probs"], {"waveforms": waveforms[1:, :4000], "num_samples": num_samples[1:]}
    )[0]
    np.testing.assert_allclose(both[1, : alone.shape[1]], alone[0], atol=1e-5)


def test_shipped_model_on_35_seconds():
    model, _ = load_acoustic_model(ENGLISH)
    lengths = [35 * 16_000]
    ours = run(open_graph(export_graph(model)), lengths)
    exact = run_torch(model.double(), lengths)  # torch's own rounding grows with the length
    assert largest_difference(ours, exact) < 1e-4


@pytest.mark.parametrize("config", [CONFIGS[3], CONFIGS[4], CONFIGS[6]])
def test_constants_of_the_graph_are_those_of_the_features(config: dict):
    model = make_model(**config)
    graph = onnx.load_from_string(export_graph(model)).graph
    constants = [numpy_helper.to_array(tensor) for tensor in graph.initializer]
    constants += [
        numpy_helper.to_array(attribute.t)
        for node in graph.node
        if node.op_type == "Constant"
        for attribute in node.attribute
    ]
    mfcc = model.frontend
    filters, dct, window = (w.numpy() for w in (mfcc.filters, mfcc.dct, mfcc.window))
    assert any(np.array_equal(each, filters) for each in constants)
    assert any(np.array_equal(each, dct[None, None]) for each in constants)
    # The basis: frame under the window, then a real FFT; here of unit impulses, by numpy.
    spectra = np.fft.rfft(np.diag(window.astype(np.float64)), mfcc.n_fft).T
    basis = np.concatenate([spectra.real, -spectra.imag])[:, None]
    found = [each for each in constants if each.shape == basis.shape]
    assert len(found) == 1
    np.testing.assert_allclose(found[0], basis, atol=1e-6)


@pytest.mark.parametrize("name", ["log_mel", "from_cepstra"])
def test_the_graph_is_traced_from_the_features(name: str, monkeypatch: pytest.MonkeyPatch):
    """Only the Fourier transform has a second definition: other changes of Mfcc reach the graph."""
    model = make_model({"normalize": "none"}, {})  # or the graph would remove the mean before
    before = run(open_graph(export_graph(model)), [16_000])
    original = getattr(Mfcc, name)

    def changed(self: Mfcc, frames: torch.Tensor, count: torch.Tensor):
        return original(self, frames.clamp(min=0), count)

    monkeypatch.setattr(Mfcc, name, changed)
    after = run(open_graph(export_graph(model)), [16_000])
    assert largest_difference(after, before) > 1e-3
    assert largest_difference(after, run_torch(model, [16_000])) < 1e-4


def test_recurrent_layers_are_single_operators(graph: bytes):
    operators = [node.op_type for node in onnx.load_from_string(graph).graph.node]
    assert operators.count("LSTM") == 4  # two layers, each way
    assert not {"Loop", "Scan", "If"} & set(operators)


def test_int8_quantises_the_network_alone(model: AcousticModel, graph: bytes):
    small = quantized(graph, "lstm")
    nodes = onnx.load_from_string(small).graph.node
    operators = [node.op_type for node in nodes]
    assert operators.count("DynamicQuantizeLSTM") == 4
    assert "LSTM" not in operators
    tensors = onnx.load_from_string(small).graph.initializer
    weights = [t for t in tensors if t.data_type == onnx.TensorProto.INT8]
    assert len([t for t in weights if t.name.endswith("_quantized")]) == 4 * 2 + 1
    assert onnx.TensorProto.UINT8 not in {tensor.data_type for tensor in tensors}
    largest = max(np.abs(onnx.numpy_helper.to_array(t)).max() for t in weights)
    assert largest == 64  # sums of larger products saturate on some processors
    assert "Conv" in operators
    assert sum(n.op_type == "MatMul" for n in nodes) == 2  # mel bands and cepstra
    exact, rounded = run(open_graph(graph), [16_000])[0], run(open_graph(small), [16_000])[0]
    assert 0 < np.abs(np.exp(exact) - np.exp(rounded)).max() < 0.05


def test_int8_is_for_lstm(graph: bytes):
    with pytest.raises(ConfigError, match=r"model\.cell is 'gru'.*leave --int8 out"):
        quantized(graph, "gru")


@pytest.fixture
def experiment(smoke: Path, tmp_path: Path) -> Path:
    return shutil.copytree(smoke / "exp", tmp_path / "exp", ignore=shutil.ignore_patterns("last"))


def call(*arguments: object) -> int:
    return export.main([str(argument) for argument in arguments])


def text_of(model: Path, audio: Path, capsys: pytest.CaptureFixture) -> str:
    capsys.readouterr()
    assert transcribe.main(["--model", str(model), "--decoder", "greedy", str(audio)]) == 0
    return capsys.readouterr().out


def test_command_makes_bundles_that_recognise(
    smoke: Path, experiment: Path, tmp_path: Path, capsys
):
    assert call(experiment, tmp_path / "float") == 0
    assert "float32 model" in capsys.readouterr().err
    assert call(experiment, tmp_path / "int8", "--int8") == 0
    sizes = [(tmp_path / name / "model.onnx").stat().st_size for name in ("float", "int8")]
    assert sizes[1] < sizes[0]
    for utterance in read_manifest(smoke / "data" / "test.jsonl")[:2]:
        for name in ("float", "int8"):
            assert text_of(tmp_path / name, utterance.audio, capsys) == utterance.text + "\n"


def test_models_have_names_here_too(experiment: Path, tmp_path: Path, monkeypatch, capsys):
    monkeypatch.setenv("ASR_MODELS", str(experiment.parent))
    assert call(experiment.name, tmp_path / "bundle") == 0
    assert call("nobody", tmp_path / "other") == 2
    assert "EXP nobody: does not exist" in capsys.readouterr().err
    assert call("exp", tmp_path / "other", "--ensemble", "nobody") == 2
    assert "--ensemble nobody: does not exist" in capsys.readouterr().err


def shift_weights(experiment: Path) -> None:
    """Make a network a little different from what it was."""
    best = experiment / "best"
    checkpoint = load_checkpoint(best)
    moved = {name: weight * 1.01 for name, weight in checkpoint.tensors["model"].items()}
    save_checkpoint(best, replace(checkpoint, tensors={"model": moved}))


def test_command_takes_networks_for_noise(smoke: Path, experiment: Path, tmp_path: Path, capsys):
    shift_weights(experiment)
    assert call(experiment, tmp_path / "bundle", "--noisy", smoke / "exp", "--int8") == 0
    assert call(smoke / "exp", tmp_path / "other", "--int8") == 0
    ours, theirs = tmp_path / "bundle" / "noisy.onnx", tmp_path / "other" / "model.onnx"
    assert ours.read_bytes() == theirs.read_bytes()
    clear = tmp_path / "bundle" / "model.onnx"
    both = ours.stat().st_size + clear.stat().st_size
    assert f"int8 model, {both / 1e6:.1f} MB" in capsys.readouterr().err
    assert call(experiment, tmp_path / "bundle") == 0
    assert not ours.exists()
    assert call(experiment, tmp_path / "two", "--noisy", smoke / "exp", smoke / "exp") == 2
    assert f"--noisy: {smoke / 'exp'} has " in capsys.readouterr().err


def test_command_makes_an_ensemble(smoke: Path, experiment: Path, tmp_path: Path, capsys):
    shift_weights(experiment)
    assert call(experiment, tmp_path / "one") == 0
    assert call(experiment, tmp_path / "two", "--ensemble", smoke / "exp", "--int8") == 0
    one, two = (onnx.load(tmp_path / name / "model.onnx") for name in ("one", "two"))
    cells = [sum("LSTM" in node.op_type for node in graph.graph.node) for graph in (one, two)]
    assert cells[1] == 2 * cells[0] > 0
    utterance = read_manifest(smoke / "data" / "test.jsonl")[0]
    assert text_of(tmp_path / "two", utterance.audio, capsys) == utterance.text + "\n"


def test_command_warps(smoke: Path, experiment: Path, tmp_path: Path, capsys):
    warped = tmp_path / "warped"
    assert call(experiment, warped, "--warps", 0.98, 1.02, "--int8") == 0
    assert call(experiment, tmp_path / "plain", "--int8") == 0
    lengths = [16_000]
    found = [
        run(open_graph((path / "model.onnx").read_bytes()), lengths)
        for path in (warped, tmp_path / "plain")
    ]
    assert largest_difference(*found) > 0.01
    utterance = read_manifest(smoke / "data" / "test.jsonl")[0]
    assert text_of(warped, utterance.audio, capsys) == utterance.text + "\n"


@pytest.mark.parametrize("factor", ["0.4", "2.1", "nan", "-1"])
def test_a_warp_that_is_none(experiment: Path, tmp_path: Path, factor: str, capsys):
    assert call(experiment, tmp_path / "bundle", "--warps", "1", factor) == 2
    assert f"--warps: a factor is {factor}; allowed: 0.5..2" in capsys.readouterr().err
    assert not (tmp_path / "bundle").exists()


def test_an_ensemble_of_what_does_not_fit(smoke: Path, experiment: Path, tmp_path: Path, capsys):
    config = json.loads((experiment / "config.json").read_text())
    config["features"]["low_hz"] = 30.0
    (experiment / "config.json").write_text(json.dumps(config))
    assert call(smoke / "exp", tmp_path / "bundle", "--ensemble", experiment) == 2
    error = capsys.readouterr().err
    assert f"{experiment} and {smoke / 'exp'} differ in [features]; give" in error
    assert not (tmp_path / "bundle").exists()


def test_an_ensemble_of_the_same(smoke: Path, experiment: Path, tmp_path: Path, capsys):
    shift_weights(experiment)
    for others in ([experiment], [smoke / "exp", smoke / "exp"]):
        assert call(experiment, tmp_path / "bundle", "--ensemble", *others) == 2
        assert "trained apart" in capsys.readouterr().err
    assert not (tmp_path / "bundle").exists()


def test_experiment_can_be_its_own_bundle(smoke: Path, experiment: Path, capsys):
    before = {path.name for path in experiment.iterdir()}
    for _ in range(2):  # the second time over a bundle
        assert call(experiment, experiment) == 0
    added = {path.name for path in experiment.iterdir()} - before
    assert added == {"model.onnx", "bundle.json"}
    utterance = read_manifest(smoke / "data" / "test.jsonl")[0]
    assert text_of(experiment, utterance.audio, capsys) == utterance.text + "\n"


def test_lm_settings_and_card_come_along(experiment: Path, tmp_path: Path, capsys):
    (tmp_path / "text").write_text("low high low\nhigh mid\n" * 20)
    for name in ("a.arpa", "a.bin"):
        assert lm.main(["train", str(tmp_path / "text"), "--out", str(tmp_path / name)]) == 0
    (experiment / "decoder.json").write_text('{"lm_weight": 0.3}')
    (experiment / "MODEL_CARD.md").write_text("# Tones")
    bundle = tmp_path / "bundle"
    assert call(experiment, bundle, "--lm", tmp_path / "a.bin") == 0
    read_bundle(bundle)
    assert (bundle / "lm.bin").read_bytes() == (tmp_path / "a.bin").read_bytes()
    assert json.loads((bundle / "decoder.json").read_text()) == {"lm_weight": 0.3}
    assert (bundle / "MODEL_CARD.md").read_text() == "# Tones"

    (experiment / "decoder.json").unlink()
    assert call(experiment, bundle) == 0  # over it: what is no longer there goes
    assert {name for name in FILES if (bundle / name).exists()} == {"model.onnx", "tokens.txt"}
    capsys.readouterr()

    assert call(experiment, bundle, "--lm", tmp_path / "a.arpa") == 1
    assert "asr-lm convert" in capsys.readouterr().err


def test_damaged_files_are_refused_before_anything_is_written(
    experiment: Path, tmp_path: Path, capsys
):
    bundle = tmp_path / "bundle"
    statuses = {"lm.bin": 1, "lstm.npz": 1, "decoder.json": 2, "calibration.json": 1}
    for name, status in statuses.items():
        (experiment / name).write_bytes(b"damaged")
        assert call(experiment, bundle) == status
        assert f"{name}: " in capsys.readouterr().err
        assert not bundle.exists()
        (experiment / name).unlink()


def test_other_folders_are_not_overwritten(smoke: Path, experiment: Path, tmp_path: Path, capsys):
    other = tmp_path / "photos"
    other.mkdir()
    (other / "tokens.txt").write_text("mine")
    for folder in (other, smoke / "exp"):
        before = sorted(folder.rglob("*"))
        assert call(experiment, folder) == 2
        assert f"BUNDLE {folder} holds other files" in capsys.readouterr().err
        assert sorted(folder.rglob("*")) == before
    assert (other / "tokens.txt").read_text() == "mine"


def test_folder_without_model_and_file_as_bundle(experiment: Path, tmp_path: Path, capsys):
    assert call(tmp_path, tmp_path / "bundle") == 1
    assert "config.json" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert call(experiment, tmp_path / "file") == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "cannot be written" in error

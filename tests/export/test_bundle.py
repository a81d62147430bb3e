"""Bundles that are not what they were: one error each, which names the file."""

import json
import os
import re
import resource
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings, strategies as st
from onnx import TensorProto, helper, numpy_helper

from asr.checkpoint import Checkpoint, create_experiment, save_checkpoint
from asr.config import CLEANING, TextConfig, config_from_dict
from asr.distributed import threads
from asr.doctor import examine_model
from asr.errors import AsrError, CheckpointError
from asr.export.bundle import (
    Bundle,
    BundleInfo,
    checkpoint_digest,
    read_bundle,
    reseal,
    write_bundle,
)
from asr.export.graph import export_graph, quantized
from asr.export.soundness import check_graph
from asr.inference import OnnxAcoustics, open_acoustics
from asr.lexicon import Pronunciations
from asr.model import AcousticModel
from asr.text import Normalizer, Vocabulary

CONFIG = config_from_dict({"text": {"case": "lower"}, "model": {"layers": 1, "hidden": 8}})
VOCABULARY = Vocabulary(("<blank>", " ", "a", "b"))
INFO = BundleInfo(
    sample_rate_hz=16_000,
    frame_shift_ms=30.0,
    unit="character",
    text=CONFIG.text,
    precision="float32",
    checkpoint="",
)


@pytest.fixture(scope="module")
def model() -> AcousticModel:
    torch.manual_seed(1)
    return AcousticModel(CONFIG, len(VOCABULARY)).eval()


@pytest.fixture(scope="module")
def graph(model: AcousticModel) -> bytes:
    return export_graph(model)


@pytest.fixture
def experiment(model: AcousticModel, tmp_path: Path) -> Path:
    create_experiment(tmp_path / "exp", CONFIG, VOCABULARY)
    tensors = {"model": dict(model.named_parameters())}
    save_checkpoint(tmp_path / "exp" / "best", Checkpoint(tensors, {}))
    (tmp_path / "exp" / "decoder.json").write_text('{"lm_weight": 0.5}')
    return tmp_path / "exp"


@pytest.fixture
def bundle(experiment: Path, graph: bytes, tmp_path: Path) -> Path:
    copied = {name: experiment / name for name in ("tokens.txt", "decoder.json")}
    write_bundle(tmp_path / "bundle", INFO, {"model.onnx": graph}, copied)
    return tmp_path / "bundle"


def rewrite(bundle: Path, graph: bytes) -> None:
    """Put another graph in place, with an index that agrees."""
    write_bundle(bundle, INFO, {"model.onnx": graph}, {"tokens.txt": bundle / "tokens.txt"})


def change_index(bundle: Path, **changes: object) -> None:
    index = json.loads((bundle / "bundle.json").read_text())
    (bundle / "bundle.json").write_text(json.dumps(index | changes))


def refusal(folder: Path, *, phones: bool = False) -> str:
    with pytest.raises(CheckpointError) as caught:
        open_acoustics(folder, phones=phones)
    return str(caught.value)


def test_bundle_is_read_as_it_was_written(bundle: Path, graph: bytes):
    read = read_bundle(bundle)
    assert asdict(read.info) == asdict(INFO)
    assert read.info.text == TextConfig(case="lower")
    assert read.vocabulary == VOCABULARY
    assert read.graph == graph


def test_bundle_and_experiment_give_the_same(bundle: Path, experiment: Path):
    ours, torchs = open_acoustics(bundle), open_acoustics(experiment)
    assert isinstance(ours, OnnxAcoustics)
    for name in ("text", "sample_rate_hz", "frame_shift_ms", "vocabulary"):
        assert getattr(ours, name) == getattr(torchs, name)
    waveform = np.random.default_rng(0).uniform(-0.5, 0.5, 12_345).astype(np.float32)
    np.testing.assert_allclose(ours.log_probs(waveform), torchs.log_probs(waveform), atol=1e-4)


@pytest.fixture
def of_two(bundle: Path, graph: bytes) -> Path:
    """A bundle that has another network for recordings with noise."""
    torch.manual_seed(5)
    noisy = export_graph(AcousticModel(CONFIG, len(VOCABULARY)).eval())
    graphs = {"model.onnx": graph, "noisy.onnx": noisy}
    write_bundle(bundle, INFO, graphs, {"tokens.txt": bundle / "tokens.txt"})
    return bundle


def test_recordings_with_noise_have_their_own_network(of_two: Path, graph: bytes, tmp_path: Path):
    read = read_bundle(of_two)
    assert read.graph == graph and read.noisy
    both = OnnxAcoustics(read, of_two)
    alone = [OnnxAcoustics(Bundle(INFO, VOCABULARY, each), of_two) for each in (graph, read.noisy)]
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 32_000).astype(np.float32)
    clear = noise * np.repeat(np.float32([1, 1e-3]), 16_000)
    for waveform in (noise, clear, noise, noise[:15_999]):  # the last is too short to be judged
        clearly, noisily = (each.log_probs(waveform) for each in alone)
        assert np.abs(clearly - noisily).max() > 0.1
        expected = noisily if waveform is noise else clearly
        np.testing.assert_array_equal(both.log_probs(waveform), expected)


def test_harm_to_the_network_for_noise_is_found(of_two: Path, graph: bytes):
    (of_two / "noisy.onnx").write_bytes(graph)
    assert "noisy.onnx: its sha256 is not the one" in refusal(of_two)
    (of_two / "noisy.onnx").unlink()
    assert "noisy.onnx: cannot be read" in refusal(of_two)


def test_a_network_for_noise_that_cannot_be_run(of_two: Path, graph: bytes):
    graphs = {"model.onnx": graph, "noisy.onnx": b"no graph"}
    write_bundle(of_two, INFO, graphs, {"tokens.txt": of_two / "tokens.txt"})
    (finding,) = examine_model(of_two)  # which hears noise as well
    assert f"{of_two / 'noisy.onnx'}: cannot be run" in finding.why
    acoustics = open_acoustics(of_two)
    acoustics.log_probs(np.zeros(16_000, np.float32))
    with pytest.raises(CheckpointError, match=r"noisy\.onnx: cannot be run"):
        acoustics.log_probs(np.random.default_rng(0).uniform(-1, 1, 16_000).astype(np.float32))


def test_a_network_for_noise_goes_with_the_bundle_it_was_made_for(of_two: Path, graph: bytes):
    rewrite(of_two, graph)
    assert not (of_two / "noisy.onnx").exists()
    assert read_bundle(of_two).noisy is None


def test_an_experiment_is_run_in_one_thread(experiment: Path, monkeypatch: pytest.MonkeyPatch):
    seen: list[int] = []
    run = AcousticModel.from_waveforms

    def watched(self: AcousticModel, waveforms: torch.Tensor, num_samples: torch.Tensor):
        seen.append(torch.get_num_threads())
        return run(self, waveforms, num_samples)

    monkeypatch.setattr(AcousticModel, "from_waveforms", watched)
    with threads(3):
        open_acoustics(experiment).log_probs(np.ones(16_000, np.float32))
    assert seen == [1]


@pytest.mark.parametrize("name", ["model.onnx", "tokens.txt", "decoder.json"])
@pytest.mark.parametrize("harm", ["flip", "cut", "append", "remove"])
def test_harmed_file_is_named(bundle: Path, name: str, harm: str):
    path = bundle / name
    content = path.read_bytes()
    middle = len(content) // 2
    path.write_bytes(
        {
            "flip": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
            "cut": content[:-1],
            "append": content + b"\n",
            "remove": b"",
        }[harm]
    )
    if harm == "remove":
        path.unlink()
    assert str(path) in refusal(bundle)


def test_file_that_the_index_does_not_name(bundle: Path):
    (bundle / "lm.bin").write_bytes(b"of another bundle")
    assert "lm.bin: not part of the bundle" in refusal(bundle)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"format": 2}, "format is 2, this version of asr reads 1"),
        ({"files": {}}, "files must name"),
        ({"files": {"../model.onnx": "0"}}, "files must name"),
        ({"files": 3}, "files must name"),
        ({"sample_rate_hz": 0}, "sample_rate_hz is 0"),
        ({"sample_rate_hz": True}, "sample_rate_hz is True"),
        ({"frame_shift_ms": float("nan")}, "malformed"),
        ({"frame_shift_ms": 1e9}, "frame_shift_ms is 1000000000.0"),
        ({"unit": "phone"}, "unit is 'phone'"),
        ({"precision": "int4"}, "precision is 'int4'"),
        ({"text": {"case": "title"}}, "text.case is 'title'"),
        ({"text": []}, "text is"),
    ],
)
def test_index_that_says_something_else(bundle: Path, changes: dict, expected: str):
    change_index(bundle, **changes)
    message = refusal(bundle)
    assert "bundle.json" in message
    assert expected in message


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 10_000, b"{}", b'"x"'])
def test_index_that_is_none(bundle: Path, content: bytes):
    (bundle / "bundle.json").write_bytes(content)
    assert "bundle.json" in refusal(bundle)


def test_index_lacks_a_key(bundle: Path):
    index = json.loads((bundle / "bundle.json").read_text())
    for key in index.keys() - set(CLEANING):  # which bundles before them do not have
        (bundle / "bundle.json").write_text(json.dumps({k: index[k] for k in index if k != key}))
        assert "bundle.json" in refusal(bundle)


def test_a_bundle_from_before_cleaning_hears_recordings_as_they_are(bundle: Path):
    index = json.loads((bundle / "bundle.json").read_text())
    for key in CLEANING:
        del index[key]
    (bundle / "bundle.json").write_text(json.dumps(index))
    info = read_bundle(bundle).info
    assert (info.denoise, info.dereverberate) == (False, False)


def test_empty_or_missing_folder(tmp_path: Path):
    for folder in (tmp_path, tmp_path / "none"):
        assert f"{folder}: holds no model, neither bundle.json" in refusal(folder)


def test_training_that_went_on_beside_a_bundle(
    experiment: Path, graph: bytes, model: AcousticModel
):
    info = BundleInfo(**vars(INFO) | {"checkpoint": checkpoint_digest(experiment)})
    write_bundle(experiment, info, {"model.onnx": graph}, {"tokens.txt": experiment / "tokens.txt"})
    open_acoustics(experiment)
    tensors = {"model": {name: 2 * value for name, value in model.named_parameters()}}
    save_checkpoint(experiment / "best", Checkpoint(tensors, {}))
    assert f"asr-export {experiment} {experiment}" in refusal(experiment)


def graph_of(*nodes: onnx.NodeProto, width: int = len(VOCABULARY), domain: str = "") -> bytes:
    """A model with our inputs and outputs, and something else between them."""
    inputs = [
        helper.make_tensor_value_info("waveforms", TensorProto.FLOAT, ["N", "L"]),
        helper.make_tensor_value_info("num_samples", TensorProto.INT64, ["N"]),
    ]
    outputs = [helper.make_tensor_value_info("log_probs", TensorProto.FLOAT, None)]
    weights = numpy_helper.from_array(np.zeros((1, 5, width), np.float32), "weights")
    graph = helper.make_graph(nodes, "other", inputs, outputs, [weights])
    opsets = [helper.make_opsetid(name, 1 if name else 17) for name in {"", domain}]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


def keeps_weights_outside() -> bytes:
    model = onnx.load_from_string(
        graph_of(helper.make_node("Identity", ["weights"], ["log_probs"]))
    )
    onnx.external_data_helper.set_external_data(model.graph.initializer[0], "../../secret")
    model.graph.initializer[0].ClearField("raw_data")
    return model.SerializeToString()


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (keeps_weights_outside, "keeps weights outside of itself"),
        (
            lambda: graph_of(
                helper.make_node("Run", ["weights"], ["log_probs"], domain="evil"), domain="evil"
            ),
            "cannot be run",
        ),
        (
            lambda: graph_of(helper.make_node("Identity", ["weights"], ["log_probs"]), width=9),
            "gives (9,) log-probabilities a frame, for 4 tokens",
        ),
        (lambda: graph_of(helper.make_node("Size", ["weights"], ["log_probs"])), "cannot be run"),
        (lambda: b"", "cannot be run"),
        (lambda: b"no graph", "cannot be run"),
    ],
)
def test_graph_that_is_not_ours(bundle: Path, make: Callable[[], bytes], expected: str):
    rewrite(bundle, make())
    message = refusal(bundle)
    assert str(bundle / "model.onnx") in message
    assert expected in message


def test_own_graph_would_not_be_taken_for_one_with_weights_outside(graph: bytes):
    assert b"location" not in graph


@settings(max_examples=30)
@given(position=st.integers(0, 2**20), byte=st.integers(0, 255))
def test_damaged_graph_is_a_model_or_an_error(graph: bytes, position: int, byte: int):
    position %= len(graph)
    damaged = graph[:position] + bytes([byte]) + graph[position + 1 :]
    try:
        acoustics = OnnxAcoustics(Bundle(INFO, VOCABULARY, damaged), Path("bundle"))
        assert acoustics.log_probs(np.zeros(1000, np.float32)).shape[1] == len(VOCABULARY)
    except AsrError as error:
        assert "model.onnx" in str(error)


# A model with a second output, over phones.


@pytest.fixture
def spoken(tmp_path: Path) -> Pronunciations:
    (tmp_path / "dictionary").write_text("a AH\na EY\nab AE B\nba B AH\n")
    return Pronunciations.read(tmp_path / "dictionary", Normalizer(case="lower"))


@pytest.fixture(scope="module")
def spoken_model() -> AcousticModel:
    torch.manual_seed(2)
    return AcousticModel(CONFIG, len(VOCABULARY), 5).eval()


@pytest.fixture(scope="module")
def spoken_graph(spoken_model: AcousticModel) -> bytes:
    return export_graph(spoken_model)


@pytest.fixture
def spoken_experiment(spoken_model: AcousticModel, spoken: Pronunciations, tmp_path: Path) -> Path:
    create_experiment(tmp_path / "spoken", CONFIG, VOCABULARY)
    spoken.save(tmp_path / "spoken")
    tensors = {"model": dict(spoken_model.named_parameters())}
    save_checkpoint(tmp_path / "spoken" / "best", Checkpoint(tensors, {}))
    return tmp_path / "spoken"


@pytest.fixture
def spoken_bundle(spoken_experiment: Path, spoken_graph: bytes, tmp_path: Path) -> Path:
    names = ("tokens.txt", "phones.txt", "lexicon.npz")
    copied = {name: spoken_experiment / name for name in names}
    write_bundle(tmp_path / "bundle", INFO, {"model.onnx": spoken_graph}, copied)
    return tmp_path / "bundle"


def test_each_output_has_its_vocabulary(
    spoken_bundle: Path, spoken_experiment: Path, spoken: Pronunciations
):
    assert read_bundle(spoken_bundle).phones == spoken.phones
    waveform = np.random.default_rng(0).uniform(-0.5, 0.5, 12_345).astype(np.float32)
    found = []
    for phones, vocabulary in ((False, VOCABULARY), (True, spoken.phones)):
        ours, torchs = (
            open_acoustics(folder, phones=phones) for folder in (spoken_bundle, spoken_experiment)
        )
        assert ours.vocabulary == torchs.vocabulary == vocabulary
        found.append(ours.log_probs(waveform))
        assert found[-1].shape[1] == len(vocabulary)
        np.testing.assert_allclose(found[-1], torchs.log_probs(waveform), atol=1e-4)
        for acoustics in (ours, torchs):
            read, tokens = acoustics.with_tokens(waveform)
            np.testing.assert_allclose(read, found[-1], atol=1e-4)
            np.testing.assert_allclose(tokens, found[0], atol=1e-4)
    assert len(found[0]) == len(found[1])


def test_the_lexicon_comes_with_the_bundle(spoken_bundle: Path, spoken: Pronunciations):
    loaded = Pronunciations.load(spoken_bundle)
    assert loaded.phones == open_acoustics(spoken_bundle, phones=True).vocabulary
    assert loaded.lexicon.of("a") == spoken.lexicon.of("a")


@pytest.mark.parametrize("phones", [False, True])
@pytest.mark.parametrize("name", ["phones.txt", "lexicon.npz"])
@pytest.mark.parametrize("harm", ["change", "remove"])
def test_harmed_phones_are_named(spoken_bundle: Path, name: str, harm: str, phones: bool):
    path = spoken_bundle / name
    if harm == "remove":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes() + b"\n")
    assert str(path) in refusal(spoken_bundle, phones=phones)


def test_phones_of_another_bundle_are_not_taken(bundle: Path, spoken: Pronunciations):
    spoken.save(bundle)
    assert "phones.txt: not part of the bundle" in refusal(bundle)
    (bundle / "phones.txt").unlink()
    assert "lexicon.npz: not part of the bundle" in refusal(bundle)


def test_a_model_without_phones_is_not_asked_for_them(bundle: Path, experiment: Path):
    for folder in (bundle, experiment):
        message = refusal(folder, phones=True)
        assert message == f"{folder}: the model has no output over phones; use --unit tokens"


def test_a_graph_without_the_phones_that_the_index_promises(spoken_bundle: Path, graph: bytes):
    copied = {n: spoken_bundle / n for n in ("tokens.txt", "phones.txt", "lexicon.npz")}
    write_bundle(spoken_bundle, INFO, {"model.onnx": graph}, copied)
    open_acoustics(spoken_bundle)
    message = refusal(spoken_bundle, phones=True)
    assert str(spoken_bundle / "model.onnx") in message
    assert "cannot be run" in message


def test_phones_that_do_not_fit_the_model(spoken_bundle: Path, spoken_experiment: Path):
    for folder in (spoken_bundle, spoken_experiment):
        tokens = (folder / "phones.txt").read_text().splitlines()
        (folder / "phones.txt").write_text("\n".join(tokens[:-1]) + "\n")
    reseal(spoken_bundle, "phones.txt")
    open_acoustics(spoken_bundle)
    assert "gives (5,) log-probabilities a frame, for 4 tokens" in refusal(
        spoken_bundle, phones=True
    )
    for phones in (False, True):
        assert "does not fit config.json" in refusal(spoken_experiment, phones=phones)


def test_a_new_index_vouches_for_the_named_files_alone(spoken_bundle: Path):
    with (spoken_bundle / "tokens.txt").open("a") as file:
        file.write("more\n")
    reseal(spoken_bundle, "phones.txt")
    assert "tokens.txt: its sha256 is not the one in bundle.json" in refusal(spoken_bundle)


# What a stranger's model may not do.


def subgraph() -> bytes:
    """A loop of 2^62 rounds."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
        ],
        [helper.make_tensor_value_info("on", TensorProto.BOOL, [])],
    )
    many = numpy_helper.from_array(np.array(2**62), "many")
    loop = helper.make_node("Loop", ["many", ""], [], body=body)
    constant = helper.make_node("Constant", [], ["many"], value=many)
    return graph_of(constant, loop, helper.make_node("Identity", ["weights"], ["log_probs"]))


def hidden_subgraph() -> bytes:
    """A loop under the name of an operator that is allowed."""
    return subgraph().replace(b"Loop", b"Tile")


def with_function() -> bytes:
    model = onnx.load_from_string(
        graph_of(helper.make_node("Identity", ["weights"], ["log_probs"]))
    )
    loop = helper.make_node("Loop", ["many", ""], [])
    opset = [helper.make_opsetid("", 17)]
    model.functions.append(helper.make_function("", "Relu", ["many"], [], [loop], opset))
    return model.SerializeToString()


def larger_than_the_file() -> bytes:
    model = onnx.load_from_string(
        graph_of(helper.make_node("Identity", ["weights"], ["log_probs"]))
    )
    model.graph.initializer[0].dims[1] = 2**40
    return model.SerializeToString()


def constant_of(value: np.ndarray) -> bytes:
    """A graph that gives the same, whatever it hears."""
    constant = helper.make_node("Constant", [], ["log_probs"], value=numpy_helper.from_array(value))
    return graph_of(constant)


def probabilities(**places: float) -> np.ndarray:
    values = np.full((1, 4, len(VOCABULARY)), -1.4, np.float32)
    values.flat[[int(place[1:]) for place in places]] = list(places.values())
    return values


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (subgraph, "it holds the operator 'Loop', which asr-export does not write"),
        (hidden_subgraph, "a node holds a graph, which asr-export does not write"),
        (with_function, "functions or training steps"),
        (larger_than_the_file, "a tensor is larger than the"),
        (lambda: constant_of(np.array([["a"]], object)), "instead of log-probabilities"),
        (lambda: constant_of(np.zeros((1, 3, 4))), "gives float64"),
        (lambda: constant_of(np.zeros((1, 3), np.float32)), "instead of log-probabilities"),
        (lambda: constant_of(np.zeros((1, 9, 4), np.float32)), "gives 9 frames where its rate"),
        (lambda: constant_of(np.zeros((1, 0, 4), np.float32)), "gives 0 frames"),
        (lambda: constant_of(probabilities()[:, :3]), "gives 3 frames where .* make 4"),
        (lambda: constant_of(probabilities(p0=np.nan)[:, :3]), "NaN, an infinity"),
        (lambda: constant_of(probabilities(p5=-np.inf)[:, :3]), "NaN, an infinity"),
        (lambda: constant_of(probabilities(p5=np.inf)[:, :3]), "NaN, an infinity"),
        (lambda: constant_of(probabilities(p5=3.0)[:, :3]), "NaN, an infinity"),
    ],
)
def test_graph_of_a_stranger(bundle: Path, make: Callable[[], bytes], expected: str):
    rewrite(bundle, make())
    message = refusal(bundle)
    assert str(bundle / "model.onnx") in message
    assert re.search(expected, message)


@pytest.mark.parametrize(
    "changes",
    [
        {"frame_shift_ms": 20.0},
        {"frame_shift_ms": 10.0},
        {"frame_shift_ms": 30.0625},  # by one sample
        {"frame_shift_ms": 29.9375},
        {"sample_rate_hz": 8000},
        {"sample_rate_hz": 16_100},
    ],
)
def test_rate_and_frame_shift_are_those_of_the_graph(bundle: Path, changes: dict):
    change_index(bundle, **changes)
    assert "frames where its rate and frame shift make" in refusal(bundle)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"sample_rate_hz": 8000, "frame_shift_ms": 60.0},
            "sample_rate_hz is 8000, but the graph was made for '16000'",
        ),
        (
            {"sample_rate_hz": 48_000, "frame_shift_ms": 10.0},
            "sample_rate_hz is 48000, but the graph was made for '16000'",
        ),
        ({"frame_shift_ms": 30.0001}, "frame_shift_ms is 30.0001, but the graph was made for '30"),
    ],
)
def test_rate_and_frame_shift_that_are_wrong_together(bundle: Path, changes: dict, expected: str):
    """No number of frames tells: their product is right."""
    change_index(bundle, **changes)
    message = refusal(bundle)
    assert message.startswith(f"{bundle / 'bundle.json'}: {expected}")
    assert "copy the bundle again" in message


def test_properties_of_a_graph_outlive_8_bits_and_may_be_missing(bundle: Path, graph: bytes):
    described = {"sample_rate_hz": "16000", "frame_shift_ms": "30.0"}
    eight = onnx.load_from_string(quantized(graph, "lstm"))
    found = {entry.key: entry.value for entry in eight.metadata_props}
    assert described.items() <= found.items()
    older = onnx.load_from_string(graph)
    del older.metadata_props[:]
    rewrite(bundle, older.SerializeToString())
    open_acoustics(bundle)


def test_an_experiment_of_nan_gives_an_error_and_no_text(experiment: Path, model: AcousticModel):
    tensors = {n: torch.full_like(w, torch.nan) for n, w in model.named_parameters()}
    save_checkpoint(experiment / "best", Checkpoint({"model": tensors}, {}))
    acoustics = open_acoustics(experiment)
    with pytest.raises(CheckpointError, match=r"best: cannot be run .it gives NaN"):
        acoustics.log_probs(np.zeros(16_000, np.float32))


def test_asr_export_writes_the_operators_that_are_allowed():
    """Every cell, normalisation and front; float32 and, for the LSTM, 8 bits."""
    for cell, norm, conv in (("lstm", "mean", 0), ("gru", "none", 4), ("rnn", "mean_variance", 0)):
        model = {"layers": 1, "hidden": 8, "cell": cell, "conv_channels": conv}
        config = config_from_dict({"features": {"normalize": norm}, "model": model})
        graph = export_graph(AcousticModel(config, 4, 5).eval(), warps=(0.9, 1.1))
        check_graph(graph)
        if cell == "lstm":
            check_graph(quantized(graph, cell))


@pytest.mark.parametrize("name", ["bundle.json", "model.onnx", "tokens.txt", "decoder.json"])
def test_files_of_a_bundle_are_regular_and_lie_in_it(bundle: Path, name: str, tmp_path: Path):
    path = bundle / name
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert f"{path}: is a link out of the bundle" in refusal(bundle)
    path.unlink()
    os.mkfifo(path)
    assert f"{path}: " in refusal(bundle)
    path.unlink()
    path.mkdir()
    assert f"{path}: " in refusal(bundle)


@pytest.mark.parametrize("name", ["config.json", "tokens.txt", "best/checkpoint.json"])
def test_pipes_in_an_experiment_are_no_wait(experiment: Path, name: str):
    (experiment / name).unlink()
    os.mkfifo(experiment / name)
    with pytest.raises(AsrError, match="is a pipe, socket or device, not a file"):
        open_acoustics(experiment)


def test_a_graph_that_cannot_be_run_prints_nothing(bundle: Path, capfd: pytest.CaptureFixture[str]):
    named = graph_of(helper.make_node("Identity", ["weights"], ["log_probs"], name="xyz"))
    rewrite(bundle, named.replace(b"xyz", b"x\xfdz").replace(b"weights", b"another", 1))
    assert "cannot be run" in refusal(bundle)
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("name", ["bundle.json", "model.onnx", "tokens.txt", "decoder.json"])
def test_a_file_of_holes_is_refused_at_once(bundle: Path, name: str):
    os.truncate(bundle / name, 100 * 10**9)  # it takes no room on the disk
    message = refusal(bundle)
    assert f"{bundle / name}: cannot be read" in message
    assert "more than 16777216 bytes" in message or "at most 2147483647 are read" in message


def test_a_language_model_may_be_larger(bundle: Path):
    index = json.loads((bundle / "bundle.json").read_text())
    change_index(bundle, files=index["files"] | {"lm.bin": "0"})
    (bundle / "lm.bin").touch()
    os.truncate(bundle / "lm.bin", 2**33 + 1)
    assert "at most 8589934592 are read" in refusal(bundle)
    assert "give it with --lm" in refusal(bundle)


HUGE = np.array([25 * 10**9])  # numbers: 100 GB
ONE = np.ones(1, np.float32)


@pytest.mark.parametrize(
    ("operator", "inputs", "attributes"),
    [
        ("ConstantOfShape", [HUGE], {}),
        ("Expand", [ONE, HUGE], {}),
        ("Range", [np.array(0), HUGE[0], np.array(1)], {}),
        ("Tile", [ONE, HUGE], {}),
        ("Tile", ["waveforms", np.array([1, 10**8])], {}),
        ("Pad", [ONE, np.array([0, HUGE[0]])], {}),
        ("Add", [np.ones((40_000, 1), np.float32), np.ones((1, 40_000), np.float32)], {}),
        ("Gather", [np.ones((1, 50_000), np.float32), np.zeros(50_000, np.int64)], {}),
        ("Conv", [np.ones((1, 1, 9), np.float32), np.ones((1, 1, 1), np.float32)], {"pads": HUGE}),
        ("Concat", ["waveforms"] * 200_000, {"axis": 1}),
    ],
)
def test_a_small_graph_that_makes_tensors_without_bound(
    bundle: Path, operator: str, inputs: list, attributes: dict
):
    """Each operator is one that asr-export writes; the sizes are not."""
    if "pads" in attributes:
        attributes = {"pads": [int(attributes["pads"][0])] * 2}
    constants, names = [], []
    for number, value in enumerate(inputs):
        names.append(value if isinstance(value, str) else f"c{number}")
        if not isinstance(value, str):
            tensor = numpy_helper.from_array(np.asarray(value), names[-1])
            constants.append(helper.make_node("Constant", [], [names[-1]], value=tensor))
    large = helper.make_node(operator, names, ["large"], **attributes)
    rewrite(
        bundle, graph_of(*constants, large, helper.make_node("ReduceSum", ["large"], ["log_probs"]))
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    message = refusal(bundle)
    assert f"{bundle / 'model.onnx'}: cannot be run" in message
    assert "\n" not in message
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**20  # KB

"""Bundles that are not what they were: one error each, which names the file."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from asr.acoustics import OnnxAcoustics, open_acoustics
from asr.bundle import Bundle, BundleInfo, checkpoint_digest, read_bundle, write_bundle
from asr.checkpoint import Checkpoint, create_experiment, save_checkpoint
from asr.config import TextConfig, config_from_dict
from asr.errors import AsrError, CheckpointError
from asr.model import AcousticModel
from asr.onnx_graph import export_graph
from asr.text import Vocabulary

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
    write_bundle(tmp_path / "bundle", INFO, graph, copied)
    return tmp_path / "bundle"


def rewrite(bundle: Path, graph: bytes) -> None:
    """Put another graph in place, with an index that agrees."""
    write_bundle(bundle, INFO, graph, {"tokens.txt": bundle / "tokens.txt"})


def change_index(bundle: Path, **changes: object) -> None:
    index = json.loads((bundle / "bundle.json").read_text())
    (bundle / "bundle.json").write_text(json.dumps(index | changes))


def refusal(folder: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        open_acoustics(folder)
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
        ({"frame_shift_ms": float("nan")}, "frame_shift_ms is nan"),
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
    for key in index:
        (bundle / "bundle.json").write_text(json.dumps({k: index[k] for k in index if k != key}))
        assert "bundle.json" in refusal(bundle)


def test_empty_or_missing_folder(tmp_path: Path):
    for folder in (tmp_path, tmp_path / "none"):
        assert f"{folder}: holds no model, neither bundle.json" in refusal(folder)


def test_training_that_went_on_beside_a_bundle(
    experiment: Path, graph: bytes, model: AcousticModel
):
    info = BundleInfo(**vars(INFO) | {"checkpoint": checkpoint_digest(experiment)})
    write_bundle(experiment, info, graph, {"tokens.txt": experiment / "tokens.txt"})
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

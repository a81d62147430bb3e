"""Check a graph before onnxruntime sees it, and what it gives.

A bundle may come from a stranger. onnxruntime runs whatever a graph says: loops without end, files
outside of the bundle, tensors of any size. So the operators are the few that asr-export writes,
without graphs inside of nodes, and the numbers that come out are looked at each time.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from asr.errors import CheckpointError
from asr.export.wire import fields, integers

if TYPE_CHECKING:
    from asr._onnxruntime import onnxruntime

# Of the graphs that asr-export writes, for each [features] and [model].
OPERATORS = {
    *("Add", "Cast", "Clip", "Concat", "Constant", "ConstantOfShape", "Conv", "Div"),
    *("DynamicQuantizeLSTM", "DynamicQuantizeLinear", "Equal", "Expand", "GRU", "Gather"),
    *("GatherElements", "Identity", "LSTM", "LayerNormalization", "Less", "LessOrEqual", "Log"),
    *("LogSoftmax", "MatMul", "MatMulInteger", "Min", "Mod", "Mul", "Neg", "Pad", "RNN", "Range"),
    *("ReduceMean", "ReduceSum", "Relu", "Reshape", "Shape", "Slice", "Sqrt", "Squeeze", "Sub"),
    *("Tile", "Transpose", "Unsqueeze", "Where"),
}
_DOMAINS = ("", "ai.onnx", "com.microsoft")
_MOST_NODES = 100_000  # the English model has 700
_MOST_FIELDS = 1000  # of a node or tensor; those of the English model have fewer than 20
_LARGEST = 1e-3  # of a log-probability: rounding

# The numbers of fields, from https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
_GRAPH, _TRAINING, _FUNCTIONS = 7, 20, 25  # of a model
_NODE, _INITIALIZER, _SPARSE_INITIALIZER = 1, 5, 15  # of a graph
_OPERATOR, _ATTRIBUTE, _DOMAIN = 4, 5, 7  # of a node
_TENSOR, _TENSORS = 5, 10  # of an attribute
_NOT_IN_ATTRIBUTES = {6: "a graph", 11: "graphs", 22: "a sparse tensor", 23: "sparse tensors"}
_DIMENSIONS, _EXTERNAL_DATA, _LOCATION = 1, 13, 14  # of a tensor


def check_graph(graph: bytes) -> None:
    """Check that an ONNX file holds nothing but operators that asr-export writes.

    Raises:
        ValueError: it holds something else; the message says what.
    """
    for number, value in fields(memoryview(graph)):
        if number in (_TRAINING, _FUNCTIONS):
            raise ValueError(
                "it holds functions or training steps, which asr-export does not write"
            )
        if number == _GRAPH:
            _check_nodes(_message(value))


def open_graph(graph: bytes) -> "onnxruntime.InferenceSession":
    """Check a graph, and prepare it to be run.

    Raises:
        Exception: of many kinds, of no common class, if it cannot be run.
    """
    check_graph(graph)
    from asr._onnxruntime import FOLDS_ANY, open_session  # late: it takes a tenth of a second

    if FOLDS_ANY:  # what does not depend on the recording is computed here, in limited memory
        samples = np.zeros((1, 1000), np.float32)
        feed = {"waveforms": samples, "num_samples": np.array([samples.size])}
        open_session(graph, as_written=True).run(None, feed)
    return open_session(graph)


def _check_nodes(graph: memoryview) -> None:
    nodes = 0
    for number, value in fields(graph):
        if number == _NODE:
            nodes += 1
            if nodes > _MOST_NODES:
                raise ValueError(f"it has more than {_MOST_NODES} nodes")
            _check_node(_message(value))
        elif number == _INITIALIZER:
            _check_tensor(_message(value))
        elif number == _SPARSE_INITIALIZER:
            raise ValueError("it holds a sparse tensor, which asr-export does not write")


def _check_node(node: memoryview) -> None:
    for number, value in _few(node):
        if number == _OPERATOR and (name := _text(value)) not in OPERATORS:
            raise ValueError(f"it holds the operator {name!r}, which asr-export does not write")
        if number == _DOMAIN and (name := _text(value)) not in _DOMAINS:
            raise ValueError(f"it holds an operator of {name!r}, which asr-export does not write")
        if number == _ATTRIBUTE:
            _check_attribute(_message(value))


def _check_attribute(attribute: memoryview) -> None:
    for number, value in _few(attribute):
        if number in _NOT_IN_ATTRIBUTES:
            what = _NOT_IN_ATTRIBUTES[number]
            raise ValueError(f"a node holds {what}, which asr-export does not write")
        if number in (_TENSOR, _TENSORS):
            _check_tensor(_message(value))


def _check_tensor(tensor: memoryview) -> None:
    """Check that the numbers of a tensor are in the file, as many as its shape says."""
    size = 1
    for number, value in _few(tensor):
        if number == _EXTERNAL_DATA or (number == _LOCATION and value):
            raise ValueError("it keeps weights outside of itself, which a bundle must not")
        if number == _DIMENSIONS:
            for side in integers(value):
                size *= side
                if size > len(tensor):
                    raise ValueError(f"a tensor is larger than the {len(tensor)} bytes it has")


def _few(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield the fields of a message that has few in any graph of asr-export."""
    found = fields(message)
    yield from islice(found, _MOST_FIELDS)
    if next(found, None):
        raise ValueError(f"a part of it has more than {_MOST_FIELDS} fields")


def _message(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise ValueError("it is no ONNX file: a number where a message is due")
    return value


def _text(value: int | memoryview) -> str:
    return bytes(_message(value)[:100]).decode(errors="replace")


@contextmanager
def errors_of(model: Path) -> Iterator[None]:
    """Turn each error, those of onnxruntime have no common class, into one that names the model.

    Raises:
        CheckpointError: instead of any other.
    """
    try:
        yield
    except Exception as error:
        reason = " ".join(str(error).split())  # those of onnxruntime have several lines
        raise CheckpointError(
            f"{model}: cannot be run ({reason}); copy the model again, or make it again"
        ) from error


def check_described(
    session: "onnxruntime.InferenceSession", index: Path, rate_hz: int, frame_shift_ms: float
) -> None:
    """Compare the rate and frame shift in an index with those that asr-export gave the graph.

    Graphs of older versions of asr-export have none.

    Raises:
        CheckpointError: they differ.
    """
    found = session.get_modelmeta().custom_metadata_map
    for key, given in (("sample_rate_hz", rate_hz), ("frame_shift_ms", frame_shift_ms)):
        if found.get(key, str(given)) != str(given):
            raise CheckpointError(
                f"{index}: {key} is {given}, but the graph was made for {found[key][:20]!r}; "
                "copy the bundle again, or make it again with asr-export"
            )


def checked_log_probs(found: object, num_frames: int, num_tokens: int) -> NDArray[np.float32]:
    """Return what a model gave for a recording if it is log-probabilities (T', V).

    Args:
        found: anything.
        num_frames: T' of a recording of this length.
        num_tokens: V.

    Raises:
        ValueError: it is something else; the message says what.
    """
    if not isinstance(found, np.ndarray) or found.dtype != np.float32 or found.ndim != 2:
        kind = f"{found.dtype} {found.shape}" if isinstance(found, np.ndarray) else type(found)
        raise ValueError(f"it gives {kind} instead of log-probabilities")
    if found.shape[1] != num_tokens:
        raise ValueError(
            f"it gives {found.shape[1:]} log-probabilities a frame, for {num_tokens} tokens"
        )
    if len(found) != num_frames:
        raise ValueError(
            f"it gives {len(found)} frames where its rate and frame shift make {num_frames}"
        )
    if not (np.isfinite(found).all() and found.max() <= _LARGEST):
        raise ValueError("it gives NaN, an infinity, or another value that is no log-probability")
    return found

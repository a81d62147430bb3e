"""Load onnxruntime with its telemetry off: every model runs by what this module loads.

The wheels of onnxruntime from 1.29 on keep a device id and a queue of events in the user's cache
folder, and send them to its maker, unless a variable of the environment says otherwise before the
library is loaded (onnxruntime pull requests 27379 and 29843). Nothing may leave the machine here.
"""

import contextlib
import io
import os
from functools import cache

# Both names, as releases differ. No setdefault: a 0 would switch telemetry on.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
os.environ["ORT_TELEMETRY_DISABLED"] = "1"

import onnxruntime

onnxruntime.disable_telemetry_events()  # for releases that read no variable, such as on Windows

__all__ = ["FOLDS_ANY", "onnxruntime", "open_session"]

# Releases before 1.27 compute constants of any size while they load a graph, in any memory.
FOLDS_ANY = tuple(map(int, onnxruntime.__version__.split(".")[:2])) < (1, 27)
_MOST_MEMORY = 2**32  # bytes of all tensors; half an hour at once takes the English model 3 GB


def open_session(graph: bytes, *, as_written: bool = False) -> onnxruntime.InferenceSession:
    """Prepare a graph to be run on the CPU, in one thread and in _MOST_MEMORY.

    Args:
        graph: an ONNX model.
        as_written: whether nothing is computed now, and no two nodes become one.

    Raises:
        Exception: of many kinds, of no common class, if it cannot be run.
    """
    _limit_memory()
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.use_env_allocators", "1")  # of _limit_memory
    options.intra_op_num_threads = 1
    if as_written:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4  # errors come as exceptions; nothing else is printed
    with contextlib.redirect_stdout(io.StringIO()):  # it prints errors there
        session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    session._model_bytes = None  # kept for other providers: 10 MB of the English model
    return session


@cache
def _limit_memory() -> None:
    """Set the most memory that the graphs of this process may take, once for all of them.

    A graph of 1 KB can ask for a tensor of 100 GB by one operator that is allowed, such as Expand.
    """
    kind, where = onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, onnxruntime.OrtMemType.DEFAULT
    memory = onnxruntime.OrtMemoryInfo("Cpu", kind, 0, where)
    limit = onnxruntime.OrtArenaCfg(_MOST_MEMORY, -1, -1, -1)  # -1: as onnxruntime likes it
    onnxruntime.create_and_register_allocator(memory, limit)

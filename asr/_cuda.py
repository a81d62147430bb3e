"""CUDA graphs: many small kernels that a GPU runs one after the other, started all at once.

A kernel of a microsecond takes ten to start from Python. A graph records the starts once.
"""

from collections.abc import Callable

import torch
from torch import Tensor


class Graphed:
    """A function that changes tensors in place, recorded once for each set of their shapes.

    Args:
        function: takes and changes tensors on the GPU; never reads a value on the CPU.
    """

    def __init__(self, function: Callable[..., None]) -> None:
        self.function = function
        self.recorded: dict[tuple[torch.Size, ...], _Recorded] = {}

    def __call__(self, *tensors: Tensor) -> None:
        """Call the function."""
        shapes = tuple(tensor.shape for tensor in tensors)
        if shapes not in self.recorded:
            self.recorded[shapes] = _Recorded(self.function, tensors)
        self.recorded[shapes].replay(tensors)


class _Recorded:
    """A graph with the tensors that it reads and writes."""

    def __init__(self, function: Callable[..., None], tensors: tuple[Tensor, ...]) -> None:
        self.own = [tensor.clone(memory_format=torch.contiguous_format) for tensor in tensors]
        self.graph = torch.cuda.CUDAGraph()
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            function(*self.own)  # so that libraries get their memory before the recording
        torch.cuda.current_stream().wait_stream(aside)
        with torch.cuda.graph(self.graph, capture_error_mode="thread_local"):
            function(*self.own)

    def replay(self, tensors: tuple[Tensor, ...]) -> None:
        """Do to other tensors of the same shapes what was recorded."""
        for own, given in zip(self.own, tensors, strict=True):
            own.copy_(given)
        self.graph.replay()
        for own, given in zip(self.own, tensors, strict=True):
            given.copy_(own)

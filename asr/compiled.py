"""How inner loops are compiled: once after an install, by numba, and kept in its cache.

A kernel works on arrays that it is given and makes none. So it needs no reference counts, which
numba would otherwise keep at every call that passes an array: the beam search is 10 times faster
without. With all calls inlined it is half as fast again, as no tuple of arrays is copied for one.
numba compiles a kernel again for every combination of types that it meets, so integers are int64
throughout, constants too: `constant` makes one that is no literal type of its own.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np

Function = TypeVar("Function", bound=Callable[..., Any])
Index = int | np.int64
_OPTIONS: Any = {"cache": True, "nogil": True, "forceinline": True, "_nrt": False}


def kernel(function: Function) -> Function:
    """Compile a function at its first call."""
    return cast(Function, numba.njit(**_OPTIONS)(function))


def constant(value: int) -> np.int64:
    """An integer for use in kernels."""
    return np.int64(value)


def is_cached(function: Callable[..., Any]) -> bool:
    """Whether an earlier process left a kernel's machine code in numba's cache."""
    folder = Path(cast(Any, function).stats.cache_path)
    name = f"{function.__module__.split('.')[-1]}.{function.__qualname__}"
    return any(folder.glob(f"{name}-*.nbi"))

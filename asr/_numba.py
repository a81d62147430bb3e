"""Compilation of inner loops by numba: once after an install, then kept in its cache.

A kernel works on arrays that it is given and makes none. So it needs no reference counts, which
numba would otherwise keep at every call that passes an array; without them the beam search is 10
times faster. With all calls inlined it is 1.5 times faster again, because no tuple of arrays is
copied for a call.

numba compiles a kernel again for every combination of types that it meets, so integers are int64
throughout, constants too: `constant` makes an integer that has no literal type of its own.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

Function = TypeVar("Function", bound=Callable[..., Any])
Arrays = TypeVar("Arrays", bound=Iterable[NDArray[Any]])
Index = int | np.int64
_OPTIONS: Any = {
    "cache": True,
    "nogil": True,
    "forceinline": True,
    "no_cfunc_wrapper": True,
    "_nrt": False,
}


def kernel(function: Function) -> Function:
    """Compile a function at its first call."""
    return cast(Function, numba.njit(**_OPTIONS)(function))


def inlined(function: Function) -> Function:
    """Compile a function that only kernels call.

    Python cannot call it: the wrapper for that takes half of the compilation time.
    """
    return cast(Function, numba.njit(**_OPTIONS | {"no_cpython_wrapper": True})(function))


def constant(value: int) -> np.int64:
    """Return an integer for use in kernels."""
    return np.int64(value)


@inlined
def find_sorted(values: NDArray[np.int32], begin: Index, end: Index, wanted: Index) -> Index:
    """Return the index of a value in values[begin:end], which ascend; -1 if it is not there."""
    low, high = np.int64(begin), np.int64(end)
    while low < high:
        middle = (low + high) // 2
        if values[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low if low < end and values[low] == wanted else np.int64(-1)


def read_only(arrays: Arrays) -> Arrays:
    """Make arrays read-only, so that kernels see one type of array; return them."""
    for array in arrays:
        array.flags.writeable = False
    return arrays


def is_cached(function: Callable[..., Any]) -> bool:
    """Return whether an earlier process left a kernel's machine code in numba's cache."""
    folder = Path(cast(Any, function).stats.cache_path)
    name = f"{function.__module__.split('.')[-1]}.{function.__qualname__}"
    return any(folder.glob(f"{name}-*.nbi"))

"""Compilation of inner loops by numba: once after an install, then kept in its cache.

numba's own cache ends a run where no folder can be written, or where a file in it is damaged, and
it misses a change in a kernel of another file that is compiled into this one. `_compiled` and
`_SafeCache` mend that. NUMBA_DISABLE_JIT, which people set for other packages, does not reach these
kernels: they rely on integers of 64 bits that wrap round.

A kernel works on arrays that it is given and makes none. So it needs no reference counts, which
numba would otherwise keep at every call that passes an array; without them the beam search is 10
times faster. With all calls inlined it is 1.5 times faster again, because no tuple of arrays is
copied for a call.

numba compiles a kernel again for every combination of types that it meets, so integers are int64
throughout, constants too: `constant` makes an integer that has no literal type of its own.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

Function = TypeVar("Function", bound=Callable[..., Any])
Arrays = TypeVar("Arrays", bound=Iterable[NDArray[Any]])
Index = int | np.int64
_folders: set[Path] = set()  # that hold the machine code of the kernels which were imported
_SUFFIXES = (".nbi", ".nbc")  # of the index and the code of a kernel
_OPTIONS: Any = {
    "cache": True,
    "nogil": True,
    "forceinline": True,
    "no_cfunc_wrapper": True,
    "_nrt": False,
}


def _compiled(function: Function, options: dict[str, Any]) -> Function:
    """Hand a function to numba; without a folder for the cache it is compiled in memory."""
    config = cast(Any, numba.config)
    disabled, config.DISABLE_JIT = config.DISABLE_JIT, False
    try:
        dispatcher = numba.njit(**options)(function)
        _folders.add(Path(dispatcher._cache.cache_path))
        dispatcher._cache = _SafeCache(dispatcher._cache, function)
    except RuntimeError:  # neither beside the source nor in the home folder can a file be written
        dispatcher = numba.njit(**options | {"cache": False})(function)
    finally:
        config.DISABLE_JIT = disabled
    return cast(Function, dispatcher)


class _SafeCache:
    """numba's cache of one function: damage is no error, and changes in what it calls are seen."""

    def __init__(self, cache: Any, function: Callable[..., Any]) -> None:
        self._cache = cache
        self._function = function
        self._is_stamped = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cache, name)

    def load_overload(self, signature: Any, target: Any) -> Any:
        """Return machine code that an earlier process left; None where there is none to use."""
        self._stamp()
        try:
            return self._cache.load_overload(signature, target)
        except Exception:  # a damaged pickle raises anything
            with suppress(OSError):
                self._cache.flush()
            return None

    def save_overload(self, signature: Any, compiled: Any) -> None:
        """Keep machine code for later processes, if that is possible."""
        self._stamp()
        with suppress(OSError):  # a full disk, a folder that is gone: it is compiled again then
            self._cache.save_overload(signature, compiled)

    def _stamp(self) -> None:
        """Let the cache depend on the files of all kernels that are compiled into this one.

        Not before the first call: only then does the module have the kernels that follow in it.
        """
        if not self._is_stamped:
            file = self._cache._cache_file
            states = [Path(path).stat() for path in sorted(_files_of(self._function))]
            changed = tuple((state.st_mtime, state.st_size) for state in states)
            file._source_stamp = (file._source_stamp, changed)
            self._is_stamped = True


def _files_of(function: Callable[..., Any]) -> set[str]:
    """Return the source files of a function and of all kernels that it calls."""
    waiting, seen = [function], {function}
    while waiting:
        caller = cast(Any, waiting.pop())
        for name in caller.__code__.co_names:
            called = getattr(caller.__globals__.get(name), "py_func", None)
            if called and called not in seen:
                seen.add(called)
                waiting.append(called)
    return {cast(Any, one).__code__.co_filename for one in seen}


def kernel(function: Function) -> Function:
    """Compile a function at its first call."""
    return _compiled(function, _OPTIONS)


def inlined(function: Function) -> Function:
    """Compile a function that only kernels call.

    Python cannot call it: the wrapper for that takes half of the compilation time.
    """
    return _compiled(function, _OPTIONS | {"no_cpython_wrapper": True})


def allocating(function: Function) -> Function:
    """Compile a function that makes arrays of its own, at its first call."""
    return _compiled(function, {"cache": True, "nogil": True})


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


def is_kept(function: Callable[..., Any]) -> bool:
    """Return whether there is a folder in which a kernel's machine code is kept."""
    return cast(Any, function).stats.cache_path is not None


def cached_files() -> list[Path]:
    """Return the files in which numba keeps the machine code of kernels that were imported.

    All of them may be removed: kernels are compiled again when they are needed.
    """
    kept = (path for folder in _folders if folder.is_dir() for path in folder.iterdir())
    return sorted(path for path in kept if path.suffix in _SUFFIXES)


def is_cached(function: Callable[..., Any]) -> bool:
    """Return whether an earlier process left a kernel's machine code in numba's cache."""
    if not is_kept(function):
        return False
    folder = Path(cast(Any, function).stats.cache_path)
    name = f"{function.__module__.split('.')[-1]}.{function.__qualname__}"
    return any(folder.glob(f"{name}-*.nbi"))

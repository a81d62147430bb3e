"""Damaged files, read one after the other in a child process: a crash there names the seed."""

import importlib
import io
import os
import resource
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

TESTS = Path(__file__).parent
ROOM = 4 * 2**30  # bytes of address space beside what the imports take
LIMIT_S = 240  # a hang: all attempts take a few seconds, and compilation some more
INTEGERS = (-(2**31), -(2**16), -1, 0, 1, 2, 3, 255, 2**16, 2**31 - 1)
FLOATS = (np.nan, np.inf, -np.inf, 3e38, -3e38, 1e5, 0.0, -0.0)

Attempt = Callable[[int, Path], bool]  # of a seed, in a folder: is the file read, not refused?


def outcomes(attempt: Attempt, folder: Path, seeds: int) -> Counter[bool]:
    """Run a function of a test module for each seed; fail if one crashes, floods or hangs."""
    module = importlib.import_module(attempt.__module__)
    code = (
        f"import sys; sys.path[:0] = {[str(TESTS), str(Path(module.__file__ or '').parent)]!r}\n"
        f"import damage, {module.__name__} as module\n"
        f"damage.try_all(module.{attempt.__name__}, {str(folder)!r}, {seeds})"
    )
    try:
        done = subprocess.run(
            [sys.executable, "-X", "faulthandler", "-c", code],
            check=False,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
        )
        end = f"status {done.returncode}\n{done.stderr[-3000:]}"
    except subprocess.TimeoutExpired:
        done, end = None, "it hangs"
    seed = int((folder / "seed").read_text())
    assert done is not None and done.returncode == 0, f"seed {seed}: {end}"
    return Counter(map(bool, map(int, done.stdout.split())))


def try_all(attempt: Attempt, folder: str, seeds: int) -> None:
    """Run in the child: print 1 for a file that was read, 0 for one that was refused."""
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + ROOM, now + ROOM))
    known = os.open(f"{folder}/seed", os.O_WRONLY | os.O_CREAT)
    for seed in range(seeds):
        os.pwrite(known, f"{seed:9}".encode(), 0)
        print(int(attempt(seed, Path(folder))))


def with_other_bytes(content: bytes, random: np.random.Generator) -> bytes:
    """Return the content with a few bytes changed, or cut short."""
    if random.random() < 0.2:
        return content[: random.integers(len(content))]
    changed = bytearray(content)
    for place in random.integers(len(changed), size=random.integers(1, 6)):
        changed[place] = random.choice((0, 1, 127, 128, 255, random.integers(256)))
    return bytes(changed)


def damaged_npz(content: bytes, random: np.random.Generator) -> bytes:
    """Return an archive of arrays with other bytes, or with other values in one of the arrays."""
    if random.random() < 0.3:
        return with_other_bytes(content, random)
    arrays, file = dict(np.load(io.BytesIO(content))), io.BytesIO()
    name = str(random.choice(list(arrays)))
    np.savez(file, **{**arrays, name: with_other_value(arrays[name], random)})
    return file.getvalue()


def with_other_value(array: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return the array with a few values that are extreme for its type, or with another shape."""
    if random.random() < 0.2:
        shapes = (array.ravel(), array[:-1], array[None], array[:0], array[::-1], array[..., :1])
        return shapes[random.integers(len(shapes))]
    changed = array.copy()
    extreme = FLOATS if array.dtype.kind == "f" else (*INTEGERS, array.size - 1, array.size)
    for _ in range(random.integers(1, 3)):
        value = np.array(extreme[random.integers(len(extreme))])
        changed.flat[random.integers(array.size)] = value.astype(array.dtype)
    return changed

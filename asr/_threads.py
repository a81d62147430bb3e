"""Keep each process of a command to one thread of linear algebra, unless more are asked for.

Numpy's BLAS starts a thread for each core when it is loaded. Several processes, or one on a busy
machine, then wait for each other: their threads spin. The products here are too small to gain from
a second thread. So the number must be in the environment before numpy is loaded.
"""

import os
from collections.abc import Sequence

OPTION = "--threads"
# Torch reads OMP_NUM_THREADS and MKL_NUM_THREADS, too: asr-train chooses its own number of threads.
_VARIABLES = ("OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "BLIS_NUM_THREADS")


def limit_threads(count: str | None = None) -> None:
    """Set the threads of BLAS in this process and in those that it starts.

    Args:
        count: as asked for; None: 1, or as the user's environment says.
    """
    for name in _VARIABLES:
        if count:
            os.environ[name] = count
        elif "OMP_NUM_THREADS" not in os.environ:
            os.environ.setdefault(name, "1")


def asked_threads(words: Sequence[str]) -> str | None:
    """Return the number behind `--threads` in a command line, None if it is no good one.

    The parser of a command, which numpy precedes, says what is wrong with it.
    """
    asked = None
    for place, word in enumerate(words, 1):
        if word == OPTION:
            asked = "".join(words[place : place + 1])
        elif word.startswith(f"{OPTION}="):
            asked = word.removeprefix(f"{OPTION}=")
    return asked if asked and asked.isdecimal() and int(asked) else None

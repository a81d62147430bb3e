"""A folder that several processes of pytest-xdist share, and that only one of them makes."""

import fcntl
from collections.abc import Callable
from pathlib import Path

import pytest


def made_once(
    factory: pytest.TempPathFactory, worker_id: str, name: str, make: Callable[[Path], object]
) -> Path:
    """Return a folder, filled by the first process that asks for it while the others wait.

    So no test may change it.

    Args:
        factory: of temporary folders.
        worker_id: name of this process, "master" without pytest-xdist.
        name: of the folder.
        make: fills the empty folder.
    """
    own = factory.getbasetemp()
    folder = (own if worker_id == "master" else own.parent) / name
    folder.mkdir(exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # until it is closed, also by the end of the process
        whole = folder.with_suffix(".whole")
        if not whole.exists():
            make(folder)
            whole.touch()
    return folder

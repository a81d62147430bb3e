"""Processes that start at once: forked from a server that has imported torch already."""

import multiprocessing
import os
import sys
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

FORKSERVER = multiprocessing.get_context("forkserver")
# torch's optimizers import the last one, which takes seconds, when the first of them is made
FORKSERVER.set_forkserver_preload(["asr.objective", "asr.train", "torch._dynamo"])


def start(
    target: Callable[..., Any], *arguments: Any, errors: Path, **environment: str
) -> ForkServerProcess:
    """Run a function, whose result is the exit status, with stderr appended to a file."""
    process = FORKSERVER.Process(target=_run, args=(target, arguments, errors, environment))
    process.start()
    return process


def start_group(
    size: int, target: Callable[..., Any], *arguments: Any, folder: Path
) -> list[ForkServerProcess]:
    """The same in each process of a group; `folder` must be new."""
    folder.mkdir()
    shared = {"WORLD_SIZE": str(size), "ASR_TRAIN_STORE": str(folder / "store")}
    return [
        start(target, *arguments, errors=folder / f"{rank}.log", RANK=str(rank), **shared)
        for rank in range(size)
    ]


def _run(
    target: Callable[..., Any],
    arguments: tuple[Any, ...],
    errors: Path,
    environment: dict[str, str],
) -> None:
    os.environ |= {"GLOO_SOCKET_IFNAME": "lo", **environment}
    with errors.open("ab") as file:
        os.dup2(file.fileno(), 2)
    sys.exit(target(*arguments))

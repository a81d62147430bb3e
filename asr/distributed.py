"""Training in several processes: each takes a share of every batch; gradients are summed.

On a CPU, two processes of one thread each train faster than one process of two threads: the
recurrent steps are too small to be split, and processes wait for each other only once a batch. The
variables of torchrun (RANK, WORLD_SIZE ...) are honoured; without them `start_processes` starts the
other processes.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor

from asr._cores import usable_cores
from asr.config import Config
from asr.errors import ConfigError, TrainingError

MOST_PROCESSES = 4  # with more, the share of a batch is too small


@dataclass(frozen=True)
class Cores:
    """The number of training processes and of threads in each, with the reason."""

    processes: int
    threads: int
    reason: str

    def __str__(self) -> str:
        threads = int(os.environ.get("OMP_NUM_THREADS", self.threads))
        some = "1 thread" if threads == 1 else f"{threads} threads"
        if self.processes == 1:
            return f"1 process with {some} ({self.reason})"
        return f"{self.processes} processes with {some} each ({self.reason})"


def share_cores(config: Config, device: str, *, split: bool = False) -> Cores:
    """Choose the number of training processes, and of threads in each.

    Processes are as many as the launcher or train.processes says; by default one for each core
    that this process may use, or for each GPU.

    Args:
        config: of the training.
        device: 'cpu' or 'cuda'.
        split: whether to split a step on the CPU between threads. Recurrent steps are better not
            split: on two cores a second thread makes them twice as slow, because the threads wait
            for each other after each frame.
    """
    from torch.cuda import device_count

    cores = usable_cores()
    if "RANK" in os.environ:
        processes, reason = int(os.environ["WORLD_SIZE"]), "as launched"
    elif config.train.processes:
        processes, reason = config.train.processes, "as train.processes says"
    elif device == "cuda":
        processes, reason = max(1, device_count()), "one for each GPU"
    else:
        processes = min(cores, MOST_PROCESSES)
        reason = f"one a core, at most {MOST_PROCESSES}"
    here = int(os.environ.get("LOCAL_WORLD_SIZE", processes))
    threads = cores // here if split or device == "cuda" else 1
    return Cores(processes, max(1, threads), reason)


def choose_device(config: Config) -> str:
    """Return 'cpu' or 'cuda', as train.device says."""
    import torch

    if config.train.device != "auto":
        if config.train.device == "cuda" and not torch.cuda.is_available():
            raise ConfigError("train.device is 'cuda', and torch finds no CUDA device; use 'cpu'")
        return config.train.device
    return "cuda" if torch.cuda.is_available() else "cpu"


_STORE = "ASR_TRAIN_STORE"  # names the file through which processes started here find each other


@dataclass(frozen=True)
class ProcessGroup:
    """The processes that train together, seen from one; rank 0 writes files and messages."""

    rank: int = 0
    size: int = 1

    def sum(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over all processes, with the same bits in each.

        Raises:
            TrainingError: another process has ended.
        """
        if self.size == 1:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        try:
            dist.all_reduce(flat)
        except RuntimeError as error:
            raise TrainingError(f"another training process has ended ({error})") from error
        sizes = [tensor.numel() for tensor in tensors]
        for tensor, part in zip(tensors, flat.split(sizes), strict=True):
            tensor.copy_(part.view_as(tensor))


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let torch compute with `count` threads inside the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def start_processes(count: int, module: str, arguments: Sequence[str]) -> Iterator[ProcessGroup]:
    """Join the group of `count` processes, starting `python -m module arguments` for the others.

    Under torchrun its group is joined, and count is ignored.

    Raises:
        TrainingError: another process ended before it could join.
    """
    if "RANK" in os.environ:
        group = _join(os.environ.get(_STORE))
        try:
            yield group
        finally:
            dist.destroy_process_group()
    elif count == 1:
        yield ProcessGroup()
    else:
        with (
            tempfile.TemporaryDirectory() as folder,
            _children(count, module, arguments, folder) as children,
        ):
            _meet(children, Path(folder))
            group = _join(os.environ[_STORE])
            try:
                yield group
            finally:
                dist.destroy_process_group()


@contextmanager
def _children(
    count: int, module: str, arguments: Sequence[str], folder: str
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Start the other processes; wait for them at the end, or kill them after an error."""
    os.environ |= {_STORE: f"{folder}/store", "WORLD_SIZE": str(count), "RANK": "0"}
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # this machine only
    command = [sys.executable, "-m", module, *arguments]
    children = [
        subprocess.Popen(command, env={**os.environ, "RANK": str(rank)}, stdin=subprocess.DEVNULL)
        for rank in range(1, count)
    ]
    try:
        yield children
        for child in children:
            child.wait()
    finally:
        for child in children:
            child.kill()
            child.wait()
        for name in (_STORE, "WORLD_SIZE", "RANK"):
            del os.environ[name]


def _meet(children: Sequence[subprocess.Popen[bytes]], folder: Path) -> None:
    """Wait until all children are about to join: a group that lacks one would wait half an hour."""
    for rank, child in enumerate(children, start=1):
        while not _arrival(folder, rank).exists():
            if child.poll() is not None:
                raise TrainingError(
                    f"training process {rank} ended with status {child.returncode} at its start; "
                    "train.processes=1 trains without it"
                )
            time.sleep(0.02)


def _arrival(folder: Path, rank: int) -> Path:
    """Return the file by which a process shows that it is about to join."""
    return folder / f"arrived-{rank}"


def _join(store: str | None) -> ProcessGroup:
    """Join the group that the environment describes."""
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    backend = "gloo"
    if torch.cuda.is_available():
        backend = "cpu:gloo,cuda:nccl"
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", rank)) % torch.cuda.device_count())
    method = "env://"
    if store:
        method = Path(store).as_uri()
        _arrival(Path(store).parent, rank).touch()
    dist.init_process_group(backend, init_method=method, rank=rank, world_size=size)
    return ProcessGroup(rank, size)

"""Where a model is trained: on which device, by how many processes of how many threads."""

import os
from dataclasses import dataclass

from asr.config import Config
from asr.errors import ConfigError

MOST_PROCESSES = 4  # more would get too little of a batch each


@dataclass(frozen=True)
class Cores:
    """How many processes train, and threads in each, and why so."""

    processes: int
    threads: int
    reason: str

    def __str__(self) -> str:
        threads = os.environ.get("OMP_NUM_THREADS", str(self.threads))
        return f"processes {self.processes} of {threads} threads ({self.reason})"


def share_cores(config: Config, device: str, *, split: bool = False) -> Cores:
    """Processes, as many as the launcher or train.processes says, and threads for each.

    Args:
        config: of the training.
        device: 'cpu' or 'cuda'.
        split: whether a step is worth being split between threads. A recurrent one is not: on two
            cores the second thread made it twice as slow, since each waits for the other after
            each frame.
    """
    from torch.cuda import device_count

    cores = os.cpu_count() or 1
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
    """'cpu' or 'cuda', as train.device says."""
    import torch

    if config.train.device != "auto":
        if config.train.device == "cuda" and not torch.cuda.is_available():
            raise ConfigError("train.device is 'cuda', and torch finds no CUDA device; use 'cpu'")
        return config.train.device
    return "cuda" if torch.cuda.is_available() else "cpu"

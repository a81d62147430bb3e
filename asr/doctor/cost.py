"""Estimate what training costs on this machine, in time and memory, from steps on real batches."""

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from asr._progress import counted
from asr.config import Config
from asr.data import Batch, Example, plan_batches
from asr.distributed import threads
from asr.doctor.finding import Finding
from asr.doctor.steps import make_batch, make_trainer
from asr.mmi import MOST_TOKENS
from asr.objective import ctc_epochs
from asr.text import Vocabulary
from asr.train import Trainer

GIGABYTE = 1e9
MOST_MEMORY = 0.9  # share of the machine's memory that a run may take
CACHED_BYTES = 2  # of each log-mel value: float16


@dataclass(frozen=True)
class Machine:
    """The device that training runs on, and how its work is divided."""

    device: str  # 'cpu' or 'cuda'
    processes: int
    threads: int  # of each process


@dataclass(frozen=True, kw_only=True)
class Cost:
    """The estimated cost of one training run."""

    weights: int
    tokens: int  # in the vocabulary
    processes: int  # that share each batch
    batches: int  # in an epoch
    median_step_s: float  # of the batch of median length
    longest_step_s: float  # of the batch with the longest utterances
    features_min: float  # to compute all features once, in threads beside the steps
    epoch_min: float  # mean of all epochs
    run_hours: float  # all epochs, without validation
    memory_gb: float | None  # None on Windows, where it is not measured
    available_gb: float | None

    def line(self) -> str:
        """Return the figures as text."""
        memory = "memory not measured on this system"
        if self.memory_gb is not None:
            memory = f"memory {self.memory_gb:.1f} of {self.available_gb:.1f} GB"
        return (
            f"{self.weights / 1e6:.2f} million weights, {self.tokens} tokens, "
            f"{counted(self.processes, 'process', 'processes')}; "
            f"about {self.epoch_min:.1f} min an epoch of "
            f"{counted(self.batches, 'batch', 'batches')}, features {self.features_min:.1f} min, "
            f"{self.run_hours:.1f} hours in all; "
            f"{memory}"
        )

    def findings(self) -> list[Finding]:
        """Return a finding if the run does not fit into memory; else an empty list."""
        if self.memory_gb is None or self.available_gb is None:
            return []
        if self.memory_gb <= MOST_MEMORY * self.available_gb:
            return []
        why = f"{self.memory_gb:.1f} GB, there are {self.available_gb:.1f} GB"
        return [Finding(kind="memory", dataset="model", count=1, total=0, why=why)]


def measure_cost(
    examples: Sequence[Example], config: Config, vocabulary: Vocabulary, machine: Machine
) -> Cost:
    """Time asr-train's own step on a median batch and on the longest, as one process takes it.

    Steps of other batches are interpolated by the length of their longest utterance. The epochs
    with CTC alone are timed apart from those with MMI or the consistency loss; the figures of
    single steps are those of the last epoch. MMI of phones is taken to cost as much as of tokens.

    Raises:
        AudioError: a recording of these batches cannot be read.
    """
    if len(vocabulary) > MOST_TOKENS:  # for so many tokens MMI needs phones, which are not known
        config = replace(config, train=replace(config.train, mmi=0.0))
    durations = np.array([example.utterance.duration for example in examples])
    plan = plan_batches(durations, config.data.batch_s, None)  # shortest first
    batches = [[examples[i] for i in indices] for indices in (plan[len(plan) // 2], plan[-1])]
    trainer, task = make_trainer(examples, config, vocabulary, machine.device)
    lengths = [max(durations[indices]) for indices in plan]
    ends = [lengths[len(plan) // 2], lengths[-1]]
    early = ctc_epochs(config.train)
    run_s = 0.0
    with threads(machine.threads):
        started = time.perf_counter()
        median, longest = (make_batch(some, config, machine.processes) for some in batches)
        read_s = sum(e.utterance.duration for batch in (median, longest) for e in batch.examples)
        features_s = (time.perf_counter() - started) / read_s * durations.sum()
        trainer.step([median], 1, False)  # the first one chooses kernels and allocates
        for first, count in ((0, early), (early, config.train.epochs - early)):
            if count:
                task.objective.begin_epoch(first)
                step_s = [_seconds(trainer, batch) for batch in (median, longest)]
                run_s += count * float(np.interp(lengths, ends, step_s).sum())
    memory = _memory_bytes(machine.device)
    cached = cached_bytes(durations.sum(), config)
    return Cost(
        weights=sum(parameter.numel() for parameter in task.model.parameters()),
        tokens=len(vocabulary),
        processes=machine.processes,
        batches=len(plan),
        median_step_s=step_s[0],
        longest_step_s=step_s[1],
        features_min=features_s / 60,
        epoch_min=run_s / config.train.epochs / 60,
        run_hours=run_s / 3600,
        memory_gb=machine.processes * (memory[0] + cached) / GIGABYTE if memory else None,
        available_gb=memory[1] / GIGABYTE if memory else None,
    )


def _seconds(trainer: Trainer, batch: Batch) -> float:
    """Return the seconds that a batch takes; train.accumulate batches share one update."""
    accumulate = trainer.config.accumulate
    started = time.perf_counter()
    trainer.step([batch] * accumulate, 1, False)
    if trainer.learner.device.type == "cuda":
        torch.cuda.synchronize()  # a step returns before the GPU has updated the weights
    return (time.perf_counter() - started) / accumulate


def cached_bytes(seconds: float, config: Config) -> float:
    """Return the size of the log-mel frames that training caches of so many seconds of audio.

    Each speed of augment.speeds has frames of its own.
    """
    if config.data.cache == "none":
        return 0.0
    frames = sum(seconds / speed for speed in set(config.augment.speeds))
    frames *= 1000 / config.features.frame_shift_ms
    return frames * config.features.num_mels * CACHED_BYTES


def _memory_bytes(device: str) -> tuple[float, float] | None:
    """Return the most memory that this process has held, and how much there is, on the device.

    None on Windows, where the standard library tells neither.
    """
    if device == "cuda":
        there = torch.cuda.get_device_properties(0).total_memory
        return float(torch.cuda.max_memory_allocated()), float(there)
    if sys.platform == "win32":
        return None
    import resource  # which Windows has not

    unit = 1 if sys.platform == "darwin" else 1024
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return float(held), float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))

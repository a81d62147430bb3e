"""What training would cost on this machine: weights, memory, time; measured on real batches."""

import math
import os
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from asr.config import Config
from asr.data import Batch, Example, Frames, Loader, plan_batches
from asr.distributed import ProcessGroup, threads
from asr.doctor.finding import Finding
from asr.doctor.steps import Stepper
from asr.mmi import MOST_TOKENS, token_trigram
from asr.objective import ctc_epochs

GIGABYTE = 1e9
MOST_MEMORY = 0.9  # share of what there is
CACHED_BYTES = 2  # of a value: float16


@dataclass(frozen=True)
class Machine:
    """Where training would run: 'cpu' or 'cuda', in so many processes of so many threads."""

    device: str
    processes: int
    threads: int


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Figures of one training run."""

    weights: int
    tokens: int  # in the vocabulary
    processes: int  # that share each batch
    batches: int  # in an epoch
    median_step_s: float
    longest_step_s: float  # of the batch with the longest utterances
    features_min: float  # for one pass over the audio, beside the steps; once where cached
    epoch_min: float  # mean of all epochs
    run_hours: float  # all epochs, without validation
    memory_gb: float
    available_gb: float

    def line(self) -> str:
        """Return the figures as text."""
        return (
            f"{self.weights / 1e6:.2f} million weights, {self.tokens} tokens, "
            f"{self.processes} processes; about {self.epoch_min:.1f} min an epoch of "
            f"{self.batches} batches, features {self.features_min:.1f} min, "
            f"{self.run_hours:.1f} hours in all; "
            f"memory {self.memory_gb:.1f} of {self.available_gb:.1f} GB"
        )

    def findings(self) -> list[Finding]:
        """Return the finding that the run does not fit, or none."""
        if self.memory_gb <= MOST_MEMORY * self.available_gb:
            return []
        why = f"{self.memory_gb:.1f} GB, there are {self.available_gb:.1f} GB"
        return [Finding(kind="memory", dataset="model", count=1, total=0, why=why)]


def measure_cost(
    examples: Sequence[Example], config: Config, vocabulary_size: int, machine: Machine
) -> Cost:
    """Time a few steps on a median batch and on the longest, as one of the processes takes them.

    Steps of other batches are taken to cost in between, by the length of their utterances, and MMI
    of phones as much as MMI of tokens; the figures of a step are those of the last epoch.

    Raises:
        AudioError: a recording of these batches cannot be read.
    """
    durations = np.array([example.utterance.duration for example in examples])
    plan = plan_batches(durations, config.data.batch_s, None)  # shortest first
    batches = [[examples[i] for i in indices] for indices in (plan[len(plan) // 2], plan[-1])]
    trigram = _trigram(examples, config, vocabulary_size, machine.device)
    stepper = Stepper(config, vocabulary_size, machine.device, augmented=True, trigram=trigram)
    lengths = [max(durations[indices]) for indices in plan]
    ends = [lengths[len(plan) // 2], lengths[-1]]
    early = ctc_epochs(config.train)
    run_s = 0.0
    with threads(machine.threads):
        started = time.perf_counter()
        median, longest = (make_batch(some, config, machine.processes) for some in batches)
        read_s = sum(e.utterance.duration for batch in (median, longest) for e in batch.examples)
        features_s = (time.perf_counter() - started) / read_s * durations.sum()
        stepper.step(median)  # the first one chooses kernels and allocates
        for first, count in ((0, early), (early, config.train.epochs - early)):
            if count:
                stepper.objective.begin_epoch(first)
                step_s = [_seconds(stepper, batch) for batch in (median, longest)]
                run_s += count * float(np.interp(lengths, ends, step_s).sum())
    memory = _peak_bytes(machine.device) + cached_bytes(durations.sum(), config)
    return Cost(
        weights=sum(parameter.numel() for parameter in stepper.model.parameters()),
        tokens=vocabulary_size,
        processes=machine.processes,
        batches=len(plan),
        median_step_s=step_s[0],
        longest_step_s=step_s[1],
        features_min=features_s / 60,
        epoch_min=run_s / config.train.epochs / 60,
        run_hours=run_s / 3600,
        memory_gb=machine.processes * memory / GIGABYTE,
        available_gb=_available_bytes(machine.device) / GIGABYTE,
    )


def _trigram(
    examples: Sequence[Example], config: Config, size: int, device: str
) -> torch.Tensor | None:
    """For MMI; none for so many tokens that it is the phones' that training will need."""
    if not config.train.mmi or size > MOST_TOKENS:
        return None
    return token_trigram((example.tokens for example in examples), size).to(device)


def make_batch(examples: Sequence[Example], config: Config, processes: int = 1) -> Batch:
    """One batch of all these utterances, unchanged, or the share of the first process in it."""
    data = replace(config.data, batch_s=math.inf, cache="none")
    config = replace(config, data=data)
    loader = Loader(examples, Frames(config), config, ProcessGroup(size=processes))
    (batch,) = filter(None, loader.in_order())
    return batch


def _seconds(stepper: Stepper, batch: Batch) -> float:
    started = time.perf_counter()
    stepper.step(batch)
    return time.perf_counter() - started


def cached_bytes(seconds: float, config: Config) -> float:
    """Size of the log-mel frames that training keeps: of each speed, in the end."""
    if config.data.cache == "none":
        return 0.0
    frames = sum(seconds / speed for speed in set(config.augment.speeds))
    frames *= 1000 / config.features.frame_shift_ms
    return frames * config.features.num_mels * CACHED_BYTES


def _peak_bytes(device: str) -> float:
    """Most memory that this process, or its part of the GPU, has held so far."""
    if device == "cuda":
        return float(torch.cuda.max_memory_allocated())
    unit = 1 if sys.platform == "darwin" else 1024
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)


def _available_bytes(device: str) -> float:
    if device == "cuda":
        return float(torch.cuda.get_device_properties(0).total_memory)
    return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))

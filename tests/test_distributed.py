"""Several processes train as one does, and none is left behind."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from folders import ROOT
from forked import start, start_group
from speech import write_conf
from test_train import log_lines
from torch import Tensor, nn

from asr.checkpoint import load_checkpoint
from asr.cli.train import main
from asr.config import TrainConfig
from asr.data import Epoch
from asr.distributed import ProcessGroup, start_processes, threads
from asr.errors import TrainingError
from asr.train import Trainer


def test_so_many_threads_inside_the_block_alone():
    before = torch.get_num_threads()
    with pytest.raises(ValueError, match="inside"), threads(before + 1):
        assert torch.get_num_threads() == before + 1
        raise ValueError("inside")
    assert torch.get_num_threads() == before


def test_a_group_of_one_sums_nothing():
    tensor = torch.tensor([1.0, 2.0])
    ProcessGroup().sum([tensor])
    assert tensor.tolist() == [1.0, 2.0]


def test_one_process_starts_no_other():
    with start_processes(1, "asr.no_such_module", []) as group:
        assert group == ProcessGroup(0, 1)
    assert "RANK" not in os.environ


PROGRAM = """
import os, sys, torch
from asr.distributed import start_processes
with start_processes(int(sys.argv[1]), "member", sys.argv[1:]) as group:
    pair = torch.tensor([group.rank, 1.0]), torch.ones(2, 2) * group.rank
    if "dies" in sys.argv and group.rank == 1:
        os._exit(7)
    group.sum(pair)
    if group.rank == 0:
        print(group.size, pair[0].tolist(), pair[1].tolist())
print("RANK" in os.environ)
"""


def run_members(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "member.py").write_text(PROGRAM)
    paths = os.pathsep.join([str(ROOT), str(folder)])
    return subprocess.run(
        [sys.executable, "-m", "member", *arguments],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_sums_are_over_all_processes(tmp_path: Path):
    done = run_members(tmp_path, "3")
    assert done.returncode == 0, done.stderr
    assert "3 [3.0, 3.0] [[3.0, 3.0], [3.0, 3.0]]\n" in done.stdout
    assert "False" in done.stdout  # the environment is as it was


def test_a_process_that_dies_is_an_error_and_no_wait(tmp_path: Path):
    done = run_members(tmp_path, "2", "dies")
    assert done.returncode == 1
    assert "TrainingError: another training process has ended" in done.stderr


def test_a_process_that_cannot_start_is_an_error_and_no_wait():
    started = time.monotonic()
    with (
        pytest.raises(TrainingError, match=r"process 1 ended with status 1 at its start; .*=1"),
        start_processes(2, "asr.no_such_module", []),
    ):
        pass
    assert time.monotonic() - started < 300  # joining in vain takes half an hour
    assert "RANK" not in os.environ


def train(folder: Path, manifest: Path, processes: int, *more: str) -> list[dict[str, float]]:
    """Train in this process and as many others as it takes; return the lines of the log."""
    out = folder / f"exp-{processes}"
    words = [str(write_conf(folder)), "--train", str(manifest), "--valid", str(manifest)]
    words += ["--out", str(out), "train.epochs=2", f"train.processes={processes}", *more]
    assert main(words) == 0
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


NUMBERS = [0.5, -1.0, 2.0, 1.5, -0.5, 3.0, 1.0]


def train_on_numbers(out: Path, accumulate: int) -> int:
    """Fit a small network in double precision, in which the order of sums leaves no trace."""
    torch.set_default_dtype(torch.float64)
    with start_processes(1, "none", []) as group:
        config = TrainConfig(epochs=6, learning_rate=0.05, warmup_steps=3, accumulate=accumulate)
        Trainer(NumbersTask(group), config, out, group, rate="tokens_per_s").run()
    return 0


class NumbersTask:
    """Learns a square; of a batch of numbers, each process takes every size-th one."""

    def __init__(self, group: ProcessGroup) -> None:
        torch.manual_seed(0)
        self.group = group
        self.model = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))

    def batches(self, epoch: int) -> Epoch[Tensor]:
        plan = [[0, 1, 2], [3, 4, 5], [6]]  # of the last one, a second process has no share
        return Epoch(plan, np.ones(len(NUMBERS)), self._share)

    def _share(self, indices: Sequence[int]) -> Tensor | None:
        own = [NUMBERS[i] for i in indices[self.group.rank :: self.group.size]]
        return torch.tensor(own).reshape(-1, 1) if own else None

    def loss(self, batch: Tensor, generator: torch.Generator) -> tuple[Tensor, int]:
        return (self.model(batch) - batch**2).square().sum(), len(batch)

    def describe(self, batch: Tensor) -> str:
        return str(batch)

    def seconds(self, batch: Tensor) -> float:
        return len(batch)

    def report(self) -> dict[str, float]:
        return {}

    def validate(self, model: nn.Module) -> dict[str, float]:
        return {"loss": 0.0, "error": 0.0}


@pytest.mark.parametrize("accumulate", [1, 2])
def test_two_processes_learn_the_same_as_one(tmp_path: Path, accumulate: int):
    one, two = tmp_path / "one", tmp_path / "two"
    lonely = start(train_on_numbers, one, accumulate, errors=tmp_path / "log")
    group = start_group(2, train_on_numbers, two, accumulate, folder=tmp_path / "group")
    for process in (lonely, *group):
        process.join(240)
        assert process.exitcode == 0, (tmp_path / "group" / "0.log").read_text()
    last = [load_checkpoint(out / "last").tensors for out in (one, two)]
    for tensors, others in ((last[0][name], last[1][name]) for name in ("model", "average")):
        for name, weight in tensors.items():
            torch.testing.assert_close(others[name], weight, atol=1e-10, rtol=1e-10)
    for alone, shared in zip(log_lines(one), log_lines(two), strict=True):
        for key in ("step", "train_loss", "grad_norm", "grad_norm_max", "clipped"):
            assert shared[key] == pytest.approx(alone[key], rel=1e-7), key


@pytest.mark.slow
def test_torchrun_trains_as_one_process_does(tones: Path, tmp_path: Path):
    command = [str(Path(sys.executable).parent / "torchrun"), "--nproc-per-node", "2"]
    words = [str(write_conf(tmp_path)), "--train", str(tones), "--valid", str(tones)]
    words += ["train.epochs=1", "train.learning_rate=1e-3", "--out"]
    ran = subprocess.run(
        [*command, "-m", "asr.cli.train", *words, str(tmp_path / "two")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert ran.returncode == 0, ran.stderr
    assert "2 processes with 1 thread each (as launched)" in ran.stderr
    assert main([*words, str(tmp_path / "one")]) == 0
    (one,), (two,) = (log_lines(tmp_path / name) for name in ("one", "two"))
    assert two["train_loss"] == pytest.approx(one["train_loss"], abs=1e-5)
    weights = [load_checkpoint(tmp_path / n / "last").tensors["model"] for n in ("one", "two")]
    for name, weight in weights[0].items():
        torch.testing.assert_close(weights[1][name], weight, atol=1e-5, rtol=1e-5)


def test_processes_lose_their_patience_together(tones: Path, tmp_path: Path, capsys):
    """No weight moves at such a rate: no epoch is better than the first."""
    still = ("train.epochs=9", "train.patience=2", "train.learning_rate=1e-12")
    assert len(train(tmp_path, tones, 2, *still)) == 3
    assert "training ends after epoch 3 of 9: none was better" in capsys.readouterr().err


def test_two_processes_train_as_one_does(tones: Path, tmp_path: Path, capsys):
    # 24 utterances in batches: some of a single one, so that a share is empty
    one, two = (train(tmp_path, tones, processes) for processes in (1, 2))
    assert "2 processes with 1 thread each (as train.processes says)" in capsys.readouterr().err
    assert len(one) == len(two) == 2
    for alone, shared in zip(one, two, strict=True):
        assert shared["step"] == alone["step"]
        for key in ("train_loss", "valid_loss", "valid_error", "valid_cer"):
            assert shared[key] == pytest.approx(alone[key], abs=2e-4), key
    last = [load_checkpoint(tmp_path / f"exp-{n}" / "last").tensors["model"] for n in (1, 2)]
    for name, weight in last[0].items():
        torch.testing.assert_close(last[1][name], weight, atol=5e-3, rtol=5e-3)

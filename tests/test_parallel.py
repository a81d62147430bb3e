"""Several processes train as one does, and none is left behind."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from speech import write_conf

from asr.checkpoint import load_checkpoint
from asr.cli.train import main
from asr.errors import TrainingError
from asr.parallel import Group, start_processes

ROOT = Path(__file__).parents[1]


def test_a_group_of_one_sums_nothing():
    tensor = torch.tensor([1.0, 2.0])
    Group().sum([tensor])
    assert tensor.tolist() == [1.0, 2.0]


def test_one_process_starts_no_other():
    with start_processes(1, "asr.no_such_module", []) as group:
        assert group == Group(0, 1)
    assert "RANK" not in os.environ


PROGRAM = """
import os, sys, torch
from asr.parallel import start_processes
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


def train(folder: Path, manifest: Path, processes: int) -> list[dict[str, float]]:
    """Train in this process and as many others as it takes; return the lines of the log."""
    out = folder / f"exp-{processes}"
    words = [str(write_conf(folder)), "--train", str(manifest), "--valid", str(manifest)]
    words += ["--out", str(out), "train.epochs=2", f"train.processes={processes}"]
    assert main(words) == 0
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def test_two_processes_train_as_one_does(tones: Path, tmp_path: Path, capsys):
    # 24 utterances in batches: some of a single one, so that a share is empty
    one, two = (train(tmp_path, tones, processes) for processes in (1, 2))
    assert "2 processes of 1 threads" in capsys.readouterr().err
    assert len(one) == len(two) == 2
    for alone, shared in zip(one, two, strict=True):
        assert shared["step"] == alone["step"]
        for key in ("train_loss", "valid_loss", "valid_error", "valid_cer"):
            assert shared[key] == pytest.approx(alone[key], abs=2e-4), key
    last = [load_checkpoint(tmp_path / f"exp-{n}" / "last").tensors["model"] for n in (1, 2)]
    for name, weight in last[0].items():
        torch.testing.assert_close(last[1][name], weight, atol=5e-3, rtol=5e-3)

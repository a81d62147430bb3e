"""A run that was stopped, at any moment and in any way, goes on to the bits of one that was not."""

import json
import os
import random
import resource
import signal
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest
import torch
from forked import start, start_group
from speech import SMALL, write_conf, write_tones
from test_train import log_lines

from asr.checkpoint import load_checkpoint
from asr.cli.train import main
from asr.train import Trainer

RANDOM = {
    "model": {**SMALL["model"], "dropout": 0.3},
    "augment": {"speeds": [0.9, 1.1], "time_masks": 1, "noise_prob": 0.5, "freq_masks": 1},
    "data": {"batch_s": 3.0, "max_utterance_s": 3.0},
    "train": {
        **SMALL["train"],
        "epochs": 3,
        "patience": 2,
        "checkpoint_minutes": 0,
        "accumulate": 2,
    },
}
TIMES = {"seconds", "audio_s_per_s"}


class Run:
    """A command line of asr-train, which can be started again and again."""

    def __init__(self, folder: Path, name: str, *more: str) -> None:
        self.folder = folder
        self.out = folder / name
        tones = str(folder / "tones" / "tones.jsonl")
        self.words = [str(folder / "small.toml"), "--train", tones, "--valid", tones]
        self.words += ["--out", str(self.out), "--resume", *more]
        self.starts = 0

    def start(self, processes: int = 1) -> list[ForkServerProcess]:
        """Start to train, or to go on, in so many processes."""
        self.starts += 1
        folder = self.folder / f"{self.out.name}-{self.starts}"
        if processes > 1:
            return start_group(processes, main, self.words, folder=folder)
        folder.mkdir()
        return [start(main, self.words, errors=folder / "0.log")]

    def said(self) -> str:
        """What the first process of the last start wrote to stderr."""
        return (self.folder / f"{self.out.name}-{self.starts}" / "0.log").read_text()

    def finish(self, processes: int = 1) -> list[int | None]:
        """Go on to the end; the exit statuses."""
        return ended(self.start(processes))

    def position(self) -> tuple[int, int]:
        """Step of the last checkpoint, and how often it was written."""
        path = self.out / "last" / "checkpoint.json"
        try:
            return json.loads(path.read_text())["state"]["step"], path.stat().st_mtime_ns
        except FileNotFoundError:
            return 0, 0

    def wait_for_a_checkpoint(self, process: ForkServerProcess) -> None:
        before = self.position()
        while self.position() == before and process.is_alive():
            time.sleep(0.002)


def ended(processes: list[ForkServerProcess]) -> list[int | None]:
    for process in processes:
        process.join(240)
    return [process.exitcode for process in processes]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where tones and a configuration are."""
    folder = tmp_path_factory.mktemp("resume")
    write_tones(folder / "tones", 24)
    write_conf(folder, {**SMALL, **RANDOM})
    return folder


@pytest.fixture(scope="module")
def whole(folder: Path) -> Path:
    """The experiment of a run that was never interrupted."""
    run = Run(folder, "whole")
    assert run.finish() == [0], run.said()
    assert "nothing was saved" in run.said()
    return run.out


def assert_same(one: Path, other: Path) -> None:
    """Weights, their average and the optimizer are the same to the bit; so is the log but times."""
    for which in ("last", "best"):
        first, second = (load_checkpoint(folder / which) for folder in (one, other))
        assert first.tensors.keys() == second.tensors.keys()
        for group, tensors in first.tensors.items():
            assert tensors.keys() == second.tensors[group].keys()
            assert all(torch.equal(second.tensors[group][name], t) for name, t in tensors.items())
        times = {"spent_s", "figures"}
        assert {k: v for k, v in first.state.items() if k not in times} == {
            k: v for k, v in second.state.items() if k not in times
        }
    lines = [
        [{k: v for k, v in line.items() if k not in TIMES} for line in log_lines(folder)]
        for folder in (one, other)
    ]
    assert lines[0] == lines[1]


def kill_and_go_on(run: Run, kills: int, processes: int, seed: int) -> None:
    """Kill the first process with SIGKILL, each time at a random moment; then let it end."""
    moments = random.Random(seed)
    for _ in range(kills):
        group = run.start(processes)
        run.wait_for_a_checkpoint(group[0])
        time.sleep(moments.uniform(0, 0.25))
        group[0].kill()
        statuses = ended(group)
        assert statuses[0] == -signal.SIGKILL, run.said()
        assert all(statuses), "the others end by themselves"
    assert run.finish(processes) == [0] * processes, run.said()
    assert not list(run.out.glob("last/.*.tmp")), "nothing half written is left"


def test_killed_at_random_moments(folder: Path, whole: Path):
    run = Run(folder, "killed")
    kill_and_go_on(run, kills=2, processes=1, seed=1)
    assert_same(whole, run.out)


@pytest.mark.slow
def test_resume_after_twenty_kills(folder: Path):
    long, killed = Run(folder, "long", "train.epochs=20"), Run(folder, "k20", "train.epochs=20")
    assert long.finish() == [0]
    kill_and_go_on(killed, kills=20, processes=1, seed=2)
    assert_same(long.out, killed.out)


@pytest.mark.slow
def test_resume_after_kills_of_two_processes(folder: Path):
    long, killed = Run(folder, "pair"), Run(folder, "k-pair")
    assert long.finish(2) == [0, 0], long.said()
    kill_and_go_on(killed, kills=3, processes=2, seed=3)
    assert_same(long.out, killed.out)


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["ctrl-c", "term"]
)
def test_a_signal_stops_in_good_order(
    folder: Path, whole: Path, number: signal.Signals, status: int
):
    run = Run(folder, f"asked-{status}")
    (process,) = run.start()
    run.wait_for_a_checkpoint(process)
    os.kill(process.pid or 0, number)
    assert ended([process]) == [status], run.said()
    assert run.said().count("stopping as soon as this step or validation is done") == 1
    assert f"stopped after step {run.position()[0]} (batch" in run.said()
    assert main(run.words) == 0
    assert_same(whole, run.out)


@pytest.mark.slow
def test_resume_after_a_signal_to_one_of_two_processes(folder: Path):
    whole, run = Run(folder, "two"), Run(folder, "one-of-two")
    assert whole.finish(2) == [0, 0], whole.said()
    group = run.start(2)
    run.wait_for_a_checkpoint(group[0])
    os.kill(group[1].pid or 0, signal.SIGTERM)
    assert ended(group) == [143, 143], run.said()
    assert run.finish(2) == [0, 0], run.said()
    assert_same(whole.out, run.out)


def with_small_files(words: list[str], largest: int) -> int:
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
    return main(words)


def test_files_that_cannot_grow_lose_nothing(folder: Path, whole: Path):
    run = Run(folder, "quota")
    errors = folder / "quota.log"
    assert ended([start(with_small_files, run.words, 30_000, errors=errors)]) == [1]
    said = errors.read_text().splitlines()[-1]
    assert said.startswith("asr-train: error: ")
    assert "cannot be written (File too large); make room" in said
    assert main(run.words) == 0
    assert_same(whole, run.out)


# In this process, where a run can be stopped at a chosen step.


class StoppedError(Exception):
    """What a test stops a run with."""


def stop_in(method: str, when: int) -> Callable[..., Any]:
    """A method of Trainer that raises at its n-th call."""
    real, calls = getattr(Trainer, method), []

    def stopping(trainer: Trainer, *arguments: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) == when:
            raise StoppedError
        return real(trainer, *arguments, **named)

    return stopping


def stopped(run: Run, patch: pytest.MonkeyPatch, method: str, when: int) -> None:
    """Start a run that is stopped at the n-th call of a method."""
    with patch.context() as patched, pytest.raises(StoppedError):
        patched.setattr(Trainer, method, stop_in(method, when))
        main(run.words)


@pytest.mark.parametrize(
    ("method", "when"), [("step", 1), ("step", 4), ("_validate", 2), ("_save_epoch", 2)]
)
def test_stopped_between_any_two_writes(
    folder: Path, whole: Path, monkeypatch: pytest.MonkeyPatch, method: str, when: int
):
    run = Run(folder, f"{method}-{when}")
    stopped(run, monkeypatch, method, when)
    assert main(run.words) == 0
    assert_same(whole, run.out)
    assert [line["epoch"] for line in log_lines(run.out)] == [1, 2, 3]


def test_a_damaged_checkpoint_is_said_and_the_one_before_goes_on(
    folder: Path, whole: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    run = Run(folder, "damaged")
    stopped(run, monkeypatch, "step", 5)
    index = json.loads((run.out / "last" / "checkpoint.json").read_text())
    path = run.out / "last" / index["files"]["model"]["name"]
    path.write_bytes(path.read_bytes()[:-1])
    assert main(run.words) == 0
    stderr = capsys.readouterr().err
    assert f"{path}: damaged, its sha256 is not the one that the index gives; going on" in stderr
    assert f"from step {index['state']['step'] - 1} in epoch 1" in stderr
    assert_same(whole, run.out)

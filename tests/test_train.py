"""The training loop, on a task of one weight and on tones."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from speech import small_config
from torch import Generator, Tensor, nn

from asr.acoustic import AcousticTask
from asr.checkpoint import load_checkpoint, save_checkpoint
from asr.config import Config, TrainConfig
from asr.data import Frames, Loader, make_examples
from asr.errors import CheckpointError, TrainingError
from asr.manifest import read_manifest
from asr.parallel import Group
from asr.text import Normalizer, Vocabulary
from asr.train import PATIENCE, Trainer, seeded


class LineTask:
    """Learns y = 2x; a batch is a number x, or NaN for a bad one, or None for an empty share."""

    def __init__(self, batches: list[float | None], errors: list[float]) -> None:
        torch.manual_seed(0)
        self.model = nn.Linear(1, 1)
        self.data = batches
        self.errors = iter(errors)
        self.rates: list[float] = []
        self.judged: list[float] = []
        self.trainer: Trainer | None = None

    def batches(self, epoch: int) -> list[float | None]:
        return self.data

    def loss(self, batch: float, generator: Generator) -> tuple[Tensor, int]:
        if self.trainer:
            self.rates.append(self.trainer.optimizer.param_groups[0]["lr"])
        return (self.model(torch.tensor([batch])) - 2 * batch).square().sum(), 4

    def describe(self, batch: float) -> str:
        return f"x = {batch}"

    def seconds(self, batch: float) -> float:
        return 1.0

    def report(self) -> dict[str, float]:
        return {"weight": self.model.weight.item()}

    def validate(self, model: nn.Module) -> dict[str, float]:
        self.judged.append(model.weight.item())
        return {"loss": 1 / len(self.judged), "error": next(self.errors)}


def line_trainer(folder: Path, task: LineTask, **config: Any) -> Trainer:
    defaults = {"epochs": 1, "warmup_steps": 0, "learning_rate": 0.1}
    task.trainer = Trainer(task, TrainConfig(**{**defaults, **config}), folder, Group())
    return task.trainer


def log_lines(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_learning_rate_warms_up_and_falls_along_a_cosine(tmp_path: Path):
    task = LineTask([1.0] * 4, [0.0] * 2)
    line_trainer(
        tmp_path, task, epochs=2, warmup_steps=4, learning_rate=0.8, final_lr_fraction=0.5
    ).run()
    cosines = [0.5 * (1 + math.cos(math.pi * done / 8)) for done in range(8)]
    warm = [0.25, 0.5, 0.75, 1, 1, 1, 1, 1]
    expected = [0.8 * w * (0.5 + 0.5 * c) for w, c in zip(warm, cosines, strict=True)]
    assert task.rates == pytest.approx(expected)
    assert task.rates[4] == pytest.approx(0.6)  # half way down: (1 + 0.5) / 2


def test_first_step_is_that_of_adamw_with_a_clipped_gradient(tmp_path: Path):
    task = LineTask([3.0], [0.0])
    before = {name: p.detach().clone() for name, p in task.model.named_parameters()}
    line_trainer(tmp_path, task, weight_decay=0.5, clip_norm=1e-3).run()
    for name, parameter in task.model.named_parameters():
        # Adam's first step is the rate times the gradient's sign, whatever its size
        decayed = before[name] * (1 - 0.1 * 0.5)
        assert (parameter - decayed).abs().item() == pytest.approx(0.1, rel=1e-3)
    norm = torch.cat([p.grad.reshape(-1) for p in task.model.parameters()]).norm()
    assert norm.item() == pytest.approx(1e-3, rel=1e-3)


def test_gradient_and_loss_are_of_one_token(tmp_path: Path):
    task = LineTask([3.0], [0.0])
    trainer = line_trainer(tmp_path, task)
    loss, tokens = task.loss(3.0, seeded(0))
    expected = torch.autograd.grad(loss / tokens, list(task.model.parameters()))
    assert trainer._gradient(3.0, seeded(0)).tolist() == [loss.item(), 4.0, 1.0]
    for parameter, gradient in zip(task.model.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)
    trainer.run()
    assert log_lines(tmp_path)[0]["train_loss"] == pytest.approx(loss.item() / 4)


@pytest.mark.parametrize("ema_decay", [0.0, 0.15, 0.998])
def test_average_of_the_weights(tmp_path: Path, ema_decay: float):
    task = LineTask([1.0, -2.0, 0.5], [0.0])
    weights = [task.model.weight.item()]
    trainer = line_trainer(tmp_path, task, ema_decay=ema_decay)
    real = trainer._update

    def watched(finite: bool) -> bool:
        updated = real(finite)
        weights.append(task.model.weight.item())
        return updated

    trainer._update = watched  # type: ignore[method-assign]
    trainer.run()
    average = weights[0]
    for step, weight in enumerate(weights[1:], start=1):
        decay = min(ema_decay, step / (10 + step))
        average = decay * average + (1 - decay) * weight
    assert task.judged == [pytest.approx(average, rel=1e-5)]


def test_best_is_chosen_by_the_error_and_last_is_last(tmp_path: Path):
    task = LineTask([1.0, 2.0], [0.5, 0.2, 0.2, 0.4])
    line_trainer(tmp_path, task, epochs=4).run()
    best, last = load_checkpoint(tmp_path / "best"), load_checkpoint(tmp_path / "last")
    assert (best.state["epoch"], last.state["epoch"]) == (2, 3)  # of equal errors the lower loss
    assert best.tensors["model"]["weight"].item() == task.judged[2]
    assert last.tensors["average"]["weight"].item() == task.judged[3]
    assert last.tensors["model"]["weight"].item() == task.model.weight.item()
    assert last.state["best"] == [0.2, 1 / 3]


def test_log_has_a_line_an_epoch(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    task = LineTask([1.0, 2.0], [0.5, 0.25])
    line_trainer(tmp_path, task, epochs=2).run()
    first, second = log_lines(tmp_path)
    assert (first["epoch"], first["step"], first["valid_error"]) == (1, 2, 0.5)
    assert (second["epoch"], second["step"], second["valid_error"]) == (2, 4, 0.25)
    assert second["weight"] == task.model.weight.item()
    assert second["skipped_steps"] == 0
    assert second["audio_s_per_s"] == pytest.approx(2.0 / second["seconds"])
    assert list(tmp_path.glob("events.out.tfevents.*"))
    stderr = capsys.readouterr().err
    assert "epoch 1/2  train_loss" in stderr
    assert "minutes_left" in stderr


def test_a_loss_that_is_not_finite_is_skipped_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    task, clean = LineTask([1.0, math.nan, 2.0], [0.0]), LineTask([1.0, 2.0], [0.0])
    line_trainer(tmp_path / "a", task, final_lr_fraction=1.0, ema_decay=0).run()
    line_trainer(tmp_path / "b", clean, final_lr_fraction=1.0, ema_decay=0).run()
    assert task.model.weight.item() == clean.model.weight.item()
    assert log_lines(tmp_path / "a")[0]["skipped_steps"] == 1
    assert math.isfinite(log_lines(tmp_path / "a")[0]["train_loss"])
    assert "step 2: loss or gradient not finite: x = nan" in capsys.readouterr().err


def test_an_empty_share_is_no_step_of_its_own_data(tmp_path: Path):
    task = LineTask([1.0, None], [0.0])
    line_trainer(tmp_path, task).run()
    assert log_lines(tmp_path)[0]["audio_s_per_s"] > 0
    assert math.isfinite(task.model.weight.item())


def test_a_skipped_empty_share_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    trainer = line_trainer(tmp_path, LineTask([None], [0.0]))
    trainer._update = lambda finite: False  # type: ignore[method-assign]
    trainer.run()
    assert "not finite: an empty share" in capsys.readouterr().err


def test_patience_ends(tmp_path: Path):
    task = LineTask([*[math.nan] * (PATIENCE - 1), 1.0, *[math.nan] * (PATIENCE - 1)], [0.0])
    line_trainer(tmp_path, task).run()  # never so many in a row
    hopeless = LineTask([math.inf] * PATIENCE, [0.0])
    with pytest.raises(TrainingError, match=r"20 steps in a row.*lower train.learning_rate"):
        line_trainer(tmp_path, hopeless).run()
    assert math.isfinite(hopeless.model.weight.item())


def test_last_of_another_kind_is_refused(tmp_path: Path):
    line_trainer(tmp_path, LineTask([1.0], [0.0])).run()
    checkpoint = load_checkpoint(tmp_path / "last")
    del checkpoint.tensors["average"]
    save_checkpoint(tmp_path / "last", checkpoint)
    with pytest.raises(CheckpointError, match=r"not a checkpoint of asr-train .*average"):
        line_trainer(tmp_path, LineTask([1.0], [0.0])).resume()


def tones_trainer(manifest: Path, folder: Path, config: Config) -> Trainer:
    torch.manual_seed(config.train.seed)
    vocabulary = Vocabulary.from_texts(["A B C"])
    examples = make_examples(read_manifest(manifest), Normalizer(), vocabulary)
    frames = Frames(config)
    train, valid = (Loader(part, frames, config, Group()) for part in (examples, examples[:5]))
    task = AcousticTask(config, vocabulary, train, valid, "cpu")
    return Trainer(task, config.train, folder, Group())


def test_tones_are_learnt(tones: Path, tmp_path: Path):
    config = small_config(
        model={"layer_norm": True, "hidden": 24},
        data={"batch_s": 3.0},
        train={"epochs": 22, "ema_decay": 0.9},
    )
    tones_trainer(tones, tmp_path, config).run()
    last = log_lines(tmp_path)[-1]
    assert last["valid_error"] == 0
    assert last["valid_cer"] == 0
    assert last["valid_loss"] < 0.2
    assert last["emitted"] == pytest.approx(1, abs=0.1)


class StoppedError(Exception):
    """What a test stops a run with."""


def stop_at(trainer: Trainer, epoch: int) -> None:
    """Let the trainer fail in the middle of an epoch (counted from 0)."""
    real = trainer.task.batches

    def batches(number: int) -> Any:
        return real(number) if number < epoch else Torn()

    trainer.task.batches = batches  # type: ignore[method-assign]


class Torn:
    """An epoch that fails at its first batch."""

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[None]:
        raise StoppedError


def test_a_run_that_was_stopped_goes_on_bit_for_bit(tones: Path, tmp_path: Path):
    config = small_config(
        model={"dropout": 0.3},
        augment={"speeds": [0.9, 1.1], "time_masks": 1, "noise_prob": 0.5, "freq_masks": 1},
    )
    tones_trainer(tones, tmp_path / "whole", config).run()

    stopped = tones_trainer(tones, tmp_path / "parts", config)
    stop_at(stopped, 2)
    with pytest.raises(StoppedError):
        stopped.run()
    resumed = tones_trainer(tones, tmp_path / "parts", config)
    resumed.resume()
    assert resumed.first_epoch == 2
    resumed.run()

    for which in ("last", "best"):
        whole, parts = (load_checkpoint(tmp_path / run / which) for run in ("whole", "parts"))
        assert whole.state["epoch"] == parts.state["epoch"]
        for group, tensors in whole.tensors.items():
            assert all(torch.equal(parts.tensors[group][name], t) for name, t in tensors.items())
    for one, other in zip(
        log_lines(tmp_path / "whole"), log_lines(tmp_path / "parts"), strict=True
    ):
        for key in one.keys() - {"seconds", "audio_s_per_s"}:
            assert one[key] == other[key], key


def test_the_seed_changes_the_run(tones: Path, tmp_path: Path):
    losses = set()
    for seed in (1, 1, 2):
        folder = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        tones_trainer(tones, folder, small_config(train={"epochs": 1, "seed": seed})).run()
        losses.add(log_lines(folder)[0]["train_loss"])
    assert len(losses) == 2


def test_generators_follow_from_their_numbers():
    draws = [torch.rand(3, generator=seeded(*n)).tolist() for n in ((1, 2), (1, 2), (2, 1), (1,))]
    assert draws[0] == draws[1]
    assert draws[0] != draws[2] != draws[3] != draws[0]

"""The training loop, on a task of one weight and on tones."""

import errno
import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from speech import small_config
from torch import Generator, Tensor, nn

from asr.checkpoint import load_checkpoint, save_checkpoint
from asr.config import Config, TrainConfig
from asr.data import Frames, Loader, make_examples
from asr.distributed import ProcessGroup
from asr.errors import CheckpointError, TrainingError
from asr.manifest import read_manifest
from asr.objective import AcousticTask
from asr.text import Normalizer, Vocabulary
from asr.train import MOST_SKIPPED, Trainer, seeded


class Numbers(list[float | None]):
    """Batches of a LineTask."""

    padding = 0.25


class LineTask:
    """Learns y = 2x; a batch is a number x, or NaN for a bad one, or None for an empty share."""

    def __init__(self, batches: list[float | None], errors: list[float]) -> None:
        torch.manual_seed(0)
        self.model = nn.Linear(1, 1)
        self.data = Numbers(batches)
        self.errors = iter(errors)
        self.rates: list[float] = []
        self.judged: list[float] = []
        self.trainer: Trainer | None = None

    def batches(self, epoch: int) -> Numbers:
        return self.data

    def loss(self, batch: float, generator: Generator) -> tuple[Tensor, int]:
        if self.trainer:
            self.rates.append(self.trainer.learner.optimizer.param_groups[0]["lr"])
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


class PairTask(LineTask):
    """The same with several numbers in a batch."""

    def __init__(self, batches: list[Any]) -> None:
        super().__init__(batches, [0.0] * 9)

    def loss(self, batch: Any, generator: Generator) -> tuple[Tensor, int]:
        numbers = torch.tensor(batch).reshape(-1, 1)
        return (self.model(numbers) - 2 * numbers).square().sum(), len(numbers)


def line_trainer(folder: Path, task: LineTask, **config: Any) -> Trainer:
    defaults = {"epochs": 1, "warmup_steps": 0, "learning_rate": 0.1}
    task.trainer = Trainer(task, TrainConfig(**{**defaults, **config}), folder, ProcessGroup())
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
    norm = torch.cat([gradient.reshape(-1) for gradient in expected]).norm().item()
    trainer.run()
    line = log_lines(tmp_path)[0]
    assert line["train_loss"] == pytest.approx(loss.item() / 4)
    assert line["grad_norm"] == line["grad_norm_max"] == pytest.approx(norm)


@pytest.mark.parametrize("ema_decay", [0.0, 0.15, 0.998])
def test_average_of_the_weights(tmp_path: Path, ema_decay: float):
    task = LineTask([1.0, -2.0, 0.5], [0.0])
    weights = [task.model.weight.item()]
    trainer = line_trainer(tmp_path, task, ema_decay=ema_decay)
    real = trainer.learner.update

    def watched() -> None:
        real()
        weights.append(task.model.weight.item())

    trainer.learner.update = watched  # type: ignore[method-assign]
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
    assert best.tensors.keys() == {"model"}
    assert last.state["best"] == [0.2, 1 / 3]


@pytest.mark.parametrize(("patience", "epochs"), [(0, 6), (1, 3), (2, 6), (3, 6)], ids=str)
def test_patience_is_counted_from_the_best_epoch(tmp_path: Path, patience: int, epochs: int):
    task = LineTask([1.0], [0.5, 0.4, 0.4, 0.3, 0.4, 0.35])
    task.validate = lambda _: {"loss": 1.0, "error": next(task.errors)}  # type: ignore[method-assign]
    line_trainer(tmp_path, task, epochs=6, patience=patience).run()
    assert len(log_lines(tmp_path)) == epochs
    best = load_checkpoint(tmp_path / "best").state
    assert best["figures"]["valid_error"] == (0.4 if epochs == 3 else 0.3)
    assert load_checkpoint(tmp_path / "last").state["best_epoch"] == (2 if epochs == 3 else 4)


def test_a_run_whose_patience_has_ended_is_resumed_by_more_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    errors = [0.5, 0.6, 0.4, 0.7]

    def resumed(patience: int) -> int:
        done = len(log_lines(tmp_path)) if (tmp_path / "log.jsonl").exists() else 0
        task = LineTask([1.0], errors[done:])
        trainer = line_trainer(tmp_path, task, epochs=4, patience=patience)
        if done:
            trainer.resume()
        assert trainer.run() is None
        return len(log_lines(tmp_path))

    assert resumed(1) == 2
    assert "training ends after epoch 2 of 4: none was better" in capsys.readouterr().err
    assert '"state": "finished"' in (tmp_path / "curves.html").read_text()
    assert resumed(1) == 2
    assert resumed(2) == 4


def test_a_checkpoint_from_before_there_was_patience(tmp_path: Path):
    line_trainer(tmp_path, LineTask([1.0], [0.5, 0.6]), epochs=2).run()
    for which in ("last", "best"):
        old = load_checkpoint(tmp_path / which)
        del old.state["best_epoch"]
        save_checkpoint(tmp_path / which, old)
    trainer = line_trainer(tmp_path, LineTask([1.0], [0.6] * 9), epochs=9, patience=2)
    trainer.resume()
    trainer.run()
    assert len(log_lines(tmp_path)) == 4  # counted from the resume on


def test_log_has_a_line_an_epoch(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    task = LineTask([1.0, 2.0], [0.5, 0.25])
    line_trainer(tmp_path, task, epochs=2).run()
    first, second = log_lines(tmp_path)
    assert (first["epoch"], first["step"], first["valid_error"]) == (1, 2, 0.5)
    assert (second["epoch"], second["step"], second["valid_error"]) == (2, 4, 0.25)
    assert second["weight"] == task.model.weight.item()
    assert second["skipped_steps"] == 0
    assert second["padding"] == 0.25
    assert second["audio_s_per_s"] == pytest.approx(2.0 / second["seconds"])
    assert list(tmp_path.glob("events.out.tfevents.*"))
    stderr = capsys.readouterr().err
    assert "epoch 1/2  loss " in stderr
    assert re.search(r" min, \d+ min left", stderr)


def test_a_loss_that_is_not_finite_is_skipped_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    task, clean = LineTask([1.0, math.nan, 2.0], [0.0]), LineTask([1.0, 2.0], [0.0])
    line_trainer(tmp_path / "a", task, final_lr_fraction=1.0, ema_decay=0).run()
    line_trainer(tmp_path / "b", clean, final_lr_fraction=1.0, ema_decay=0).run()
    assert task.model.weight.item() == clean.model.weight.item()
    assert log_lines(tmp_path / "a")[0]["skipped_steps"] == 1
    assert math.isfinite(log_lines(tmp_path / "a")[0]["train_loss"])
    assert "step 2: loss or gradient not finite, skipped: x = nan" in capsys.readouterr().err


def test_an_empty_share_is_no_step_of_its_own_data(tmp_path: Path):
    task = LineTask([1.0, None], [0.0])
    line_trainer(tmp_path, task).run()
    assert log_lines(tmp_path)[0]["audio_s_per_s"] > 0
    assert math.isfinite(task.model.weight.item())


def test_a_skipped_empty_share_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    trainer = line_trainer(tmp_path, LineTask([None], [0.0]))
    trainer.learner.clip = lambda: torch.tensor(math.inf)  # type: ignore[method-assign]
    trainer.run()
    assert "not finite, skipped: an empty share" in capsys.readouterr().err


def test_patience_ends(tmp_path: Path):
    task = LineTask(
        [*[math.nan] * (MOST_SKIPPED - 1), 1.0, *[math.nan] * (MOST_SKIPPED - 1)], [0.0]
    )
    line_trainer(tmp_path, task).run()  # never so many in a row
    hopeless = LineTask([math.inf] * (MOST_SKIPPED // 2), [0.0] * 3)
    with pytest.raises(TrainingError, match=r"20 steps in a row.*train.learning_rate \(0.1\)"):
        line_trainer(tmp_path, hopeless, epochs=3).run()  # of two epochs
    assert math.isfinite(hopeless.model.weight.item())


def test_gradient_norms_are_in_the_log(tmp_path: Path):
    task = LineTask([1.0, 2.0, math.nan, 3.0], [0.0])
    trainer, norms = line_trainer(tmp_path, task), []
    real = trainer.learner.clip

    def watched() -> Tensor:
        gradients = torch.cat([gradient.reshape(-1) for gradient in trainer.learner.gradients()])
        norms.append(gradients.norm().item())
        return real()

    trainer.learner.clip = watched  # type: ignore[method-assign]
    trainer.run()
    finite = sorted(norm for norm in norms if math.isfinite(norm))
    line = log_lines(tmp_path)[0]
    assert (line["grad_norm"], line["grad_norm_max"]) == pytest.approx((finite[1], finite[2]))
    assert line["clipped"] == sum(norm > 1.0 for norm in finite) / 3


def test_a_step_waits_once_for_its_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    # On a GPU, tolist and item wait until all that was launched is done.
    task = LineTask([1.0, 2.0, 3.0], [0.0])
    trainer = line_trainer(tmp_path, task)
    calls, real = [], Tensor.tolist
    monkeypatch.setattr(Tensor, "tolist", lambda tensor: calls.append(1) or real(tensor))
    with torch.profiler.profile() as profile:
        for number in task.data:
            trainer.step([number], 3, False)
    items = sum(e.count for e in profile.key_averages() if e.key == "aten::_local_scalar_dense")
    assert len(calls) == 3
    assert items == 3 * 2  # AdamW's own count of steps, kept on the CPU for each parameter


@pytest.mark.parametrize("last", [[3.0, -1.0], [3.0]])
def test_batches_are_accumulated_as_if_they_were_one(tmp_path: Path, last: list[float]):
    weights, numbers = [], [1.0, -2.0, 0.5, 2.0]
    for accumulate, batches in ((1, [numbers[:2], numbers[2:], last]), (2, [*numbers, *last])):
        task = PairTask(batches)
        folder = tmp_path / str(accumulate)
        line_trainer(
            folder, task, final_lr_fraction=1.0, clip_norm=5.0, accumulate=accumulate
        ).run()
        weights.append(torch.cat([p.detach().reshape(-1) for p in task.model.parameters()]))
    torch.testing.assert_close(*weights, atol=1e-6, rtol=1e-6)
    one, two = (log_lines(tmp_path / str(accumulate))[-1] for accumulate in (1, 2))
    for key in ("step", "train_loss", "grad_norm", "grad_norm_max", "clipped"):
        assert two[key] == pytest.approx(one[key], rel=1e-5), key
    assert one["step"] == 3


def test_frozen_parameters_stay_as_they_are(tmp_path: Path):
    task = LineTask([1.0, 2.0], [0.0])
    task.model.bias.requires_grad_(False).fill_(0.7)
    weight = task.model.weight.item()
    line_trainer(tmp_path, task, weight_decay=0.5).run()
    assert task.model.bias.item() == pytest.approx(0.7)
    assert task.model.bias.grad is None
    assert task.model.weight.item() != weight


def test_a_log_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(path: Path, content: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("asr.training.log.write_atomically", full)
    with pytest.raises(TrainingError, match=r"log\.jsonl: cannot be written \(No space left"):
        line_trainer(tmp_path, LineTask([1.0], [0.0])).run()


def test_a_checkpoint_from_before_there_were_any_within_epochs(tmp_path: Path):
    line_trainer(tmp_path, LineTask([1.0, 2.0], [0.5])).run()
    path = tmp_path / "last" / "checkpoint.json"
    index = json.loads(path.read_text())
    kept = ("epoch", "step", "best", "spent_s", "figures")
    state = {key: index["state"][key] for key in kept}
    path.write_text(json.dumps({"files": index["files"], "state": state}))
    trainer = line_trainer(tmp_path, LineTask([1.0, 2.0], [0.25]), epochs=2)
    trainer.resume()
    assert (trainer.epoch, trainer.learner.step, trainer.best) == (1, 2, (0.5, 1.0))
    trainer.run()
    assert [line["step"] for line in log_lines(tmp_path)] == [2, 4]


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
    train, valid = (
        Loader(part, frames, config, ProcessGroup()) for part in (examples, examples[:5])
    )
    task = AcousticTask(config, vocabulary, train, valid, "cpu")
    return Trainer(task, config.train, folder, ProcessGroup())


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

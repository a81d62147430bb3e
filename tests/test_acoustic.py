"""The acoustic task: what it counts, what it announces, what it is judged by."""

from pathlib import Path

import pytest
import torch
from speech import small_config
from torch import Tensor

from asr.acoustic import PLATEAU_EMITS, WATCH_STEPS, AcousticTask, BlankWatch
from asr.ctc import ctc_loss
from asr.data import Frames, Loader, make_examples
from asr.manifest import read_manifest
from asr.parallel import Group
from asr.score import score
from asr.text import Normalizer, Vocabulary
from asr.train import seeded

VOCABULARY = Vocabulary.from_texts(["A B C"])


def log_probs_of(*paths: list[int]) -> Tensor:
    """(N, T, 4) log-probabilities with the best paths given."""
    return torch.nn.functional.one_hot(torch.tensor(paths), 4).float().log_softmax(2)


def watch(speaks: bool = True) -> BlankWatch:
    return BlankWatch(torch.device("cpu"), speaks)


def test_counts_by_hand():
    counter = watch()
    paths = log_probs_of([0, 1, 1, 0, 1, 2], [3, 0, 0, 3, 3, 3])
    counter.add(paths, torch.tensor([6, 3]), torch.tensor([4, 2]))
    # 9 valid frames, 2 + 2 of them blank; emitted 1 1 2 and 3; 6 tokens in the references
    assert counter.report() == pytest.approx({"blank_rate": 4 / 9, "emitted": 4 / 6})


def test_report_starts_anew():
    counter = watch()
    for _ in range(WATCH_STEPS + 3):  # so that a window has been closed
        counter.add(log_probs_of([0, 1]), torch.tensor([2]), torch.tensor([2]))
    assert counter.report() == {"blank_rate": 0.5, "emitted": 0.5}
    assert counter.report() == {"blank_rate": 0.0, "emitted": 0.0}
    counter.add(log_probs_of([1, 2]), torch.tensor([2]), torch.tensor([2]))
    assert counter.report() == {"blank_rate": 0.0, "emitted": 1.0}


def announced(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.splitlines()


def feed(counter: BlankWatch, path: list[int], steps: int = WATCH_STEPS) -> None:
    for _ in range(steps):
        counter.add(log_probs_of(path), torch.tensor([len(path)]), torch.tensor([4]))


def test_plateau_is_announced_once_and_so_is_its_end(capsys: pytest.CaptureFixture[str]):
    counter = watch()
    feed(counter, [0, 0, 0, 0], WATCH_STEPS - 1)
    assert announced(capsys) == []
    feed(counter, [0, 0, 0, 0], 1)
    assert announced(capsys) == [
        f"step {WATCH_STEPS}: blank plateau: almost only blanks, as every CTC start"
    ]
    feed(counter, [0, 0, 0, 0])
    assert announced(capsys) == []
    feed(counter, [0, 1, 0, 2])
    assert announced(capsys) == [f"step {3 * WATCH_STEPS}: the blank plateau is over, 50% emitted"]
    feed(counter, [0, 1, 0, 2])
    assert announced(capsys) == []


def test_one_token_in_ten_is_no_plateau(capsys: pytest.CaptureFixture[str]):
    counter = watch()
    enough = round(PLATEAU_EMITS * 4 * WATCH_STEPS)  # of the 4 * 25 tokens of the references
    feed(counter, [0, 1], enough)
    feed(counter, [0, 0], WATCH_STEPS - enough)
    assert announced(capsys) == []


def test_other_processes_say_nothing(capsys: pytest.CaptureFixture[str]):
    feed(watch(speaks=False), [0, 0])
    assert announced(capsys) == []


def task_of(manifest: Path, group: Group = Group()) -> AcousticTask:  # noqa: B008
    config = small_config()
    torch.manual_seed(0)
    examples = make_examples(read_manifest(manifest), Normalizer(), VOCABULARY)
    loader = Loader(examples, Frames(config), config, group)
    return AcousticTask(config, VOCABULARY, loader, loader, "cpu")


def test_loss_is_the_sum_over_the_batch(tones: Path):
    task = task_of(tones)
    batch = next(iter(task.batches(0)))
    assert batch is not None
    loss, tokens = task.loss(batch, seeded(1))
    features = task.model.frontend.from_log_mel(batch.log_mel, batch.num_frames)
    log_probs, num_frames = task.model(features, batch.num_frames)
    expected = ctc_loss(log_probs, num_frames, batch.tokens, batch.num_tokens)
    torch.testing.assert_close(loss, expected.sum())
    assert tokens == sum(len(example.tokens) for example in batch.examples)


def test_a_batch_is_described_and_measured(tones: Path):
    task = task_of(tones)
    batch = next(iter(task.batches(0)))
    assert batch is not None
    assert task.describe(batch).split(", ") == [e.utterance.id for e in batch.examples]
    assert task.seconds(batch) == sum(e.utterance.duration for e in batch.examples)


def test_validation_is_loss_and_error_rates_of_all(tones: Path):
    task = task_of(tones)
    with torch.no_grad():  # a model that always emits A, once
        task.model.output.weight.zero_()
        task.model.output.bias.copy_(torch.tensor([0.0, 0.0, 9.0, 0.0, 0.0]))
    assert VOCABULARY.tokens[2] == "A"
    found = task.validate(task.model)
    references = [utterance.text for utterance in read_manifest(tones)]
    expected = score(references, ["A"] * len(references))
    assert found["error"] == pytest.approx(expected.word.rate)
    assert found["cer"] == pytest.approx(expected.char.rate)
    assert found["loss"] > 1


def test_validation_of_shares_adds_up(tones: Path, monkeypatch: pytest.MonkeyPatch):
    found: list[Tensor] = []
    monkeypatch.setattr(Group, "sum", lambda group, tensors: found.append(tensors[0].clone()))
    for group in (Group(), Group(0, 2), Group(1, 2)):
        task = task_of(tones, group)
        task.validate(task.model)
    torch.testing.assert_close(found[1] + found[2], found[0], rtol=1e-5, atol=1e-5)
    assert all(found[1] != found[0])


def test_an_utterance_too_short_for_its_text_leaves_the_validation_loss_finite(tones: Path):
    lines = tones.read_text().splitlines()
    tones.write_text("\n".join([lines[0].replace('"text": "', '"text": "' + "A " * 80), lines[1]]))
    task = task_of(tones)
    figures = task.validate(task.model)
    assert 0 < figures["loss"] < 100
    assert figures["error"] >= 0.9

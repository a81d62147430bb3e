"""The acoustic task: its loss, what it tells the coach, what it is judged by."""

from pathlib import Path

import pytest
import torch
from speech import small_config
from torch import Tensor

from asr.ctc import ctc_loss
from asr.data import Frames, Loader, make_examples
from asr.distributed import ProcessGroup
from asr.lexicon import Pronunciations
from asr.manifest import read_manifest
from asr.objective import AcousticTask
from asr.scoring import score
from asr.text import Normalizer, Vocabulary
from asr.train import seeded

VOCABULARY = Vocabulary.from_texts(["A B C"])


def task_of(
    manifest: Path,
    group: ProcessGroup = ProcessGroup(),  # noqa: B008
    spoken: Pronunciations | None = None,
    **train: int,
) -> AcousticTask:
    config = small_config(train=train)
    torch.manual_seed(0)
    examples = make_examples(read_manifest(manifest), Normalizer(), VOCABULARY, spoken)
    loader = Loader(examples, Frames(config), config, group)
    num_phones = len(spoken.phones) if spoken else 0
    return AcousticTask(config, VOCABULARY, loader, loader, "cpu", num_phones=num_phones)


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


def test_the_coach_counts_each_batch_and_hears_of_validations(tones: Path):
    task = task_of(tones, epochs=7, accumulate=2)
    assert task.report() == {"blank_rate": 0.0, "nonblank_prob": 0.0, "emitted": 0.0}
    batches = task.batches(0)
    assert task.coach.planned == 7 * len(batches) // 2
    for batch in batches:
        task.loss(batch, seeded(1))
    assert task.coach.batches == len(batches)
    assert 0 < task.report()["nonblank_prob"] < 1
    assert task.validate(task.model)["cer"] == task.coach.cer


def test_frozen_layers_are_those_of_the_configuration(tones: Path):
    trained = [p for p in task_of(tones, freeze=1).model.network.parameters() if p.requires_grad]
    assert len(trained) == len(list(task_of(tones).model.network.parameters())) // 2


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


def test_validation_of_phones_is_what_epochs_are_chosen_by(tones: Path, tmp_path: Path):
    (tmp_path / "words.dict").write_text("A EY\nB B IY\n")  # C is not known
    spoken = Pronunciations.read(tmp_path / "words.dict", Normalizer())
    task = task_of(tones, spoken=spoken)
    with torch.no_grad():  # a model that always emits B, once
        task.model.phone_output.weight.zero_()
        task.model.phone_output.bias.copy_(torch.tensor([0.0, 9.0, 0.0, 0.0]))
    assert spoken.phones.tokens == ("<blank>", "B", "EY", "IY")
    said = [spoken.encode(utterance.text) for utterance in read_manifest(tones)]
    texts = [" ".join(map(str, phones)) for phones in said if phones]
    assert 0 < len(texts) < len(said)
    found = task.validate(task.model)
    assert found["error"] == pytest.approx(score(texts, ["1"] * len(texts)).word.rate)
    assert found["wer"] > 0.5


def test_validation_of_shares_adds_up(tones: Path, monkeypatch: pytest.MonkeyPatch):
    found: list[Tensor] = []
    monkeypatch.setattr(
        ProcessGroup, "sum", lambda group, tensors: found.append(tensors[0].clone())
    )
    for group in (ProcessGroup(), ProcessGroup(0, 2), ProcessGroup(1, 2)):
        task = task_of(tones, group)
        task.validate(task.model)
    torch.testing.assert_close(found[1] + found[2], found[0], rtol=1e-5, atol=1e-5)
    ctc, words, characters = 0, 2, 3  # of five sums and their counts
    assert (found[1] != found[0])[[ctc, words, characters]].all()


def test_an_utterance_too_short_for_its_text_leaves_the_validation_loss_finite(tones: Path):
    lines = tones.read_text().splitlines()
    tones.write_text("\n".join([lines[0].replace('"text": "', '"text": "' + "A " * 80), lines[1]]))
    task = task_of(tones)
    figures = task.validate(task.model)
    assert 0 < figures["loss"] < 100
    assert figures["error"] >= 0.9

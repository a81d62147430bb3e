"""Training of language models: which sentences when, and what is learnt."""

import json
import math
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from grammar import ENTROPY_BITS, SENTENCES, small_lm_config, write_texts

from asr.checkpoint import load_checkpoint
from asr.config import Config
from asr.distributed import ProcessGroup
from asr.errors import LanguageModelError, TrainingError
from asr.lm import LmVocabulary, SentenceBatch, lstm_perplexity
from asr.train import Trainer
from asr.training.lm_task import LanguageTask, encode_texts, make_vocabulary


@pytest.fixture
def texts(tmp_path: Path) -> tuple[Path, Path]:
    return write_texts(tmp_path)


def make_task(
    config: Config, train: Path, valid: Path, *, rank: int = 0, size: int = 1
) -> LanguageTask:
    torch.manual_seed(config.train.seed)
    vocabulary = make_vocabulary([str(train)], config.lm)
    corpora = (encode_texts([str(path)], vocabulary) for path in (train, valid))
    return LanguageTask(config, vocabulary, *corpora, group=ProcessGroup(rank, size), device="cpu")


def sentences_of(task: LanguageTask, batches: list[SentenceBatch | None]) -> list[str]:
    tokens = task.vocabulary.tokens
    return [
        " ".join(tokens[i] for i in row[1:count].tolist())
        for batch in batches
        if batch
        for row, count in zip(batch.tokens, batch.num_tokens, strict=True)
    ]


def test_vocabulary_is_the_most_frequent_units_then_the_first(tmp_path: Path):
    path = tmp_path / "text.txt"
    path.write_text("D B <unk> C\nA B <unk>\nA <unk> B\n")
    for size, words in ((9, "B A D C"), (3, "B A D"), (1, "B")):
        config = small_lm_config(lm={"vocabulary_size": size}).lm
        expected = ("</s>", "<unk>", *words.split())
        assert make_vocabulary([str(path)], config) == LmVocabulary(expected, "word")
    path.write_text("<unk>\n")
    with pytest.raises(LanguageModelError, match=r"text\.txt: only <unk>"):
        make_vocabulary([str(path)], small_lm_config().lm)


def test_corpus(tmp_path: Path):
    for name, content in (("a", "B A\n\nA C\n"), ("b", "A\n")):
        (tmp_path / name).write_text(content)
    paths = [str(tmp_path / name) for name in "ab"]
    corpus = encode_texts(paths, LmVocabulary(("</s>", "<unk>", "A", "B"), "word"))
    assert [sentence.tolist() for sentence in map(corpus.__getitem__, range(3))] == [
        [3, 2, 0],
        [2, 1, 0],
        [2, 0],
    ]
    assert (corpus.words, len(corpus), corpus.lengths.tolist()) == (5, 3, [3, 3, 2])
    assert corpus.ids.dtype == np.int32
    characters = LmVocabulary(("</s>", "<unk>", "<space>", "A", "B", "C"), "character")
    assert encode_texts(paths, characters).words == 5


def numbered(tmp_path: Path, count: int = 50) -> Path:
    """Sentences that are all different: the n-th is word n, n % 7 times more."""
    path = tmp_path / "numbered.txt"
    path.write_text("".join(f"{f'N{n} ' * (1 + n % 7)}\n" for n in range(count)))
    return path


def test_an_epoch_is_a_share_and_a_pass_holds_every_sentence_once(tmp_path: Path):
    path = numbered(tmp_path)  # 197 words
    task = make_task(small_lm_config(lm={"epoch_words": 49, "batch_tokens": 24}), path, path)
    shares = [sentences_of(task, task.batches(epoch)) for epoch in range(8)]
    everything = sorted(line.strip() for line in path.read_text().splitlines())
    for whole in (shares[:4], shares[4:]):
        assert sorted(chain.from_iterable(whole)) == everything
    assert {len(share) for share in shares} == {12, 13}
    assert set(shares[0]) != set(shares[4])
    assert sentences_of(task, task.batches(2)) == shares[2]
    whole = make_task(small_lm_config(lm={"epoch_words": 10**9}), path, path)
    assert sorted(sentences_of(whole, whole.batches(0))) == everything
    one_each = make_task(small_lm_config(lm={"epoch_words": 1}), path, path)
    assert {len(sentences_of(one_each, one_each.batches(epoch))) for epoch in range(50)} == {1}


def test_batches_are_bounded_and_hold_like_lengths(tmp_path: Path):
    path = numbered(tmp_path, 200)
    task = make_task(small_lm_config(lm={"epoch_words": 10**6, "batch_tokens": 24}), path, path)
    for batch in task.batches(1):
        assert batch.num_tokens.max() * len(batch.tokens) <= 24
        assert batch.num_tokens.max() - batch.num_tokens.min() <= 1


def test_longer_sentences_than_a_batch_are_left_out(tmp_path: Path):
    path = numbered(tmp_path)
    task = make_task(small_lm_config(lm={"batch_tokens": 6}), path, path)
    kept = sentences_of(task, task.batches(0))
    assert len(kept) == len(task.usable) == 36
    assert max(len(sentence.split()) for sentence in kept) == 5
    path.write_text("A B C\n" * 3)
    with pytest.raises(TrainingError, match=r"no sentence has at most lm\.batch_tokens=2 words"):
        make_task(small_lm_config(lm={"batch_tokens": 2}), path, path)


def test_processes_share_each_batch_and_its_loss(tmp_path: Path):
    path = numbered(tmp_path, 7)
    config = small_lm_config(lm={"batch_tokens": 10})
    one = make_task(config, path, path)
    shares = [make_task(config, path, path, rank=rank, size=2) for rank in range(2)]
    generator = torch.Generator()
    parts = zip(*(task.batches(0) for task in shares), strict=True)
    for whole, halves in zip(one.batches(0), parts, strict=True):
        losses = [one.loss(half, generator) for half in halves if half]
        loss, tokens = one.loss(whole, generator)
        assert sum(n for _, n in losses) == tokens
        assert sum(part.item() for part, _ in losses) == pytest.approx(loss.item(), rel=1e-5)
    assert None in shares[1].batches(0)  # a batch of one sentence leaves nothing for it


def test_loss_and_error_are_what_the_perplexity_says(texts: tuple[Path, Path], tmp_path: Path):
    for unit in ("word", "character"):
        task = make_task(small_lm_config(lm={"unit": unit}), *texts)
        task.model.eval()
        split = [task.vocabulary.split(sentence) for sentence in SENTENCES]
        total = lstm_perplexity(task.model, task.vocabulary, split).log_prob
        figures = task.validate(task.model)
        tokens = sum(len(units) + 1 for units in split)
        assert figures["error"] == pytest.approx(math.exp(-total / 16))  # 12 words, 4 sentences
        assert figures["loss"] == pytest.approx(-total / tokens)
        batch = SentenceBatch.of([task.valid[i] for i in range(4)])
        loss, count = task.loss(batch, torch.Generator())
        assert loss.item() == pytest.approx(-total, rel=1e-5)
        assert count == tokens == task.seconds(batch)


def test_a_batch_is_named_by_its_first_sentence(texts: tuple[Path, Path]):
    task = make_task(small_lm_config(), *texts)
    batch = SentenceBatch.of([task.valid[i] for i in range(3)])
    assert task.describe(batch) == "3 sentences, the first: RED FISH SWIM"


@pytest.mark.parametrize(("unit", "batch_tokens"), [("word", 60), ("character", 250)])
def test_a_grammar_is_learnt_to_its_entropy(
    texts: tuple[Path, Path], tmp_path: Path, unit: str, batch_tokens: int
):
    config = small_lm_config(
        lm={"unit": unit, "batch_tokens": batch_tokens, "epoch_words": 1200},
        train={"epochs": 4, "learning_rate": 0.05},
    )
    Trainer(make_task(config, *texts), config.train, tmp_path / "exp", ProcessGroup()).run()
    lines = [json.loads(line) for line in (tmp_path / "exp" / "log.jsonl").read_text().splitlines()]
    assert 2**ENTROPY_BITS <= lines[-1]["valid_error"] < 1.05 * 2**ENTROPY_BITS
    assert lines[0]["valid_error"] > lines[-1]["valid_error"]


def run_parts(config: Config, texts: tuple[Path, Path], folder: Path, stops: list[int]) -> None:
    """Train up to each of the stops (epochs), every time in a new trainer."""
    for number, stop in enumerate([*stops, config.train.epochs]):
        trainer = Trainer(make_task(config, *texts), config.train, folder, ProcessGroup())
        if number:
            trainer.resume()
        if stop < config.train.epochs:
            stop_before(trainer, stop)
        try:
            trainer.run()
        except KeyboardInterrupt:
            continue


def stop_before(trainer: Trainer, epoch: int) -> None:
    real = trainer.task.batches

    def batches(number: int) -> Any:
        if number == epoch:
            raise KeyboardInterrupt
        return real(number)

    trainer.task.batches = batches  # type: ignore[method-assign]


def test_a_run_that_was_stopped_goes_on_bit_for_bit(texts: tuple[Path, Path], tmp_path: Path):
    config = small_lm_config(lm={"dropout": 0.3, "layers": 2}, train={"epochs": 4})
    run_parts(config, texts, tmp_path / "whole", [])
    run_parts(config, texts, tmp_path / "parts", [1, 3])
    for which in ("last", "best"):
        whole, parts = (load_checkpoint(tmp_path / run / which) for run in ("whole", "parts"))
        assert whole.state["epoch"] == parts.state["epoch"]
        for group, tensors in whole.tensors.items():
            assert all(torch.equal(parts.tensors[group][name], t) for name, t in tensors.items())

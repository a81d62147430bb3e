"""The tagger learns: a toy language in which a question word decides the mark."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from asr.cli import text
from asr.config import load_config
from asr.distributed import ProcessGroup
from asr.errors import ConfigError
from asr.readable import (
    TAGGER,
    Alike,
    Tagged,
    Tagger,
    Writer,
    WrittenText,
    draw_lengths,
    misheard,
    text_of,
)
from asr.text import Normalizer
from asr.training import TaggerTask

HAS_16_BITS = torch.backends.cpu.get_cpu_capability() != "AVX2"
NAMES = ["Anna", "Otto", "Mia"]
VERBS = ["sees", "hears", "likes"]
SMALL = [
    "tagger.rows=200",
    "tagger.embedding=16",
    "tagger.layers=1",
    "tagger.hidden=16",
    "tagger.window=16",
    "tagger.batch_words=256",
    "tagger.epoch_words=6000",
    "tagger.dropout=0",
    "tagger.most_errors=0.05",
    "train.epochs=6",
    "train.learning_rate=2e-2",
    "train.warmup_steps=10",
    "train.ema_decay=0.9",
]


def sentences(count: int, seed: int) -> str:
    rng = np.random.default_rng(seed)
    lines = []
    for _ in range(count):
        name, verb, other = rng.choice(NAMES), rng.choice(VERBS), rng.choice(NAMES)
        lines.append(
            f"Now {name} {verb} {other}.\n" if rng.random() < 0.5 else f"Who {verb} {name}?\n"
        )
    return "".join(lines)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the texts, the experiment, and a model folder with its tagger."""
    folder = tmp_path_factory.mktemp("tagger")
    for name, count, seed in (("train", 1500, 0), ("valid", 100, 1), ("test", 100, 2)):
        (folder / f"{name}.txt").write_text(sentences(count, seed))
    train, valid = ["--train", f"{folder}/train.txt"], ["--valid", f"{folder}/valid.txt"]
    options = [*train, *valid, "--out", f"{folder}/exp", *SMALL]
    assert text.main(["train", "conf/tagger.toml", *options]) == 0
    (folder / "model").mkdir()
    words = [f"{folder}/exp", f"{folder}/model", "--tune", f"{folder}/valid.txt"]
    assert text.main(["export", *words]) == 0
    return folder


def test_it_learns_capitals_and_marks(trained: Path):
    writer = Writer(Tagger.load(trained / "model" / TAGGER))
    words = list(map(str.upper, ["Who", "sees", "Anna", "now", "Otto", "hears", "Mia", "who"]))
    words += ["LIKES", "OTTO", "NOW", "MIA", "SEES", "ANNA"]
    written = text_of(writer.write(words))
    assert written == "Who sees Anna? Now Otto hears Mia. Who likes Otto? Now Mia sees Anna."


def test_the_log_has_figures_that_rise(trained: Path):
    log = [json.loads(line) for line in (trained / "exp" / "log.jsonl").read_text().splitlines()]
    assert log[-1]["valid_error"] < log[0]["valid_error"]
    assert log[-1]["valid_question"] > 0.9


def test_judge_prints_counts_beside_the_rule(trained: Path, capsys: pytest.CaptureFixture[str]):
    for pauses in ("none", "all"):
        words = [f"{trained}/model", f"{trained}/test.txt", "--pauses", pauses]
        assert text.main(["judge", *words]) == 0
    printed = capsys.readouterr().out
    found = [line.split() for line in printed.splitlines() if line.startswith(("tagger", "rule"))]
    f1 = [(line[0], line[1], float(line[3])) for line in found]
    assert min(value for name, tag, value in f1 if (name, tag) == ("tagger", "question")) > 0.9
    without, with_pauses = (value for *name, value in f1 if name == ["rule", "period"])
    assert without == 0 and with_pauses > 0.5


def test_write_reads_a_text(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "plain.txt").write_text("WHO SEES ANNA\n\nNOW MIA HEARS OTTO\n")
    assert text.main(["write", f"{trained}/model", f"{tmp_path}/plain.txt"]) == 0
    assert capsys.readouterr().out == "Who sees Anna?\n\nNow Mia hears Otto.\n"


def test_write_refuses_a_text_that_is_not_utf_8(trained: Path, tmp_path: Path, capsys):
    (tmp_path / "latin.txt").write_bytes(b"WHO SEES ANNA\n\xff\n")
    assert text.main(["write", f"{trained}/model", f"{tmp_path}/latin.txt"]) == 1
    output = capsys.readouterr()
    assert output.out == "Who sees Anna?\n"
    assert "latin.txt: line 2: not UTF-8 (invalid start byte); convert the file" in output.err


def test_mistakes_are_said_in_one_line(trained: Path, capsys: pytest.CaptureFixture[str]):
    cases = [
        (["export", f"{trained}/exp", f"{trained}/nowhere"], 2, "does not exist"),
        (["export", f"{trained}/model", f"{trained}/model"], 1, "config.json"),
        (["judge", f"{trained}/exp", f"{trained}/test.txt"], 1, "not a tagger"),
        (
            ["train", "conf/lstm_lm.toml", "--train", "a", "--valid", "b", "--out", f"{trained}/x"],
            2,
            "a tagger has the sections",
        ),
    ]
    for words, status, message in cases:
        assert text.main(words) == status, words
        error = capsys.readouterr().err
        assert message in error and len(error.splitlines()) == 1


def test_errors_keep_marks_and_change_as_many_words_as_asked():
    rng = np.random.default_rng(0)
    words = tuple(f"w{number}" for number in range(50))
    ids = rng.integers(50, size=20_000)
    marks = np.where(rng.random(20_000) < 0.1, 2, 0)
    tagged = Tagged(ids, np.zeros(20_000, np.int64), np.zeros(20_000, np.int64), marks)
    found = misheard(tagged, 0.2, Alike(words, np.bincount(ids, minlength=50)), rng)
    assert abs(len(found.ids) - 20_000) < 300
    kept = (found.marks == 2).sum() / (marks == 2).sum()
    assert 0.95 < kept <= 1.0
    assert misheard(tagged, 0.0, Alike(words, np.ones(50, np.int64)), rng) is tagged


def test_speakers_pause_where_sentences_end():
    marks = np.tile([0, 0, 0, 2], 5000)
    lengths = draw_lengths(marks, np.random.default_rng(0), "all")
    assert np.median(lengths[marks == 2]) > 0.3 > np.median(lengths[marks == 0])
    assert np.isnan(draw_lengths(marks, np.random.default_rng(0), "none")).all()
    long = draw_lengths(marks, np.random.default_rng(0), "long")
    assert np.nanmin(long) > 0.3 and np.isnan(long).mean() > 0.5


def make_task(trained: Path, valid: Path, *options: str, **group: object) -> TaggerTask:
    torch.manual_seed(0)
    config = load_config("conf/tagger.toml", [*SMALL, *options])
    texts = [WrittenText.read([str(path)], Normalizer()) for path in (trained / "train.txt", valid)]
    return TaggerTask(config, *texts, group=ProcessGroup(**group), device="cpu")


def test_a_process_without_windows_sums_as_many_figures(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "short.txt").write_text("Now Anna sees Otto.\n" * 4)  # one window
    shapes = []
    monkeypatch.setattr(
        ProcessGroup, "sum", lambda _, tensors: shapes.append([tensor.shape for tensor in tensors])
    )
    for rank in (0, 1):
        task = make_task(trained, tmp_path / "short.txt", rank=rank, size=2)
        task.validate(task.model.eval())
    assert shapes[0] == shapes[1]


@pytest.mark.skipif(not HAS_16_BITS, reason="this processor has no products in 16 bits")
def test_16_bits_change_the_loss_a_little(trained: Path):
    losses = []
    for value in ("false", "true"):
        task = make_task(trained, trained / "valid.txt", f"tagger.bfloat16={value}")
        batch = next(iter(task.batches(0)))
        losses.append(task.loss(batch, torch.Generator())[0].item())
    assert losses[0] != losses[1] == pytest.approx(losses[0], rel=0.02)


def test_16_bits_need_a_processor_that_has_them(trained: Path, monkeypatch):
    monkeypatch.setattr("asr.training.tagger_task._has_16_bits", lambda device: False)
    with pytest.raises(ConfigError, match=r"tagger\.bfloat16 is true.*set it to false"):
        make_task(trained, trained / "valid.txt", "tagger.bfloat16=true")

"""asr-lm train-lstm from the command line: what it writes, and what it refuses."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from grammar import SENTENCES, SMALL, write_texts
from speech import write_conf

import asr.distributed
from asr.cli import lm
from asr.cli.train_lstm import main
from asr.distributed import start_processes, threads
from asr.lm import load_lstm, lstm_perplexity


@dataclass(frozen=True)
class Command:
    """A command line: configuration, texts and --out."""

    conf: Path
    train: Path
    valid: Path
    out: Path

    @property
    def words(self) -> list[str]:
        options = {"--train": self.train, "--valid": self.valid, "--out": self.out}
        return [str(self.conf), *(str(word) for option in options.items() for word in option)]

    def __call__(self, *more: str) -> int:
        return main([*self.words, "train.epochs=1", *more])


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(write_conf(tmp_path, SMALL), *write_texts(tmp_path), tmp_path / "exp")


def complaint(capsys: pytest.CaptureFixture[str]) -> str:
    """Return what was said, which must be one line."""
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("asr-lm: error: ")
    return lines[0]


def test_trains_into_a_folder_that_scores(command: Command, capsys):
    out = command.out
    assert command("lm.vocabulary_size=11") == 0
    names = {path.name for path in out.iterdir() if not path.name.startswith("events")}
    assert names == {"config.json", "tokens.txt", "best", "last", "log.jsonl", "curves.html"}
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "training on 400 sentences, 1200 words (left out: 0 longer than" in captured.err
    assert "13 tokens" in captured.err  # one of twelve words is unknown
    line = json.loads((out / "log.jsonl").read_text())
    assert line["tokens_per_s"] == pytest.approx(1600 / 3 / line["seconds"], rel=0.01)
    found = lstm_perplexity(*load_lstm(out), map(str.split, SENTENCES))
    assert found.perplexity == pytest.approx(line["valid_error"])
    assert (found.words, found.oov) == (12, 1)


def test_its_steps_are_split_between_threads(
    command: Command, monkeypatch: pytest.MonkeyPatch, capsys
):
    monkeypatch.setattr("asr.distributed.usable_cores", lambda: 3)
    monkeypatch.setenv("OMP_NUM_THREADS", "")
    monkeypatch.delenv("OMP_NUM_THREADS")  # what is set in its place goes with the test
    with threads(1):
        assert command("train.processes=1") == 0
    assert "1 process with 3 threads" in capsys.readouterr().err


def test_an_experiment_is_not_overwritten_and_can_be_resumed(command: Command, capsys):
    out = command.out
    assert command() == 0
    capsys.readouterr()
    assert command() == 2
    assert f"--out {out}: holds an experiment; add --resume" in complaint(capsys)
    assert command("--resume", "lm.hidden=17") == 2
    assert "config.json differs from what was given now" in complaint(capsys)
    assert command("--resume", "train.epochs=2") == 0
    assert (out / "log.jsonl").read_text().count("\n") == 2
    for index in (out / "last").glob("*.json"):
        index.write_text(index.read_text()[:-9])
    capsys.readouterr()
    assert command("--resume", "train.epochs=3") == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert "checkpoint.json: not JSON" in last
    assert "and the one before it:" in last


@pytest.mark.parametrize(
    ("more", "status", "message"),
    [
        (["lm.hiden=5"], 2, "[lm]: unknown name 'hiden'; did you mean 'hidden'?"),
        (["model.hidden=5"], 2, "small.toml: a language model has the sections [lm] and [train]"),
        (["--valid", "-"], 2, "standard input can be read once only"),
        (["--valid", "none.txt"], 1, "none.txt"),
    ],
)
def test_what_is_refused(command: Command, capsys, more: list[str], status, message: str):
    assert command(*more) == status
    assert message in complaint(capsys)
    assert not (command.out / "last").exists()


def test_sentences_that_are_all_too_long(command: Command, capsys):
    assert command("lm.batch_tokens=2") == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert "asr-lm: error: no sentence has at most lm.batch_tokens=2 words" in last


def test_resuming_what_was_never_begun_begins(command: Command, capsys):
    assert command("--resume") == 0
    assert "nothing was saved" in capsys.readouterr().err


def test_perplexity_of_the_folder(command: Command, capsys):
    assert lm.main(["train-lstm", *command.words, "lm.unit=character"]) == 0
    capsys.readouterr()
    assert lm.main(["perplexity", str(command.out), str(command.valid), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    line = json.loads((command.out / "log.jsonl").read_text().splitlines()[-1])
    assert found["perplexity"] == pytest.approx(line["valid_error"])
    assert (found["words"], found["sentences"], found["oov"]) == (12, 4, 0)
    assert lm.main(["perplexity", str(command.conf.parent), str(command.valid)]) == 1
    assert "config.json: cannot be read" in complaint(capsys)


def test_perplexity_of_the_file_made_of_the_folder(command: Command, monkeypatch, capsys):
    assert command() == 0
    packed = command.out.parent / "lstm.npz"
    assert lm.main(["convert", str(command.out), "--out", str(packed)]) == 0
    capsys.readouterr()
    found = []
    for model in (command.out, packed):
        assert lm.main(["perplexity", str(model), str(command.valid), "--json"]) == 0
        found.append(json.loads(capsys.readouterr().out))
    assert found[1]["perplexity"] == pytest.approx(found[0]["perplexity"], rel=0.01)  # 8 bits
    assert found[1]["perplexity"] != found[0]["perplexity"]
    monkeypatch.setattr("asr.lm.neural.SHORTLISTS", (3, 5))  # as if made with other classes
    assert lm.main(["perplexity", str(packed), str(command.valid)]) == 1
    assert "lstm.npz: not a model of asr-lm train-lstm" in complaint(capsys)
    begun = command.out.parent / "begun"
    assert command("--init", str(packed), "--out", str(begun)) == 1
    assert f"--init {packed}: not a model of asr-lm train-lstm, its softmax" in complaint(capsys)
    packed.write_bytes(b"no archive")
    assert lm.main(["perplexity", str(packed), str(command.valid)]) == 1
    assert "lstm.npz: not an LSTM language model" in complaint(capsys)
    assert lm.main(["perplexity", "missing.npz", str(command.valid)]) == 1
    assert "missing.npz: not an LSTM language model ([Errno 2] No such file" in complaint(capsys)


def test_several_texts_and_processes_are_asked_for(command: Command, monkeypatch, capsys):
    asked: list[object] = []

    def watched(count: int, module: str, arguments: list[str]):
        asked.extend((count, module, arguments[-1]))
        return start_processes(1, module, arguments)

    monkeypatch.setattr(asr.distributed, "start_processes", watched)
    more = ["--train", str(command.train), str(command.valid), "--out", str(command.out)]
    assert command(*more, "train.processes=3") == 0
    assert asked == [3, "asr.cli.train_lstm", "train.processes=3"]
    assert "404 sentences, 1212 words" in capsys.readouterr().err


def test_goes_on_from_another_model(command: Command, tmp_path: Path, capsys):
    first, packed, second = command.out, tmp_path / "lstm.npz", tmp_path / "second"
    assert command("lm.vocabulary_size=11") == 0
    assert lm.main(["convert", str(first), "--out", str(packed)]) == 0
    trained = json.loads((first / "log.jsonl").read_text())["valid_error"]
    for number, begin in enumerate((first, packed)):
        out = tmp_path / f"next{number}"
        words = ["--init", str(begin), "--out", str(out), "train.learning_rate=1e-9"]
        assert command(*words) == 0
        assert (out / "tokens.txt").read_bytes() == (first / "tokens.txt").read_bytes()
        went_on = json.loads((out / "log.jsonl").read_text())["valid_error"]
        assert went_on == pytest.approx(trained, rel=0.02)  # as a file, with 8 bits a weight
    capsys.readouterr()
    assert command("--init", str(packed), "--out", str(second), "lm.hidden=17") == 2
    assert f"--init {packed}: its network has lm.hidden=32, this one 17" in complaint(capsys)
    text = command.train.read_text()
    command.train.write_text(text.lower())
    assert command("--init", str(packed), "--out", str(second)) == 2
    assert "its vocabulary lacks 75% of --train; normalise the texts" in capsys.readouterr().err
    command.train.write_text(text)
    assert command("--init", str(packed / "nothing"), "--out", str(second)) == 2
    assert "nothing: does not exist; give the path" in complaint(capsys)
    assert command("--init", str(command.conf), "--out", str(second)) == 1
    assert "not an LSTM language model" in complaint(capsys)


def test_a_model_that_goes_on_learns_more_words(command: Command, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("asr.lm.neural.SHORTLISTS", (2, 4))
    first, packed, grown = command.out, tmp_path / "lstm.npz", tmp_path / "grown"
    assert command("lm.vocabulary_size=8") == 0
    assert lm.main(["convert", str(first), "--out", str(packed)]) == 0
    words = ["--init", str(packed), "--out", str(grown), "lm.vocabulary_size=11"]
    assert command(*words, "train.epochs=3") == 0
    known, more = ((folder / "tokens.txt").read_text().split("\n") for folder in (first, grown))
    assert len(known) == 11 and len(more) == 14  # with </s>, <unk>, and what ends the file
    assert more[:10] == known[:10]  # the ids of the words that were known stay
    lines = (grown / "log.jsonl").read_text().splitlines()
    losses = [json.loads(line)["valid_error"] for line in lines]
    found = lstm_perplexity(*load_lstm(grown), map(str.split, SENTENCES))
    assert found.oov == 1  # of its twelve words
    assert losses[-1] < losses[0]
    capsys.readouterr()
    text = command.train.read_text()
    command.train.write_text(text.lower())  # all words are new
    assert command(*words[:2], "--out", str(tmp_path / "lower"), "lm.vocabulary_size=40") == 2
    assert "its vocabulary lacks 75% of --train; normalise the texts" in capsys.readouterr().err


def test_texts_are_normalised_as_a_language_is(command: Command, capsys):
    command.train.write_text("The 1st cat sat, and sat.\n" * 20)
    command.valid.write_text("THE FIRST CAT!\n")
    assert command("--language", "en") == 0
    assert "never recognised" not in capsys.readouterr().err
    tokens = (command.out / "tokens.txt").read_text().split()
    assert tokens[2:] == ["SAT", "THE", "FIRST", "CAT", "AND"]
    assert command("--language", "de", "--resume", "train.epochs=2") == 2
    assert "config.json differs from what was given now" in complaint(capsys)
    assert command("--language", "latin", "--resume") == 2
    assert "latin" in complaint(capsys)
    assert command("--out", str(command.out.parent / "other")) == 0
    assert "never recognised: let the text be written as a model" in capsys.readouterr().err

"""asr-train from the command line: what it writes, and what it refuses."""

import json
import os
import shutil
from pathlib import Path

import pytest
from speech import write_conf

import asr.cli.train
import asr.distributed
from asr._lock import LOCK, locked_folder
from asr.checkpoint import TRIGRAM, load_acoustic_model
from asr.cli.train import main
from asr.config import Config, TrainConfig
from asr.distributed import Cores, share_cores, start_processes, threads
from asr.manifest import read_manifest, write_manifest

ALONE = "one a core, at most 4"


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    return write_conf(tmp_path)


def asr_train(conf: Path, manifest: Path, out: Path, *more: str) -> int:
    words = [str(conf), "--train", str(manifest), "--valid", str(manifest), "--out", str(out)]
    return main([*words, "train.epochs=1", *more])


def complaint(capsys: pytest.CaptureFixture[str]) -> str:
    """Return what was said, which must be one line."""
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("asr-train: error: ")
    return lines[0]


def test_trains_into_a_folder(conf: Path, tones: Path, tmp_path: Path, capsys):
    out = tmp_path / "deep" / "exp"
    assert asr_train(conf, tones, out, "train.epochs=2") == 0
    names = {path.name for path in out.iterdir() if not path.name.startswith("events")}
    assert names == {"config.json", "tokens.txt", "best", "last", "log.jsonl", "curves.html"}
    assert (out / "tokens.txt").read_text() == "<blank>\n<space>\nA\nB\nC\n"
    assert json.loads((out / "config.json").read_text())["train"]["epochs"] == 2
    _, vocabulary = load_acoustic_model(out)
    assert len(vocabulary) == 5
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "1 process with 1 thread (as train.processes says); waiting" in captured.err
    assert "training on 24 utterances, 0.01 hours" in captured.err
    assert "left out: 0 longer than data.max_utterance_s" in captured.err
    assert "epoch 2/2" in captured.err
    assert "\\u000a" not in captured.err  # an epoch has two lines, and the end four


def test_an_experiment_is_not_overwritten_and_can_be_resumed(
    conf: Path, tones: Path, tmp_path: Path, capsys
):
    out = tmp_path / "exp"
    assert asr_train(conf, tones, out) == 0
    log = (out / "log.jsonl").read_text()
    capsys.readouterr()

    assert asr_train(conf, tones, out) == 2
    assert f"--out {out}: holds an experiment; add --resume" in complaint(capsys)
    assert asr_train(conf, tones, out, "--resume", "model.hidden=17") == 2
    assert "differs from what was given now: it has model.hidden=16; give" in complaint(capsys)
    assert asr_train(conf, tones, out, "--resume") == 0  # all epochs are done
    assert (out / "log.jsonl").read_text() == log
    epochs = log.count("\n")
    assert asr_train(conf, tones, out, "--resume", f"train.epochs={epochs + 1}") == 0
    assert (out / "log.jsonl").read_text().count("\n") == epochs + 1
    assert json.loads((out / "config.json").read_text())["train"]["epochs"] == epochs + 1


def test_words_can_be_the_tokens(conf: Path, tones: Path, tmp_path: Path):
    for unit, tokens in (("word", []), ("character", ["<space>"])):
        out = tmp_path / unit
        assert asr_train(conf, tones, out, f"model.unit={unit}", "train.epochs=1") == 0
        assert (out / "tokens.txt").read_text().split() == ["<blank>", *tokens, "A", "B", "C"]
        assert load_acoustic_model(out)[1].unit == unit


def test_what_mmi_takes_for_probable_goes_with_the_weights(conf: Path, tones: Path, tmp_path: Path):
    """Few texts do not change it; other tokens are other probabilities; without MMI there is none.

    A run that ended before it saved has left one.
    """
    few, first, kept = tmp_path / "few.jsonl", tmp_path / "first", tmp_path / "kept"
    write_manifest(few, read_manifest(tones)[:2])
    for out in (first, tmp_path / "none"):
        out.mkdir()
        (out / TRIGRAM).write_text("left")
    assert asr_train(conf, tones, first, "train.mmi=0.5") == 0
    of_all = (first / TRIGRAM).read_bytes()
    assert asr_train(conf, few, kept, "train.mmi=0.5", "--init", str(first)) == 0
    assert asr_train(conf, few, kept, "train.mmi=0.5", "train.epochs=2", "--resume") == 0
    assert (kept / TRIGRAM).read_bytes() == of_all
    (kept / TRIGRAM).write_text("damaged")  # and read, by those that go on or begin
    assert asr_train(conf, few, kept, "train.mmi=0.5", "train.epochs=3", "--resume") == 1
    assert asr_train(conf, few, tmp_path / "more", "train.mmi=0.5", "--init", str(kept)) == 1
    assert asr_train(conf, few, tmp_path / "ctc", "--init", str(kept)) == 0  # reads none
    few.write_text(few.read_text().replace('"text": "', '"text": "Z'))
    assert asr_train(conf, few, tmp_path / "new", "train.mmi=0.5", "--init", str(first)) == 0
    assert (tmp_path / "new" / TRIGRAM).read_bytes() != of_all
    assert asr_train(conf, few, tmp_path / "none") == 0
    assert not (tmp_path / "none" / TRIGRAM).exists()


def test_a_preset_is_another_network(tones: Path, tmp_path: Path):
    """`--preset` by itself, without training: those networks are large."""
    words = ["--train", str(tones), "--valid", str(tones), "--out", str(tmp_path / "exp")]
    layers = {}
    for name in ("half-hour", "fifty-hours"):
        arguments = asr.cli.train.parser().parse_intermixed_args([*words, "--preset", name])
        layers[name] = asr.cli.train._planned(arguments).model.layers
    assert layers == {"half-hour": 3, "fifty-hours": 4}
    assert main([*words, "--preset", "nope"]) == 2


def test_the_tagger_of_a_model_is_handed_on(conf: Path, tones: Path, tmp_path: Path):
    assert asr_train(conf, tones, tmp_path / "first") == 0
    (tmp_path / "first" / "tagger.npz").write_bytes(b"tagger")
    assert asr_train(conf, tones, tmp_path / "second", "--init", str(tmp_path / "first")) == 0
    assert (tmp_path / "second" / "tagger.npz").read_bytes() == b"tagger"


def test_a_run_is_resumed_with_the_data_that_it_began_with(
    conf: Path, tones: Path, tmp_path: Path, capsys
):
    """Their place may change, the texts and the number may not."""
    out, other = tmp_path / "exp", tmp_path / "other.jsonl"
    assert asr_train(conf, tones, out) == 0
    moved = tmp_path / "moved"
    shutil.copytree(tones.parent, moved)
    assert asr_train(conf, moved / tones.name, out, "--resume") == 0
    capsys.readouterr()
    write_manifest(other, read_manifest(tones)[:20])
    words = [str(conf), "--out", str(out), "--resume", "train.epochs=2", "--train", str(other)]
    assert main([*words, "--valid", str(tones)]) == 2
    line = complaint(capsys)
    assert f"--resume: {out} began with other data: --train is other.jsonl (20 utterances" in line
    assert "and was tones.jsonl (24 utterances" in line
    assert "--valid is" not in line
    tones.write_text(tones.read_text().replace('"text": "A', '"text": "B'))
    assert asr_train(conf, tones, out, "--resume", "train.epochs=2") == 2
    line = complaint(capsys)
    assert line.count("with other content") == 2
    assert asr_train(conf, moved / tones.name, out, "--resume", "--lexicon", str(conf)) == 2
    assert "--lexicon is small.toml, and was not given then" in complaint(capsys)
    assert asr_train(conf, moved / tones.name, out, "--resume", "train.epochs=2") == 0
    assert (out / "log.jsonl").read_text().count("\n") == 2


def test_a_run_of_a_version_that_noted_no_data_is_resumed(
    conf: Path, tones: Path, tmp_path: Path, capsys
):
    out = tmp_path / "exp"
    assert asr_train(conf, tones, out) == 0
    config = json.loads((out / "config.json").read_text())
    noted = config.pop("sources")
    (out / "config.json").write_text(json.dumps(config))
    assert asr_train(conf, tones, out, "--resume", "train.epochs=2") == 0
    assert json.loads((out / "config.json").read_text())["sources"] == noted
    (out / "config.json").write_text(json.dumps(config | {"sources": {"train": 7}}))
    capsys.readouterr()
    assert asr_train(conf, tones, out, "--resume", "train.epochs=3") == 1
    assert "config.json: sources is damaged" in complaint(capsys)


def test_two_runs_do_not_share_a_folder(conf: Path, tones: Path, tmp_path: Path, capsys):
    out = tmp_path / "exp"
    with locked_folder(out, "--out"):
        for more in ([], ["--resume"]):
            assert asr_train(conf, tones, out, *more) == 2
            line = complaint(capsys)
            assert f"--out {out}: process {os.getpid()} of " in line
            assert "writes to this folder; wait until it ends, or give another folder" in line
        assert [path.name for path in out.iterdir()] == [LOCK]
    (out / LOCK).parent.mkdir()
    (out / LOCK).write_text("process 1 of a machine that lost its power")
    assert asr_train(conf, tones, out) == 0
    assert not (out / LOCK).exists()


def test_resuming_what_was_never_begun_begins(conf: Path, tones: Path, tmp_path: Path, capsys):
    out = tmp_path / "none"
    assert asr_train(conf, tones, out, "--resume") == 0
    assert f"--resume: nothing was saved in {out} yet; starting from" in capsys.readouterr().err
    assert (out / "log.jsonl").read_text().count("\n") == 1


def test_a_model_without_what_is_needed_to_go_on(conf: Path, tones: Path, tmp_path: Path, capsys):
    out = tmp_path / "exp"
    assert asr_train(conf, tones, out) == 0
    shutil.rmtree(out / "last")  # as in a model that is passed on
    capsys.readouterr()
    assert asr_train(conf, tones, out) == 2
    assert "holds an experiment" in complaint(capsys)
    assert asr_train(conf, tones, out, "--resume") == 1
    assert "last/checkpoint.json: cannot be read" in capsys.readouterr().err.splitlines()[-1]


def test_how_often_it_is_saved_may_change(conf: Path, tones: Path, tmp_path: Path):
    for more in ([], ["--resume", "train.checkpoint_minutes=1"]):
        assert asr_train(conf, tones, tmp_path / "exp", *more) == 0


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.hiden=5", "[model]: unknown name 'hiden'; did you mean 'hidden'?"),
        ("modle.hidden=5", "unknown name 'modle'; did you mean 'model'?"),
        ("model.hidden=many", "model.hidden is 'many'; it must be of type int"),
        ("hidden", "override 'hidden': write section.key=value"),
    ],
)
def test_overrides_that_are_refused(
    conf: Path, tmp_path: Path, capsys, override: str, message: str
):
    assert asr_train(conf, tmp_path / "not-read.jsonl", tmp_path / "exp", override) == 2
    assert message in complaint(capsys)
    assert not (tmp_path / "exp").exists()


@pytest.mark.parametrize("processes", [1, 2])
def test_a_manifest_that_cannot_be_read(
    conf: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], processes: int
):
    missing = tmp_path / "none.jsonl"
    assert asr_train(conf, missing, tmp_path / "exp", f"train.processes={processes}") == 1
    assert "none.jsonl: No such file" in complaint(capfd)


def test_a_recording_that_cannot_be_read(conf: Path, tones: Path, tmp_path: Path, capsys):
    bad = read_manifest(tones)[3].audio
    bad.write_bytes(b"nothing")
    assert asr_train(conf, tones, tmp_path / "exp") == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("asr-train: error: ")
    assert bad.name in last


def test_validation_text_that_the_vocabulary_cannot_write(
    conf: Path, tones: Path, tmp_path: Path, capsys
):
    other = tmp_path / "other.jsonl"
    write_manifest(other, read_manifest(tones))
    other.write_text(other.read_text().replace('"text": "', '"text": "Zoo '))
    words = [str(conf), "--train", str(tones), "--valid", str(other), "--out", str(tmp_path / "e")]
    assert main(words) == 1
    line = complaint(capsys)
    assert "24 of 24 transcripts hold characters that the vocabulary lacks" in line
    assert "'Z' (U+005A) 24x" in line


def test_nothing_to_train_on(conf: Path, tones: Path, tmp_path: Path, capsys):
    assert asr_train(conf, tones, tmp_path / "exp", "data.max_utterance_s=0.1") == 1
    assert "no utterance can be trained on: 24 (u0, u1, u2 ...) longer" in complaint(capsys)


def test_an_out_folder_that_cannot_be_made(conf: Path, tones: Path, tmp_path: Path, capsys):
    (tmp_path / "file").write_text("in the way")
    assert asr_train(conf, tones, tmp_path / "file") == 1
    assert "file/config.json: cannot be written" in capsys.readouterr().err.splitlines()[-1]


def test_usage(capsys):
    for words in ([], ["conf.toml"]):
        with pytest.raises(SystemExit) as caught:
            main(words)
        assert caught.value.code == 2
    assert "--train" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "torchrun --nproc-per-node N -m asr.cli.train" in capsys.readouterr().out


def test_a_device_that_is_not_there(
    conf: Path, tones: Path, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert asr_train(conf, tones, tmp_path / "exp", "train.device=cuda") == 2
    assert "train.device is 'cuda', and torch finds no CUDA device" in complaint(capsys)


@pytest.mark.parametrize(
    ("cores", "asked", "device", "expected"),
    [
        (1, 0, "cpu", Cores(1, 1, ALONE)),
        (2, 0, "cpu", Cores(2, 1, ALONE)),
        (16, 0, "cpu", Cores(4, 1, ALONE)),
        (16, 0, "cuda", Cores(2, 8, "one for each GPU")),
        (4, 3, "cpu", Cores(3, 1, "as train.processes says")),
        (2, 8, "cpu", Cores(8, 1, "as train.processes says")),
    ],
)
def test_sharing_of_cores(
    monkeypatch: pytest.MonkeyPatch, cores: int, asked: int, device: str, expected: Cores
):
    monkeypatch.setattr("asr.distributed.usable_cores", lambda: cores)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert share_cores(Config(train=TrainConfig(processes=asked)), device) == expected


@pytest.mark.parametrize(("cores", "expected"), [(1, 1), (2, 1), (16, 4)])
def test_large_steps_are_split_between_threads(
    monkeypatch: pytest.MonkeyPatch, cores: int, expected: int
):
    monkeypatch.setattr("asr.distributed.usable_cores", lambda: cores)
    assert share_cores(Config(), "cpu", split=True).threads == expected


def test_an_acoustic_model_is_trained_in_one_thread(
    conf: Path, tones: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    monkeypatch.setattr("asr.distributed.usable_cores", lambda: 3)
    monkeypatch.setenv("OMP_NUM_THREADS", "")
    monkeypatch.delenv("OMP_NUM_THREADS")  # what is set in its place goes with the test
    with threads(1):
        assert asr_train(conf, tones, tmp_path / "exp", "train.processes=1") == 0
    assert "1 process with 1 thread" in capsys.readouterr().err


def test_cores_are_shared_by_the_processes_of_a_launcher(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("asr.distributed.usable_cores", lambda: 8)
    launched = {"RANK": "5", "WORLD_SIZE": "6", "LOCAL_WORLD_SIZE": "2", "OMP_NUM_THREADS": "3"}
    for name, value in launched.items():
        monkeypatch.setenv(name, value)
    shared = share_cores(Config(), "cpu", split=True)
    assert (shared.processes, shared.threads) == (6, 4)
    assert str(shared) == "6 processes with 3 threads each (as launched)"


def test_processes_are_those_asked_for(
    conf: Path, tones: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    asked: list[object] = []

    def watched(count: int, module: str, arguments: list[str]):
        asked.extend((count, module, arguments[-1]))
        return start_processes(1, module, arguments)

    monkeypatch.setattr(asr.distributed, "start_processes", watched)
    assert asr_train(conf, tones, tmp_path / "exp", "train.processes=3") == 0
    assert asked == [3, "asr.cli.train", "train.processes=3"]

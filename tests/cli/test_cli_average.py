"""asr-average: the mean of the weights of experiments that began alike."""

import errno
import shutil
from pathlib import Path

import pytest
import torch

from asr.checkpoint import Checkpoint, load_acoustic_model, load_checkpoint, save_checkpoint
from asr.cli import average, export
from asr.training import known_speakers, save_speakers


def changed(experiment: Path, folder: Path, *, factor: float = 1.0, by: float = 0.0) -> Path:
    """A copy of an experiment, whose weights are `factor` times as large, and larger by `by`."""
    shutil.copytree(experiment, folder)
    tensors = load_checkpoint(folder / "best").tensors["model"]
    weights = {name: factor * tensor + by for name, tensor in tensors.items()}
    save_checkpoint(folder / "best", Checkpoint({"model": weights}, {}))
    return folder


@pytest.fixture
def experiment(smoke: Path) -> Path:
    return smoke / "exp"


def call(*arguments: object) -> int:
    return average.main(list(map(str, arguments)))


def test_each_weight_is_the_mean(experiment: Path, tmp_path: Path):
    others = [changed(experiment, tmp_path / str(n), by=0.03 * n) for n in (1, 2)]
    save_speakers(others[0], ["ann"])
    save_speakers(others[1], ["bob"])
    out = tmp_path / "mean"
    assert call(experiment, *others, "--out", out) == 0
    before, after = (load_acoustic_model(folder)[0] for folder in (experiment, out))
    for one, other in zip(before.parameters(), after.parameters(), strict=True):
        torch.testing.assert_close(other, one + 0.03)
    assert known_speakers(out, ["ann", "bob", "eve"]) == ["ann", "bob"]
    assert export.main([str(out), str(tmp_path / "bundle")]) == 0


def test_it_decodes_with_what_the_first_decodes_with(experiment: Path, tmp_path: Path):
    first = changed(experiment, tmp_path / "first")
    for name in ("decoder.json", "lm.bin"):
        (first / name).write_text(f"the first's {name}")
    (first / "calibration.json").write_text("of the first network alone")
    assert call(first, experiment, "--out", tmp_path / "mean") == 0
    names = {path.name for path in (tmp_path / "mean").iterdir()}
    assert {"decoder.json", "lm.bin", "best", "config.json", "tokens.txt"} <= names
    assert not {"calibration.json", "last", "log.jsonl"} & names
    assert (tmp_path / "mean" / "lm.bin").read_text() == "the first's lm.bin"


def test_networks_that_were_trained_apart_are_refused(experiment: Path, tmp_path: Path, capsys):
    other = changed(experiment, tmp_path / "other", factor=-1.0)
    assert call(experiment, other, "--out", tmp_path / "mean") == 2
    assert "are 2.0 times their norm from those of" in capsys.readouterr().err
    assert not (tmp_path / "mean").exists()


def test_a_folder_within_an_experiment_is_refused(experiment: Path, tmp_path: Path, capsys):
    first = changed(experiment, tmp_path / "first")
    assert call(first, experiment, "--out", first / "mean") == 2
    assert f"--out {first / 'mean'}: lies in {first}" in capsys.readouterr().err
    assert not (first / "mean").exists()


def test_weights_that_are_no_numbers_are_refused(experiment: Path, tmp_path: Path, capsys):
    other = changed(experiment, tmp_path / "other", by=float("nan"))
    assert call(experiment, other, "--out", tmp_path / "mean") == 2
    assert "are no finite numbers; give others" in capsys.readouterr().err


def test_a_full_disk_leaves_nothing_behind(
    experiment: Path, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    first = changed(experiment, tmp_path / "first")
    (first / "decoder.json").write_text("{}")
    monkeypatch.setattr(shutil, "copyfile", fail)
    assert call(first, experiment, "--out", tmp_path / "mean") == 1
    message = f"--out {tmp_path}/mean: cannot be written ([Errno 28] No space left on device)"
    assert message in capsys.readouterr().err
    assert not (tmp_path / "mean").exists()


def test_a_folder_below_a_file_is_refused_with_one_remedy(experiment: Path, tmp_path: Path, capsys):
    first = changed(experiment, tmp_path / "first")
    (tmp_path / "file").write_text("in the way")
    assert call(first, experiment, "--out", tmp_path / "file" / "mean") == 1
    message = capsys.readouterr().err
    assert message.count("make room") == 1
    assert message.endswith("give another --out\n")
    assert (tmp_path / "file").read_text() == "in the way"


def test_other_tokens_are_refused(experiment: Path, tmp_path: Path, capsys):
    other = changed(experiment, tmp_path / "other")
    tokens = (other / "tokens.txt").read_text().split("\n")
    (other / "tokens.txt").write_text("\n".join([tokens[0], *reversed(tokens[1:-1]), ""]))
    assert call(experiment, other, "--out", tmp_path / "mean") == 2
    assert "differ in tokens.txt" in capsys.readouterr().err


def test_one_experiment_or_a_folder_in_use_is_refused(experiment: Path, tmp_path: Path, capsys):
    assert call(experiment, "--out", tmp_path / "mean") == 2
    assert "EXP: one experiment has no mean; give two or more" in capsys.readouterr().err
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("dear diary")
    assert call(experiment, experiment, "--out", tmp_path / "notes") == 2
    assert "notes: is there already; give a new folder" in capsys.readouterr().err
    assert call(experiment, tmp_path / "no", "--out", tmp_path / "mean") == 2
    assert "does not exist" in capsys.readouterr().err

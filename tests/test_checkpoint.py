"""Checkpoints: exact, atomic, and refused when anything about them is wrong."""

import errno
import hashlib
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from speech import small_config

import asr.checkpoint
from asr.checkpoint import (
    INDEX,
    PREVIOUS,
    Checkpoint,
    create_experiment,
    load_acoustic_model,
    load_checkpoint,
    load_experiment,
    load_newest,
    save_checkpoint,
)
from asr.config import Config
from asr.errors import AsrError, CheckpointError
from asr.model import AcousticModel
from asr.text import Vocabulary

VOCABULARY = Vocabulary.from_texts(["A B"])


def checkpoint(value: float = 1.0) -> Checkpoint:
    tensors = {"a": torch.full((2, 3), value), "b": torch.tensor(7.0, dtype=torch.float64)}
    return Checkpoint({"model": tensors, "optimizer": {"s": torch.arange(4)}}, {"epoch": 3})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_checkpoint(tmp_path / "last", checkpoint())
    return tmp_path / "last"


def tensor_file(folder: Path) -> Path:
    return next(folder.glob("model-*.safetensors"))


def edit_index(folder: Path, change: Callable[[Any], object], name: str = INDEX) -> None:
    """Change an index, and make it pass for one from before indexes had a sum of their own."""
    path = folder / name
    index = json.loads(path.read_text())
    del index["sha256"]
    change(index)
    path.write_text(json.dumps(index))


def test_round_trip(folder: Path):
    loaded = load_checkpoint(folder)
    assert loaded.state == {"epoch": 3}
    for group, tensors in checkpoint().tensors.items():
        assert loaded.tensors[group].keys() == tensors.keys()
        for name, tensor in tensors.items():
            assert loaded.tensors[group][name].dtype == tensor.dtype
            assert torch.equal(loaded.tensors[group][name], tensor)


def test_a_new_checkpoint_replaces_the_old_files(folder: Path):
    save_checkpoint(folder, checkpoint(2.0))
    assert load_checkpoint(folder).tensors["model"]["a"][0, 0] == 2.0
    assert len(list(folder.iterdir())) == 3  # two tensor files and the index


def truncate(folder: Path) -> None:
    path = tensor_file(folder)
    path.write_bytes(path.read_bytes()[:-1])


def flip_a_bit(folder: Path) -> None:
    path = tensor_file(folder)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def exchange(folder: Path) -> None:
    """Put a file that is whole under the name of another."""
    tensor_file(folder).write_bytes(next(folder.glob("optimizer-*")).read_bytes())


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (truncate, "damaged"),
        (flip_a_bit, "damaged"),
        (exchange, "damaged"),
        (lambda folder: tensor_file(folder).unlink(), "cannot be read"),
        (lambda folder: tensor_file(folder).rename(folder / "x.safetensors"), "cannot be read"),
        (lambda folder: (folder / "checkpoint.json").unlink(), "give the --out folder"),
        (lambda folder: (folder / "checkpoint.json").write_text("{"), "not JSON"),
        (lambda folder: (folder / "checkpoint.json").write_bytes(b"\xff"), "not JSON"),
        (lambda folder: (folder / "checkpoint.json").write_text("[]"), "not a JSON object"),
        (lambda folder: (folder / "checkpoint.json").write_text("{}"), "not a checkpoint index"),
    ],
)
def test_damage_is_refused(folder: Path, damage: Callable[[Path], object], message: str):
    damage(folder)
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(folder)


def test_an_index_that_was_changed_is_refused(folder: Path):
    path = folder / INDEX
    index = json.loads(path.read_text())
    path.write_text(json.dumps(index))  # laid out in another way: the same
    assert load_checkpoint(folder).state == {"epoch": 3}
    index["state"]["epoch"] = 4
    path.write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match=r"checkpoint\.json: damaged, its sha256 differs"):
        load_checkpoint(folder)


def test_an_index_without_a_sum_of_its_own_is_read(folder: Path):
    edit_index(folder, lambda index: None)  # as it was written before
    assert load_checkpoint(folder).state == {"epoch": 3}


def value(checkpoint: Checkpoint) -> float:
    return float(checkpoint.tensors["model"]["a"][0, 0])


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    """The folder of three checkpoints, of which the first is gone."""
    for number in (1.0, 2.0, 3.0):
        save_checkpoint(tmp_path, checkpoint(number), keep=True)
    return tmp_path


def test_two_checkpoints_are_kept(pair: Path):
    assert value(load_checkpoint(pair)) == 3.0
    assert value(load_checkpoint(pair, PREVIOUS)) == 2.0
    names = sorted(path.name.split("-")[0] for path in pair.iterdir())
    assert names == [INDEX, "model", "model", "optimizer", PREVIOUS]  # one optimizer: it is equal
    newest, refused = load_newest(pair)
    assert (value(newest), refused) == (3.0, None)


def newest_tensors(folder: Path) -> Path:
    name: str = json.loads((folder / INDEX).read_text())["files"]["model"]["name"]
    return folder / name


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: newest_tensors(folder).write_bytes(b"x"),
        lambda folder: newest_tensors(folder).unlink(),
        lambda folder: (folder / INDEX).write_text("{"),
        lambda folder: (folder / INDEX).unlink(),
        lambda folder: edit_index(folder, lambda index: index["files"]["model"].update(name="y")),
    ],
)
def test_the_one_before_stands_in_for_a_damaged_one(pair: Path, damage: Callable[[Path], object]):
    damage(pair)
    newest, refused = load_newest(pair)
    assert value(newest) == 2.0
    assert str(pair) in str(refused)
    save_checkpoint(pair, checkpoint(4.0), keep=True)  # the damaged one is not worth keeping
    assert value(load_newest(pair)[0]) == 4.0
    assert value(load_checkpoint(pair, PREVIOUS)) == 2.0
    assert len(list(pair.iterdir())) == 5


def test_two_damaged_ones_are_one_error(pair: Path):
    for path in pair.glob("optimizer-*"):
        path.write_bytes(b"x")
    with pytest.raises(CheckpointError, match=r"damaged.*; and the one before it: .*train anew"):
        load_newest(pair)


def test_equal_tensors_are_no_checkpoint_before(pair: Path):
    again = Checkpoint(checkpoint(3.0).tensors, {"epoch": 4})
    save_checkpoint(pair, again, keep=True)
    assert load_checkpoint(pair).state == {"epoch": 4}
    assert value(load_checkpoint(pair, PREVIOUS)) == 2.0


@pytest.mark.parametrize("writes", range(4))
def test_a_full_disk_loses_nothing(pair: Path, monkeypatch: pytest.MonkeyPatch, writes: int):
    real, done = asr.checkpoint.write_atomically, []

    def on_a_full_disk(path: Path, content: str | bytes) -> None:
        if len(done) == writes:
            raise OSError(errno.ENOSPC, "No space left on device")
        done.append(path)
        real(path, content)

    monkeypatch.setattr(asr.checkpoint, "write_atomically", on_a_full_disk)
    with pytest.raises(CheckpointError, match=r"cannot be written \(No space left on device\)"):
        save_checkpoint(pair, checkpoint(4.0), keep=True)
    assert value(load_newest(pair)[0]) == 3.0
    assert len(list(pair.glob("model-*"))) == (2 if writes < 3 else 1)


@pytest.mark.parametrize("name", ["", "..", "a\0b", "none.safetensors", 5, None])
def test_a_name_that_is_no_file_is_refused(folder: Path, name: object):
    edit_index(folder, lambda index: index["files"]["model"].update(name=name))
    with pytest.raises(CheckpointError):
        load_checkpoint(folder)


@pytest.mark.parametrize("absolute", [True, False])
def test_no_file_outside_the_folder_is_read(folder: Path, absolute: bool):
    outside = tensor_file(folder).rename(folder.parent / "outside.safetensors")
    name = str(outside) if absolute else "../outside.safetensors"
    edit_index(folder, lambda index: index["files"]["model"].update(name=name))
    with pytest.raises(CheckpointError, match=r"last/outside\.safetensors: cannot be read"):
        load_checkpoint(folder)


class Payload:
    """What an attacker would pickle: loading it creates a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Callable[[str, str], object], tuple[str, str]]:
        return open, (str(self.target), "w")


def plant(path: Path, target: Path, how: str) -> None:
    """Replace a file by a pickle that creates `target` when it is loaded."""
    if how == "pickle":
        path.write_bytes(pickle.dumps(Payload(target)))
    else:
        torch.save({"a": Payload(target)}, path)


@pytest.mark.parametrize("how", ["pickle", "torch"])
@pytest.mark.parametrize("group", ["model", "optimizer"])
def test_a_pickle_is_refused_and_not_run(folder: Path, tmp_path: Path, how: str, group: str):
    target, path = tmp_path / "pwned", next(folder.glob(f"{group}-*"))
    plant(path, target, how)
    with pytest.raises(CheckpointError, match="damaged"):
        load_checkpoint(folder)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    edit_index(folder, lambda index: index["files"][group].update(sha256=digest))
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        load_checkpoint(folder)
    assert not target.exists()
    if how == "pickle":  # the payload is a real one
        pickle.loads(path.read_bytes()).close()
        assert target.exists()


@pytest.mark.parametrize("how", ["pickle", "torch"])
@pytest.mark.parametrize("name", ["last/checkpoint.json", "config.json", "tokens.txt"])
def test_a_pickle_for_a_text_is_refused_and_not_run(tmp_path: Path, how: str, name: str):
    save_experiment(tmp_path / "exp")
    (tmp_path / "exp" / "best").rename(tmp_path / "exp" / "last")
    plant(tmp_path / "exp" / name, tmp_path / "pwned", how)
    with pytest.raises(AsrError):
        load_acoustic_model(tmp_path / "exp", "last")
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("writes", [0, 1, 2])
def test_an_interrupted_save_leaves_the_old_checkpoint(
    folder: Path, monkeypatch: pytest.MonkeyPatch, writes: int
):
    real, done = asr.checkpoint.write_atomically, []

    def interrupted(path: Path, content: str | bytes) -> None:
        if len(done) == writes:
            raise KeyboardInterrupt
        done.append(path)
        real(path, content)

    monkeypatch.setattr(asr.checkpoint, "write_atomically", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(folder, checkpoint(2.0))
    assert load_checkpoint(folder).tensors["model"]["a"][0, 0] == 1.0
    monkeypatch.undo()
    save_checkpoint(folder, checkpoint(2.0))
    assert len(list(folder.iterdir())) == 3  # nothing of the interrupted one is left over


def test_a_folder_that_cannot_be_written(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    for write in (
        lambda: save_checkpoint(tmp_path / "file" / "last", checkpoint()),
        lambda: create_experiment(tmp_path / "file", small_config(), VOCABULARY),
    ):
        with pytest.raises(CheckpointError, match=r"cannot be written.*give another --out"):
            write()


def save_experiment(folder: Path, **model: object) -> AcousticModel:
    torch.manual_seed(0)
    network = AcousticModel(small_config(model=model), len(VOCABULARY))
    create_experiment(folder, small_config(), VOCABULARY)
    save_checkpoint(
        folder / "best", Checkpoint({"model": dict(network.named_parameters())}, {"epoch": 0})
    )
    return network


def test_experiment_round_trip(tmp_path: Path):
    network = save_experiment(tmp_path / "exp")
    assert load_experiment(tmp_path / "exp") == (small_config(), VOCABULARY)
    loaded, vocabulary = load_acoustic_model(tmp_path / "exp")
    assert vocabulary == VOCABULARY
    assert not loaded.training
    for name, weight in network.named_parameters():
        assert torch.equal(loaded.get_parameter(name), weight)


@pytest.mark.parametrize("changes", [{"hidden": 15}, {"layers": 3}, {"cell": "gru"}])
def test_weights_that_do_not_fit_the_configuration(tmp_path: Path, changes: dict[str, object]):
    save_experiment(tmp_path, **changes)
    with pytest.raises(CheckpointError, match=r"does not fit config\.json in \['network"):
        load_acoustic_model(tmp_path)


def test_no_experiment(tmp_path: Path):
    with pytest.raises(CheckpointError, match=r"config\.json: cannot be read"):
        load_acoustic_model(tmp_path)
    create_experiment(tmp_path, small_config(), VOCABULARY)
    with pytest.raises(CheckpointError, match=r"checkpoint\.json: cannot be read"):
        load_acoustic_model(tmp_path)


def test_a_configuration_of_any_size_takes_no_memory(tmp_path: Path):
    """What does not fit the weights is refused before a network of that size is made."""
    folder = tmp_path / "exp"
    create_experiment(folder, Config(), Vocabulary(("<blank>", "A")))
    save_checkpoint(folder / "best", Checkpoint({"model": {"weight": torch.zeros(2)}}, {}))
    config = json.loads((folder / "config.json").read_text())
    config["model"] |= {"layers": 64, "hidden": 16_384}  # half a terabyte
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=r"does not fit config\.json"):
        load_acoustic_model(folder)


def test_an_index_nested_without_end_is_refused(tmp_path: Path):
    (tmp_path / "checkpoint.json").write_text("[" * 100_000)
    with pytest.raises(CheckpointError, match="not JSON"):
        load_checkpoint(tmp_path)

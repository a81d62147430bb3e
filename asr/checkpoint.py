"""Checkpoints: safetensors for numbers, JSON for the rest; never a pickle, so never code.

A checkpoint folder holds `checkpoint.json` and the tensor files it names with their sha256. The
JSON is replaced in one step after the tensor files are on disk: at any moment it describes files
that are whole. A file that does not match is refused.

An experiment folder holds config.json, tokens.txt, last/ (to go on) and best/ (to recognise with).
"""

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from asr.atomic import write_atomically
from asr.config import Config, config_from_dict, config_to_dict
from asr.errors import CheckpointError, ConfigError
from asr.model import AcousticModel
from asr.text import Vocabulary

INDEX = "checkpoint.json"


class Tokens(Protocol):
    """The vocabulary of a model of any kind."""

    def __len__(self) -> int: ...

    def save(self, path: Path) -> None:
        """Write one token a line."""


@dataclass(frozen=True)
class Checkpoint:
    """Named groups of tensors (such as 'model') and a state of JSON types."""

    tensors: dict[str, dict[str, Tensor]]
    state: dict[str, Any]


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write atomically; the checkpoint that was there is removed once the new one is whole.

    Raises:
        CheckpointError: the folder cannot be written.
    """
    files = {}
    for group, tensors in checkpoint.tensors.items():
        data = safetensors.torch.save({k: v.detach().contiguous() for k, v in tensors.items()})
        digest = hashlib.sha256(data).hexdigest()
        name = f"{group}-{digest[:12]}.safetensors"
        _write(folder / name, data)
        files[group] = {"name": name, "sha256": digest}
    index = {"files": files, "state": checkpoint.state}
    _write(folder / INDEX, json.dumps(index, indent=1) + "\n")
    current = {file["name"] for file in files.values()}
    for path in folder.glob("*.safetensors"):
        if path.name not in current:
            path.unlink()


def load_checkpoint(folder: Path) -> Checkpoint:
    """Read and verify.

    Raises:
        CheckpointError: nothing there, a file is missing, or its sha256 differs.
    """
    index = _read_json(folder / INDEX)
    try:
        # Path.name: a name, never a way out of the folder
        files = {g: (Path(file["name"]).name, file["sha256"]) for g, file in index["files"].items()}
        state = index["state"]
    except (KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{folder / INDEX}: not a checkpoint index ({error!r})") from error
    return Checkpoint({group: _read_tensors(folder, *file) for group, file in files.items()}, state)


def _read_tensors(folder: Path, name: str, digest: str) -> dict[str, Tensor]:
    path = folder / name
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: no file can have such a name
        raise CheckpointError(f"{path}: cannot be read ({error})") from error
    if hashlib.sha256(data).hexdigest() != digest:
        raise CheckpointError(f"{path}: damaged, its sha256 is not the one {INDEX} gives")
    try:
        tensors: dict[str, Tensor] = safetensors.torch.load(data)
    except safetensors.SafetensorError as error:
        raise CheckpointError(f"{path}: not a safetensors file ({error})") from error
    return tensors


def _write(path: Path, content: str | bytes) -> None:
    try:
        write_atomically(path, content)
    except OSError as error:
        raise CheckpointError(
            f"{path}: cannot be written ({error.strerror}); make room, or give another --out"
        ) from error


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CheckpointError(
            f"{path}: cannot be read ({error.strerror}); give the --out folder of a training run"
        ) from error
    except ValueError as error:
        raise CheckpointError(f"{path}: not JSON ({error})") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: not a JSON object")
    return content


def create_experiment(folder: Path, config: Config, vocabulary: Tokens) -> None:
    """Write what defines a model beside its weights.

    Raises:
        CheckpointError: the folder cannot be written.
    """
    _write(folder / "config.json", json.dumps(config_to_dict(config), indent=1) + "\n")
    vocabulary.save(folder / "tokens.txt")


def read_config(folder: Path) -> Config:
    """The configuration of an experiment.

    Raises:
        CheckpointError: not an experiment folder.
    """
    path = folder / "config.json"
    return config_from_dict(_read_json(path), str(path))


def check_resumed(folder: Path, config: Config) -> None:
    """Check that an experiment is to go on as it began, for more epochs if wanted.

    Raises:
        CheckpointError: not an experiment folder.
        ConfigError: it began with another configuration.
    """
    before = read_config(folder)
    if replace(before, train=replace(before.train, epochs=config.train.epochs)) != config:
        raise ConfigError(
            f"--resume: {folder}/config.json differs from what was given now in more than "
            "train.epochs; give the same configuration, or another --out"
        )


def load_experiment(folder: Path | str) -> tuple[Config, Vocabulary]:
    """The inverse of create_experiment, for an acoustic model.

    Raises:
        CheckpointError: not an experiment folder.
    """
    config = read_config(Path(folder))
    return config, Vocabulary.load(Path(folder) / "tokens.txt", config.model.unit)


def load_model(folder: Path | str, which: str = "best") -> tuple[AcousticModel, Vocabulary]:
    """The acoustic model of an experiment folder, in evaluation mode on the CPU.

    Raises:
        CheckpointError: not an experiment folder, no such checkpoint, or weights that do not fit.
    """
    config, vocabulary = load_experiment(folder)
    model = AcousticModel(config, len(vocabulary))
    load_weights(model, Path(folder), which)
    return model, vocabulary


def load_weights(model: torch.nn.Module, folder: Path, which: str = "best") -> None:
    """Copy the weights of an experiment into a model, and bring it into evaluation mode.

    Raises:
        CheckpointError: no such checkpoint, or weights that do not fit.
    """
    tensors = load_checkpoint(folder / which).tensors.get("model", {})
    restore_parameters(model, tensors, str(folder / which))
    model.eval()


def restore_parameters(model: torch.nn.Module, tensors: dict[str, Tensor], source: str) -> None:
    """Copy tensors into the parameters of the same names.

    Raises:
        CheckpointError: names or shapes differ.
    """
    parameters = dict(model.named_parameters())
    differing = parameters.keys() ^ tensors.keys() or {
        name for name in parameters if parameters[name].shape != tensors[name].shape
    }
    if differing:
        raise CheckpointError(f"{source}: does not fit config.json in {sorted(differing)[:3]}")
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(tensors[name])

"""Checkpoints: safetensors for numbers, JSON for the rest; never a pickle, so never code.

A checkpoint folder holds `checkpoint.json` and the tensor files it names with their sha256. The
JSON is replaced in one step after the tensor files are on disk: at any moment it describes files
that are whole. A file that does not match is refused.

An experiment folder holds config.json, tokens.txt, last/ (to go on) and best/ (to recognise with).
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from asr.atomic import write_atomically
from asr.config import Config, config_from_dict, config_to_dict
from asr.errors import CheckpointError
from asr.model import AcousticModel
from asr.text import Vocabulary

INDEX = "checkpoint.json"


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
            f"{path}: cannot be read ({error.strerror}); give the --out folder of an asr-train run"
        ) from error
    except ValueError as error:
        raise CheckpointError(f"{path}: not JSON ({error})") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: not a JSON object")
    return content


def create_experiment(folder: Path, config: Config, vocabulary: Vocabulary) -> None:
    """Write what defines a model beside its weights.

    Raises:
        CheckpointError: the folder cannot be written.
    """
    _write(folder / "config.json", json.dumps(config_to_dict(config), indent=1) + "\n")
    vocabulary.save(folder / "tokens.txt")


def load_experiment(folder: Path | str) -> tuple[Config, Vocabulary]:
    """The inverse of create_experiment.

    Raises:
        CheckpointError: not an experiment folder.
    """
    folder = Path(folder)
    table = _read_json(folder / "config.json")
    config = config_from_dict(table, str(folder / "config.json"))
    return config, Vocabulary.load(folder / "tokens.txt", config.model.unit)


def load_model(folder: Path | str, which: str = "best") -> tuple[AcousticModel, Vocabulary]:
    """The acoustic model of an experiment folder, in evaluation mode on the CPU.

    Raises:
        CheckpointError: not an experiment folder, no such checkpoint, or weights that do not fit.
    """
    config, vocabulary = load_experiment(folder)
    model = AcousticModel(config, len(vocabulary))
    tensors = load_checkpoint(Path(folder) / which).tensors.get("model", {})
    restore_parameters(model, tensors, str(Path(folder) / which))
    return model.eval(), vocabulary


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

"""Experiment folders: what defines a model, beside checkpoints of its weights.

They hold config.json, tokens.txt, last/ (to go on) and best/ (to recognise with); phones.txt and
lexicon.npz as well, where phones are learned beside the tokens, and trigram.safetensors where MMI
taught, for whoever begins with the model and has few texts.
"""

import json
from pathlib import Path
from typing import Protocol

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from asr.checkpoint import load_checkpoint, read_json, restore_parameters, write_file
from asr.config import Config, config_from_dict, config_to_dict
from asr.errors import CheckpointError, ConfigError
from asr.model import AcousticModel
from asr.text import PHONES, TOKENS, Vocabulary

TRIGRAM = "trigram.safetensors"
FREE_TO_CHANGE = {("train", "epochs"), ("train", "checkpoint_minutes"), ("train", "processes")}


class Tokens(Protocol):
    """The vocabulary of a model of any kind."""

    def __len__(self) -> int: ...

    def save(self, path: Path) -> None:
        """Write one token a line."""


def create_experiment(folder: Path, config: Config, vocabulary: Tokens) -> None:
    """Write what defines a model beside its weights.

    Raises:
        CheckpointError: the folder cannot be written.
    """
    write_file(folder / "config.json", json.dumps(config_to_dict(config), indent=1) + "\n")
    vocabulary.save(folder / TOKENS)


def read_config(folder: Path) -> Config:
    """The configuration of an experiment.

    Raises:
        CheckpointError: not an experiment folder.
    """
    path = folder / "config.json"
    return config_from_dict(read_json(path), str(path))


def check_resumed(folder: Path, config: Config) -> None:
    """Check that an experiment goes on as it began, but for how long it trains, how often it is
    saved and by how many processes.

    Raises:
        CheckpointError: not an experiment folder.
        ConfigError: it began with another configuration.
    """
    before, now = config_to_dict(read_config(folder)), config_to_dict(config)
    differing = [
        f"{section}.{key}={json.dumps(value)}"
        for section in before
        for key, value in before[section].items()
        if value != now[section][key] and (section, key) not in FREE_TO_CHANGE
    ]
    if differing:
        raise ConfigError(
            f"--resume: {folder}/config.json differs from what was given now: it has "
            f"{', '.join(differing)}; give the same configuration, or another --out"
        )


def load_experiment(folder: Path | str) -> tuple[Config, Vocabulary]:
    """The inverse of create_experiment, for an acoustic model.

    Raises:
        CheckpointError: not an experiment folder.
    """
    config = read_config(Path(folder))
    return config, Vocabulary.load(Path(folder) / TOKENS, config.model.unit)


def load_phones(folder: Path) -> Vocabulary | None:
    """The phones of a model's second output, if it has one.

    Raises:
        VocabularyError: the file of them is damaged.
    """
    path = folder / PHONES
    return Vocabulary.load(path, "word") if path.exists() else None


def save_trigram(folder: Path, trigram: Tensor) -> None:
    """Keep what MMI taught with (asr.mmi.token_trigram).

    Raises:
        CheckpointError: the folder cannot be written.
    """
    write_file(folder / TRIGRAM, safetensors.torch.save({"trigram": trigram.cpu()}))


def load_trigram(folder: Path, size: int) -> Tensor | None:
    """The inverse of `save_trigram`, of so many tokens; None where none was kept.

    Raises:
        CheckpointError: damaged, or of other tokens.
    """
    path = folder / TRIGRAM
    if not path.exists():
        return None
    try:
        trigram: Tensor = safetensors.torch.load(path.read_bytes())["trigram"]
        if trigram.shape != (size, size, size):
            raise ValueError(f"its shape is {tuple(trigram.shape)}, of {size} tokens")
    except (OSError, KeyError, ValueError, safetensors.SafetensorError) as error:
        raise CheckpointError(
            f"{path}: not the trigram of this model ({error}); copy the model again, or remove the "
            "file: then one is counted in the texts at hand"
        ) from error
    return trigram


def load_model(folder: Path | str, which: str = "best") -> tuple[AcousticModel, Vocabulary]:
    """The acoustic model of an experiment folder, in evaluation mode on the CPU.

    Raises:
        CheckpointError: not an experiment folder, no such checkpoint, or weights that do not fit.
    """
    config, vocabulary = load_experiment(folder)
    model = AcousticModel(config, len(vocabulary), len(load_phones(Path(folder)) or ()))
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

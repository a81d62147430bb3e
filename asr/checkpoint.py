"""Checkpoints and experiment folders: safetensors for numbers, JSON for the rest, never a pickle.

A checkpoint folder holds an index, `checkpoint.json`, with the names of the tensor files, their
sha256 and its own. The index is replaced in one step after the tensor files are on disk, so at any
moment it describes whole files. A file with another sha256 is refused. `previous.json` is the index
of the checkpoint before, if that is kept.

An experiment folder holds config.json, tokens.txt, last/ (to resume from) and best/ (to recognise
with); phones.txt and lexicon.npz if phones are learned beside the tokens; trigram.safetensors, the
denominator language model, if MMI was used.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from asr._atomic import write_atomically
from asr._json import read_bytes
from asr._regular import open_regular
from asr.config import Config, config_from_dict, config_to_dict
from asr.errors import CheckpointError, ConfigError
from asr.model import AcousticModel
from asr.text import PHONES, TOKENS, Vocabulary

M = TypeVar("M", bound=torch.nn.Module)

_MOST_TENSORS = 2**33  # bytes of a file: Adam's two numbers for each of a billion weights
INDEX = "checkpoint.json"
PREVIOUS = "previous.json"


@dataclass(frozen=True)
class Checkpoint:
    """Named groups of tensors (such as 'model') and a state of JSON types."""

    tensors: dict[str, dict[str, Tensor]]
    state: dict[str, Any]


def save_checkpoint(folder: Path, checkpoint: Checkpoint, *, keep: bool = False) -> None:
    """Write a checkpoint atomically.

    The checkpoint before is removed once the new one is whole; with `keep` it stays as
    previous.json.

    Raises:
        CheckpointError: the folder cannot be written; its checkpoint is still the one before.
    """
    try:
        _write_checkpoint(folder, checkpoint, keep)
    finally:
        _remove_unnamed(folder)


def _write_checkpoint(folder: Path, checkpoint: Checkpoint, keep: bool) -> None:
    """Write the tensor files, then the index that names them."""
    files = {}
    for group, tensors in checkpoint.tensors.items():
        data = safetensors.torch.save({k: v.detach().contiguous() for k, v in tensors.items()})
        digest = hashlib.sha256(data).hexdigest()
        name = f"{group}-{digest[:12]}.safetensors"
        write_file(folder / name, data)
        files[group] = {"name": name, "sha256": digest}
    index = {"files": files, "state": checkpoint.state}
    if keep and _is_worth_keeping(folder, files):
        write_file(folder / PREVIOUS, (folder / INDEX).read_bytes())
    write_file(folder / INDEX, json.dumps({**index, "sha256": _digest(index)}, indent=1) + "\n")


def _is_worth_keeping(folder: Path, files: dict[str, dict[str, str]]) -> bool:
    """Return whether the checkpoint in a folder is whole, and consists of other files."""
    try:
        load_checkpoint(folder)
        return bool(read_json(folder / INDEX)["files"] != files)
    except CheckpointError:
        return False


def _remove_unnamed(folder: Path) -> None:
    """Remove files that no index names: older checkpoints, and parts of unfinished ones."""
    paths = [path for path in (folder / INDEX, folder / PREVIOUS) if path.exists()]
    indexes = [path.read_text(encoding="utf-8", errors="replace") for path in paths]
    for path in (*folder.glob("*.safetensors"), *folder.glob(".*.tmp")):
        if not any(f'"{path.name}"' in index for index in indexes):
            path.unlink()


def load_newest(folder: Path) -> tuple[Checkpoint, CheckpointError | None]:
    """Load the newest whole checkpoint; return it, and the error of the last if that is damaged.

    Raises:
        CheckpointError: neither is whole.
    """
    try:
        return load_checkpoint(folder), None
    except CheckpointError as error:
        if not (folder / PREVIOUS).exists():
            raise
        last = error
    try:
        return load_checkpoint(folder, PREVIOUS), last
    except CheckpointError as error:
        raise CheckpointError(f"{last}; and the one before it: {error}; train anew") from error


def load_checkpoint(folder: Path, name: str = INDEX) -> Checkpoint:
    """Read and verify a checkpoint.

    Raises:
        CheckpointError: the index or a file is missing, or its sha256 differs.
    """
    index = read_json(folder / name)
    try:
        # Path.name: no index can name a file outside of the folder
        files = {g: (Path(file["name"]).name, file["sha256"]) for g, file in index["files"].items()}
        state = index["state"]
    except (KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{folder / name}: not a checkpoint index ({error!r})") from error
    digest = index.pop("sha256", None)
    if digest not in (None, _digest(index)):  # None: written before indexes had one
        raise CheckpointError(f"{folder / name}: damaged, its sha256 differs")
    return Checkpoint({group: _read_tensors(folder, *file) for group, file in files.items()}, state)


def _digest(index: dict[str, Any]) -> str:
    """Return the sha256 of an index, independent of its layout."""
    return hashlib.sha256(json.dumps(index, sort_keys=True).encode()).hexdigest()


def _read_tensors(folder: Path, name: str, digest: str) -> dict[str, Tensor]:
    """Read a tensor file and verify its sha256."""
    path = folder / name
    try:
        with open_regular(path, _MOST_TENSORS) as file:
            # First, since it takes no memory: a damaged file may have any size.
            if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                raise CheckpointError(
                    f"{path}: damaged, its sha256 is not the one that the index gives"
                )
            file.seek(0)
            tensors: dict[str, Tensor] = safetensors.torch.load(file.read())
    except (OSError, ValueError, MemoryError) as error:  # ValueError: no file can have this name
        reason = str(error) or "too large for the memory"
        raise CheckpointError(f"{path}: cannot be read ({reason}); copy it again") from error
    except safetensors.SafetensorError as error:
        raise CheckpointError(f"{path}: not a safetensors file ({error})") from error
    return tensors


def write_file(path: Path, content: str | bytes) -> None:
    """Write a file of a training run atomically.

    Raises:
        CheckpointError: it cannot be written; the old file stays.
    """
    try:
        write_atomically(path, content)
    except OSError as error:
        raise CheckpointError(
            f"{path}: cannot be written ({error.strerror}); make room, or give another --out"
        ) from error


def read_json(path: Path) -> dict[str, Any]:
    """Read the JSON object in a file of a training run.

    Raises:
        CheckpointError: the file is missing, or is not a JSON object.
    """
    try:
        # Not parse_json: the figures of an epoch may hold NaN, as Python writes it.
        content = json.loads(read_bytes(path))
    except OSError as error:
        raise CheckpointError(
            f"{path}: cannot be read ({error.strerror}); give the --out folder of a training run"
        ) from error
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: not JSON ({error})") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: not a JSON object")
    return content


def restore_parameters(model: torch.nn.Module, tensors: dict[str, Tensor], source: str) -> None:
    """Copy tensors into the parameters of the same names.

    Raises:
        CheckpointError: names or shapes differ.
    """
    check_parameters(model, tensors, source)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(tensors[name])


def check_parameters(model: torch.nn.Module, tensors: dict[str, Tensor], source: str) -> None:
    """Raise unless tensors have the names and shapes of a model's parameters.

    Raises:
        CheckpointError: names or shapes differ.
    """
    parameters = dict(model.named_parameters())
    differing = parameters.keys() ^ tensors.keys() or {
        name for name in parameters if parameters[name].shape != tensors[name].shape
    }
    if differing:
        raise CheckpointError(f"{source}: does not fit config.json in {sorted(differing)[:3]}")


CONFIG = "config.json"
SOURCES = "sources"  # a table in it that is no part of the configuration
TRIGRAM = "trigram.safetensors"
_MOST_HEADER = 2**16  # bytes of its file beside the numbers
FREE_TO_CHANGE = {
    ("train", key) for key in ("epochs", "patience", "checkpoint_minutes", "processes")
}


class Tokens(Protocol):
    """A vocabulary of any kind of model."""

    def __len__(self) -> int: ...

    def save(self, path: Path) -> None:
        """Write one token a line."""


def create_experiment(
    folder: Path,
    config: Config,
    vocabulary: Tokens,
    sources: Mapping[str, Mapping[str, str]] | None = None,
) -> None:
    """Write the configuration and the vocabulary of a model.

    Args:
        folder: the experiment; one that is there already gets a new configuration.
        config: the configuration.
        vocabulary: the tokens of the model.
        sources: names, sizes and sha256 of the data by option, for `read_sources`.

    Raises:
        CheckpointError: the folder cannot be written.
    """
    table = config_to_dict(config) | ({SOURCES: sources} if sources else {})
    write_file(folder / CONFIG, json.dumps(table, indent=1) + "\n")
    vocabulary.save(folder / TOKENS)


def read_sources(folder: Path) -> Any:
    """Return what an experiment has noted of its data; an empty dict if it is of an older version.

    Raises:
        CheckpointError: not an experiment folder.
    """
    return read_json(folder / CONFIG).get(SOURCES, {})


def read_config(folder: Path) -> Config:
    """Read the configuration of an experiment.

    Raises:
        CheckpointError: not an experiment folder.
    """
    path = folder / CONFIG
    table = read_json(path)
    table.pop(SOURCES, None)
    return config_from_dict(table, str(path))


def check_resumed(folder: Path, config: Config) -> None:
    """Raise unless the configuration of an experiment is the one to resume it with.

    The numbers of epochs and of processes, the patience and the interval of checkpoints may change.

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
    """Read the configuration and the vocabulary of an acoustic model's experiment.

    Raises:
        CheckpointError: not an experiment folder.
    """
    config = read_config(Path(folder))
    return config, Vocabulary.load(Path(folder) / TOKENS, config.model.unit)


def load_phones(folder: Path) -> Vocabulary | None:
    """Read the phones of a model's second output; None if it has none.

    Raises:
        VocabularyError: the file is damaged.
    """
    path = folder / PHONES
    return Vocabulary.load(path, "word") if path.exists() else None


def save_trigram(folder: Path, trigram: Tensor) -> None:
    """Save the denominator language model (asr.mmi.token_trigram).

    Raises:
        CheckpointError: the folder cannot be written.
    """
    write_file(folder / TRIGRAM, safetensors.torch.save({"trigram": trigram.cpu()}))


def load_trigram(folder: Path, size: int) -> Tensor | None:
    """Load what `save_trigram` saved, for `size` tokens; None if nothing was saved.

    Raises:
        CheckpointError: the file is damaged, or is for other tokens.
    """
    path = folder / TRIGRAM
    if not path.exists():
        return None
    try:
        with open_regular(path, 8 * size**3 + _MOST_HEADER) as file:
            trigram: Tensor = safetensors.torch.load(file.read())["trigram"]
        if trigram.shape != (size, size, size) or not trigram.is_floating_point():
            raise ValueError(f"its shape is {tuple(trigram.shape)}, for {size} tokens")
        if not (trigram.min() > 0 and (trigram.sum(2) - 1).abs().max() < 1e-3):  # not with NaN
            raise ValueError("it holds no probabilities that sum to 1")
    except (OSError, KeyError, ValueError, safetensors.SafetensorError) as error:
        raise CheckpointError(
            f"{path}: not the trigram of this model ({error}); copy the model again, or remove the "
            "file: then a trigram of the training texts is used"
        ) from error
    return trigram


def load_acoustic_model(
    folder: Path | str, which: str = "best"
) -> tuple[AcousticModel, Vocabulary]:
    """Load the acoustic model of an experiment folder, in evaluation mode on the CPU.

    Raises:
        CheckpointError: not an experiment folder, no such checkpoint, or weights that do not fit.
    """
    config, vocabulary = load_experiment(folder)
    num_phones = len(load_phones(Path(folder)) or ())
    make = partial(AcousticModel, config, len(vocabulary), num_phones)
    return with_weights(make, Path(folder), which), vocabulary


def with_weights(make: Callable[[], M], folder: Path, which: str = "best") -> M:
    """Make a model with the weights of an experiment, in evaluation mode.

    Names and shapes are compared before any memory is taken: a damaged config.json may ask for a
    model of any size.

    Raises:
        CheckpointError: no such checkpoint, or weights that do not fit.
    """
    tensors = load_checkpoint(folder / which).tensors.get("model", {})
    with torch.device("meta"):
        check_parameters(make(), tensors, str(folder / which))
    model = make()
    restore_parameters(model, tensors, str(folder / which))
    return model.eval()

"""Fine-tuning: a model begins with the weights of another, and may leave its lowest layers alone.

The two networks must be the same, their vocabularies need not be: what the output layer knows of a
token goes with that token, wherever it stands in the new vocabulary.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from asr.checkpoint import load_experiment, load_model, load_phones, load_trigram
from asr.config import Config
from asr.errors import ConfigError
from asr.model import AcousticModel
from asr.text import BLANK_TOKEN, Vocabulary

# May differ: no weight of the recurrent layers depends on them.
FREE_KEYS = {"model.unit", "model.dropout", "model.forget_bias"}


def adapted_vocabulary(folder: Path, texts: Iterable[str], config: Config) -> Vocabulary:
    """All tokens of the model in a folder, and behind them those that normalised texts add.

    No token is lost that a few texts happen to lack. A model of another unit has none to give.

    Raises:
        CheckpointError: not an experiment folder.
        ConfigError: its network is another one than is configured; names the first key.
    """
    theirs, known = load_experiment(folder)
    _check_network(theirs, config, folder)
    needed = Vocabulary.from_texts(texts, config.model.unit)
    if known.unit != needed.unit:
        return needed
    return Vocabulary(tuple(dict.fromkeys((*known.tokens, *needed.tokens))), known.unit)


def start_from(
    folder: Path,
    model: AcousticModel,
    vocabulary: Vocabulary,
    phones: Vocabulary | None = None,
) -> str:
    """Copy the best weights of the model in a folder; return what was done, as one line.

    Args:
        folder: of the model to begin with.
        model: gets its weights; what it has beside them stays as it is.
        vocabulary: of the model's tokens.
        phones: of its second output, if it has one.

    Raises:
        CheckpointError: not an experiment folder, or a damaged one.
        ConfigError: its network is another one; names the first key.
    """
    source, known = load_model(folder)
    _check_network(source.config, model.config, folder)
    rows = {"output": _shared_rows(known, vocabulary)}
    told = f"output layer: {_told(rows['output'], vocabulary)}"
    if phones:
        rows["phone_output"] = _shared_rows(load_phones(folder), phones)
        told += f"; phones: {_told(rows['phone_output'], phones)}"
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for name, theirs in source.named_parameters():
            if name not in parameters:  # phones that are not wanted
                continue
            own = parameters[name]
            if shared := rows.get(name.split(".")[0]):
                own[list(shared)] = theirs[list(shared.values())].to(own.device)
            else:
                own.copy_(theirs)
    return f"starting from {folder}; {told}"


def known_trigram(folder: Path | None, tokens: Vocabulary) -> Tensor | None:
    """What a model in a folder was taught with by MMI, if words were read from the same tokens.

    Of a few texts it is worth more than their own trigram, which takes each of them for certain.

    Raises:
        CheckpointError: not an experiment folder, or a damaged one.
    """
    if not folder:
        return None
    theirs = load_phones(folder) or load_experiment(folder)[1]
    return load_trigram(folder, len(tokens)) if theirs == tokens else None


def freeze(model: AcousticModel, layers: int) -> None:
    """Let the lowest recurrent layers, and what is below, keep their weights: no gradient, no
    weight decay.

    Raises:
        ConfigError: there are not so many.
    """
    present = len(model.network.layers)
    if layers > present:
        raise ConfigError(f"train.freeze is {layers}; allowed: 0..{present}, as model.layers")
    model.front.requires_grad_(layers == 0)
    model.network.layers[:layers].requires_grad_(False)


def _check_network(theirs: Config, ours: Config, folder: Path) -> None:
    """Raise ConfigError unless the same frames go into the same recurrent layers."""
    for section in ("features", "model"):
        given = asdict(getattr(ours, section))
        for key, wanted in asdict(getattr(theirs, section)).items():
            name = f"{section}.{key}"
            if wanted != given[key] and name not in FREE_KEYS:
                value = json.dumps(wanted)
                raise ConfigError(
                    f"--init {folder}: its network has {name}={value}, this one "
                    f"{json.dumps(given[key])}; give {name}={value}"
                )


def _shared_rows(known: Vocabulary | None, vocabulary: Vocabulary) -> dict[int, int]:
    """Ids of the new vocabulary's tokens to ids of the same tokens in the old one, if any."""
    if known is None:
        return {}
    same_unit = known.unit == vocabulary.unit
    ids = {token: index for index, token in enumerate(known.tokens)}
    return {
        index: ids[token]
        for index, token in enumerate(vocabulary.tokens)
        if token in ids and (same_unit or token == BLANK_TOKEN)
    }


def _told(rows: dict[int, int], vocabulary: Vocabulary) -> str:
    fresh = [token for index, token in enumerate(vocabulary.tokens) if index not in rows]
    if not fresh:
        return f"all {len(rows)} tokens kept"
    shown = ", ".join(map(repr, fresh[:8])) + (f" and {len(fresh) - 8} more" if fresh[8:] else "")
    return f"{len(rows)} tokens kept, {len(fresh)} start fresh: {shown}"

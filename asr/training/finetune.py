"""Fine-tuning: training begins with the weights of another model, and may freeze lower layers.

The two networks must be the same, but their vocabularies may differ: the weights of a token in the
output layer follow the token to its place in the new vocabulary.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from asr.checkpoint import load_acoustic_model, load_experiment, load_phones, load_trigram
from asr.config import CLEANING, Config
from asr.errors import ConfigError
from asr.model import AcousticModel
from asr.text import BLANK_TOKEN, Vocabulary

# Keys that may differ, because no weight of the recurrent layers depends on them.
FREE_KEYS = {"model.unit", "model.dropout", "model.forget_bias"}
FREE_KEYS |= {f"features.{key}" for key in CLEANING}


def extended_vocabulary(folder: Path, texts: Iterable[str], config: Config) -> Vocabulary:
    """Return the tokens of the model in a folder, followed by new tokens of normalised texts.

    Tokens that the texts lack are kept. A model of another unit contributes no tokens.

    Raises:
        CheckpointError: the folder is not an experiment.
        ConfigError: its network differs from the configured one; names the first key.
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
    """Copy the best weights of the model in a folder; return one line that says what was done.

    Args:
        folder: the experiment folder of the model to begin with.
        model: receives the weights; weights without a counterpart stay as they are.
        vocabulary: tokens of the model that receives them.
        phones: of its second output, if it has one.

    Raises:
        CheckpointError: the folder is not an experiment, or damaged.
        ConfigError: its network differs; names the first key.
    """
    source, known = load_acoustic_model(folder)
    _check_network(source.config, model.config, folder)
    rows = {"output": _shared_rows(known, vocabulary)}
    summary = f"output layer: {_kept_tokens(rows['output'], vocabulary)}"
    if phones:
        rows["phone_output"] = _shared_rows(load_phones(folder), phones)
        summary += f"; phones: {_kept_tokens(rows['phone_output'], phones)}"
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for name, theirs in source.named_parameters():
            if name not in parameters:  # an output of phones that this model lacks
                continue
            own = parameters[name]
            if shared := rows.get(name.split(".")[0]):
                own[list(shared)] = theirs[list(shared.values())].to(own.device)
            else:
                own.copy_(theirs)
    return f"starting from {folder}; {summary}"


def known_trigram(folder: Path | None, tokens: Vocabulary) -> Tensor | None:
    """Return the denominator language model of a model in a folder, if its tokens are these.

    The tokens are the phones, if the model has any. With few texts to train on, it is better than a
    trigram of these texts alone, which overfits them.

    Raises:
        CheckpointError: the folder is not an experiment, or damaged.
    """
    if not folder:
        return None
    theirs = load_phones(folder) or load_experiment(folder)[1]
    return load_trigram(folder, len(tokens)) if theirs == tokens else None


def freeze(model: AcousticModel, layers: int) -> None:
    """Freeze the lowest recurrent layers and everything below: no gradient, no weight decay.

    Raises:
        ConfigError: the model has fewer layers.
    """
    present = len(model.network.layers)
    if layers > present:
        raise ConfigError(f"train.freeze is {layers}; allowed: 0..{present}, as model.layers")
    model.front.requires_grad_(layers == 0)
    model.network.layers[:layers].requires_grad_(False)


def _check_network(theirs: Config, ours: Config, folder: Path) -> None:
    """Raise ConfigError unless features and recurrent layers are configured the same."""
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
    """Map ids of tokens of the new vocabulary to their ids in the old one, if there is one."""
    if known is None:
        return {}
    same_unit = known.unit == vocabulary.unit
    ids = {token: index for index, token in enumerate(known.tokens)}
    return {
        index: ids[token]
        for index, token in enumerate(vocabulary.tokens)
        if token in ids and (same_unit or token == BLANK_TOKEN)
    }


def _kept_tokens(rows: dict[int, int], vocabulary: Vocabulary) -> str:
    """Return how many tokens kept their weights, and which ones did not."""
    fresh = [token for index, token in enumerate(vocabulary.tokens) if index not in rows]
    if not fresh:
        return f"all {len(rows)} tokens kept"
    shown = ", ".join(map(repr, fresh[:8])) + (f" and {len(fresh) - 8} more" if fresh[8:] else "")
    return f"{len(rows)} tokens kept, {len(fresh)} start fresh: {shown}"

"""Load experiments that are to become one model: refused if their outputs differ in meaning."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from asr.config import CLEANING
from asr.errors import ConfigError
from asr.text import PHONES, TOKENS

if TYPE_CHECKING:
    from asr.model import AcousticModel


def load_alike(
    option: str, folder: Path, first: Path, *, same_network: bool = False
) -> "AcousticModel":
    """Load an experiment that has frames, texts, tokens and phones as the first has.

    Args:
        option: the argument that names the folder, for the error.
        folder: of the experiment.
        first: the experiment to compare it with.
        same_network: whether each weight must have its counterpart.

    Raises:
        CheckpointError: an experiment cannot be loaded.
        ConfigError: it differs; says in what.
    """
    from asr.checkpoint import load_acoustic_model, load_experiment, load_phones

    ours, vocabulary = load_experiment(first)
    model, tokens = load_acoustic_model(folder)
    theirs = model.config
    cleaning = {key: getattr(ours.features, key) for key in CLEANING}  # learned with it or not
    dropout, forget_bias = ours.model.dropout, ours.model.forget_bias  # of training alone
    network = replace(theirs.model, dropout=dropout, forget_bias=forget_bias)
    same = {
        "[features]": ours.features == replace(theirs.features, **cleaning),
        "[text]": ours.text == theirs.text,
        "[model]": not same_network or ours.model == network,
        "model.cell": ours.model.cell == theirs.model.cell,
        "frames (model.stack)": ours.model.stack == theirs.model.stack,
        TOKENS: vocabulary == tokens,
        PHONES: load_phones(first) == load_phones(folder),
    }
    differing = [name for name, alike in same.items() if not alike]
    if differing:
        raise ConfigError(
            f"{option}: {folder} and {first} differ in {', '.join(differing)}; give experiments "
            "that were trained alike, such as with another train.seed"
        )
    return model

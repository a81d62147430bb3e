"""asr-average: one network from several that began with the same weights: the mean of all weights.

Fine-tuning makes a network better for what it hears, and a little worse for the rest. The mean of
the weights before and after, or of several fine-tunings, keeps most of both, and costs no time in
recognition. Settings, lexicon and language models are those of the first. Source: Wortsman et al.
2022, 'Model soups', ICML.
"""

import argparse
import math
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from asr._progress import say
from asr.cli.alike import load_alike
from asr.cli.run import CommandParser, given_model, run
from asr.decode import LM, LSTM, SETTINGS
from asr.errors import CheckpointError, ConfigError
from asr.readable import TAGGER
from asr.text import PHONES

if TYPE_CHECKING:
    from torch import Tensor

    from asr.model import AcousticModel

APART = 1.0  # distance of two networks over the norm of one; 1.4 if they were trained apart


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = CommandParser("asr-average", description=__doc__)
    parser.add_argument(
        "exp", metavar="EXP", nargs="+", help="experiments of asr-train, folders or names"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the new experiment")
    return run("asr-average", lambda: average(parser.parse_args(argv)))


def average(arguments: argparse.Namespace) -> int:
    """Average the weights of experiments; return the exit status."""
    from asr.checkpoint import (
        TRIGRAM,
        Checkpoint,
        create_experiment,
        load_acoustic_model,
        save_checkpoint,
    )
    from asr.lexicon import LEXICON
    from asr.training import join_speakers

    folders = [given_model("EXP", name) for name in arguments.exp]
    if len(folders) < 2:
        raise ConfigError("EXP: one experiment has no mean; give two or more")
    out: Path = arguments.out
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"--out {out}: is there already; give a new folder")
    for folder in folders:
        if Path(os.path.realpath(out)).is_relative_to(os.path.realpath(folder)):
            raise ConfigError(f"--out {out}: lies in {folder}; give a folder outside of it")
    model, vocabulary = load_acoustic_model(folders[0])
    networks = [model]
    for folder in folders[1:]:
        other = load_alike("EXP", folder, folders[0], same_network=True)
        _check_beginning(folder, folders[0], other, model)
        networks.append(other)
    checkpoint = Checkpoint({"model": _mean(networks)}, {"average_of": [f.name for f in folders]})
    try:
        create_experiment(out, model.config, vocabulary)
        for name in (PHONES, LEXICON, TRIGRAM, LM, LSTM, TAGGER, SETTINGS):
            if (folders[0] / name).exists():
                shutil.copyfile(folders[0] / name, out / name)
        join_speakers(out, folders)
        save_checkpoint(out / "best", checkpoint)
    except (OSError, CheckpointError) as error:
        shutil.rmtree(out, ignore_errors=True)  # the same command can be given again
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(
            f"--out {out}: cannot be written ({error}); make room, or give another folder"
        ) from error
    say(f"{out}: the mean of {len(folders)} networks; measure it with asr-evaluate")
    return 0


def _mean(networks: "Sequence[AcousticModel]") -> "dict[str, Tensor]":
    """Return the mean of each weight, summed in float64."""
    import torch

    weights = [dict(network.named_parameters()) for network in networks]
    return {
        name: torch.stack([each[name].detach().double() for each in weights]).mean(0).float()
        for name in weights[0]
    }


def _check_beginning(
    folder: Path, first: Path, other: "AcousticModel", own: "AcousticModel"
) -> None:
    """Refuse weights that lie far apart.

    Raises:
        ConfigError: the networks did not begin with the same weights.
    """
    distance = _distance(own, other)
    if not math.isfinite(distance):
        raise ConfigError(f"EXP: weights of {folder} or {first} are no finite numbers; give others")
    if distance > APART:
        raise ConfigError(
            f"EXP: the weights of {folder} are {distance:.1f} times their norm from those of "
            f"{first}: they did not begin alike, and their mean knows nothing; join such networks "
            "with asr-export --ensemble"
        )


def _distance(model: "AcousticModel", other: "AcousticModel") -> float:
    """Return the distance of two networks, in the norm of the first."""
    from torch.nn.utils import parameters_to_vector

    ours, theirs = (parameters_to_vector(m.parameters()).detach() for m in (model, other))
    return float((ours - theirs).norm() / ours.norm())


if __name__ == "__main__":
    sys.exit(main())

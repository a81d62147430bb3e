"""Small untrained networks, in memory and as experiment folders."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from asr.checkpoint import Checkpoint, create_experiment, save_checkpoint
from asr.config import config_from_dict
from asr.model import AcousticModel
from asr.text import Vocabulary

SMALL = {"layers": 2, "hidden": 12, "stack": 3}
FEATURES = {"num_mels": 16, "num_ceps": 13, "deltas": 1}
LETTERS = ("<blank>", " ", "A", "B", "C", "D")
MODELS: dict[str, dict[str, Any]] = {
    "lstm": {},
    "deep": {"layers": 3, "stack": 1, "layer_norm": True},
    "convolved": {"conv_channels": 4, "layer_norm": True},
    "forward": {"bidirectional": False},
    "gru": {"cell": "gru"},
    "rnn": {"cell": "rnn", "bidirectional": False},
}


def make_model(model: dict[str, Any], num_phones: int = 0) -> AcousticModel:
    """Return a network whose posteriors are far from uniform, as after training."""
    torch.manual_seed(3)
    config = config_from_dict({"features": FEATURES, "model": SMALL | model})
    network = AcousticModel(config, len(LETTERS), num_phones).eval()
    with torch.no_grad():
        for layer in filter(None, (network.output, network.phone_output)):
            layer.weight *= 5
    return network


def write_experiment(folder: Path, model: dict[str, Any]) -> Path:
    network = make_model(model)
    create_experiment(folder, network.config, Vocabulary(LETTERS, "character"))
    save_checkpoint(folder / "best", Checkpoint({"model": network.state_dict()}, {}))
    return folder


def random_features(network: AcousticModel, frames: int) -> torch.Tensor:
    """Return features (T, F)."""
    values = np.random.default_rng(0).standard_normal(
        (frames, network.config.features.num_features)
    )
    return torch.tensor(values, dtype=torch.float32)

"""A small grammar as training text, and the configuration of a model that learns it in seconds."""

from pathlib import Path
from typing import Any

import numpy as np

from asr.config import Config, config_from_dict

SENTENCES = ["RED FISH SWIM", "BLUE BIRDS FLY", "OLD MEN SLEEP", "NEW DAYS COME"]  # equally likely
ENTROPY_BITS = 2 / 4  # of a token: two bits choose a sentence of three words and its end
SMALL = {
    "lm": {"embedding": 16, "hidden": 32, "batch_tokens": 120, "epoch_words": 400, "dropout": 0.0},
    "train": {
        "epochs": 2,
        "learning_rate": 0.02,
        "warmup_steps": 5,
        "ema_decay": 0.8,
        "processes": 1,
    },
}


def small_lm_config(**sections: dict[str, Any]) -> Config:
    """Return the configuration, with changes to it."""
    return config_from_dict({n: {**SMALL[n], **sections.get(n, {})} for n in SMALL})


def write_texts(folder: Path) -> tuple[Path, Path]:
    """Write 400 random sentences to train on, and each sentence once; return both paths."""
    rng = np.random.default_rng(0)
    train, valid = folder / "train.txt", folder / "valid.txt"
    train.write_text("".join(f"{rng.choice(SENTENCES)}\n" for _ in range(400)))
    valid.write_text("\n".join(SENTENCES))
    return train, valid

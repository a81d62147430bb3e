"""LSTM language models of a few units, with random weights."""

from pathlib import Path

import torch

from asr.checkpoint import Checkpoint, create_experiment, save_checkpoint
from asr.config import Config, LmConfig
from asr.lm import LmVocabulary, LstmLanguageModel

TINY = LmConfig(embedding=6, hidden=16, layers=2, dropout=0.0)
WORDS = LmVocabulary(("</s>", "<unk>", "THE", "CAT", "SAT"), "word")
CHARACTERS = LmVocabulary(("</s>", "<unk>", "<space>", "A", "B", "'"), "character")


def tiny_model(size: int, config: LmConfig = TINY, seed: int = 0) -> LstmLanguageModel:
    torch.manual_seed(seed)
    return LstmLanguageModel(config, size).eval()


def save_experiment(folder: Path, vocabulary: LmVocabulary) -> LstmLanguageModel:
    config = LmConfig(**{**vars(TINY), "unit": vocabulary.unit})
    model = tiny_model(len(vocabulary), config)
    create_experiment(folder, Config(lm=config), vocabulary)
    weights = {"model": dict(model.named_parameters())}
    save_checkpoint(folder / "best", Checkpoint(weights, {"epoch": 0}))
    return model

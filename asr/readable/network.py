"""The network of a tagger: words and pauses to capital forms and marks, in torch, for training.

A deep bidirectional LSTM (asr/lstm.py) reads, for each word, the mean of the embeddings of its
pieces, joined to the embedding of the pause after it. Two linear layers say the capital form of the
word and the mark after it. `asr.readable.tagger` runs the same network in numpy.

Shapes: N windows, T words, P pieces of a word.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from asr.checkpoint import read_config, with_weights
from asr.config import ModelConfig, TaggerConfig
from asr.lstm import RecurrentStack
from asr.readable.features import PAUSES
from asr.readable.tagger import Tagger, TaggerInfo
from asr.readable.written import CASES, MARKS, WrittenForms
from asr.text import TOKENS

PAUSE_SIZE = 8  # of the embedding of a pause


@dataclass(frozen=True)
class TagBatch:
    """Windows of words, padded; int64, (N, T, P) for `rows`, (N, T) for the others."""

    rows: Tensor
    pauses: Tensor
    cases: Tensor  # -100 where there is nothing to learn, as in padding
    marks: Tensor  # -100 in padding
    num_words: Tensor  # (N,)

    def to(self, device: torch.device) -> "TagBatch":
        """Return the batch on a device."""
        return TagBatch(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


class TaggerNetwork(nn.Module):
    """An embedding of words and pauses, a bidirectional LSTM, and a linear layer for each tag."""

    def __init__(self, config: TaggerConfig) -> None:
        super().__init__()
        self.words = nn.EmbeddingBag(config.rows, config.embedding, mode="mean")
        self.pauses = nn.Embedding(PAUSES, PAUSE_SIZE)
        stack = ModelConfig(
            layers=config.layers, hidden=config.hidden, dropout=config.dropout, layer_norm=True
        )
        self.stack = RecurrentStack(config.embedding + PAUSE_SIZE, stack)
        self.cases = nn.Linear(self.stack.outputs, len(CASES))
        self.marks = nn.Linear(self.stack.outputs, len(MARKS))

    @torch.no_grad()
    def start_from(self, values: NDArray[np.float32]) -> None:
        """Begin with some values in the embedding table, float32 (rows, K), K <= E.

        They take the place of random ones. `asr.readable.counts` has them for each row from the
        whole text, which training may never read to its end.
        """
        known = torch.from_numpy(values[:, : self.words.embedding_dim])
        self.words.weight[:, : known.shape[1]] = known

    def forward(self, rows: Tensor, pauses: Tensor, num_words: Tensor) -> tuple[Tensor, Tensor]:
        """Return scores of capital forms (N, T, CASES) and marks (N, T, MARKS).

        Args:
            rows: of the embedding table, int64 (N, T, P).
            pauses: kinds of pauses, int64 (N, T).
            num_words: valid words of each window, int64 (N,).
        """
        words = self.words(rows.flatten(0, 1)).unflatten(0, rows.shape[:2])  # (N, T, E)
        inputs = torch.cat((words, self.pauses(pauses)), dim=2)
        hidden = self.stack(inputs, num_words)
        return self.cases(hidden), self.marks(hidden)


def load_tagger(experiment: Path) -> Tagger:
    """Load the best tagger of an experiment folder of asr-text train.

    Raises:
        CheckpointError: not an experiment folder, no such checkpoint, or it does not fit.
    """
    config = read_config(experiment)
    network = with_weights(partial(TaggerNetwork, config.tagger), experiment)
    forms = WrittenForms.load(experiment / TOKENS).forms
    text = config.text
    info = TaggerInfo(forms, text.numbers == "en", text.strip_accents, text.keep)
    return Tagger.of(network, info)

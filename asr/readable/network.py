"""The network of a tagger: words and pauses to capital forms and marks, in torch, for training.

A deep bidirectional LSTM (asr/lstm.py) reads, for each word, the mean of the embeddings of its
pieces, joined to the embedding of the pause after it. Two linear layers say the capital form of the
word and the mark after it. `asr.readable.tagger` runs the same network in numpy.

Shapes: N windows, T words, P pieces of a word.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from asr.config import ModelConfig, TaggerConfig
from asr.lstm import RecurrentStack
from asr.readable.features import PAUSES
from asr.readable.written import CASES, MARKS

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

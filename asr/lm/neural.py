"""LSTM language models over words or characters.

Source: Sundermeyer, Schlueter and Ney 2012, 'LSTM neural networks for language modeling'. The
softmax puts frequent units first and rare units in classes with fewer weights (Grave et al. 2017,
'Efficient softmax approximation for GPUs'): it is exact, sums to one, and over 20,000 words costs a
fraction of a plain softmax. Input and output share no weights, because the rows of its classes
differ in width.

Every sentence stands for itself: it starts after <s> in a zero state and ends with </s>. Both are
the token BOUNDARY, read as <s> and predicted as </s>. Probabilities are natural logarithms.

Shapes: N sentences, U tokens (</s> included), E inputs, H hidden cells, V tokens. Batch first.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from asr.checkpoint import read_config, with_weights
from asr.config import LmConfig
from asr.errors import ConfigError, LanguageModelError
from asr.lm.lstm_arrays import LstmArrays
from asr.lm.ngram import Perplexity
from asr.lm.vocabulary import BOUNDARY, UNKNOWN, LmVocabulary

SHORTLISTS = (2_000, 10_000)  # ranks at which a class of rarer units begins in the softmax
SENTENCES_AT_ONCE = 10_000  # encoded at a time when perplexity is measured, which bounds memory
ROWS, STEPS = 64, 64  # sentences and tokens scored at a time, which bounds memory

LstmState = tuple[Tensor, Tensor]  # hidden and cell state, each (layers, N, H)


@dataclass(frozen=True)
class SentenceBatch:
    """Padded sentences: tokens int64 (N, 1 + U), <s> first; num_tokens int64 (N,), without <s>."""

    tokens: Tensor
    num_tokens: Tensor

    @classmethod
    def of(cls, sentences: Sequence[Sequence[int] | NDArray[np.int32]]) -> "SentenceBatch":
        """Pad encoded sentences, each of which ends with BOUNDARY."""
        rows = [torch.tensor([BOUNDARY, *sentence]) for sentence in sentences]
        return cls(
            nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=BOUNDARY),
            torch.tensor([len(sentence) for sentence in sentences]),
        )

    def to(self, device: torch.device) -> "SentenceBatch":
        """Return the batch on a device."""
        return SentenceBatch(self.tokens.to(device), self.num_tokens.to(device))

    def pieces(self, steps: int) -> "list[SentenceBatch]":
        """Cut the batch in time; the last token of a piece is the first token of the next."""
        return [
            SentenceBatch(
                self.tokens[:, start : start + steps + 1],
                (self.num_tokens - start).clamp(0, steps),
            )
            for start in range(0, self.tokens.shape[1] - 1, steps)
        ]


class LstmLanguageModel(nn.Module):
    """A unidirectional LSTM between an embedding and a softmax in classes by frequency."""

    def __init__(self, config: LmConfig, vocabulary_size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, config.embedding)
        between = config.dropout if config.layers > 1 else 0.0
        self.network = nn.LSTM(config.embedding, config.hidden, config.layers, dropout=between)
        self.dropout = nn.Dropout(config.dropout)
        # A class of one unit costs nothing: a vocabulary below the first rank has a plain softmax.
        cutoffs = sorted({min(rank, vocabulary_size - 1) for rank in SHORTLISTS})
        self.softmax = nn.AdaptiveLogSoftmaxWithLoss(config.hidden, vocabulary_size, cutoffs)

    def forward(self, tokens: Tensor, state: LstmState | None = None) -> tuple[Tensor, LstmState]:
        """Read int64 (N, U) tokens after a state; None is the zero state before a sentence.

        Returns:
            The last layer's hidden state after each token, float (N, U, H); and the state at the
            end.
        """
        inputs = self.dropout(self.embedding(tokens.T))  # (U, N, E): the kernels run time first
        hidden, state = self.network(inputs, state)
        return self.dropout(hidden.transpose(0, 1)), state

    def log_probs(self, tokens: Tensor, state: LstmState | None = None) -> tuple[Tensor, LstmState]:
        """Return log-probabilities (N, U, V) of all continuations of each token, and the state."""
        hidden, state = self(tokens, state)
        return self.softmax.log_prob(hidden.flatten(0, 1)).unflatten(0, tokens.shape), state

    def target_log_probs(
        self, batch: SentenceBatch, state: LstmState | None = None
    ) -> tuple[Tensor, LstmState]:
        """Return log-probabilities (N, U) of all tokens but <s>, zero in padding; and the state."""
        hidden, state = self(batch.tokens[:, :-1], state)
        count = hidden.shape[1]
        valid = torch.arange(count, device=hidden.device) < batch.num_tokens[:, None]  # (N, U)
        places = valid.flatten().nonzero().squeeze(1)
        known = hidden.flatten(0, 1).index_select(0, places)
        targets = batch.tokens[:, 1:].flatten().index_select(0, places)
        found = self.softmax(known, targets).output
        log_probs = hidden.new_zeros(valid.numel()).index_copy(0, places, found)
        return log_probs.unflatten(0, valid.shape), state


@torch.inference_mode()
def token_log_probs(
    model: LstmLanguageModel, sentences: Sequence[Sequence[int] | NDArray[np.int32]]
) -> list[NDArray[np.float32]]:
    """Return the log-probability of each token of encoded sentences, </s> included.

    Args:
        model: in evaluation mode.
        sentences: lists of ids that end with BOUNDARY; of any number and length.
    """
    device = next(model.parameters()).device
    order = sorted(range(len(sentences)), key=lambda index: len(sentences[index]))
    found: dict[int, NDArray[np.float32]] = {}
    for first in range(0, len(order), ROWS):
        indices = order[first : first + ROWS]
        batch = SentenceBatch.of([sentences[index] for index in indices]).to(device)
        state, pieces = None, []
        for piece in batch.pieces(STEPS):
            log_probs, state = model.target_log_probs(piece, state)
            pieces.append(log_probs)
        rows = torch.cat(pieces, dim=1).cpu().numpy()
        found |= {i: row[: len(sentences[i])] for i, row in zip(indices, rows, strict=True)}
    return [found[index] for index in range(len(sentences))]


def load_lstm(path: Path | str) -> tuple[LstmLanguageModel, LmVocabulary]:
    """Load the best model of an experiment folder, or an .npz file, on the CPU; and its vocabulary.

    The model is in evaluation mode.

    Raises:
        CheckpointError: neither .npz nor experiment folder; no such checkpoint, or it does not fit.
        LanguageModelError: the vocabulary or the file is not that of a language model.
    """
    path = Path(path)
    if path.suffix == ".npz" and not path.is_dir():
        arrays = LstmArrays.load(path)
        try:
            config = LmConfig(**arrays.settings)
            arrays.check_config(config, str(path))
        except (ConfigError, ValueError) as error:  # shapes that no training gives
            raise LanguageModelError(f"{path}: {error}; convert its folder again") from error
        model = LstmLanguageModel(config, len(arrays.vocabulary))
        arrays.put_into(model)
        return model.eval(), arrays.vocabulary
    config = read_config(path).lm
    vocabulary = LmVocabulary.load(path / "tokens.txt", config.unit)
    make = partial(LstmLanguageModel, config, len(vocabulary))
    return with_weights(make, path), vocabulary


def lstm_perplexity(
    model: LstmLanguageModel, vocabulary: LmVocabulary, sentences: Iterable[Sequence[str]]
) -> Perplexity:
    """Measure the perplexity of a word, whatever the units of the model.

    A word counts as unknown if it holds an unknown unit.

    Args:
        model: in evaluation mode.
        vocabulary: the model's.
        sentences: as `read_sentences` returns them for `vocabulary.unit`.

    Raises:
        LanguageModelError: there is no sentence.
    """
    sentences = iter(sentences)
    counts = np.zeros(3, np.int64)  # sentences, words, words with an unknown unit
    log_probs = np.zeros(2)  # of all tokens, of words with an unknown unit
    while several := list(islice(sentences, SENTENCES_AT_ONCE)):
        encoded = [vocabulary.encode(sentence) for sentence in several]
        scores = np.concatenate(token_log_probs(model, encoded)).astype(np.float64)
        ids: NDArray[np.int32] = np.concatenate(encoded).astype(np.int32)
        ends = vocabulary.word_ends(ids)
        word: NDArray[np.int64] = np.cumsum(ends) - ends  # the number of the word a token is in
        lacked: NDArray[np.int64] = np.unique(word[ids == UNKNOWN])
        within = np.isin(word, lacked) & (ids != BOUNDARY)
        counts += [len(several), ends.sum(), len(lacked)]
        log_probs += [scores.sum(), scores[within].sum()]
    if not counts[0]:
        raise LanguageModelError("no sentence to measure the perplexity on; give a text")
    return Perplexity(*counts.tolist(), *log_probs.tolist())

"""The training task of the LSTM language model: batches of sentences, judged by perplexity.

An epoch is a part of the text, so that one pass over a long text has several validations.
"""

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from asr._progress import counted
from asr.config import Config, LmConfig
from asr.data import Epoch, plan_batches
from asr.distributed import ProcessGroup
from asr.errors import LanguageModelError, TrainingError
from asr.lm import (
    BOUNDARY,
    EOS,
    UNK,
    LmVocabulary,
    LstmArrays,
    LstmLanguageModel,
    SentenceBatch,
    read_sentences,
    token_log_probs,
)

Reader = Callable[[Sequence[str], str], Iterable[list[str]]]  # of files, in a unit


@dataclass(frozen=True, eq=False)
class EncodedText:
    """Encoded sentences, concatenated; four bytes a token."""

    ids: NDArray[np.int32]  # of all tokens; BOUNDARY ends each sentence
    words: int

    @cached_property
    def ends(self) -> NDArray[np.int64]:
        """The end of each sentence: the index after its BOUNDARY."""
        return np.flatnonzero(self.ids == BOUNDARY) + 1

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each sentence, </s> included."""
        return np.diff(self.ends, prepend=0)

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, index: int) -> NDArray[np.int32]:
        end = self.ends[index]
        return self.ids[end - self.lengths[index] : end]


def make_vocabulary(
    paths: Sequence[str], config: LmConfig, read: Reader = read_sentences
) -> LmVocabulary:
    """Make a vocabulary of the most frequent units of texts; of equals, the first ones.

    Args:
        paths: files.
        config: unit and size of the vocabulary.
        read: returns the sentences of files in a unit.

    Raises:
        LanguageModelError: a text cannot be used, or the texts hold nothing but <unk>.
    """
    counts = _counted(paths, config, read)
    del counts[UNK]
    if not counts:
        raise LanguageModelError(f"{', '.join(paths)}: only {UNK}; give a text with known words")
    common = (unit for unit, _ in counts.most_common(config.vocabulary_size))
    return LmVocabulary((EOS, UNK, *common), config.unit)


def with_frequent_units(
    model: LstmArrays, paths: Sequence[str], config: LmConfig, read: Reader = read_sentences
) -> LstmArrays:
    """Add the most frequent units of texts that a model lacks, until it has as many as configured.

    A model whose softmax cannot grow stays as it is, and one that is large enough.

    Args:
        model: its vocabulary grows.
        paths: files.
        config: unit and size of the vocabulary.
        read: returns the sentences of files in a unit.

    Raises:
        LanguageModelError: a text cannot be used.
    """
    room = config.vocabulary_size - (len(model.vocabulary) - 2)  # </s> and <unk> do not count
    if room <= 0 or not model.can_grow:
        return model
    counts = _counted(paths, config, read)
    for unit in model.vocabulary.tokens:
        del counts[unit]
    return model.grown([unit for unit, _ in counts.most_common(room)])


def _counted(paths: Sequence[str], config: LmConfig, read: Reader) -> Counter[str]:
    """Count the units of texts."""
    counts = Counter[str]()
    for sentence in read(paths, config.unit):
        counts.update(sentence)
    return counts


def encode_texts(
    paths: Sequence[str], vocabulary: LmVocabulary, read: Reader = read_sentences
) -> EncodedText:
    """Read and encode texts; `read` is as in `make_vocabulary`.

    Raises:
        LanguageModelError: a text cannot be used.
    """
    tokens = array("i")
    for sentence in read(paths, vocabulary.unit):
        tokens.extend(vocabulary.encode(sentence))
    ids = np.frombuffer(tokens, np.int32)
    return EncodedText(ids, int(vocabulary.word_ends(ids).sum()))


class LanguageTask:
    """The task of the LSTM language model; see asr.train.Task."""

    def __init__(
        self,
        config: Config,
        vocabulary: LmVocabulary,
        train: EncodedText,
        valid: EncodedText,
        *,
        group: ProcessGroup,
        device: str,
    ) -> None:
        self.config = config
        self.vocabulary = vocabulary
        self.train = train
        self.valid = valid
        self.group = group
        self.device = torch.device(device)
        self.model = LstmLanguageModel(config.lm, len(vocabulary)).to(self.device)
        self.usable = np.flatnonzero(train.lengths <= config.lm.batch_tokens)
        if not len(self.usable):
            raise TrainingError(
                f"no sentence has at most lm.batch_tokens={config.lm.batch_tokens} "
                f"{config.lm.unit}s; the text needs one sentence a line"
            )

    def batches(self, epoch: int) -> Epoch[SentenceBatch]:
        """Return the batches of one part of the text; each pass over all parts is shuffled anew."""
        wanted = round(self.train.words / self.config.lm.epoch_words)
        shares = min(max(wanted, 1), len(self.usable))
        rng = np.random.default_rng([self.config.train.seed, epoch // shares])
        chosen = np.array_split(rng.permutation(self.usable), shares)[epoch % shares]
        lengths = self.train.lengths[chosen]
        plan = plan_batches(lengths, self.config.lm.batch_tokens, rng)
        return Epoch(plan, lengths, lambda indices: self._batch(chosen[self._own(indices)]))

    def _own(self, indices: Sequence[int]) -> Sequence[int]:
        return indices[self.group.rank :: self.group.size]

    def _batch(self, indices: Iterable[int]) -> SentenceBatch | None:
        sentences = [self.train[index] for index in indices]
        return SentenceBatch.of(sentences) if sentences else None

    def loss(self, batch: SentenceBatch, generator: Generator) -> tuple[Tensor, int]:
        """Return the negative log-probability of a batch in nats, and its number of tokens."""
        log_probs, _ = self.model.target_log_probs(batch.to(self.device))
        return -log_probs.sum(), int(batch.num_tokens.sum())

    def describe(self, batch: SentenceBatch) -> str:
        """Name the first sentence, and the number of sentences."""
        first = batch.tokens[0, 1 : int(batch.num_tokens[0])].tolist()
        text = " ".join(self.vocabulary.tokens[token] for token in first)
        return f"{counted(len(batch.tokens), 'sentence')}, the first: {text}"

    def seconds(self, batch: SentenceBatch) -> float:
        """Return the number of tokens."""
        return float(batch.num_tokens.sum())

    def report(self) -> dict[str, float]:
        """Return nothing: there are no figures beside the loss."""
        return {}

    def validate(self, model: LstmLanguageModel) -> dict[str, float]:
        """Return the loss per token, and as 'error' the perplexity per word and </s>.

        The perplexity does not depend on the unit.
        """
        own = self._own(range(len(self.valid)))
        scores = token_log_probs(model, [self.valid[index] for index in own])
        log_prob = sum(float(score.sum(dtype=np.float64)) for score in scores)
        total = torch.tensor([log_prob], dtype=torch.float64, device=self.device)
        self.group.sum([total])
        perplexity = (-total / (self.valid.words + len(self.valid))).exp()
        return {"loss": -total.item() / len(self.valid.ids), "error": perplexity.item()}

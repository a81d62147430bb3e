"""Back-off n-gram models: words and arrays in one object, scores of sentences, perplexity.

Probabilities are natural logarithms. Files of other toolkits may lack two things, which are added
without a change to any probability that the file defines: the context of an n-gram (with the
probability that backing off gives it, and back-off weight 1), and an unknown word (with probability
10^-100, as in KenLM).
"""

import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import islice, pairwise, repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr._numba import Index, kernel
from asr._progress import say
from asr.errors import LanguageModelError
from asr.lm.arrays import EMPTY_CONTEXT, NgramArrays, query
from asr.lm.corpus import BOS, EOS, UNK
from asr.lm.trie import Level, link, starts_of

__all__ = ["LOG_10", "Level", "NgramModel", "Perplexity", "perplexity"]
UNK_NAMES = (UNK, "<UNK>")  # some toolkits write the second
LOG_10 = math.log(10.0)
MISSING_UNK_LOG_PROB = -100.0 * LOG_10
_SENTENCES_AT_ONCE = 10_000
_LARGEST_EXPONENT = math.log(sys.float_info.max)


@dataclass(frozen=True, eq=False)
class NgramModel:
    """A back-off n-gram model. Word i of `words` has id i and node 1 + i of `arrays`."""

    words: tuple[str, ...]
    arrays: NgramArrays
    unk: int
    bos: int
    eos: int

    @classmethod
    def from_levels(cls, words: Sequence[str], levels: Sequence[Level]) -> "NgramModel":
        """Build a model from its n-grams, level by level.

        Level 1 holds every word, in the order of `words`. Empty levels at the end are left out.

        Raises:
            LanguageModelError: <s> or </s> is not among the words.
            ValueError: level 1 does not hold every word in order.
        """
        if not np.array_equal(levels[0].words[:, 0], np.arange(len(words))):
            raise ValueError("level 1 must hold every word once, in the order of the words")
        for name in (BOS, EOS):
            if name not in words:
                raise LanguageModelError(
                    f"the unigram {name} is missing; estimate the model on sentences, with {name}"
                )
        words, unigrams = _with_unk(tuple(words), levels[0])
        highest = max(order for order, level in enumerate(levels, 1) if len(level.words))
        arrays = link([unigrams, *levels[1:highest]])
        unk = next(words.index(name) for name in UNK_NAMES if name in words)
        return cls(words, arrays, unk, words.index(BOS), words.index(EOS))

    def levels(self) -> list[Level]:
        """Return the n-grams of all orders, those that `from_levels` added included."""
        word, prob, _, first_child, backoff = self.arrays
        rows = np.empty((1, 0), np.int32)  # the words of the empty context: none
        levels = []
        for above, (start, end) in zip(self.starts, pairwise(self.starts[1:]), strict=False):
            children = np.diff(first_child[above : start + 1])
            rows = np.column_stack([np.repeat(rows, children, axis=0), word[start:end]])
            weights = backoff[start:end] if end <= len(backoff) else np.zeros_like(prob[start:end])
            levels.append(Level(rows, prob[start:end], weights))
        return levels

    @property
    def order(self) -> int:
        """Words of the longest n-gram."""
        return len(self.starts) - 2

    @property
    def counts(self) -> list[int]:
        """Number of n-grams of each order."""
        return [end - start for start, end in pairwise(self.starts[1:])]

    @property
    def begin(self) -> int:
        """The state at the start of a sentence."""
        return 1 + self.bos if self.order > 1 else EMPTY_CONTEXT

    def word_id(self, word: str) -> int:
        """Return the id of a word, or the id of <unk> for a word that the model lacks."""
        return self._ids.get(word, self.unk)

    def __contains__(self, word: object) -> bool:
        """Return whether the model has a word, or a token such as </s>."""
        return word in self._ids

    def word_ids(self, words: Sequence[str]) -> NDArray[np.int32]:
        """Return the id of each word as `word_id` does, (words,)."""
        return np.fromiter(map(self._ids.get, words, repeat(self.unk)), np.int32, len(words))

    def score(self, words: Sequence[str], *, eos: bool = True) -> list[float]:
        """Return the log-probability of each word of a sentence, and of </s> after them."""
        ids = [*self.word_ids(words), *[self.eos] * eos]
        scores: list[float] = self._score_ids(ids).tolist()
        return scores

    def _score_ids(self, ids: list[int]) -> NDArray[np.float64]:
        """Return the log-probability of each id of concatenated sentences that end in </s>."""
        scores = np.empty(len(ids))
        score_ids(self.arrays, self.begin, self.eos, np.array(ids, np.int32), scores)
        return scores

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {word: i for i, word in enumerate(self.words)}

    @cached_property
    def starts(self) -> list[int]:
        """The first node of each order from 0 on, and the end of the last order."""
        return starts_of(self.arrays)


@dataclass(frozen=True)
class Perplexity:
    """The perplexity of a text by a model; </s> counts as a token, <s> does not."""

    sentences: int
    words: int  # without </s>
    oov: int  # words that the model lacks, and <unk>
    log_prob: float  # sum over all tokens
    oov_log_prob: float  # sum over the words that the model lacks

    @property
    def perplexity(self) -> float:
        """Perplexity over all tokens; KenLM's "Perplexity including OOVs"."""
        return _exp(-self.log_prob / (self.words + self.sentences))

    @property
    def perplexity_without_oov(self) -> float:
        """Perplexity over the known tokens; KenLM's "Perplexity excluding OOVs"."""
        known = self.words + self.sentences - self.oov
        return _exp((self.oov_log_prob - self.log_prob) / known)

    def as_dict(self) -> dict[str, Any]:
        """Return perplexities and counts, ready for JSON."""
        return {
            "perplexity": self.perplexity,
            "perplexity_without_oov": self.perplexity_without_oov,
            **asdict(self),
        }


def _exp(exponent: float) -> float:
    """Return the exponential of a number, or the largest float where it is larger."""
    return math.exp(exponent) if exponent < _LARGEST_EXPONENT else sys.float_info.max


def perplexity(model: NgramModel, sentences: Iterable[Sequence[str]]) -> Perplexity:
    """Measure the perplexity of a model on sentences, each a list of words.

    Raises:
        LanguageModelError: there is no sentence.
    """
    sentences = iter(sentences)
    num_sentences = tokens = oov = 0
    log_prob = oov_log_prob = 0.0
    while several := list(islice(sentences, _SENTENCES_AT_ONCE)):
        ids = [i for words in several for i in (*map(model.word_id, words), model.eos)]
        scores = model._score_ids(ids)
        unknown = np.array(ids) == model.unk
        num_sentences += len(several)
        tokens += len(ids)
        oov += int(unknown.sum())
        log_prob += float(scores.sum())
        oov_log_prob += float(scores[unknown].sum())
    if not num_sentences:
        raise LanguageModelError("no sentence to measure the perplexity on; give a text with some")
    return Perplexity(num_sentences, tokens - num_sentences, oov, log_prob, oov_log_prob)


@kernel
def score_ids(
    model: NgramArrays,
    begin: Index,
    eos: Index,
    ids: NDArray[np.int32],
    scores: NDArray[np.float64],
) -> None:
    """Fill `scores` with the log-probability of each id; a sentence begins after each `eos`."""
    state: Index = begin
    for i in range(len(ids)):
        scores[i], state = query(model, state, np.int64(ids[i]))
        if ids[i] == eos:
            state = begin


def _with_unk(words: tuple[str, ...], unigrams: Level) -> tuple[tuple[str, ...], Level]:
    """Return words and unigrams, with <unk> added if the model has none."""
    if any(name in words for name in UNK_NAMES):
        return words, unigrams
    say(f"the model has no {UNK}; words that it lacks get probability 1e-100")
    added = Level(
        np.arange(len(words) + 1, dtype=np.int32)[:, None],
        np.append(unigrams.log_prob, np.float32(MISSING_UNK_LOG_PROB)),
        np.append(unigrams.backoff, np.float32(0.0)),
    )
    return (*words, UNK), added

"""Sentence scores of an LSTM language model, for rescoring.

The sentences of an N-best list differ in few places. So the state after a history is computed once,
and histories that end in the same few units share one state: that of the first, and so best,
sentence in which they occur. For lists of 50 this leaves a fifth of the steps.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np

from asr.lm.lstm_arrays import LstmArrays
from asr.lm.vocabulary import BOUNDARY, UNKNOWN
from asr.lm.weights import Floats

History = tuple[int, ...]  # the last tokens before a token
Continuation = tuple[History, int]  # a history and the token after it

LONGEST_HISTORY = {"word": 8, "character": 40}  # units; earlier ones hardly change a probability


class LstmScorer:
    """A scorer for asr.decode.rescore (see its protocol Scorer).

    Args:
        lstm: the model.
        words: all words that texts can hold. The words that the model lacks share the probability
            of <unk> evenly: if each had all of it, rare words would be likelier than common ones.
    """

    def __init__(self, lstm: LstmArrays, words: Iterable[str] = ()) -> None:
        self.lstm = lstm
        units = {unit for word in words for unit in lstm.vocabulary.split(word)}
        self.unknown_units = max(1, len(units.difference(lstm.vocabulary.tokens)))
        self.longest = LONGEST_HISTORY[lstm.vocabulary.unit]

    @classmethod
    def load(cls, path: Path, words: Iterable[str] = ()) -> "LstmScorer":
        """Load a model as `LstmArrays.load` does, with the same errors."""
        return cls(LstmArrays.load(path), words)

    def score(self, texts: Sequence[str]) -> list[float]:
        """Return the log-probability of each text as a sentence, </s> included; best text first."""
        vocabulary = self.lstm.vocabulary
        sentences = [vocabulary.encode(vocabulary.split(text)) for text in texts]
        walks = [self._steps(sentence) for sentence in sentences]
        log_probs = self._log_probs(walks)
        share = math.log(self.unknown_units)
        return [
            sum(log_probs[step] for step in walk) - share * sentence.count(UNKNOWN)
            for walk, sentence in zip(walks, sentences, strict=True)
        ]

    def _steps(self, sentence: Sequence[int]) -> list[Continuation]:
        """Return each token of a sentence with its history."""
        read = (BOUNDARY, *sentence)
        ends = range(1, len(read))
        return [(read[max(0, end - self.longest) : end], read[end]) for end in ends]

    def _log_probs(self, walks: Sequence[Sequence[Continuation]]) -> dict[Continuation, float]:
        """Return the log-probability of each different step of the sentences."""
        steps = list(dict.fromkeys(chain.from_iterable(walks)))
        if not steps:
            return {}
        states = self._states(walks)
        hidden = np.stack([states[history][-1, 0] for history, _ in steps])
        tokens = np.array([token for _, token in steps])
        return dict(zip(steps, self.lstm.log_probs(hidden, tokens).tolist(), strict=True))

    def _states(self, walks: Sequence[Sequence[Continuation]]) -> dict[History, Floats]:
        """Return the state (L, 2, H) after each history; all sentences are read side by side."""
        states: dict[History, Floats] = {(): self.lstm.start[0]}
        before: Sequence[History] = [()] * len(walks)
        for steps in zip_longest(*walks, fillvalue=((), BOUNDARY)):
            histories = [history for history, _ in steps]
            fresh = dict[History, History]()  # new histories, each with the one that it continues
            for history, past in zip(histories, before, strict=True):
                if history not in states:
                    fresh.setdefault(history, past)
            if fresh:
                tokens = np.array([history[-1] for history in fresh])
                state = np.stack([states[past] for past in fresh.values()])
                states |= zip(fresh, self.lstm.read(tokens, state), strict=True)
            before = histories
        return states

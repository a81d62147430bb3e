"""Sentences scored by an LSTM language model, as rescoring asks for them.

The sentences of an N-best list differ in few places. So what is known behind a history is computed
once, and histories that end in the same few units share it: it is that of the first sentence which
has them, so of the best one. For lists of 50 that is a fifth of the steps.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np

from asr.lm.lstm_arrays import Floats, LstmArrays
from asr.lm.vocabulary import BOUNDARY, UNKNOWN

History = tuple[int, ...]  # the last tokens before a token
Continuation = tuple[History, int]  # ... and the token

LONGEST_HISTORY = {"word": 8, "character": 40}  # units; what came before is hardly heard


class LstmScorer:
    """A Scorer of asr.decode.rescore.

    Args:
        lstm: the model.
        words: that texts have. Those which it lacks share the probability of <unk> evenly, else
            each of them would have all of it, and rare words be likelier than common ones.
    """

    def __init__(self, lstm: LstmArrays, words: Iterable[str] = ()) -> None:
        self.lstm = lstm
        units = {unit for word in words for unit in lstm.vocabulary.split(word)}
        self.unknown_units = max(1, len(units.difference(lstm.vocabulary.tokens)))
        self.longest = LONGEST_HISTORY[lstm.vocabulary.unit]

    @classmethod
    def load(cls, path: Path, words: Iterable[str] = ()) -> "LstmScorer":
        """Read a model as `LstmArrays.load` does, which says what it raises."""
        return cls(LstmArrays.load(path), words)

    def score(self, texts: Sequence[str]) -> list[float]:
        """Log-probability of each text as a sentence, </s> included; the best text comes first."""
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
        """Each token of a sentence behind its history."""
        read = (BOUNDARY, *sentence)
        ends = range(1, len(read))
        return [(read[max(0, end - self.longest) : end], read[end]) for end in ends]

    def _log_probs(self, walks: Sequence[Sequence[Continuation]]) -> dict[Continuation, float]:
        """Of all steps of some sentences."""
        steps = list(dict.fromkeys(chain.from_iterable(walks)))
        if not steps:
            return {}
        states = self._states(walks)
        hidden = np.stack([states[history][-1, 0] for history, _ in steps])
        tokens = np.array([token for _, token in steps])
        return dict(zip(steps, self.lstm.log_probs(hidden, tokens).tolist(), strict=True))

    def _states(self, walks: Sequence[Sequence[Continuation]]) -> dict[History, Floats]:
        """The state (L, 2, H) behind each history, all sentences read side by side."""
        states: dict[History, Floats] = {(): self.lstm.start[0]}
        before: Sequence[History] = [()] * len(walks)
        for steps in zip_longest(*walks, fillvalue=((), BOUNDARY)):
            histories = [history for history, _ in steps]
            fresh = dict[History, History]()  # each with the history that it goes on from
            for history, past in zip(histories, before, strict=True):
                if history not in states:
                    fresh.setdefault(history, past)
            if fresh:
                tokens = np.array([history[-1] for history in fresh])
                state = np.stack([states[past] for past in fresh.values()])
                states |= zip(fresh, self.lstm.read(tokens, state), strict=True)
            before = histories
        return states

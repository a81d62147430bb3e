"""N-best rescoring: a slower language model also scores the hypotheses of a fast search."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from asr.decode.hypothesis import Decoder, Hypothesis
from asr.decode.settings import DecoderConfig

if TYPE_CHECKING:
    from asr.decode.beam import BeamDecoder


class Scorer(Protocol):
    """A language model of whole sentences, such as asr.lm.lstm_scorer.LstmScorer."""

    def score(self, texts: Sequence[str]) -> list[float]:
        """Return the natural-log probability of each sentence, its end included."""


class Rescorer:
    """A decoder whose hypotheses are scored by another language model, too.

    Args:
        decoder: finds the hypotheses.
        scorer: scores their texts.
        config: rescore_weight, rescore_lm_weight, rescore_word_score and nbest are read.
    """

    def __init__(self, decoder: Decoder, scorer: Scorer, config: DecoderConfig) -> None:
        self.decoder = decoder
        self.scorer = scorer
        self.config = config

    def decode(self, log_probs: NDArray[np.float32], nbest: int = 1) -> list[Hypothesis]:
        """Return the best rescored hypotheses of an utterance, float (T, V), best first."""
        found = self.decoder.decode(log_probs, max(nbest, self.config.nbest))
        scores = self.scorer.score([hypothesis.text for hypothesis in found])
        rescored = [self._with(h, score) for h, score in zip(found, scores, strict=True)]
        return sorted(rescored, key=lambda hypothesis: -hypothesis.score)[:nbest]

    def _with(self, hypothesis: Hypothesis, score: float) -> Hypothesis:
        """Return a hypothesis with the score of the second model added."""
        gain = self.config.rescore_weight * score
        gain += self.config.rescore_lm_weight * hypothesis.language
        gain += self.config.rescore_word_score * len(hypothesis.words)
        return replace(hypothesis, score=hypothesis.score + gain)


def rescored(decoder: "BeamDecoder", lstm: Path | None, config: DecoderConfig) -> Decoder:
    """Return a decoder that rescores by an LSTM, or the decoder itself without LSTM or weight.

    Raises:
        LanguageModelError, CheckpointError: the file is not an LSTM, or damaged.
    """
    if not lstm or not config.rescore_weight:
        return decoder
    from asr.lm import LstmScorer  # imports numba

    return Rescorer(decoder, LstmScorer.load(lstm, decoder.words), config)

"""Fit decoding weights and word confidences to a development set, over cached log-probabilities.

The development set must not be the test set: weights are fitted to its references.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from asr._progress import progress
from asr.decode import (
    NBEST,
    BeamDecoder,
    Calibration,
    Decoder,
    DecoderConfig,
    Hypothesis,
    Scorer,
    expected_calibration_error,
    forced_alignment,
    word_correctness,
    word_features,
)
from asr.errors import DecoderError
from asr.scoring import score

LM_WEIGHTS = (0.0, 0.4, 0.8, 1.2, 1.6)
WORD_SCORES = (-1.0, 0.0, 1.0, 2.0)
RESCORE_WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8)
RESCORE_WORD_SCORES = (-0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5)
RESCORE_SHARES = (1.0, 0.8, 0.6)  # of the lm_weight that is best for an n-gram model alone
_HALVINGS = 2  # of the grid's step, around the best point so far


@dataclass(frozen=True)
class Trial:
    """Settings that were tried, and the word error rate that they gave."""

    lm_weight: float
    word_score: float
    wer: float
    rescore_weight: float = 0.0
    rescore_word_score: float = 0.0

    def __str__(self) -> str:
        return (
            f"lm_weight {self.lm_weight:.2f}  word_score {self.word_score:+.2f}  "
            f"rescore_weight {self.rescore_weight:.2f}  "
            f"rescore_word_score {self.rescore_word_score:+.2f}  WER {100 * self.wer:.2f}"
        )


@dataclass(frozen=True)
class TuningData:
    """A development set: log-probabilities (T, V) and normalised references."""

    log_probs: Sequence[NDArray[np.float32]]
    references: Sequence[str]

    def error_rate(self, texts: Sequence[str]) -> float:
        """Return the WER of hypotheses in the same order, as a fraction."""
        pairs = {str(number): text for number, text in enumerate(self.references)}
        word = score(pairs, {str(number): text for number, text in enumerate(texts)}).word
        return word.errors / max(word.words, 1)


def tune(
    material: TuningData, decoder: BeamDecoder, scorer: Scorer | None = None
) -> tuple[DecoderConfig, list[Trial]]:
    """Find lm_weight and word_score, then the weights of rescoring; return all trials, too.

    A coarse grid comes first, then finer ones around its best point. With a scorer, hypotheses are
    found with the best lm_weight and with lower ones, as two language models share the weight that
    one had alone; on each list, all weights of rescoring are tried.

    Raises:
        DecoderError: there is nothing to tune on.
    """
    if not material.log_probs:
        raise DecoderError("--tune: the manifest has no utterances")
    trials: dict[tuple[float, float], Trial] = {}
    for points in _grids(trials):
        for weight, word in progress(points, "tuning"):
            found = decoder.reweighted(weight, word).decode_all(material.log_probs)
            rate = material.error_rate([nbest[0].text for nbest in found])
            trials[weight, word] = Trial(weight, word, rate)
    best, tried = _best(trials.values()), list(trials.values())
    config = replace(decoder.config, lm_weight=best.lm_weight, word_score=best.word_score)
    if scorer is not None:
        rescored = []
        for share in RESCORE_SHARES:
            shared = replace(best, lm_weight=round(share * best.lm_weight, 3))
            rescored += _rescored(material, decoder, shared, scorer)
        best = _best(rescored)
        tried += rescored
        config = replace(
            config,
            lm_weight=best.lm_weight,
            rescore_weight=best.rescore_weight,
            rescore_word_score=best.rescore_word_score,
        )
    return config, tried


@dataclass(frozen=True)
class Fit:
    """A calibration, and its expected calibration error on words that it was not fitted to."""

    calibration: Calibration
    error_before: float  # of the default calibration, which is not fitted
    error_after: float
    words: int  # on which both errors are measured


def calibrate(material: TuningData, decoder: Decoder, frame_s: float) -> Fit:
    """Fit word confidences to a decoder.

    A fit to half of the utterances is judged on the other half. The calibration that is returned is
    fitted to all of them.
    """
    features, correct, half = [], [], []
    for number, log_probs in enumerate(progress(material.log_probs, "calibrating")):
        nbest = decoder.decode(log_probs, NBEST)
        alignment = forced_alignment(log_probs, nbest[0].tokens)
        features.append(word_features(log_probs, nbest, alignment, frame_s))
        correct += word_correctness(material.references[number].split(), nbest[0].words)
        half += [number % 2 == 0] * len(nbest[0].words)
    inputs, right, fitted = np.concatenate(features), np.array(correct, bool), np.array(half, bool)
    judged = [Calibration(), Calibration.fit(inputs[fitted], right[fitted])]
    before, after = (
        expected_calibration_error(calibration(inputs[~fitted]), right[~fitted])
        for calibration in judged
    )
    return Fit(Calibration.fit(inputs, right), before, after, int((~fitted).sum()))


def _best(trials: Iterable[Trial]) -> Trial:
    """Return the trial of lowest error rate; of equal ones, the first."""
    return min(trials, key=lambda trial: trial.wer)


def _grids(trials: dict[tuple[float, float], Trial]) -> Iterator[list[tuple[float, float]]]:
    """Yield the points to try next, given the trials so far."""
    yield [(weight, word) for weight in LM_WEIGHTS for word in WORD_SCORES]
    lm_step, word_step = LM_WEIGHTS[1] - LM_WEIGHTS[0], WORD_SCORES[1] - WORD_SCORES[0]
    for _ in range(_HALVINGS):
        lm_step, word_step = lm_step / 2, word_step / 2
        best = _best(trials.values())
        around = [
            (round(best.lm_weight + i * lm_step, 3), round(best.word_score + j * word_step, 3))
            for i in (-1, 0, 1)
            for j in (-1, 0, 1)
        ]
        yield [point for point in around if point not in trials and point[0] >= 0]


def _rescored(
    material: TuningData, decoder: BeamDecoder, best: Trial, scorer: Scorer
) -> list[Trial]:
    """Try all weights of the scorer, on hypotheses that are found and scored once."""
    search = decoder.reweighted(best.lm_weight, best.word_score)
    found = search.decode_all(material.log_probs, decoder.config.nbest)
    tables = [_table(nbest, scorer) for nbest in progress(found, "rescoring")]
    trials = []
    for weight, word in product(RESCORE_WEIGHTS, RESCORE_WORD_SCORES):
        picks = [int(np.argmax(table @ (1.0, weight, word))) for table in tables]
        texts = [nbest[pick].text for nbest, pick in zip(found, picks, strict=True)]
        rate = material.error_rate(texts)
        trials.append(replace(best, wer=rate, rescore_weight=weight, rescore_word_score=word))
    return trials


def _table(nbest: Sequence[Hypothesis], scorer: Scorer) -> NDArray[np.float64]:
    """Return score, the scorer's score and number of words of each hypothesis: (N, 3)."""
    scores = scorer.score([hypothesis.text for hypothesis in nbest])
    rows = [(h.score, score, len(h.words)) for h, score in zip(nbest, scores, strict=True)]
    return np.array(rows)

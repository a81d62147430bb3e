"""Fit decoding weights and word confidences to a development set, over cached log-probabilities.

The development set must not be the test set: weights are fitted to its references.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
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
from asr.scoring import errors_and_substitutions

# The points of the grids. Steps are smaller than what a few hundred utterances can tell apart, so
# the errors of each point are averaged three times with those beside it.
_LM_WEIGHTS = np.linspace(0.0, 2.4, 25)
_WORD_SCORES = np.linspace(-3.0, 4.0, 29)
_LSTM_WEIGHTS = np.linspace(0.0, 1.2, 13)
_SMOOTHINGS = 3
_MOST_SEARCHES = 5


@dataclass(frozen=True)
class Trial:
    """Settings, and the word error rate that they are expected to have."""

    config: DecoderConfig
    wer: float  # the mean over settings near these, a fraction

    def __str__(self) -> str:
        names = ["lm_weight", "word_score"]
        if self.config.rescore_weight:
            names += ["rescore_weight", "rescore_lm_weight", "rescore_word_score"]
        weights = "  ".join(f"{name} {getattr(self.config, name):.2f}" for name in names)
        return f"{weights}  WER {100 * self.wer:.2f}"


@dataclass(frozen=True)
class TuningData:
    """A development set: log-probabilities (T, V) and normalised references."""

    log_probs: Sequence[NDArray[np.float32]]
    references: Sequence[str]


def tune(
    material: TuningData, decoder: BeamDecoder, scorer: Scorer | None = None
) -> tuple[DecoderConfig, list[Trial]]:
    """Find the weights of the search, then those of rescoring; return what was tried, too.

    Each search leaves lists of hypotheses, and all weights are tried on these lists (Och 2003,
    'Minimum error rate training'). The search is repeated with the best weights, and its lists are
    added, until they stay the best. The scorer then weighs the lists of the last search alone, as
    it will have no others. It has weights of its own for n-gram model and words, as two language
    models share the weight that one had alone. A search that is best alone need not be best for
    the scorer, so the lists of the first one, with the weights of before, are weighed as well.

    A point of the grid counts with its neighbours: the single best point of a small set is luck.

    Raises:
        DecoderError: there is nothing to tune on.
    """
    if not material.log_probs:
        raise DecoderError("--tune: the manifest has no utterances")

    def searched() -> list[list[Hypothesis]]:
        search = decoder.reweighted(config.lm_weight, config.word_score)
        return search.decode_all(material.log_probs, config.nbest)

    config, trials = decoder.config, list[Trial]()
    lists, found = _Lists(material.references), searched()
    searches = {(config.lm_weight, config.word_score): (config, found)}
    for _ in progress(range(_MOST_SEARCHES), "tuning"):
        lists.add(found, config)
        now: tuple[float, ...] = (config.lm_weight, config.word_score)
        (lm, word), wer = lists.best(now, _LM_WEIGHTS, _WORD_SCORES)
        before, config = config, replace(config, lm_weight=lm, word_score=word)
        trials.append(Trial(replace(config, rescore_weight=0.0), wer))
        if config == before:
            break
        found = searched()
    if scorer is not None:
        searches.setdefault((config.lm_weight, config.word_score), (config, found))
        rescored = [_rescored(material, scorer, *search) for search in searches.values()]
        rescored.sort(key=lambda trial: trial.wer, reverse=True)
        trials += rescored
        config = rescored[-1].config
    return config, trials


def _rescored(
    material: TuningData, scorer: Scorer, config: DecoderConfig, found: list[list[Hypothesis]]
) -> Trial:
    """Return the best weights of rescoring for the lists of one search."""
    lists = _Lists(material.references)
    lists.add(found, config, scorer)
    now = (
        config.lm_weight + config.rescore_lm_weight,
        config.word_score + config.rescore_word_score,
        config.rescore_weight,
    )
    (lm, word, lstm), wer = lists.best(now, _LM_WEIGHTS, _WORD_SCORES, _LSTM_WEIGHTS)
    if not lstm:  # there is no rescoring then, so nothing else may change either
        lm, word = config.lm_weight, config.word_score
    best = replace(
        config,
        rescore_weight=lstm,
        rescore_lm_weight=round(lm - config.lm_weight, 3),
        rescore_word_score=round(word - config.word_score, 3),
    )
    return Trial(best, wer)


class _Lists:
    """Hypotheses of each utterance, each text once, with what all weights need to know of them."""

    def __init__(self, references: Sequence[str]) -> None:
        self.references = [reference.split() for reference in references]
        # By text: what is not weighed, the scores that are, and the word errors.
        self.rows = [dict[str, tuple[float, ...]]() for _ in references]

    def add(
        self,
        found: Sequence[Sequence[Hypothesis]],
        config: DecoderConfig,
        scorer: Scorer | None = None,
    ) -> None:
        """Add what a search with these weights has found."""
        shown = progress(found, "rescoring", shown=scorer is not None)
        for rows, nbest, reference in zip(self.rows, shown, self.references, strict=True):
            fresh = [one for one in nbest if one.text not in rows]
            more = scorer.score([one.text for one in fresh]) if scorer else None
            for place, one in enumerate(fresh):
                count = len(one.words)
                weighed = config.lm_weight * one.language + config.word_score * count
                scores = (one.language, count, *([more[place]] if more else []))
                errors, _ = errors_and_substitutions(reference, one.words)
                rows[one.text] = (one.score - weighed, *scores, errors)

    def best(
        self, now: Sequence[float], *axes: NDArray[np.float64]
    ) -> tuple[tuple[float, ...], float]:
        """Return the point of the grid with the fewest errors near it, and their rate.

        Of several, it is the one nearest to the weights of now: on an easy set, all are as good.
        """
        points = np.array(list(product(*axes)))
        weights = np.column_stack([np.ones(len(points)), points]).T
        errors = np.zeros(len(points))
        for rows in self.rows:
            table = np.array(list(rows.values()))
            errors += table[(table[:, :-1] @ weights).argmax(axis=0), -1]
        near = errors.reshape([len(axis) for axis in axes])
        for _ in range(_SMOOTHINGS):
            near = with_neighbours(near)
        equal = np.flatnonzero(near <= near.min() + 1e-9)
        steps = [axis[1] - axis[0] for axis in axes]
        away = np.square((points[equal] - now) / steps).sum(axis=1)
        place = int(equal[away.argmin()])
        words = sum(map(len, self.references))
        return tuple(points[place].round(3).tolist()), float(near.flat[place] / max(words, 1))


def with_neighbours(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean of each value and those beside it, along all axes; edges count twice."""
    for axis in range(values.ndim):
        padded = np.pad(values, [(int(at == axis),) * 2 for at in range(values.ndim)], "edge")
        values = sliding_window_view(padded, 3, axis).mean(axis=-1)
    return values


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

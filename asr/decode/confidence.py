"""Calibrated confidences of words: of the words with confidence p, a share of p is right.

    words = spoken_words(log_probs, decoder.decode(log_probs, nbest=20), frame_s, c)

Two features tell right words from wrong ones: whether the other hypotheses of the decoder agree,
and how improbable the best path through the text is around the word. A Calibration `c`, fitted to
transcribed speech, turns them into a probability. It is valid for the model and decoder to which
it was fitted: with another language model it can be far off.

Shapes: W words of the best hypothesis, T frames, V tokens. Logarithms are natural.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from rapidfuzz.distance import Levenshtein

from asr._atomic import write_atomically
from asr._json import read_json
from asr.decode.forced import Alignment, forced_alignment, timed_words
from asr.decode.hypothesis import Hypothesis
from asr.decode.settings import CALIBRATION
from asr.errors import CheckpointError
from asr.formats import Word
from asr.scoring import align

_DOUBT = 1e-3  # probability left for texts that are not in the N-best list
_LEAST_SURPRISE = 1e-3  # nats per token; words below it are equally plain
_LARGEST_WEIGHT = 1e6  # of a calibration; fits give less than 100
_LARGEST_LOGIT = 30.0  # the largest at which the probability is still less than one
_RIDGE = 1.0
_NEWTON_STEPS = 50


def spoken_words(
    log_probs: NDArray[np.float32],
    nbest: Sequence[Hypothesis],
    frame_s: float,
    calibration: "Calibration | None",
) -> tuple[Word, ...]:
    """Return the words of the best hypothesis with times and confidence.

    Args:
        log_probs: float32 (T, V) that the hypotheses were found in.
        nbest: at least one hypothesis, best first; NBEST are enough.
        frame_s: seconds from one frame to the next.
        calibration: fitted to the same model and decoder; without one, the mean probability of a
            word's tokens is its confidence.

    Raises:
        TextError, VocabularyError, CheckpointError, ValueError: as `forced_alignment` does.
    """
    alignment = forced_alignment(log_probs, nbest[0].tokens)
    words = timed_words(log_probs, nbest[0], alignment, frame_s)
    if calibration is None:
        return words
    confidences = calibration(word_features(log_probs, nbest, alignment, frame_s))
    return tuple(
        replace(word, confidence=confidence)
        for word, confidence in zip(words, confidences, strict=True)
    )


def word_confidences(nbest: Sequence[Hypothesis], scale: float = 1.0) -> tuple[float, ...]:
    """Return the posterior probability 0..1 of each word of the best hypothesis, the first.

    The hypotheses are weighted by softmax(scale * score). One supports a word if it has the same
    word at that place, in an alignment of the two with the fewest errors.

    Source: Wessel et al. 2001, 'Confidence measures for large vocabulary continuous speech
    recognition'; this is its method for N-best lists.
    """
    scores = scale * np.array([hypothesis.score for hypothesis in nbest])
    weights = np.exp(scores - scores.max())
    support = np.array([_said_too(nbest[0].words, other.words) for other in nbest])  # (N, W)
    return tuple(np.minimum(weights @ support / weights.sum(), 1.0).tolist())


def word_features(
    log_probs: NDArray[np.float32],
    nbest: Sequence[Hypothesis],
    alignment: Alignment,
    frame_s: float,
) -> NDArray[np.float64]:
    """Return two features of each word of the best hypothesis for a Calibration, (W, 2):

    - the logit of its posterior probability among the hypotheses;
    - the logarithm of its surprise: -log of the best path's probability from the end of the word
      before to the start of the word behind it, in nats for each token. Speech in the pauses
      around a word counts, for it says that the word should have been another one.

    Args:
        log_probs: float32 (T, V) that the hypotheses were found in.
        nbest: at least one hypothesis, best first.
        alignment: of the tokens of the first.
        frame_s: seconds from one frame to the next.
    """
    posteriors = np.clip(word_confidences(nbest), _DOUBT, 1 - _DOUBT)
    surprises = _surprises(log_probs, nbest[0], alignment, frame_s)
    logits = np.log(posteriors / (1 - posteriors))
    return np.stack([logits, np.log(surprises + _LEAST_SURPRISE)], axis=1)


def _said_too(words: Sequence[str], other: Sequence[str]) -> NDArray[np.bool_]:
    """Return which of the words another hypothesis has as well, (W,).

    `asr.scoring.alignment.align`, which knows of alternatives, takes 70 times as long.
    """
    same = np.zeros(len(words), np.bool_)
    for block in Levenshtein.editops(words, other).as_matching_blocks():
        same[block.a : block.a + block.size] = True
    return same


def _surprises(
    log_probs: NDArray[np.float32], best: Hypothesis, alignment: Alignment, frame_s: float
) -> NDArray[np.float64]:
    """Return the nats per token, (W,), that the best path costs around each word."""
    labels = alignment.path(best.tokens, len(log_probs))
    path = log_probs[np.arange(len(labels)), labels].astype(np.float64)
    spent = np.zeros(len(labels) + 1)  # before each frame
    np.cumsum(-path, out=spent[1:])
    words = timed_words(log_probs, best, alignment, frame_s)
    times = np.array([(word.start, word.end) for word in words]).reshape(-1, 2)
    starts, ends = np.rint(times / frame_s).astype(int).T
    before, behind = np.append(0, ends)[:-1], np.append(starts, len(labels))[1:]
    nats: NDArray[np.float64] = spent[behind] - spent[before]
    return nats / [end - begin for begin, end in best.spans]


@dataclass(frozen=True)
class Calibration:
    """A logistic function from the features of a word to the probability that it is right.

    The default is the posterior probability among the hypotheses.
    """

    bias: float = 0.0
    posterior: float = 1.0  # weight of the posterior's logit; never negative
    surprise: float = 0.0  # weight of the surprise's logarithm

    @classmethod
    def fit(cls, features: ArrayLike, correct: ArrayLike) -> "Calibration":
        """Fit to words that are known to be right or wrong: logistic regression.

        If the confidence would fall with the posterior, the posterior is left out: a calibration
        never falls with it. Few words move the result little from the default; without words it is
        the default.

        Args:
            features: (W, 2), as `word_features` gives them.
            correct: (W,) booleans, as `word_correctness` gives them.

        Raises:
            ValueError: the shapes do not fit together.
        """
        inputs, right = np.asarray(features, np.float64), np.asarray(correct, np.float64)
        if inputs.shape != (len(right), 2) or right.ndim != 1:
            raise ValueError(f"features are {inputs.shape}, correct {right.shape}; (W, 2) and (W,)")
        inputs = np.insert(inputs, 0, 1.0, axis=1)
        default = cls()
        expected = np.array([default.bias, default.posterior, default.surprise])
        weights = _logistic_regression(inputs, right, expected)
        if weights[1] < 0:
            without = np.array([1.0, 0.0, 1.0])
            weights = _logistic_regression(inputs * without, right, expected * without)
        return cls(*weights.tolist())

    def __call__(self, features: NDArray[np.float64]) -> list[float]:
        """Return the confidence of each word, between 0 and 1, from its features, (W, 2)."""
        weights = np.array([self.posterior, self.surprise])
        confidences: list[float] = _sigmoid(self.bias + features @ weights).tolist()
        return confidences

    def as_dict(self) -> dict[str, float]:
        """Return the weights, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, weights: Any) -> "Calibration":
        """Make a calibration of what as_dict returned.

        Raises:
            CheckpointError: other keys, or weights that no fit gives.
        """
        names = {field.name for field in fields(cls)}
        if not isinstance(weights, dict) or weights.keys() != names:
            raise CheckpointError(f"calibration is {weights!r}; its keys must be {sorted(names)}")
        for name, value in weights.items():
            numeric = type(value) in (int, float) and abs(value) <= _LARGEST_WEIGHT
            if not numeric or (name == "posterior" and value < 0):
                kind = "a number >= 0" if name == "posterior" else "a number"
                allowed = f"{kind}, at most {_LARGEST_WEIGHT:g} from 0"
                raise CheckpointError(f"calibration.{name} is {value!r}; it must be {allowed}")
        return cls(**weights)


def load_calibration(model: Path) -> Calibration | None:
    """Load the calibration kept with a model; None if there is none.

    Raises:
        CheckpointError: the file is not one that save_calibration writes.
    """
    path = model / CALIBRATION
    if not path.exists():
        return None
    try:
        return Calibration.from_dict(read_json(path))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read ({error})") from error
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}; copy the model again") from error


def save_calibration(model: Path, calibration: Calibration) -> None:
    """Save a calibration with a model.

    Raises:
        CheckpointError: its folder cannot be written.
    """
    try:
        write_atomically(model / CALIBRATION, json.dumps(calibration.as_dict()) + "\n")
    except OSError as error:
        raise CheckpointError(
            f"{model / CALIBRATION}: cannot be written ({error.strerror})"
        ) from error


def word_correctness(ref_words: Sequence[str], hyp_words: Sequence[str]) -> list[bool]:
    """Return whether each word of a hypothesis is right, as errors are counted.

    Raises:
        ScoreError: as `align` does.
    """
    return [op == "cor" for op, _, heard in align(ref_words, hyp_words) if heard is not None]


def expected_calibration_error(confidences: ArrayLike, correct: ArrayLike, bins: int = 10) -> float:
    """Return how far confidences are from the shares of right words, 0..1.

    The mean over the words of |confidence - correctness|, both averaged within each of `bins`
    equally wide ranges of confidence; 0 without words.

    Source: Naeini et al. 2015, 'Obtaining well calibrated probabilities using Bayesian binning';
    Guo et al. 2017, 'On calibration of modern neural networks', equation 3.

    Args:
        confidences: (W,) in 0..1.
        correct: (W,) booleans.
        bins: number of ranges.

    Raises:
        ValueError: the lengths differ, or a confidence is not in 0..1.
    """
    claimed, right = np.asarray(confidences, np.float64), np.asarray(correct, np.float64)
    if claimed.shape != right.shape:
        raise ValueError(f"{claimed.shape} confidences for {right.shape} words")
    if not ((claimed >= 0) & (claimed <= 1)).all():
        raise ValueError("a confidence is not in 0..1")
    places = np.minimum((claimed * bins).astype(int), bins - 1)
    gaps = np.bincount(places, claimed - right)
    return float(np.abs(gaps).sum() / max(len(right), 1))


def _logistic_regression(
    inputs: NDArray[np.float64], correct: NDArray[np.float64], expected: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the weights (D,) with which inputs (W, D) predict the labels `correct` (W,) best.

    Iteratively reweighted least squares: Bishop 2006, 'Pattern recognition and machine learning',
    section 4.3.3, with a ridge penalty on the distance from the expected weights, (D,), which
    keeps the weights finite where all words, or all above some confidence, are correct.
    """
    weights = np.zeros(len(expected))
    for _ in range(_NEWTON_STEPS):
        predicted = _sigmoid(inputs @ weights)
        slope = inputs.T @ (predicted - correct) + _RIDGE * (weights - expected)
        curvature = (inputs.T * (predicted * (1 - predicted))) @ inputs
        step = np.linalg.solve(curvature + _RIDGE * np.eye(len(expected)), slope)
        weights = weights - step
        if np.abs(step).max() < 1e-9:
            break
    return weights


def _sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -_LARGEST_LOGIT, _LARGEST_LOGIT))))

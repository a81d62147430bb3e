"""Word confidences against posteriors, probabilities and calibration errors known by hand."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, strategies as st

from asr.decode.beam import BeamDecoder
from asr.decode.confidence import (
    Calibration,
    expected_calibration_error,
    load_calibration,
    spoken_words,
    word_confidences,
    word_correctness,
    word_features,
)
from asr.decode.forced import TAIL_S, align_words, forced_alignment
from asr.decode.hypothesis import Hypothesis
from asr.errors import CheckpointError, ScoreError
from asr.lexicon import Lexicon
from asr.text import Vocabulary

VOCABULARY = Vocabulary(("<blank>", " ", "A", "B", "C"))
BLANK, SPACE, A, B, C = range(5)
PATH = [BLANK, A, B, BLANK, SPACE, C, BLANK]  # AB C
PEAKS = [0.9, 0.8, 0.7, 0.6, 0.9, 0.5, 0.8]


def hypothesis(text: str, score: float = 0.0) -> Hypothesis:
    return Hypothesis.of_tokens(VOCABULARY.encode(text), VOCABULARY, score)


def frames_of(path: list[int], peaks: list[float]) -> np.ndarray:
    """Frames in which the path's label has the given probability; the others share the rest."""
    probabilities = np.repeat((1 - np.array(peaks)[:, None]) / 4, 5, axis=1)
    probabilities[np.arange(len(path)), path] = peaks
    return np.log(probabilities).astype(np.float32)


def simulated(size: int, bias: float, posterior: float, surprise: float) -> tuple:
    """Features of words, the probability that each is right, and whether it is."""
    rng = np.random.default_rng(1)
    features = rng.normal(0, 1.5, (size, 2))
    probabilities = 1 / (1 + np.exp(-(bias + features @ [posterior, surprise])))
    return features, probabilities, rng.uniform(size=size) < probabilities


def test_posteriors_by_hand():
    """The second hypothesis lacks B; the third has A and B one place later, and lacks C."""
    texts = {"A B C": 0.5, "A C": 0.3, "C A B": 0.2}
    nbest = [hypothesis(text, math.log(weight) - 700) for text, weight in texts.items()]
    assert word_confidences(nbest) == pytest.approx((1.0, 0.7, 0.8))


def test_scale_flattens_the_posterior():
    nbest = [hypothesis("A B", -10.0), hypothesis("A C", -10.0 - math.log(9))]
    assert word_confidences(nbest) == pytest.approx((1.0, 0.9))
    assert word_confidences(nbest, 0.5) == pytest.approx((1.0, 0.75))
    assert word_confidences(nbest, 0.0) == pytest.approx((1.0, 0.5))


def test_one_hypothesis_is_certain_and_an_empty_one_has_no_words():
    assert word_confidences([hypothesis("A B")]) == (1.0, 1.0)
    assert word_confidences([hypothesis(""), hypothesis("A", -1.0)]) == ()


@given(
    st.lists(st.lists(st.sampled_from("ABC"), max_size=6), min_size=1, max_size=8),
    st.lists(st.floats(-50, 0), min_size=8, max_size=8),
)
def test_posteriors_are_probabilities_in_any_order(texts: list[list[str]], scores: list[float]):
    nbest = [hypothesis(" ".join(words), s) for words, s in zip(texts, scores, strict=False)]
    posteriors = word_confidences(nbest)
    assert len(posteriors) == len(texts[0])
    assert all(0 <= posterior <= 1 for posterior in posteriors)
    assert word_confidences([nbest[0], *nbest[:0:-1]]) == pytest.approx(posteriors)


def test_features_by_hand():
    """A word's surprise begins behind the word before, and ends where the next word starts."""
    log_probs = frames_of(PATH, PEAKS)
    nbest = [hypothesis("AB C", math.log(0.75)), hypothesis("AB B", math.log(0.25))]
    features = word_features(log_probs, nbest, forced_alignment(log_probs, nbest[0].tokens), 1.0)
    # no posterior is above 0.999, and a thousandth of a nat is added to every surprise
    np.testing.assert_allclose(features[:, 0], [math.log(999), math.log(3)], rtol=1e-6)
    nats = [-math.log(0.9 * 0.8 * 0.7 * 0.6 * 0.9) / 2, -math.log(0.6 * 0.9 * 0.5 * 0.8)]
    np.testing.assert_allclose(np.exp(features[:, 1]), np.array(nats) + 1e-3, rtol=1e-6)


def test_words_have_times_and_calibrated_confidences():
    log_probs = frames_of(PATH, PEAKS)
    nbest = [hypothesis("AB C", math.log(0.75)), hypothesis("AB B", math.log(0.25))]
    aligned = align_words(log_probs, nbest[0].tokens, VOCABULARY, 0.04)
    assert spoken_words(log_probs, nbest, 0.04, None) == aligned
    plain = spoken_words(log_probs, nbest, 0.04, Calibration())
    assert [(w.word, w.start, w.end) for w in plain] == [(w.word, w.start, w.end) for w in aligned]
    assert [word.confidence for word in plain] == pytest.approx([0.999, 0.75])
    fitted = Calibration(bias=0.3, posterior=0.2, surprise=-1.4)
    words = spoken_words(log_probs, nbest, 0.04, fitted)
    alignment = forced_alignment(log_probs, nbest[0].tokens)
    logits = [
        0.3 + 0.2 * logit - 1.4 * surprise
        for logit, surprise in word_features(log_probs, nbest, alignment, 0.04)
    ]
    expected = [1 / (1 + math.exp(-logit)) for logit in logits]
    assert [word.confidence for word in words] == pytest.approx(expected)
    assert all(type(word.confidence) is float for word in words)


def test_words_are_written_as_the_lexicon_does():
    best = replace(hypothesis("AB C"), words=("abbey", "C"))
    words = spoken_words(frames_of(PATH, PEAKS), [best], 0.04, Calibration())
    assert [word.word for word in words] == ["abbey", "C"]


def test_words_of_phones_have_times_without_a_token_between_them():
    """BEE and BE sound alike, ABBEY has two pronunciations; nothing separates words."""
    phones = Vocabulary(("<blank>", "AE", "B", "IY", "EY"), "word")
    spellings = [(0, (2, 3)), (1, (2, 3)), (2, (1, 2, 3)), (2, (1, 2, 4))]
    lexicon = Lexicon.of_spellings(("BEE", "BE", "ABBEY"), spellings)
    log_probs = frames_of([0, 1, 0, 2, 4, 0, 0, 2, 3, 3, 0], [0.9] * 11)
    nbest = BeamDecoder(phones, lexicon=lexicon).decode(log_probs, 20)
    assert {nbest[0].text, nbest[1].text} == {"ABBEY BEE", "ABBEY BE"}
    assert nbest[0].tokens == (1, 2, 4, 2, 3)
    assert nbest[0].spans == ((0, 3), (3, 5))
    for calibration in (None, Calibration()):
        words = spoken_words(log_probs, nbest, 0.1, calibration)
        assert [word.word for word in words] == list(nbest[0].words)
        times = [time for word in words for time in (word.start, word.end)]
        assert times == pytest.approx([0.1, 0.5 + TAIL_S, 0.7, 1.0 + TAIL_S])
    assert words[0].confidence > 0.9
    assert words[1].confidence == pytest.approx(0.5, abs=0.03)  # one of two homophones


@pytest.mark.parametrize("num_frames", [0, 3])
def test_no_words(num_frames):
    log_probs = frames_of([BLANK] * num_frames, [0.9] * num_frames)
    assert spoken_words(log_probs, [hypothesis("")], 0.04, Calibration()) == ()


def test_fit_recovers_the_parameters():
    features, probabilities, correct = simulated(200_000, -0.4, 0.6, -1.3)
    fitted = Calibration.fit(features, correct)
    assert list(fitted.as_dict().values()) == pytest.approx([-0.4, 0.6, -1.3], abs=0.03)
    assert np.abs(np.array(fitted(features)) - probabilities).max() < 0.01


def test_fit_removes_the_calibration_error():
    features, _, correct = simulated(20_000, -0.4, 0.3, -1.0)
    half = len(correct) // 2
    fitted = Calibration.fit(features[:half], correct[:half])
    before, after = (
        expected_calibration_error(calibration(features[half:]), correct[half:])
        for calibration in (Calibration(), fitted)
    )
    assert before > 0.15
    assert after < 0.03


def test_nothing_to_fit_to_gives_the_default():
    assert Calibration.fit(np.empty((0, 2)), []) == Calibration()


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_all_right_or_all_wrong(share):
    features, _, _ = simulated(500, 0.0, 1.0, -1.0)
    confidences = Calibration.fit(features, np.full(500, share))(features)
    assert all(0 < confidence < 1 for confidence in confidences)
    assert np.mean(confidences) == pytest.approx(share, abs=0.02)


def test_confidence_never_falls_with_the_posterior():
    features, _, correct = simulated(5_000, 0.2, -0.8, -1.0)  # agreement speaks against a word
    fitted = Calibration.fit(features, correct)
    assert fitted.posterior == 0
    alone = Calibration.fit(features * [0, 1], correct)
    assert (fitted.bias, fitted.surprise) == pytest.approx((alone.bias, alone.surprise))


@given(
    st.lists(
        st.tuples(st.floats(-6.9, 6.9), st.floats(-6.9, 4), st.booleans()), min_size=1, max_size=30
    )
)
def test_any_fit_is_monotone_and_within_bounds(words: list[tuple[float, float, bool]]):
    fitted = Calibration.fit([word[:2] for word in words], [word[2] for word in words])
    confidences = fitted(np.array([[logit, -1.0] for logit in (-6.9, -1.0, 0.0, 2.0, 6.9)]))
    assert confidences == sorted(confidences)
    assert all(0 < confidence < 1 for confidence in confidences)


def test_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match=r"features are \(3, 2\), correct \(2,\)"):
        Calibration.fit(np.zeros((3, 2)), [True, False])


def test_calibration_survives_json():
    fitted = Calibration(-0.42, 0.2, -1.39)
    assert Calibration.from_dict(json.loads(json.dumps(fitted.as_dict()))) == fitted


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (None, "calibration is None"),
        ({"bias": 0.0, "posterior": 1.0}, "keys must be .*surprise"),
        ({"bias": 0.0, "posterior": 1.0, "surprise": 0.0, "scale": 1.0}, "keys must be"),
        ({"bias": "0", "posterior": 1.0, "surprise": 0.0}, "bias is '0'; it must be a number"),
        ({"bias": 0.0, "posterior": -1.0, "surprise": 0.0}, "posterior is -1.0; .* >= 0"),
        ({"bias": 0.0, "posterior": 1.0, "surprise": math.nan}, "surprise is nan"),
        ({"bias": 10**400, "posterior": 1.0, "surprise": 0.0}, "bias is 1000"),  # no float holds it
        ({"bias": 1e308, "posterior": 1.0, "surprise": 0.0}, r"at most 1e\+06 from 0"),
    ],
)
def test_a_damaged_calibration(weights, message):
    with pytest.raises(CheckpointError, match=message):
        Calibration.from_dict(weights)


def test_a_damaged_calibration_is_named(tmp_path):
    path = tmp_path / "calibration.json"
    path.write_text('{"bias": 0.0, "posterior": 1' + "0" * 400 + ', "surprise": 0.0}')
    with pytest.raises(CheckpointError, match=f"^{path}: calibration.posterior is 10.* copy the"):
        load_calibration(tmp_path)


@pytest.mark.parametrize(
    ("ref", "hyp", "expected"),
    [
        ("A B C", "A C", [True, True]),
        ("A C", "A B C", [True, False, True]),
        ("A B C", "A A C", [True, False, True]),
        ("{ A / B } C", "B C", [True, True]),
        ("", "A", [False]),
        ("A", "", []),
    ],
)
def test_correctness_follows_the_alignment(ref, hyp, expected):
    assert word_correctness(ref.split(), hyp.split()) == expected


def test_correctness_by_a_reference_that_is_malformed():
    with pytest.raises(ScoreError, match="not closed"):
        word_correctness(["{", "A"], ["A"])


def test_calibration_error_by_hand():
    """Within 0.1..0.2 the sums are 0.25 and 1, within 0.9..1 they are 1.9 and 1."""
    confidences, correct = [0.1, 0.15, 0.9, 1.0], [False, True, True, False]
    assert expected_calibration_error(confidences, correct) == pytest.approx((0.75 + 0.9) / 4)
    assert expected_calibration_error(confidences, correct, bins=1) == pytest.approx(0.15 / 4)
    assert expected_calibration_error([], []) == 0


def test_calibration_error_of_simulations():
    """Of words right with probability c**2, c uniform, it is the integral of c - c**2."""
    rng = np.random.default_rng(2)
    confidences, drawn = rng.uniform(size=(2, 200_000))
    assert expected_calibration_error(confidences, drawn < confidences) < 0.01
    squared = expected_calibration_error(confidences, drawn < confidences**2)
    assert squared == pytest.approx(1 / 6, abs=0.005)


@pytest.mark.parametrize(
    ("confidences", "message"), [([0.5], "1,"), ([0.5, 1.1], "0..1"), ([0.5, math.nan], "0..1")]
)
def test_confidences_that_are_none(confidences, message):
    with pytest.raises(ValueError, match=message):
        expected_calibration_error(confidences, [True, False])

"""Recombination: a small beam finds what a large one does, and alternatives come back."""

import numpy as np
import pytest
import torch
from folders import SAMPLES
from test_beam import CHARACTERS, random_lm

import asr
from asr.audio import read_audio
from asr.ctc import ctc_loss
from asr.decode.beam import BeamDecoder
from asr.decode.hypothesis import Hypothesis
from asr.decode.settings import DecoderConfig

SAMPLE = SAMPLES / "quickstart.flac"
WORDS = ["A", "AB", "BA", "AAB", "B", "BB", "BAB"]


def mumbled(seed: int, words: int = 8) -> np.ndarray:
    """Log-probabilities as of a network that heard words, half of their tokens badly."""
    rng = np.random.default_rng(seed)
    rows = []
    for token in CHARACTERS.encode(" ".join(rng.choice(WORDS, words))):
        rows += [[0.99997, 1e-5, 1e-5, 1e-5]] * int(rng.integers(1, 4))
        lost = rng.choice([0.01, 0.6])
        rows.append((1 - lost) * np.eye(4)[token] + lost * rng.dirichlet(np.full(4, 0.5)))
    return np.log(np.array(rows) + 1e-9).astype(np.float32)


def decode(seed: int, nbest: int = 1, **settings: object) -> list[Hypothesis]:
    config = DecoderConfig(lm_weight=0.7, word_score=0.3, **settings)
    decoder = BeamDecoder(CHARACTERS, config, lm=random_lm(WORDS, 1))
    return decoder.decode(mumbled(seed), nbest)


def test_the_best_is_nearly_always_that_of_a_wide_search_without():
    """Nearly: paths that arrive later at what was merged are missing."""
    wide = [decode(seed, beam_size=3000, recombine=False)[0].words for seed in range(20)]
    found = [decode(seed, beam_size=50)[0].words for seed in range(20)]
    narrow = [decode(seed, beam_size=50, recombine=False)[0].words for seed in range(20)]
    assert sum(a == b for a, b in zip(found, wide, strict=True)) >= 18
    assert sum(a == b for a, b in zip(narrow, wide, strict=True)) < 18


def test_alternatives_have_the_probability_that_they_claim():
    """On a real recording, in the order of the search: an LSTM prefers some that were cut more."""
    recognizer = asr.load_model(options=asr.DecodingOptions(settings={"rescore_weight": 0}))
    decoder, acoustics = recognizer.decoder, recognizer.acoustics
    waveform = read_audio(SAMPLE, sample_rate_hz=acoustics.sample_rate_hz).waveform
    log_probs = acoustics.log_probs(waveform)
    found = decoder.decode(log_probs, 20)
    assert len(found) == 20
    num_frames, errors = torch.tensor([len(log_probs)]), []
    for hypothesis in found:
        tokens = torch.tensor([hypothesis.tokens])
        num_tokens = torch.tensor([len(hypothesis.tokens)])
        exact = -float(ctc_loss(torch.tensor(log_probs)[None], num_frames, tokens, num_tokens))
        errors.append(hypothesis.acoustic - exact)
    assert errors[0] == pytest.approx(0, abs=0.1)
    assert np.median(np.abs(errors)) < 0.1
    assert np.mean(np.abs(errors) < 1) >= 0.8


def test_what_was_merged_is_an_alternative_only_if_remembered():
    decoder = BeamDecoder(CHARACTERS, lm=random_lm(WORDS, 1))
    searches = [decoder.start(remember=remember) for remember in (False, True)]
    for search in searches:
        search.advance(mumbled(5, words=25))
    few, many = (search.hypotheses(200) for search in searches)
    assert few[0] == many[0]
    early = [{hypothesis.words[:15] for hypothesis in found} for found in (few, many)]
    assert len(early[0]) < len(early[1])


def test_without_a_language_model_everything_stays_apart():
    kept, recombined = (
        BeamDecoder(CHARACTERS, DecoderConfig(recombine=recombine)).decode(mumbled(1, 3), 100)
        for recombine in (False, True)
    )
    assert kept == recombined

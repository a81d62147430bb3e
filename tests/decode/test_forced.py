"""Forced alignment against all paths, against a table of back-pointers, and by hand."""

from itertools import groupby, pairwise, product

import numpy as np
import pytest
from folders import ENGLISH, SAMPLES
from hypothesis import given, settings, strategies as st

from asr.audio import read_audio
from asr.decode.forced import (
    TAIL_S,
    _placed as placed,
    align_words,
    forced_alignment,
    longest_s,
    unwritten_speech,
)
from asr.errors import CheckpointError, TextError, VocabularyError
from asr.formats import Word
from asr.inference import open_acoustics
from asr.text import Vocabulary

CHARACTERS = Vocabulary(("<blank>", " ", "A", "B", "C"))
SPACE, A, B, C = 1, 2, 3, 4


def random_log_probs(num_frames: int, vocabulary: int, seed: int) -> np.ndarray:
    """Return float32 (T, V); no two paths are as probable."""
    probs = np.random.default_rng(seed).dirichlet(np.ones(vocabulary), num_frames)
    return np.log(probs).astype(np.float32)


def log_probs_of(path: list[int], vocabulary: int = 5, probability: float = 0.8) -> np.ndarray:
    """Return (T, V) whose best path is the one given, with the same probability in each frame."""
    probs = np.full((len(path), vocabulary), (1 - probability) / (vocabulary - 1), np.float32)
    probs[np.arange(len(path)), path] = probability
    return np.log(probs)


def collapse(path: tuple[int, ...]) -> tuple[list[int], list[list[int]]]:
    """Return the tokens that a path writes, and [first frame, frame after the last] of each."""
    tokens, spans, at = [], [], 0
    for token, run in groupby(path):
        length = len(list(run))
        if token:
            tokens.append(token)
            spans.append([at, at + length])
        at += length
    return tokens, spans


def with_back_pointers(log_probs: np.ndarray, tokens: list[int]) -> tuple[float, list[list[int]]]:
    """The same by a table over all frames, for tokens of which there is at least one."""
    labels = [0]
    for token in tokens:
        labels += [token, 0]
    scores = [-np.inf] * len(labels)
    scores[:2] = log_probs[0, labels[:2]].astype(float).tolist()
    table = []
    for frame in log_probs[1:].astype(float):
        origins = []
        for state, label in enumerate(labels):
            allowed = [state, state - 1][: 1 + (state > 0)]
            if state > 1 and label and label != labels[state - 2]:
                allowed.append(state - 2)
            origins.append(max(allowed, key=lambda origin: scores[origin]))
        table.append(origins)
        scores = [scores[o] + frame[k] for o, k in zip(origins, labels, strict=True)]
    state = max((len(labels) - 1, len(labels) - 2), key=lambda end: scores[end])
    best, path = scores[state], [state]
    for origins in reversed(table):
        path.append(origins[path[-1]])
    states = np.array(path[::-1])
    places = [np.flatnonzero(states == 2 * u + 1) for u in range(len(tokens))]
    return best, [[int(place[0]), int(place[-1]) + 1] for place in places]


@settings(max_examples=60)
@given(st.data(), st.integers(0, 6), st.integers(2, 3), st.integers(0, 2**32 - 1))
def test_equals_the_best_of_all_paths(data, num_frames: int, vocabulary: int, seed: int):
    log_probs = random_log_probs(num_frames, vocabulary, seed)
    paths = list(product(range(vocabulary), repeat=num_frames))
    tokens = data.draw(st.sampled_from([collapse(path)[0] for path in paths]))
    score, best = max(
        (float(sum(log_probs[t, token].astype(float) for t, token in enumerate(path))), path)
        for path in paths
        if collapse(path)[0] == tokens
    )
    found = forced_alignment(log_probs, tokens)
    assert found.log_prob == pytest.approx(score, abs=1e-9)
    assert found.spans.tolist() == collapse(best)[1]


@pytest.mark.parametrize(("num_frames", "num_tokens"), [(1, 1), (99, 30), (100, 3), (143, 99)])
def test_blocks_equal_one_table(num_frames: int, num_tokens: int):
    rng = np.random.default_rng(num_frames)
    log_probs = random_log_probs(num_frames, 8, num_frames)
    tokens = rng.integers(1, 8, num_tokens).tolist()
    found = forced_alignment(log_probs, tokens)
    score, spans = with_back_pointers(log_probs, tokens)
    assert found.log_prob == pytest.approx(score, abs=1e-9)
    assert found.spans.dtype == np.int32
    assert found.spans.tolist() == spans


def test_as_many_frames_as_needed_leave_no_choice():
    tokens = [A, A, B, B, B, A]
    found = forced_alignment(random_log_probs(9, 5, 0), tokens)
    assert found.spans.tolist() == [[0, 1], [2, 3], [3, 4], [5, 6], [7, 8], [8, 9]]
    with pytest.raises(TextError, match="needs 9 frames, the recording has 8"):
        forced_alignment(random_log_probs(8, 5, 0), tokens)


def test_equal_tokens_keep_a_blank_between_them():
    log_probs = log_probs_of([A, A, A, A])  # a blank is improbable everywhere
    first, second = forced_alignment(log_probs, [A, A]).spans.tolist()
    assert first[1] + 1 == second[0]


@pytest.mark.parametrize("num_frames", [0, 1, 7])
def test_no_tokens_are_all_blanks(num_frames: int):
    log_probs = random_log_probs(num_frames, 3, 1)
    found = forced_alignment(log_probs, [])
    assert found.spans.shape == (0, 2)
    assert found.log_prob == pytest.approx(log_probs[:, 0].sum(dtype=float))
    assert align_words(log_probs, [], CHARACTERS, 0.03) == ()


def test_layout_of_the_array_does_not_matter():
    log_probs = random_log_probs(20, 5, 3)
    read_only = log_probs.copy()
    read_only.flags.writeable = False
    expected = forced_alignment(log_probs, [A, B]).spans.tolist()
    for same in (read_only, np.asfortranarray(log_probs), np.repeat(log_probs, 2, axis=0)[::2]):
        assert forced_alignment(same, [A, B]).spans.tolist() == expected


@pytest.mark.parametrize("token", [0, 5, -1])
def test_tokens_outside_the_vocabulary(token: int):
    with pytest.raises(VocabularyError, match=rf"id {token} is no token; allowed: 1\.\.4"):
        forced_alignment(random_log_probs(5, 5, 0), [A, token])


def test_bad_log_probs():
    log_probs = random_log_probs(5, 5, 0)
    log_probs[3, 4] = np.nan
    with pytest.raises(CheckpointError, match="NaN"):
        forced_alignment(log_probs, [A])
    with pytest.raises(ValueError, match="3 axes"):
        forced_alignment(log_probs[None], [A])


def test_text_without_probability():
    log_probs = random_log_probs(5, 5, 0)
    log_probs[:, B] = -np.inf
    assert forced_alignment(log_probs, [A]).log_prob > -np.inf
    with pytest.raises(TextError, match="probability 0"):
        forced_alignment(log_probs, [A, B])


def test_words_by_hand():
    path = [0, A, 0, B, B, 0, SPACE, 0, C, 0, 0, 0, 0, 0, 0]
    log_probs = log_probs_of(path)
    log_probs[3, [B, 0]] = log_probs[3, [0, B]] + np.log(0.5)  # B peaks in frame 4
    log_probs[8, C] = np.log(0.4)
    words = align_words(log_probs, [A, B, SPACE, C], CHARACTERS, 0.03)
    assert [word.word for word in words] == ["AB", "C"]
    times = [(word.start, word.end) for word in words]
    # AB ends where the space begins, C goes on for TAIL_S behind frame 8
    np.testing.assert_allclose(times, [(0.03, 0.18), (0.24, 0.27 + TAIL_S)])
    assert [word.confidence for word in words] == pytest.approx([0.8, 0.4])
    assert all(type(value) is float for value in vars(words[0]).values() if value != "AB")


def test_spaces_around_words_are_no_words():
    tokens = [SPACE, A, SPACE, SPACE, B, SPACE]
    words = align_words(random_log_probs(40, 5, 2), tokens, CHARACTERS, 0.03)
    assert [word.word for word in words] == ["A", "B"]


def test_of_word_models_each_token_is_a_word():
    vocabulary = Vocabulary(("<blank>", "do", "re"), "word")
    log_probs = log_probs_of([1, 0, 1, 2, 0, 0, 0, 0, 0, 0], vocabulary=3)
    words = align_words(log_probs, [1, 1, 2], vocabulary, 0.05)
    assert words == (
        Word("do", 0.0, 0.1, pytest.approx(0.8)),  # up to the next one, two frames on
        Word("do", pytest.approx(0.1), pytest.approx(0.15), pytest.approx(0.8)),
        Word("re", pytest.approx(0.15), pytest.approx(0.2 + TAIL_S), pytest.approx(0.8)),
    )


@given(st.lists(st.sampled_from([SPACE, A, B, C]), max_size=12), st.integers(0, 2**32 - 1))
def test_words_are_in_order_and_within_the_frames(tokens: list[int], seed: int):
    log_probs = random_log_probs(24, 5, seed)
    words = align_words(log_probs, tokens, CHARACTERS, 0.03)
    assert [word.word for word in words] == CHARACTERS.decode(tokens).split()
    times = [time for word in words for time in (word.start, word.end)]
    assert times == sorted(times)
    assert all(0 <= time <= 24 * 0.03 for time in times)
    assert all(word.start < word.end and 0 < word.confidence <= 1 for word in words)


def test_english_model_on_its_sample():
    acoustics = open_acoustics(ENGLISH)
    recording = read_audio(SAMPLES / "quickstart.flac")
    text = (SAMPLES / "quickstart.txt").read_text().strip()
    tokens = acoustics.vocabulary.encode(text)
    frame_s = acoustics.frame_shift_ms / 1000
    words = align_words(
        acoustics.log_probs(recording.waveform), tokens, acoustics.vocabulary, frame_s
    )
    assert [word.word for word in words] == text.split()
    times = [time for word in words for time in (word.start, word.end)]
    assert times == sorted(times)
    assert 0 <= times[0] < times[-1] <= recording.quality.duration + frame_s


@pytest.mark.slow
def test_an_hour_takes_less_than_a_gigabyte():
    """A table of back-pointers would take 12 GB."""
    resource = pytest.importorskip("resource")
    rng = np.random.default_rng(0)
    path = np.zeros(120_000, int)
    places = 2 * np.sort(rng.choice(60_000, 50_000, replace=False))
    path[places] = rng.integers(1, 29, 50_000)
    log_probs = log_probs_of(path, vocabulary=29)
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = forced_alignment(log_probs, path[places])
    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb
    np.testing.assert_array_equal(found.spans, np.stack([places, places + 1], axis=1))
    assert found.log_prob == pytest.approx(120_000 * np.log(0.8), rel=1e-6)
    assert grown_kb < 1_000_000


# Texts that lack words of their recording


def spoken(*parts: tuple[str, int]) -> np.ndarray:
    """Return log-probabilities of letters, two frames each, and of as many blanks after each part.

    Every letter leaves a little probability to all others, as those of a network do.
    """
    path = list[int]()
    for letters, pause in parts:
        for letter in letters:
            path += [LETTERS.tokens.index(letter)] * 2 + [0]
        path += [0] * pause
    return log_probs_of(path, len(LETTERS), 0.9)


LETTERS = Vocabulary(("<blank>", " ", *"ABCDEFGH"))


@pytest.mark.parametrize(
    "parts",
    [
        [("AB", 4), (" CD ", 4), ("EFGHEFGHD" * 4, 0)],  # trailing speech that has a D, too
        [("AB", 4), ("EFGHEFGHC" * 4, 9), (" CD ", 0)],  # inner speech that has a C
        [("EFGHEFGHA" * 4, 0), (" AB", 4), (" CD ", 60)],  # leading speech, trailing silence
        [("AB", 60), (" CD ", 60)],  # inner silence
    ],
)
def test_a_word_is_not_torn_by_speech_without_text(parts: list[tuple[str, int]]):
    log_probs = spoken(*parts)
    truth = {}
    at = 0
    for letters, pause in parts:
        if letters.strip() in ("AB", "CD"):
            first = at + 3 * letters.index(letters.strip())
            truth[letters.strip()] = 0.03 * first, 0.03 * (first + 5)
        at += 3 * len(letters) + pause
    words = align_words(log_probs, LETTERS.encode("AB CD"), LETTERS, 0.03)
    for word in words:
        start, end = truth[word.word]
        assert word.start == pytest.approx(start, abs=1e-6)
        assert end <= word.end <= end + TAIL_S + 1e-6


def test_ordinary_words_stay_as_the_best_path_has_them():
    """Looking for torn words changes nothing where there are none."""
    log_probs = spoken(("AB ", 2), ("CDE ", 30), ("FG", 3))
    tokens = LETTERS.encode("AB CDE FG")
    words = align_words(log_probs, tokens, LETTERS, 0.03)
    frames = forced_alignment(log_probs, tokens).spans
    assert [word.start for word in words] == [frames[u, 0] * 0.03 for u in (0, 3, 7)]


@settings(max_examples=50)
@given(st.lists(st.sampled_from("AB CD"), min_size=1, max_size=8), st.integers(0, 2**32 - 1))
def test_no_word_lasts_longer_than_allowed(letters: list[str], seed: int):
    text = " ".join("".join(letters).split())
    log_probs = random_log_probs(300, len(LETTERS), seed)
    words = align_words(log_probs, LETTERS.encode(text), LETTERS, 0.03)
    assert [word.word for word in words] == text.split()
    assert all(word.end - word.start <= longest_s(word.word) + TAIL_S + 1e-6 for word in words)
    times = [time for word in words for time in (word.start, word.end)]
    assert times == sorted(times)


def test_a_word_is_placed_where_brute_force_places_it():
    rng = np.random.default_rng(5)
    for _ in range(20):
        log_probs = random_log_probs(30, 5, int(rng.integers(2**32)))
        tokens = rng.integers(1, 5, int(rng.integers(1, 4))).tolist()
        found = placed(log_probs, tokens, 9)
        regret = log_probs.astype(float) - log_probs.max(axis=1, keepdims=True)
        spans = [(s, e) for s in range(30) for e in range(s + 1, min(s + 9, 30) + 1)]
        best = -np.inf
        for start, stop in spans:
            part = log_probs[start:stop]
            if stop - start >= len(tokens) + sum(a == b for a, b in pairwise(tokens)):
                path = forced_alignment(part, tokens)
                edges = path.spans[0, 0] == 0 and path.spans[-1, 1] == stop - start
                score = path.log_prob - part.max(axis=1).sum(dtype=float)
                if edges and score > best + 1e-9:
                    best, expected = score, start + path.spans
        assert regret[found[0, 0] : found[-1, 1]].sum() <= 0
        assert found.tolist() == expected.tolist()


def test_speech_without_text_is_told():
    log_probs = spoken(("AB", 30), ("CDCDCD", 40), ("E", 10), ("F", 0))
    words = align_words(log_probs, LETTERS.encode("AB"), LETTERS, 0.03)
    stretches = unwritten_speech(log_probs, words, 0.03)
    # CDCDCD from frame 36 to 53, E from 94 and F to 108, a third of a second apart
    np.testing.assert_allclose(stretches, [(36 * 0.03, 53 * 0.03), (94 * 0.03, 109 * 0.03)])
    assert unwritten_speech(log_probs[:36], words, 0.03) == []

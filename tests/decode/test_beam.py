"""Beam search against exhaustive enumeration, and what must hold of any search."""

import itertools
import math
import subprocess
import sys
from collections import defaultdict

import numpy as np
import pytest
from folders import ROOT
from hypothesis import given, strategies as st

from asr.decode.beam import BeamDecoder
from asr.decode.greedy import best_path
from asr.decode.hypothesis import Hypothesis
from asr.decode.search import NODES
from asr.decode.settings import DecoderConfig
from asr.decode.state import compact
from asr.errors import DecoderError
from asr.lexicon import Lexicon
from asr.lm import Level, NgramModel
from asr.text import Vocabulary

CHARACTERS = Vocabulary(("<blank>", " ", "A", "B"))
PHONES = Vocabulary(("<blank>", "AA", "B", "K"), "word")
EVERYTHING = {
    "beam_size": 100_000,
    "beam_threshold": math.inf,
    "token_threshold": -math.inf,
    "recombine": False,
}


def random_log_probs(seed: int, frames: int = 5, tokens: int = 4) -> np.ndarray:
    probabilities = np.random.default_rng(seed).dirichlet(np.full(tokens, 0.7), frames)
    return np.log(probabilities + 1e-9).astype(np.float32)


def token_strings(log_probs: np.ndarray) -> dict[tuple[int, ...], float]:
    """Log-probability of every string of tokens, summed over all alignments."""
    sums: dict[tuple[int, ...], float] = defaultdict(lambda: -math.inf)
    frames = log_probs.astype(float)
    for path in itertools.product(range(frames.shape[1]), repeat=len(frames)):
        tokens = tuple(token for token, _ in itertools.groupby(path) if token)
        score = sum(frame[token] for frame, token in zip(frames, path, strict=True))
        sums[tokens] = np.logaddexp(sums[tokens], score)
    return sums


def random_lm(words: list[str], seed: int) -> NgramModel:
    """A bigram model with back-off; its probabilities need not add up to one here."""
    rng = np.random.default_rng(seed)
    vocabulary = ["<unk>", "<s>", "</s>", *words]
    size = len(vocabulary)
    unigrams = Level(
        np.arange(size, dtype=np.int32)[:, None],
        rng.uniform(-4, -1, size),
        rng.uniform(-1, 0, size),
    )
    pairs = np.argwhere(rng.uniform(size=(size, size)) < 0.5).astype(np.int32)
    bigrams = Level(pairs, rng.uniform(-3, 0, len(pairs)), np.zeros(len(pairs)))
    return NgramModel.from_levels(vocabulary, [unigrams, bigrams])


def summed(scored: list[tuple[tuple[str, ...], float]]) -> dict[tuple[str, ...], float]:
    sums: dict[tuple[str, ...], float] = defaultdict(lambda: -math.inf)
    for words, score in scored:
        sums[words] = np.logaddexp(sums[words], score)
    return {words: score for words, score in sums.items() if score > -math.inf}


def assert_same(decoder: BeamDecoder, log_probs: np.ndarray, expected: dict) -> None:
    found = {h.words: h.score for h in decoder.decode(log_probs, nbest=100_000)}
    assert found.keys() == expected.keys()
    assert [found[w] for w in expected] == pytest.approx(list(expected.values()), abs=1e-4)


def words_of(tokens: tuple[int, ...]) -> tuple[str, ...] | None:
    """The words of a string of characters; None where a space stands first or twice."""
    text = "".join(CHARACTERS.tokens[token] for token in tokens)
    return None if text.startswith(" ") or "  " in text else tuple(text.split())


@pytest.mark.parametrize("seed", range(8))
def test_no_model_equals_enumeration(seed):
    log_probs = random_log_probs(seed)
    strings = token_strings(log_probs).items()
    expected = summed([(words_of(t), s) for t, s in strings if words_of(t) is not None])
    assert_same(BeamDecoder(CHARACTERS, DecoderConfig(**EVERYTHING)), log_probs, expected)


@pytest.mark.parametrize("open_vocabulary", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_word_model_equals_enumeration(seed, open_vocabulary):
    log_probs, lm = random_log_probs(seed), random_lm(["A", "AB", "BA", "AAB"], seed)
    config = DecoderConfig(
        lm_weight=0.7, word_score=0.3, oov_score=-1.5, open_vocabulary=open_vocabulary, **EVERYTHING
    )
    scored = []
    for tokens, acoustic in token_strings(log_probs).items():
        words = words_of(tokens)
        if words is None or (not open_vocabulary and not set(words) <= set(lm.words)):
            continue
        outside = sum(word not in lm.words for word in words)
        language = 0.7 * sum(lm.score(words)) + 0.3 * len(words) - 1.5 * outside
        scored.append((words, acoustic + language))
    assert_same(BeamDecoder(CHARACTERS, config, lm=lm), log_probs, summed(scored))


@pytest.mark.parametrize("seed", range(8))
def test_character_model_equals_enumeration(seed):
    log_probs, lm = random_log_probs(seed), random_lm(["<space>", "A", "B"], seed)
    config = DecoderConfig(lm_weight=0.5, word_score=0.2, **EVERYTHING)
    expected: dict[tuple[str, ...], float] = defaultdict(lambda: -math.inf)
    for tokens, acoustic in token_strings(log_probs).items():
        words = words_of(tokens)
        if words is not None:
            names = ["<space>" if token == 1 else CHARACTERS.tokens[token] for token in tokens]
            score = acoustic + 0.5 * sum(lm.score(names)) + 0.2 * len(words)
            expected[words] = np.logaddexp(expected[words], score)
    assert_same(BeamDecoder(CHARACTERS, config, lm=lm), log_probs, expected)


PRONUNCIATIONS = {"BAA": [(2, 1)], "BAH": [(2, 1)], "KAB": [(3, 1, 2), (3, 2)], "A": [(1,)]}


def segmentations(tokens: tuple[int, ...]) -> list[tuple[str, ...]]:
    """All ways to read phones as words of PRONUNCIATIONS."""
    if not tokens:
        return [()]
    return [
        (word, *rest)
        for word, spellings in PRONUNCIATIONS.items()
        for spelling in spellings
        if tokens[: len(spelling)] == spelling
        for rest in segmentations(tokens[len(spelling) :])
    ]


@pytest.mark.parametrize("seed", range(8))
def test_phones_with_homophones_and_variants_equal_enumeration(seed, tmp_path):
    names = ["", "aa0", "b", "k"]
    lines = [
        f"{word.lower()}{f'({i})' if i > 1 else ''} {' '.join(names[t] for t in spelling)}"
        for word, spellings in PRONUNCIATIONS.items()
        for i, spelling in enumerate(spellings, 1)
    ]
    (tmp_path / "lexicon.dict").write_text("\n".join(lines) + " # a comment\n;;; another\n")
    lexicon = Lexicon.load(tmp_path / "lexicon.dict", PHONES)
    log_probs, lm = random_log_probs(seed), random_lm(["BAA", "BAH", "KAB"], seed)
    config = DecoderConfig(lm_weight=0.6, word_score=-0.1, **EVERYTHING)
    scored = [
        (words, acoustic + 0.6 * sum(lm.score(words)) - 0.1 * len(words))
        for tokens, acoustic in token_strings(log_probs).items()
        for words in segmentations(tokens)
    ]
    assert_same(BeamDecoder(PHONES, config, lm=lm, lexicon=lexicon), log_probs, summed(scored))


def test_words_as_tokens_need_no_separator():
    digits = Vocabulary(("<blank>", "ONE", "TWO"), "word")
    lm = random_lm(["ONE", "TWO"], 3)
    log_probs = random_log_probs(5, frames=6, tokens=3)
    scored = [
        (words, acoustic + 0.8 * sum(lm.score(words)) + len(words))
        for tokens, acoustic in token_strings(log_probs).items()
        for words in [tuple(digits.tokens[token] for token in tokens)]
    ]
    assert_same(BeamDecoder(digits, DecoderConfig(**EVERYTHING), lm=lm), log_probs, summed(scored))


@pytest.mark.parametrize("seed", range(4))
def test_hotwords_add_their_boost_to_whole_words_only(seed):
    log_probs = random_log_probs(seed, frames=6)
    config = DecoderConfig(hotword_boost=0.9, **EVERYTHING)
    plain = {h.words: h.score for h in BeamDecoder(CHARACTERS, config).decode(log_probs, 10**6)}
    phrases = [("AB",), ("B", "A")]
    expected = {}
    for words, score in plain.items():
        places = [words[i : i + len(p)] == p for p in phrases for i in range(len(words))]
        tokens = [len(" ".join(p)) for p in phrases for _ in words]
        expected[words] = score + 0.9 * sum(t for p, t in zip(places, tokens, strict=True) if p)
    decoder = BeamDecoder(CHARACTERS, config, hotwords=["AB", "B A", "AB"])
    assert_same(decoder, log_probs, expected)


def test_larger_boost_never_loses_a_hotword():
    log_probs = random_log_probs(11, frames=40)
    found = []
    for boost in (0.0, 0.5, 1.0, 2.0, 4.0, 8.0):
        decoder = BeamDecoder(CHARACTERS, DecoderConfig(hotword_boost=boost), hotwords=["ABBA"])
        found.append(decoder.decode(log_probs)[0].words.count("ABBA"))
    assert found == sorted(found)
    assert found[0] == 0 < found[-1]


def test_hotword_outside_of_the_lexicon_becomes_a_word():
    log_probs = np.full((9, 4), -20, np.float32)
    for frame, token in enumerate((3, 0, 3, 3, 1, 2, 0, 0, 3)):  # B B _ A B
        log_probs[frame, token] = -0.01
    lm = random_lm(["A", "AB"], 1)
    assert BeamDecoder(CHARACTERS, lm=lm).decode(log_probs)[0].text != "BB AB"
    decoder = BeamDecoder(CHARACTERS, lm=lm, hotwords=["BB"])
    assert decoder.decode(log_probs)[0].text == "BB AB"


@pytest.mark.parametrize("parts", [(1,) * 60, (7, 0, 53), (59, 1)])
def test_parts_give_what_the_whole_gives(parts):
    log_probs, lm = random_log_probs(2, frames=60), random_lm(["A", "AB", "BAB"], 2)
    decoder = BeamDecoder(CHARACTERS, lm=lm, hotwords=["AB A"])
    search = decoder.start(remember=True)
    for part in np.split(log_probs, np.cumsum(parts)[:-1]):
        search.advance(part)
        search.hypotheses()  # looking changes nothing
    assert search.hypotheses(20) == decoder.decode(log_probs, 20)


def test_a_compacted_tree_goes_on_as_before():
    log_probs = random_log_probs(4, frames=80)
    decoder = BeamDecoder(CHARACTERS, DecoderConfig(beam_size=20), lm=random_lm(["A", "BA"], 4))
    search = decoder.start(remember=True)
    for frame in log_probs:
        search.advance(frame[None])
        before = search.state.counts[NODES]
        search.state = compact(search.state)
        assert search.state.counts[NODES] <= before
    assert search.state.counts[NODES] < 80 * 20 / 2
    assert search.hypotheses(20) == decoder.decode(log_probs, 20)


def test_nbest_is_sorted_without_doubles_and_starts_with_the_best():
    log_probs = random_log_probs(6, frames=30)
    decoder = BeamDecoder(CHARACTERS, lm=random_lm(["A", "B", "AB"], 6))
    found = decoder.decode(log_probs, nbest=30)
    assert len(found) == 30
    assert len({h.words for h in found}) == 30
    assert [h.score for h in found] == sorted((h.score for h in found), reverse=True)
    assert found[0].words == decoder.decode(log_probs)[0].words


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([(CHARACTERS, None, False), (CHARACTERS, "lm", True), (PHONES, "lm", False)]),
    st.integers(2, 30),
)
def test_the_best_is_the_first_of_many(seed, decoder, beam_size):
    """With words that end with a separator or without, spelled in several ways, or unknown."""
    vocabulary, lm, open_vocabulary = decoder
    spelled = [(i, s) for i, ways in enumerate(PRONUNCIATIONS.values()) for s in ways]
    words = list(PRONUNCIATIONS) if vocabulary is PHONES else ["A", "AB", "BA"]
    decoder = BeamDecoder(
        vocabulary,
        DecoderConfig(beam_size=beam_size, open_vocabulary=open_vocabulary, oov_score=-1.0),
        lm=random_lm(words, seed) if lm else None,
        lexicon=Lexicon.of_spellings(words, spelled) if vocabulary is PHONES else None,
    )
    log_probs = random_log_probs(seed, frames=12)
    found = decoder.decode(log_probs, 10**6)
    for nbest in (1, 2, 20):
        assert decoder.decode(log_probs, nbest) == found[:nbest]
    assert len({hypothesis.words for hypothesis in found}) == len(found)
    for hypothesis in found:
        assert len(hypothesis.spans) == len(hypothesis.words)
        if vocabulary is CHARACTERS:
            assert hypothesis.text == vocabulary.decode(hypothesis.tokens)
            read = Hypothesis.of_tokens(hypothesis.tokens, vocabulary, 0.0)
            assert (read.words, read.spans) == (hypothesis.words, hypothesis.spans)
        for word, (begin, end) in zip(hypothesis.words, hypothesis.spans, strict=True):
            spelled = hypothesis.tokens[begin:end]
            if vocabulary is CHARACTERS:
                assert word == vocabulary.decode(spelled)
            elif end < len(hypothesis.tokens):
                assert spelled in PRONUNCIATIONS[word]
            else:  # where no hypothesis can end, the last word begins as it was spelled
                assert any(way[: len(spelled)] == spelled for way in PRONUNCIATIONS[word])


def test_without_a_lexicon_a_model_over_words_writes_its_own():
    best = BeamDecoder(PHONES).decode(random_log_probs(3, frames=20))[0]
    assert best.words == tuple(PHONES.tokens[token] for token in best.tokens)


def test_a_sure_network_is_read_as_greedy_reads_it():
    rng = np.random.default_rng(0)
    path = rng.choice([0, 0, 2, 3], 200)
    log_probs = np.full((200, 4), np.log(0.001), np.float32)
    log_probs[np.arange(200), path] = np.log(0.997)
    best = BeamDecoder(CHARACTERS).decode(log_probs)[0]
    assert list(best.tokens) == best_path(log_probs)
    assert best.text == CHARACTERS.decode(best_path(log_probs))


def test_decode_all_keeps_the_order():
    batch = [random_log_probs(seed, frames=20 + seed) for seed in range(6)]
    decoder = BeamDecoder(CHARACTERS, lm=random_lm(["A", "B"], 6))
    assert decoder.decode_all(batch, 3, threads=2) == [decoder.decode(x, 3) for x in batch]


def test_nothing_is_an_empty_hypothesis():
    (best,) = BeamDecoder(CHARACTERS).decode(np.zeros((0, 4), np.float32))
    assert (best.words, best.tokens, best.acoustic) == ((), (), 0.0)


def test_unfinished_words_are_given_where_the_lexicon_allows_no_end():
    log_probs = np.full((1, 4), -np.inf, np.float32)
    log_probs[0, 2] = 0.0  # nothing but an A, and no word is A
    lexicon, left_out = Lexicon.of_words(["AB"], CHARACTERS)
    assert not left_out
    assert BeamDecoder(CHARACTERS, lexicon=lexicon).decode(log_probs)[0].text == "A"


@pytest.mark.parametrize(
    ("log_probs", "message"),
    [
        (np.zeros((3, 5), np.float32), r"\(3, 5\)"),
        (np.zeros(4, np.float32), r"\(4,\)"),
        (np.full((3, 4), np.nan, np.float32), "NaN"),
    ],
)
def test_wrong_log_probs_are_refused(log_probs, message):
    with pytest.raises(ValueError, match=message):
        BeamDecoder(CHARACTERS).decode(log_probs)


def test_hotwords_that_cannot_be_spelled_are_named():
    with pytest.raises(DecoderError, match=r"hotword 'B C': 'C' cannot be spelled"):
        BeamDecoder(CHARACTERS, hotwords=["A", "B C"])


def test_open_vocabulary_needs_a_separator():
    lexicon = Lexicon.of_spellings(("A",), ((0, (1,)),))
    with pytest.raises(DecoderError, match="open_vocabulary"):
        BeamDecoder(PHONES, DecoderConfig(open_vocabulary=True), lexicon=lexicon)


def test_a_model_in_another_case_is_named():
    with pytest.raises(DecoderError, match="upper and lower case"):
        BeamDecoder(CHARACTERS, lm=random_lm(["a", "ab"], 1))


@pytest.mark.parametrize(
    "key", ["lm_weight", "hotword_boost", "beam_size", "beam_threshold", "token_threshold"]
)
def test_settings_out_of_range_are_named(key):
    wrong = 1.0 if key == "token_threshold" else -1
    with pytest.raises(DecoderError, match=f"decoder.{key} is {wrong}"):
        DecoderConfig(**{key: wrong})


@pytest.mark.parametrize(
    "change",
    [
        {"beam_size": 2},
        {"beam_threshold": 0.5},
        {"token_threshold": -0.7},
        {"lm_weight": 3.0},
        {"word_score": 4.0},
        {"oov_score": 3.0, "open_vocabulary": True},
        {"hotword_boost": 5.0},
    ],
)
def test_every_setting_changes_something(change):
    log_probs, lm = random_log_probs(9, frames=30), random_lm(["A", "B", "AB"], 6)
    usual = BeamDecoder(CHARACTERS, lm=lm, hotwords=["BA"]).decode(log_probs, 30)
    changed = BeamDecoder(CHARACTERS, DecoderConfig(**change), lm=lm, hotwords=["BA"])
    assert changed.decode(log_probs, 30) != usual


def test_words_take_no_scores_of_others(monkeypatch):
    log_probs, lm = random_log_probs(9, frames=30), random_lm(["A", "B", "AB"], 6)
    usual = BeamDecoder(CHARACTERS, lm=lm).decode(log_probs, 30)
    monkeypatch.setattr("asr.decode.state._ANSWERS", 1)  # each takes the place of the one before
    assert BeamDecoder(CHARACTERS, lm=lm).decode(log_probs, 30) == usual


def test_lexicon_files_with_mistakes_name_the_line(tmp_path):
    path = tmp_path / "words.txt"
    for content, message in [
        ("AB\nCAB\n", r"line 2: CAB cannot be spelled .*\(C A B\)"),
        ("\n;;; nothing\n", "no words"),
    ]:
        path.write_text(content)
        with pytest.raises(DecoderError, match=message):
            Lexicon.load(path, CHARACTERS)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(DecoderError, match="not a lexicon"):
        Lexicon.load(path, CHARACTERS)


def test_lexicon_of_word_list_spells_by_characters(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("ab\nba\nab\n")
    lexicon = Lexicon.load(path, CHARACTERS)
    assert lexicon.words == ("AB", "BA")
    assert lexicon.of("AB") == [(2, 3)]
    known, left_out = Lexicon.of_words(["A B", "É", "A", ""], CHARACTERS)
    assert (known.words, known.of("A"), known.of("É")) == (("A",), [(2,)], [])
    assert left_out == ("A B", "É", "")


def test_compilation_is_announced_once_and_cached(tmp_path):
    code = "from asr.decode.beam import compile_search; compile_search()"
    environment = {"NUMBA_CACHE_DIR": str(tmp_path), "PATH": "/usr/bin"}
    said = [
        subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        ).stderr
        for _ in range(2)
    ]
    assert "compiling the decoder" in said[0]
    assert said[1] == ""


def test_a_hotword_of_many_words_is_heard_in_any_of_its_spellings():
    """Thirty words of two pronunciations each have 2^30 of them, and the automaton 31 states."""
    words = [f"W{index}" for index in range(30)]
    ways = [((1, 2, 1 + index % 3), (3, 1 + index // 10)) for index in range(30)]
    spellings = [(index, spelled) for index in range(30) for spelled in ways[index]]
    lexicon = Lexicon.of_spellings(words, spellings)
    boosted = DecoderConfig(hotword_boost=1.0)
    decoder = BeamDecoder(PHONES, boosted, lexicon=lexicon, hotwords=[" ".join(words)])
    assert len(decoder.knowledge.hotwords.partial) == 31
    plain = BeamDecoder(PHONES, lexicon=lexicon)
    for seed in range(3):
        choice = np.random.default_rng(seed).integers(2, size=30)
        heard = [t for i, way in enumerate(choice) for token in ways[i][way] for t in (token, 0)]
        log_probs = np.full((len(heard), 4), -20, np.float32)
        log_probs[np.arange(len(heard)), heard] = -0.01
        assert decoder.decode(log_probs)[0].words == tuple(words)
        assert plain.decode(log_probs)[0].words != tuple(words)


def test_a_lexicon_that_spells_all_words_alike():
    words = [f"W{index}" for index in range(1001)]
    lexicon = Lexicon.of_spellings(words, [(index, (1,)) for index in range(1001)])
    with pytest.raises(DecoderError, match="the lexicon spells 1001 words alike; allowed: 1000"):
        BeamDecoder(PHONES, lexicon=lexicon)
    BeamDecoder(PHONES, lexicon=lexicon.among(words[:1000]))


@pytest.mark.parametrize("beam_size", [1, 2, 3])
@pytest.mark.parametrize("with_lm", [True, False])
def test_a_narrow_beam_writes_words_not_phones(beam_size, with_lm):
    words = list(PRONUNCIATIONS)
    spelled = [(i, s) for i, ways in enumerate(PRONUNCIATIONS.values()) for s in ways]
    lexicon = Lexicon.of_spellings(words, spelled)
    for seed in range(50):
        lm = random_lm(words, seed) if with_lm else None
        config = DecoderConfig(beam_size=beam_size)
        found = BeamDecoder(PHONES, config, lm=lm, lexicon=lexicon).decode(
            random_log_probs(seed, frames=12), 5
        )
        assert all(set(hypothesis.words) <= set(words) for hypothesis in found)


def test_an_unfinished_word_becomes_the_likeliest_that_begins_so():
    lm = random_lm(["ONE", "TWO"], 0)
    likely = max(("ONE", "TWO"), key=lambda word: lm.arrays.prob[1 + lm.word_ids([word])[0]])
    lexicon = Lexicon.of_spellings(("ONE", "TWO"), ((0, (3, 1, 2)), (1, (3, 1, 1))))
    log_probs = np.full((2, 4), -20, np.float32)
    log_probs[[0, 1], [3, 1]] = -0.01
    found = BeamDecoder(PHONES, lm=lm, lexicon=lexicon).decode(log_probs)[0]
    assert (found.words, found.tokens, found.spans) == ((likely,), (3, 1), ((0, 2),))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("with_lm", [True, False])
def test_hotwords_over_phones_are_whole_words(seed, with_lm):
    """... with homophones, several spellings, weights, and phrases that overlap."""
    words = list(PRONUNCIATIONS)
    spelled = [(i, s) for i, ways in enumerate(PRONUNCIATIONS.values()) for s in ways]
    lexicon = Lexicon.of_spellings(words, spelled)
    lm = random_lm(words, seed) if with_lm else None
    log_probs = random_log_probs(seed, frames=6)
    config = DecoderConfig(hotword_boost=0.9, word_score=-0.1, **EVERYTHING)
    plain = BeamDecoder(PHONES, config, lm=lm, lexicon=lexicon).decode(log_probs, 10**6)
    # A boost counts the phones of the first spelling, whichever is heard.
    gains = {("BAH",): 0.9 * 2, ("A", "BAA"): 0.4 * 3, ("KAB",): 0.9 * 3, ("BAA", "A"): 0.9 * 3}
    expected = {
        h.words: h.score
        + sum(
            gain
            for phrase, gain in gains.items()
            for i in range(len(h.words))
            if h.words[i : i + len(phrase)] == phrase
        )
        for h in plain
    }
    hotwords = ["BAH", "A BAA:0.4", "KAB", "BAA A"]
    assert_same(
        BeamDecoder(PHONES, config, lm=lm, lexicon=lexicon, hotwords=hotwords), log_probs, expected
    )


def test_hotwords_where_nothing_ends_a_word_match_tokens():
    letters = Vocabulary(("<blank>", "甲", "乙", "丙"))
    log_probs = random_log_probs(3, frames=6)
    config = DecoderConfig(hotword_boost=0.9, **EVERYTHING)
    plain = BeamDecoder(letters, config).decode(log_probs, 10**6)
    expected = {h.words: h.score + 1.8 * h.text.count("甲乙") for h in plain}
    assert_same(BeamDecoder(letters, config, hotwords=["甲乙"]), log_probs, expected)

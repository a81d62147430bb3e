"""Weights that are tuned and kept, rescoring, and the decoder options of the commands."""

import argparse
import json
import pickle
import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from asr.cli import evaluate, transcribe
from asr.cli.decoding import add_options, chosen
from asr.config import TextConfig
from asr.decode import Decoder
from asr.decode.beam import BeamDecoder
from asr.decode.confidence import Calibration, save_calibration
from asr.decode.rescore import Rescorer
from asr.decode.settings import (
    DecoderConfig,
    load_settings,
    parse_hotword,
    parse_settings,
    save_settings,
)
from asr.errors import DecoderError
from asr.evaluation import TuningData, tune
from asr.lexicon import Pronunciations
from asr.lm import NgramModel, estimate, write_arpa
from asr.manifest import Utterance, read_manifest, write_manifest
from asr.options import Decoding, DecodingOptions, read_hotwords
from asr.scoring import errors_and_substitutions
from asr.text import SPACE_TOKEN, Normalizer, Vocabulary

VOCABULARY = Vocabulary(("<blank>", " ", "A", "B"))
TEXTS = ["A B", "A B A", "B A", "A"]


def spoken(text: str, doubt: float = 0.1) -> np.ndarray:
    """Log-probabilities (T, V) of a text, with a blank after each token."""
    tokens = [token for unit in text for token in (VOCABULARY.tokens.index(unit), 0)]
    frames = np.full((len(tokens), 4), doubt / 3)
    frames[np.arange(len(tokens)), tokens] = 1 - doubt
    return np.log(frames).astype(np.float32)


class LikesLength:
    """A sentence scores minus its distance from a number of words."""

    def __init__(self, words: int) -> None:
        self.words = words

    def score(self, texts: Sequence[str]) -> list[float]:
        return [-abs(len(text.split()) - self.words) for text in texts]


@pytest.fixture(scope="module")
def lm():
    return estimate([text.split() for text in TEXTS], 2)


def test_rescoring_can_change_the_best(lm):
    decoder = BeamDecoder(VOCABULARY, DecoderConfig(recombine=False), lm=lm)
    log_probs = spoken("A B", doubt=0.6)
    plain = decoder.decode(log_probs, 50)
    rescorer = Rescorer(decoder, LikesLength(3), DecoderConfig(rescore_weight=50.0, nbest=50))
    found = rescorer.decode(log_probs, 50)
    assert len(plain[0].words) != 3 == len(found[0].words)
    assert {h.words for h in found} == {h.words for h in plain}
    before = {h.words: h.score for h in plain}
    assert [h.score for h in found] == [
        pytest.approx(before[h.words] - 50 * abs(len(h.words) - 3)) for h in found
    ]
    assert rescorer.decode(log_probs) == found[:1]


def test_rescoring_counts_words(lm):
    decoder = BeamDecoder(VOCABULARY, lm=lm)
    config = DecoderConfig(rescore_weight=0.0, rescore_word_score=30.0, nbest=50)
    found = Rescorer(decoder, LikesLength(0), config).decode(spoken("A B", doubt=0.6), 50)
    lengths = [len(h.words) for h in found]
    assert lengths == sorted(lengths, reverse=True)


def test_a_hypothesis_says_what_the_language_model_makes_of_it(lm):
    decoder = BeamDecoder(VOCABULARY, DecoderConfig(recombine=False), lm=lm)
    found = decoder.decode(spoken("A B", doubt=0.6), 50)
    assert [h.language for h in found] == [pytest.approx(sum(lm.score(h.words))) for h in found]
    weights = decoder.config
    for hypothesis in found:
        beside = hypothesis.score - weights.word_score * len(hypothesis.words)
        beside -= weights.lm_weight * hypothesis.language
        assert beside == pytest.approx(hypothesis.acoustic, abs=1e-6)
    spelled = estimate([[SPACE_TOKEN if c == " " else c for c in text] for text in TEXTS], 3)
    best = BeamDecoder(VOCABULARY, lm=spelled).decode(spoken("A B"))[0]
    assert best.language == pytest.approx(sum(spelled.score(["A", SPACE_TOKEN, "B"])))
    assert BeamDecoder(VOCABULARY).decode(spoken("A B"))[0].language == 0


def test_rescoring_can_weigh_the_ngram_model_anew(lm):
    decoder = BeamDecoder(VOCABULARY, DecoderConfig(recombine=False), lm=lm)
    log_probs = spoken("A B", doubt=0.6)
    before = {h.words: h for h in decoder.decode(log_probs, 50)}
    config = DecoderConfig(rescore_weight=1.0, rescore_lm_weight=-0.5, nbest=50)
    for found in Rescorer(decoder, LikesLength(0), config).decode(log_probs, 50):
        plain = before[found.words]
        expected = plain.score - len(found.words) - 0.5 * plain.language
        assert found.score == pytest.approx(expected)


def errors_of(decoder: Decoder, material: TuningData) -> int:
    """The word errors that a decoder makes."""
    found = [decoder.decode(log_probs)[0].words for log_probs in material.log_probs]
    pairs = zip(material.references, found, strict=True)
    return sum(errors_and_substitutions(text.split(), words)[0] for text, words in pairs)


# Doubtful where the language model knows better: AA is no word.
DOUBTFUL = TuningData([spoken(text.replace("B", "A"), 0.6) for text in TEXTS], TEXTS)


def test_tuning_finds_weights_that_read_the_references(lm):
    decoder = BeamDecoder(VOCABULARY, DecoderConfig(lm_weight=0.0, word_score=0.0), lm=lm)
    config, trials = tune(DOUBTFUL, decoder)
    assert config.rescore_weight == DecoderConfig().rescore_weight  # nothing to tune it by
    assert replace(config, rescore_weight=0.0) == trials[-1].config
    assert trials[-1] == trials[-2]  # the last search changed nothing
    assert tune(DOUBTFUL, decoder.reweighted(0.8, 1.0))[0] == config  # from elsewhere, too
    errors = errors_of(BeamDecoder(VOCABULARY, config, lm=lm), DOUBTFUL)
    points = product((0.0, 0.4, 0.8, 1.2, 1.6), (-1.0, 0.0, 1.0, 2.0))
    assert errors == min(errors_of(decoder.reweighted(*point), DOUBTFUL) for point in points)
    assert errors < errors_of(decoder, DOUBTFUL)


def test_tuning_weighs_a_rescorer_too(lm):
    """... with weights of its own for the n-gram model and for words."""
    decoder, scorer = BeamDecoder(VOCABULARY, lm=lm), LikesLength(3)
    plain, _ = tune(DOUBTFUL, decoder)
    config, trials = tune(DOUBTFUL, decoder, scorer)
    assert (config.lm_weight, config.word_score) == (plain.lm_weight, plain.word_score)
    assert trials[-1].config == config
    assert config.rescore_weight > 0
    assert trials[-1].wer < min(trial.wer for trial in trials[:-1])
    assert str(trials[-1]).count("rescore_") == 3
    search = decoder.reweighted(config.lm_weight, config.word_score)
    assert errors_of(Rescorer(search, scorer, config), DOUBTFUL) <= errors_of(search, DOUBTFUL)
    most = {"rescore_lm_weight": 2.4, "rescore_word_score": 7.0, "rescore_weight": 1.2}
    assert all(abs(getattr(config, name)) <= bound for name, bound in most.items())


def test_weights_stay_where_all_are_as_good(lm):
    """... as on a set that any weights read without an error."""
    easy = TuningData([spoken(text, 0.001) for text in TEXTS], TEXTS)
    start = DecoderConfig(lm_weight=0.7, word_score=-0.5, rescore_weight=0.3)
    more = replace(start, rescore_lm_weight=-0.2, rescore_word_score=0.25)
    for before in (start, more):
        config, _ = tune(easy, BeamDecoder(VOCABULARY, before, lm=lm), LikesLength(3))
        assert config == before


class Misled:
    """A sentence scores the better, the more of its words are wrong in all references: As."""

    def score(self, texts: Sequence[str]) -> list[float]:
        return [100.0 * text.count("A A") for text in texts]


def test_a_rescorer_that_misleads_is_left_out(lm):
    decoder = BeamDecoder(VOCABULARY, lm=lm)
    plain, _ = tune(DOUBTFUL, decoder)
    config, _ = tune(DOUBTFUL, decoder, Misled())
    unused = {"rescore_weight": 0.0, "rescore_lm_weight": 0.0, "rescore_word_score": 0.0}
    assert config == replace(plain, **unused)


def test_there_must_be_something_to_tune_on(lm):
    with pytest.raises(DecoderError, match="no utterances"):
        tune(TuningData([], []), BeamDecoder(VOCABULARY, lm=lm))


def test_reweighted_is_a_decoder_made_with_these_weights(lm):
    log_probs = spoken("A B", 0.6)
    first = BeamDecoder(VOCABULARY, DecoderConfig(lm_weight=0.1, word_score=0.0), lm=lm)
    other = BeamDecoder(VOCABULARY, DecoderConfig(lm_weight=1.3, word_score=0.7), lm=lm)
    assert first.reweighted(1.3, 0.7).decode(log_probs, 20) == other.decode(log_probs, 20)
    assert first.decode(log_probs, 20) != other.decode(log_probs, 20)


def test_settings_are_kept_with_a_model(tmp_path: Path):
    assert load_settings(tmp_path) == DecoderConfig()
    config = DecoderConfig(lm_weight=1.25, open_vocabulary=True)
    save_settings(tmp_path, config)
    assert load_settings(tmp_path) == config
    assert config.changed(parse_settings(["beam_size=7", "lm_weight=2"])).beam_size == 7


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read"),
        ("[1]", "Expected `object`, got `array`"),
        ('{"lm_weight": 1e999}', "out of range"),
        ('{"lm_weight": 101}', "lm_weight is 101; allowed: 0..100"),
        ('{"beam_size": 1048576}', "beam_size is 1048576; allowed: 1..100000"),
        ('{"lm_weight": ' + "[" * 5000, "cannot be read"),
        ('{"beam_sise": 3}', "'beam_sise'; did you mean 'beam_size'"),
        ('{"beam_size": "3"}', "beam_size is '3'; it must be of type int"),
        ('{"open_vocabulary": 1}', "must be of type bool"),
        ('{"nbest": 0}', "decoder.nbest is 0"),
    ],
)
def test_kept_settings_with_mistakes(content: str, message: str, tmp_path: Path):
    (tmp_path / "decoder.json").write_text(content)
    with pytest.raises(DecoderError, match=message):
        load_settings(tmp_path)


@pytest.fixture
def experiment(smoke: Path, tmp_path: Path) -> Path:
    """A copy of the smoke model, which a test may change."""
    return Path(shutil.copytree(smoke / "exp", tmp_path / "exp"))


@pytest.fixture
def saying(smoke: Path) -> Utterance:
    return read_manifest(smoke / "data" / "test.jsonl")[0]


@pytest.fixture
def model_of_words(smoke: Path, tmp_path: Path) -> Path:
    texts = [utterance.text.split() for utterance in read_manifest(smoke / "data" / "train.jsonl")]
    write_arpa(estimate(texts, 2), tmp_path / "lm.arpa")
    return tmp_path / "lm.arpa"


def test_evaluate_tunes_keeps_and_uses(smoke, experiment, model_of_words, tmp_path, capsys):
    manifest = str(smoke / "data" / "test.jsonl")
    out = ["--out", str(tmp_path / "out"), "--json"]
    command = [str(experiment), manifest, *out, "--decoder", "beam", "--lm", str(model_of_words)]
    assert evaluate.main([*command, "--tune"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["wer"] <= 0.05
    kept = load_settings(experiment)
    tried = [line for line in said.err.splitlines() if line.startswith("lm_weight")]
    assert 1 <= len(tried) <= 5
    assert tried[-1].startswith(f"lm_weight {kept.lm_weight:.2f}  word_score {kept.word_score:.2f}")
    assert f"lm_weight {kept.lm_weight}" in said.err
    assert evaluate.main(command) == 0
    again = capsys.readouterr()
    assert json.loads(again.out) == json.loads(said.out)


def test_with_a_lexicon_references_are_words_that_the_model_cannot_spell(
    smoke, experiment, tmp_path, capsys
):
    """As for a model that writes phones; here words have names that it has no letters for."""
    utterances = read_manifest(smoke / "data" / "test.jsonl")
    spelled = sorted({word for utterance in utterances for word in utterance.text.split()})
    names = {word: "Q" * (1 + number) for number, word in enumerate(spelled)}
    renamed = [
        replace(u, text=" ".join(names[word] for word in u.text.split())) for u in utterances
    ]
    write_manifest(tmp_path / "renamed.jsonl", renamed)
    lines = (f"{name} {' '.join(word)}\n" for word, name in names.items())
    (tmp_path / "lexicon.txt").write_text("".join(lines))
    write_arpa(estimate([u.text.split() for u in renamed], 2), tmp_path / "lm.arpa")
    command = [str(experiment), str(tmp_path / "renamed.jsonl"), "--out", str(tmp_path), "--json"]
    assert evaluate.main(command) == 1
    assert "the vocabulary lacks" in capsys.readouterr().err
    for name in ("lm", "lexicon"):
        command += [f"--{name}", str(next(tmp_path.glob(f"{name}.*")))]
    for options in ([], ["--tune"]):
        assert evaluate.main([*command, *options]) == 0
        assert json.loads(capsys.readouterr().out)["wer"] <= 0.05


def test_a_language_model_in_the_folder_is_the_default(saying, experiment, model_of_words, capsys):
    command = [str(saying.audio), "--model", str(experiment)]
    assert transcribe.main(command) == 0
    assert capsys.readouterr().out.strip() == saying.text
    model_of_words.rename(experiment / "lm.bin")  # an ARPA file is recognised by its content
    save_settings(experiment, DecoderConfig(word_score=-1000.0))
    assert transcribe.main(command) == 0
    assert capsys.readouterr().out.strip() != saying.text  # so the language model was there
    assert transcribe.main([*command, "--set", "word_score=0"]) == 0
    assert capsys.readouterr().out.strip() == saying.text
    assert transcribe.main([*command, "--decoder", "greedy"]) == 0
    assert capsys.readouterr().out.strip() == saying.text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--decoder", "greedy", "--lm", "x"], "--lm is for a beam search"),
        (["--decoder", "greedy", "--unit", "phones"], "--unit phones is for a beam search"),
        (["--set", "beam_size"], "'beam_size': write key=value"),
        (["--set", "bean_size=3"], "did you mean 'beam_size'"),
        (["--set", "beam_size=many"], "'many' is no number, true or false; write key=value"),
        (["--set", "lm_weight=nan"], "'nan' is no number, true or false; write key=value"),
        (["--hotwords", "missing.txt"], "--hotwords missing.txt: cannot be read"),
        (["--lexicon", "missing.txt"], "--lexicon missing.txt: does not exist; give the path"),
    ],
)
def test_options_with_mistakes(options, message, experiment, saying, capsys):
    assert transcribe.main([str(saying.audio), "--model", str(experiment), *options]) == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert len(error.splitlines()) == 1


def test_hotwords_are_normalised_and_must_be_there(saying, experiment, capsys, tmp_path):
    hotwords = tmp_path / "hotwords.txt"
    command = [str(saying.audio), "--model", str(experiment), "--hotwords", str(hotwords)]
    hotwords.write_text(f"{saying.text.lower()}!\n\n")
    assert transcribe.main(command) == 0
    assert capsys.readouterr().out.strip() == saying.text
    hotwords.write_text(" \n--\n")
    assert transcribe.main(command) == 2
    assert "no words" in capsys.readouterr().err


def test_tuning_needs_a_language_model(experiment, smoke, tmp_path, capsys):
    manifest = str(smoke / "data" / "test.jsonl")
    assert evaluate.main([str(experiment), manifest, "--out", str(tmp_path), "--tune"]) == 2
    assert "--tune weighs a language model" in capsys.readouterr().err


# Which output is read, in a folder that has only what is looked for.


@pytest.fixture(scope="module")
def dictionary(tmp_path_factory: pytest.TempPathFactory) -> Pronunciations:
    """How words of three letters are said, each letter always as one phone."""
    sounds = {letter: letter.upper() for letter in "bdklmt"} | {"a": "AH", "i": "IH", "o": "OW"}
    words = (c + v + e for c in "bdklmt" for v in "aio" for e in "bdklmt")
    lines = (f"{word} {' '.join(sounds[letter] for letter in word)}\n" for word in words)
    path = tmp_path_factory.mktemp("dictionary") / "cmudict"
    path.write_text("".join(line for line in lines if not line.startswith("kim ")))
    return Pronunciations.read(path, Normalizer())


@pytest.fixture
def phone_model(dictionary: Pronunciations, tmp_path: Path) -> Path:
    """A folder with phones, pronunciations, and a language model of a few words."""
    dictionary.save(tmp_path / "model")
    texts = ["BAD DOT", "DOT BAD", "BAD BAD KID", "MAD DOT", "MAD KID"]
    write_arpa(estimate([text.split() for text in texts], 2), tmp_path / "model" / "lm.bin")
    return tmp_path / "model"


def resolved(model: Path, *words: str) -> Decoding:
    """What a command resolves the options in its words to."""
    parser = argparse.ArgumentParser()
    add_options(parser)
    return chosen(parser.parse_args(words)).resolve(model)


@pytest.mark.parametrize(
    ("has", "words", "expected"),
    [
        ((), "", ("greedy", "tokens", False)),
        (("lm.bin",), "", ("beam", "tokens", True)),
        (("phones.txt",), "", ("greedy", "tokens", False)),
        (("phones.txt",), "--decoder beam", ("beam", "tokens", False)),
        (("phones.txt",), "--hotwords x", ("beam", "tokens", False)),
        (("phones.txt",), "--lm x", ("beam", "phones", True)),
        (("phones.txt",), "--unit phones", ("beam", "phones", False)),
        (("phones.txt",), "--unit tokens", ("greedy", "tokens", False)),
        (("phones.txt", "lm.bin"), "", ("beam", "phones", True)),
        (("phones.txt", "lm.bin"), "--decoder beam", ("beam", "phones", True)),
        (("phones.txt", "lm.bin"), "--decoder greedy", ("greedy", "tokens", False)),
        (("phones.txt", "lm.bin"), "--unit tokens", ("beam", "tokens", True)),
        (("phones.txt", "lm.bin"), "--decoder greedy --unit tokens", ("greedy", "tokens", False)),
        ((), "--unit phones", ("beam", "phones", False)),  # the model is to say what it lacks
    ],
)
def test_what_is_read_by_default(tmp_path: Path, has, words: str, expected: tuple[str, str, bool]):
    for name in has:
        (tmp_path / name).touch()
    (tmp_path / "x").write_text("A WORD\n")
    found = resolved(tmp_path, *(str(tmp_path / "x") if w == "x" else w for w in words.split()))
    assert (found.decoder, found.unit, found.lm is not None) == expected


def test_phones_are_for_a_beam_search(phone_model: Path):
    with pytest.raises(DecoderError, match="--unit phones is for a beam search; leave --decoder"):
        resolved(phone_model, "--decoder", "greedy", "--unit", "phones")


def test_what_is_read_is_told_and_makes_another_digest(phone_model: Path):
    phones, tokens = (resolved(phone_model, *more) for more in ((), ("--unit", "tokens")))
    told = phones.describe()["decoder"]
    assert isinstance(told, dict)
    assert (told["name"], told["lm"], told["unit"]) == ("beam", "lm.bin", "phones")
    json.dumps(told)
    digests = {decoding.digest() for decoding in (phones, tokens)}
    assert len(digests) == 2
    greedy = resolved(phone_model, "--decoder", "greedy")
    assert greedy.describe()["decoder"] == {"name": "greedy"}
    (phone_model / "lexicon.npz").write_bytes(b"another")
    assert phones.digest() not in digests


def test_hotwords_make_another_digest_and_are_counted(phone_model: Path):
    plain, one, other = (
        DecodingOptions(hotwords=words).resolve(phone_model) for words in ((), ["KIM"], ["TOK"])
    )
    assert len({decoding.digest() for decoding in (plain, one, other)}) == 3
    assert one.describe()["decoder"]["hotwords"] == 1


def test_what_is_resolved_holds_in_another_folder_and_process(
    phone_model: Path, monkeypatch: pytest.MonkeyPatch
):
    (phone_model.parent / "words.txt").write_text("BAD B AH D\n")
    monkeypatch.chdir(phone_model.parent)
    options = DecodingOptions(lexicon="words.txt", hotwords=["KIM"], settings={"beam_size": 7})
    decoding = options.resolve("model")
    assert decoding.model == phone_model
    assert decoding.lexicon == phone_model.parent / "words.txt"
    assert decoding.lm == phone_model / "lm.bin"
    assert decoding.config.beam_size == 7
    assert pickle.loads(pickle.dumps(decoding)) == decoding


@pytest.mark.parametrize("value", ["-7.5", "-7"])
def test_a_setting_has_the_type_of_its_field_whatever_is_kept(tmp_path: Path, value: str):
    """... where an older version kept a whole number."""
    (tmp_path / "decoder.json").write_text('{"token_threshold": -7}')
    assert resolved(tmp_path, "--set", f"token_threshold={value}").config.token_threshold == float(
        value
    )


def test_a_calibration_is_for_the_usual_output(phone_model: Path):
    save_calibration(phone_model, Calibration(0.0, 1.0, 0.0))
    for more, kept in (((), True), (("--unit", "tokens"), False), (("--decoder", "greedy"), False)):
        assert bool(resolved(phone_model, *more).calibration()) == kept
    (phone_model / "phones.txt").unlink()
    assert resolved(phone_model).calibration()


def said(dictionary: Pronunciations, *phones: str) -> np.ndarray:
    """Log-probabilities (T, V) of phones, with a blank after each."""
    heard = [id_ for phone in phones for id_ in (*dictionary.phones.encode(phone), 0)]
    frames = np.full((len(heard), len(dictionary.phones)), 0.01)
    frames[np.arange(len(heard)), heard] = 0.9
    return np.log(frames).astype(np.float32)


def decoder_of(model: Path, dictionary: Pronunciations, *words: str) -> BeamDecoder:
    decoding = resolved(model, *words)
    assert decoding.unit == "phones"
    return decoding.make_beam(dictionary.phones, TextConfig())


def test_words_are_those_of_the_language_model(phone_model: Path, dictionary: Pronunciations):
    decoder = decoder_of(phone_model, dictionary)
    assert set(decoder.words) == {"BAD", "DOT", "KID", "MAD"}
    assert decoder.decode(said(dictionary, "M", "AH", "D", "K", "IH", "D"))[0].text == "MAD KID"


def test_without_a_language_model_all_words_are_looked_for(
    phone_model: Path, dictionary: Pronunciations
):
    (phone_model / "lm.bin").unlink()
    decoder = decoder_of(phone_model, dictionary, "--unit", "phones")
    assert set(decoder.words) == set(dictionary.lexicon.words)
    assert decoder.decode(said(dictionary, "T", "OW", "K"))[0].text == "TOK"


@pytest.mark.parametrize("known", [True, False])
def test_a_lexicon_that_is_given_holds_instead(
    phone_model: Path, dictionary: Pronunciations, tmp_path: Path, known: bool
):
    word = "BAD" if known else "XYLO"
    (tmp_path / "words.txt").write_text(f"{word} K IH M\n")
    decoder = decoder_of(phone_model, dictionary, "--lexicon", str(tmp_path / "words.txt"))
    assert decoder.words == (word,)
    assert decoder.decode(said(dictionary, "K", "IH", "M"))[0].text == word


@pytest.mark.parametrize(
    ("word", "phones"),
    [
        ("KIM", ["K", "IH", "M"]),  # guessed
        ("TOK", ["T", "OW", "K"]),  # known, and not to the language model
        ("MAD", ["M", "AH", "D"]),
    ],
)
def test_a_hotword_is_heard_by_its_pronunciation(
    phone_model: Path, dictionary: Pronunciations, tmp_path: Path, word: str, phones: list[str]
):
    (tmp_path / "hotwords.txt").write_text(f"{word.lower()} dot\n")
    heard = said(dictionary, *phones, "D", "OW", "T")
    plain = decoder_of(phone_model, dictionary)
    assert (word in plain.words) == (word == "MAD")
    more = ("--hotwords", str(tmp_path / "hotwords.txt"), "--set", "hotword_boost=3.0")
    decoder = decoder_of(phone_model, dictionary, *more)
    assert decoder.words == (*plain.words, *({word} - set(plain.words)))
    found, before = decoder.decode(heard)[0], plain.decode(heard)[0]
    assert found.text == f"{word} DOT"
    assert (before.text == found.text) == (word == "MAD")


def test_a_hotword_that_nobody_can_say(
    phone_model: Path, dictionary: Pronunciations, tmp_path: Path
):
    (tmp_path / "hotwords.txt").write_text("zoo\n")
    with pytest.raises(DecoderError, match="'ZOO': its pronunciation cannot be guessed"):
        decoder_of(phone_model, dictionary, "--hotwords", str(tmp_path / "hotwords.txt"))


def characters() -> NgramModel:
    return estimate([["B", "A", "D", "<space>", "D", "O", "T"]], 2)


def test_a_language_model_over_characters_is_not_for_phones(
    phone_model: Path, dictionary: Pronunciations
):
    write_arpa(characters(), phone_model / "lm.bin")
    with pytest.raises(DecoderError, match=r"over characters.*add --unit tokens"):
        decoder_of(phone_model, dictionary)


def test_nor_is_it_with_a_lexicon_that_is_given(
    phone_model: Path, dictionary: Pronunciations, tmp_path: Path
):
    write_arpa(characters(), phone_model / "lm.bin")
    (tmp_path / "words.txt").write_text("BAD B AH D\n")
    with pytest.raises(DecoderError, match="over characters"):
        decoder_of(phone_model, dictionary, "--lexicon", str(tmp_path / "words.txt"))


def test_a_file_of_hotwords_has_comments_boosts_and_empty_lines(tmp_path: Path):
    path = tmp_path / "hotwords.txt"
    path.write_text("\ufeff# names\nwool:10\n\n  night watch : 2.5  # a ship\nApollo 11\n")
    assert read_hotwords(path) == ("wool:10", "night watch : 2.5", "Apollo 11")
    parsed = [parse_hotword(line) for line in read_hotwords(path)]
    assert parsed == [("wool", 10.0), ("night watch ", 2.5), ("Apollo 11", None)]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('["wool", "barn"]', "write one word or phrase a line"),
        ("barn, river", "',' is no part of a word; write one word or phrase a line"),
        ("whittaws 5.0", "a number behind a space; write phrase:boost"),
        ("whittaws\t5", "a number behind a space; write phrase:boost"),
        ("<lm> wool", "'<' is no part of a word"),
        ("wool|W UH L", "is no part of a word"),
        ("WOOL W UH1 L", "a pronunciation; give it in a file with --lexicon"),
        ("wool:", "the boost is ''; write phrase:boost with a number 0..1000"),
        ("wool:much", "the boost is 'much'"),
        ("wool:-1", "the boost is '-1'"),
        ("wool:nan", "the boost is 'nan'"),
        (":3", "the boost is '3'"),
        ("wool " + "a" * 101, "'aaaaaaaaaaaaaaaaaaaa'...: a word of 101 letters; allowed: 100"),
    ],
)
def test_hotwords_in_another_syntax_are_refused(tmp_path: Path, line: str, message: str):
    with pytest.raises(DecoderError, match=re.escape(message)):
        DecodingOptions(hotwords=[line])
    path = tmp_path / "hotwords.txt"
    path.write_text(f"barn\n{line}\n")
    with pytest.raises(DecoderError, match=f"{path}: line 2: ") as raised:
        read_hotwords(path)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)

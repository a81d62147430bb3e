"""The preparation of a search: language model, lexicon, hotwords and weights as arrays."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from asr._numba import read_only
from asr._progress import say
from asr.decode.hotwords import (
    OFF,
    ON_TOKENS,
    ON_WORDS,
    HotwordArrays,
    hotwords_of_tokens,
    hotwords_of_words,
    no_hotwords,
)
from asr.decode.search import LM_OFF, LM_ON_TOKENS, LM_ON_WORDS, Knowledge, Weights
from asr.decode.settings import DecoderConfig, parse_hotword
from asr.errors import DecoderError
from asr.lexicon import Lexicon, TrieArrays, build_trie
from asr.lm import EMPTY_CONTEXT, NgramArrays, NgramModel
from asr.text import BLANK, SPACE_TOKEN, Vocabulary

_MOST_HOMOPHONES = 1000


def gather_knowledge(
    vocabulary: Vocabulary,
    config: DecoderConfig,
    lm: NgramModel | None,
    lexicon: Lexicon | None,
    hotwords: Sequence[str],
) -> tuple[Knowledge, tuple[str, ...], int]:
    """Return the arrays, the words of the lexicon, and the first state of the language model.

    Raises:
        DecoderError: a hotword cannot be spelled, or a setting does not fit the vocabulary.
    """
    separator = vocabulary.tokens.index(" ") if " " in vocabulary.tokens else BLANK
    unit = lm_unit(lm)
    if unit == LM_ON_TOKENS and vocabulary.unit != "character":
        raise DecoderError(
            "the language model is over characters, but the acoustic model's tokens are not; give "
            "one over words"
        )
    if lexicon is None:
        lexicon = _lexicon_of(lm if unit == LM_ON_WORDS else None, vocabulary)
    anything = not lexicon.words
    if config.open_vocabulary and not anything and separator == BLANK:
        raise DecoderError(
            "decoder.open_vocabulary is true, but the model has no token between words, so words "
            "outside of the lexicon have no end; set it to false"
        )
    hot_words = [word for line in hotwords for word in parse_hotword(line)[0].split()]
    known = lexicon.with_words(hot_words, vocabulary)
    phrases = _phrases(hotwords, config, known, vocabulary)
    mode = (ON_TOKENS if anything and separator == BLANK else ON_WORDS) if phrases else OFF
    lexicon = lexicon if mode == ON_TOKENS else known
    lm_of_word, log_probs = _in_language_model(lexicon.words, lm if unit == LM_ON_WORDS else None)
    lm_of_token = _tokens_in_language_model(vocabulary, lm if unit == LM_ON_TOKENS else None)
    read_only((lm_of_word, lm_of_token))
    trie = build_trie(lexicon, log_probs)
    homophones = int(np.diff(trie.first_word).max(initial=0))
    if homophones > _MOST_HOMOPHONES:  # the search has room for each of them in every hypothesis
        raise DecoderError(
            f"the lexicon spells {homophones} words alike; allowed: {_MOST_HOMOPHONES}"
        )
    boosted, most = _automaton(phrases, known, trie, mode, vocabulary)
    weights = _weights(config, lm, separator, anything)
    knowledge = Knowledge(
        weights._replace(hotwords=mode, hotword_gain=most),
        lm.arrays if lm else _NO_MODEL,
        trie,
        boosted,
        lm_of_word,
        lm_of_token,
    )
    return knowledge, lexicon.words, lm.begin if lm else EMPTY_CONTEXT


def lm_unit(lm: NgramModel | None) -> int:
    """Return LM_OFF, LM_ON_TOKENS for a language model that knows <space>, or LM_ON_WORDS."""
    if lm is None:
        return LM_OFF
    return LM_ON_TOKENS if SPACE_TOKEN in lm else LM_ON_WORDS


def _lexicon_of(lm: NgramModel | None, vocabulary: Vocabulary) -> Lexicon:
    """Return the words of a language model that the vocabulary can write.

    Without a language model, they are the words of the vocabulary itself, if its units are words.
    """
    if lm is None:
        own = vocabulary.tokens[1:] if vocabulary.unit == "word" else ()
        return Lexicon.of_words(own, vocabulary)[0]
    special = {lm.unk, lm.bos, lm.eos}
    words = [word for index, word in enumerate(lm.words) if index not in special]
    lexicon, left_out = Lexicon.of_words(words, vocabulary)
    if not lexicon.words:
        raise DecoderError(
            f"the language model has no word that the acoustic model can write: {left_out[:3]} "
            f"against {vocabulary.tokens[1:9]}; check upper and lower case"
        )
    if left_out:
        say(f"{len(left_out)} words of the language model cannot be written: {left_out[:3]} ...")
    return lexicon


def _phrases(
    lines: Sequence[str], config: DecoderConfig, known: Lexicon, vocabulary: Vocabulary
) -> dict[tuple[str, ...], float]:
    """Return the hotwords as words, each phrase with its boost."""
    phrases = dict[tuple[str, ...], float]()
    for line in lines:
        text, boost = parse_hotword(line)
        for word in text.split():
            if word not in known:
                raise DecoderError(
                    f"hotword {text!r}: {word!r} cannot be spelled with the model's tokens "
                    f"({' '.join(vocabulary.tokens[1:])}); write it otherwise"
                )
        if phrase := tuple(text.split()):
            phrases[phrase] = config.hotword_boost if boost is None else boost
    return phrases


def _automaton(
    phrases: Mapping[tuple[str, ...], float],
    lexicon: Lexicon,
    trie: TrieArrays,
    mode: int,
    vocabulary: Vocabulary,
) -> tuple[HotwordArrays, float]:
    """Return the hotwords as arrays, and the most that one token can add for them."""
    if mode == OFF:
        return no_hotwords(), 0.0
    if mode == ON_WORDS:
        return hotwords_of_words(phrases, lexicon, trie, int(" " in vocabulary.tokens))
    spelled = {
        tuple(token for word in phrase for token in lexicon.of(word)[0]): boost
        for phrase, boost in phrases.items()
    }
    return hotwords_of_tokens(spelled, len(vocabulary))


def _in_language_model(
    words: tuple[str, ...], lm: NgramModel | None
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return ids and unigram log-probabilities of the lexicon's words; 0 without a model."""
    if lm is None:
        return np.zeros(len(words), np.int32), np.zeros(len(words), np.float32)
    ids = lm.word_ids(words)
    return ids, lm.arrays.prob[1 + ids]


def _tokens_in_language_model(vocabulary: Vocabulary, lm: NgramModel | None) -> NDArray[np.int32]:
    """Return the ids of the tokens in a language model; 0 without one."""
    if lm is None:
        return np.zeros(len(vocabulary), np.int32)
    return lm.word_ids([SPACE_TOKEN if token == " " else token for token in vocabulary.tokens])


def reweighted(knowledge: Knowledge, config: DecoderConfig) -> Knowledge:
    """Return the arrays with lm_weight and word_score of another configuration."""
    weights = knowledge.weights
    if weights.lm_unit == LM_OFF:
        return knowledge
    changed = weights._replace(
        lm_weight=float(config.lm_weight), word_score=float(config.word_score)
    )
    return knowledge._replace(weights=changed)


def _weights(
    config: DecoderConfig,
    lm: NgramModel | None,
    separator: int,
    anything: bool,
) -> Weights:
    """Return the numbers by which the search scores and prunes, without hotwords."""
    unit = lm_unit(lm)
    return Weights(
        float(config.beam_threshold),
        float(config.token_threshold),
        float(config.lm_weight),
        float(config.word_score) if lm else 0.0,  # it makes up for a language model's cost
        0.0 if anything else float(config.oov_score),  # without a lexicon, no word is OOV
        float(lm.arrays.prob[1 + lm.unk]) if lm is not None and unit == LM_ON_WORDS else 0.0,
        0.0,
        OFF,
        separator,
        config.open_vocabulary or anything,
        unit,
        lm.unk if lm else 0,
        lm.eos if lm else 0,
    )


_NO_MODEL = read_only(
    NgramArrays(
        np.zeros(1, np.int32),
        np.zeros(1, np.float32),
        np.zeros(1, np.int32),
        np.zeros(2, np.int32),
        np.zeros(1, np.float32),
    )
)

"""What a prefix scores beside its acoustics: language model, words, hotwords, look-ahead.

Compiled with the search. Probabilities are natural logarithms.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from asr.compiled import Index, constant, inlined
from asr.decode.hotwords import HotwordArrays
from asr.decode.lexicon import NO_NODE, TrieArrays
from asr.lm.query import NgramArrays, query
from asr.text import BLANK

NO_WORD, OOV = constant(-1), constant(-2)  # ends no word, or one that the lexicon lacks
LM_OFF, LM_ON_WORDS, LM_ON_TOKENS = range(3)


class Weights(NamedTuple):
    """What is added up, and what is dropped; see asr.decode.beam.DecoderConfig."""

    beam_threshold: float
    token_threshold: float
    lm_weight: float
    word_score: float
    oov_score: float
    unknown_log_prob: float  # of <unk> in the language model, without context
    hotword_gain: float  # the most that one token can add for hotwords
    separator: int  # the token between words, BLANK where the vocabulary has none
    open_vocabulary: bool
    lm_unit: int  # LM_OFF, LM_ON_WORDS or LM_ON_TOKENS
    unknown: int  # ids of the language model's <unk> and </s>
    sentence_end: int


class Knowledge(NamedTuple):
    """What a search knows of its language; read only."""

    weights: Weights
    lm: NgramArrays
    trie: TrieArrays
    hotwords: HotwordArrays
    lm_of_word: NDArray[np.int32]  # (words of the lexicon,) their ids in the language model
    lm_of_token: NDArray[np.int32]  # (V,) the same of tokens, for a model over characters


class Step(NamedTuple):
    """One token more: the word it ends, if any, where in the lexicon it leads, and its paths."""

    token: Index
    word: Index
    spelled: Index
    acoustic: float


@inlined
def word_gain(
    knowledge: Knowledge, lm_state: Index, token: Index, word: Index
) -> tuple[float, Index]:
    """Score of a token (BLANK: none) and of the word it ends; the model's next state."""
    gain, weights = 0.0, knowledge.weights
    if weights.lm_unit == LM_ON_TOKENS and token != BLANK:
        log_prob, lm_state = query(knowledge.lm, lm_state, np.int64(knowledge.lm_of_token[token]))
        gain += weights.lm_weight * log_prob
    if word != NO_WORD:
        gain += weights.word_score
        if word == OOV:
            gain += weights.oov_score
        if weights.lm_unit == LM_ON_WORDS:
            lm_word = weights.unknown if word == OOV else np.int64(knowledge.lm_of_word[word])
            log_prob, lm_state = query(knowledge.lm, lm_state, lm_word)
            gain += weights.lm_weight * log_prob
    return gain, lm_state


@inlined
def look_ahead(knowledge: Knowledge, spelled: Index) -> float:
    """What the best word that begins as spelled can be expected to add, by its unigram."""
    weights = knowledge.weights
    if spelled == NO_NODE:
        return weights.oov_score + weights.lm_weight * weights.unknown_log_prob
    return weights.lm_weight * float(knowledge.trie.look_ahead[spelled])


@inlined
def most_gains(knowledge: Knowledge, spelled: Index) -> tuple[float, float]:
    """The most that a token can add to a score: within a word, and where it ends one.

    A language model never adds, and look-ahead grows nowhere but where a word ends, or where one
    that the lexicon lacks is cheaper than the rest of those it has.
    """
    weights, ahead = knowledge.weights, look_ahead(knowledge, spelled)
    spell = 0.0
    if weights.open_vocabulary:
        spell = max(spell, look_ahead(knowledge, NO_NODE) - ahead)
    end = weights.word_score + max(0.0, weights.oov_score) - ahead
    if weights.separator == BLANK:
        spell = max(spell, end)
    return spell + weights.hotword_gain, end + weights.hotword_gain


@inlined
def hotword_gain(hotwords: HotwordArrays, state: Index, token: Index) -> tuple[float, Index]:
    """What a token adds for phrases that it begins, goes on with, ends or breaks off."""
    following = np.int64(hotwords.next_state[state, token])
    gain = hotwords.complete[following] + hotwords.partial[following]
    return gain - hotwords.partial[state], following

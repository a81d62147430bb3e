"""How the hypotheses of a beam end: last words, the end of the sentence, which say the same.

Compiled with the search. Probabilities are natural logarithms.
"""

import numpy as np
from numpy.typing import NDArray

from asr.compiled import Index, constant, inlined, kernel
from asr.decode.lexicon import ROOT, words_spelled
from asr.decode.prefixes import (
    HOTWORD,
    LM_STATE,
    NEVER,
    PARENT,
    SLOTS,
    SPELLED,
    TOKEN,
    WORD,
    State,
)
from asr.decode.scoring import (
    LM_OFF,
    NO_WORD,
    OOV,
    Knowledge,
    hotword_gain,
    look_ahead,
    word_gain,
)
from asr.lm.query import query
from asr.text import BLANK

_NO_TOKEN = constant(BLANK)
_FACTOR = constant(6364136223846793005)  # of Knuth's linear congruential generator


@kernel
def finish(
    knowledge: Knowledge,
    state: State,
    words: NDArray[np.int32],
    totals: NDArray[np.float64],
    said: NDArray[np.int64],
) -> None:
    """End every hypothesis of the beam, which stays as it is.

    Fills words (B,) with the word that its end completes, totals (B,) with acoustic and other
    scores together, NEVER where it breaks off within a word and the vocabulary is not open, and
    said (B,) with a number for all its words.
    """
    for slot in range(state.counts[SLOTS]):
        node = state.slots[slot]
        word, gain, lm_state = _last_word(knowledge, state, node)
        if knowledge.weights.lm_unit != LM_OFF:
            log_prob, _ = query(knowledge.lm, lm_state, knowledge.weights.sentence_end)
            gain += knowledge.weights.lm_weight * log_prob
        hotwords, hotword = knowledge.hotwords, state.nodes[node, HOTWORD]
        if knowledge.weights.separator != BLANK:
            bonus, hotword = hotword_gain(hotwords, hotword, knowledge.weights.separator)
            gain += bonus
        gain -= hotwords.partial[hotword]
        gain -= look_ahead(knowledge, state.nodes[node, SPELLED])
        words[slot], said[slot] = word, _number_of_words(knowledge, state, node, word)
        totals[slot] = state.sums[slot] + state.score[node] + gain


@inlined
def _last_word(knowledge: Knowledge, state: State, node: Index) -> tuple[Index, float, Index]:
    """The best word that a hypothesis can end with, its score, and the state after it."""
    trie, spelled = knowledge.trie, state.nodes[node, SPELLED]
    lm_state = state.nodes[node, LM_STATE]
    if spelled == ROOT:
        return NO_WORD, 0.0, lm_state
    best_word, best_gain, best_state = NO_WORD, NEVER, lm_state
    if knowledge.weights.separator != BLANK:
        first, last = words_spelled(trie, spelled)
        for place in range(first, last):
            word = np.int64(trie.word[place])
            gain, following = word_gain(knowledge, lm_state, _NO_TOKEN, word)
            if gain > best_gain:
                best_word, best_gain, best_state = word, gain, following
    if best_word == NO_WORD and knowledge.weights.open_vocabulary:
        best_word = OOV
        best_gain, best_state = word_gain(knowledge, lm_state, _NO_TOKEN, OOV)
    return best_word, best_gain, best_state


@inlined
def _number_of_words(knowledge: Knowledge, state: State, node: Index, last_word: Index) -> Index:
    """A number that hypotheses share if their words are the same: a hash of 64 bits.

    Words that the lexicon lacks are the same if they are spelled so.
    """
    word, number = last_word, last_word - NO_WORD
    while node > 0:
        token, ended = state.nodes[node, TOKEN], state.nodes[node, WORD]
        if ended != NO_WORD:
            word, number = ended, _FACTOR * number + ended - NO_WORD
        if word == OOV and token != knowledge.weights.separator:
            number = _FACTOR * number + OOV - NO_WORD - token
        node = state.nodes[node, PARENT]
    return number

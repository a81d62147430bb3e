"""CTC prefix beam search: the compiled loop over frames, and everything that it calls.

A prefix is a node of a growing tree: the prefix of its parent and one token more. Its acoustic
probability is summed over all paths that merge to it, in two parts: paths that end in a blank, and
paths that end in its last token (Graves and Jaitly 2014, algorithm 1; Hannun et al. 2014). A node
adds its `score` to that: language model, words, hotwords, and a look-ahead to the best word that
its unfinished word can become. Prefixes stay apart as long as their tokens or words differ, so the
sums are exact for the prefixes in the beam. With a language model, prefixes with the same future
can be reduced to the best one ("Recombination" below).

Shapes: T frames, V tokens, B hypotheses in the beam. Probabilities are natural logarithms.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from asr._numba import Index, constant, inlined, kernel
from asr.decode.hotwords import (
    NO_WORD,
    ON_TOKENS,
    OOV,
    HotwordArrays,
    completed,
    hotword_gain,
    lent,
)
from asr.lexicon import NO_NODE, ROOT, TrieArrays, find_child, has_children, words_spelled
from asr.lm import NgramArrays, query
from asr.text import BLANK

LM_OFF, LM_ON_WORDS, LM_ON_TOKENS = range(3)

# Columns of a node. The first six are fixed when it is made.
PARENT, TOKEN, WORD, SPELLED, LM_STATE, HOTWORD, FIRST_CHILD, SIBLING, SLOT = range(9)
NODE_COLUMNS = 9
FIXED = 6
KNOWN = FIXED  # column of a candidate: its node if it was in the beam before, or -1

NEVER = -math.inf
_NEAREST = 10.0  # a prefix that loses by more is not kept as an alternative
_NO_TOKEN = constant(BLANK)
_FACTOR = constant(6364136223846793005)  # multiplier of Knuth's linear congruential generator


class Weights(NamedTuple):
    """The weights and thresholds of a search; see asr.decode.settings.DecoderConfig."""

    beam_threshold: float
    token_threshold: float
    lm_weight: float
    word_score: float
    oov_score: float
    unknown_log_prob: float  # of <unk> in the language model, without context
    hotword_gain: float  # the most that one token can add for hotwords
    hotwords: int  # OFF, ON_WORDS or ON_TOKENS
    separator: int  # the token between words, BLANK where the vocabulary has none
    open_vocabulary: bool
    lm_unit: int  # LM_OFF, LM_ON_WORDS or LM_ON_TOKENS
    unknown: int  # ids of the language model's <unk> and </s>
    sentence_end: int


class Knowledge(NamedTuple):
    """The language model, lexicon, hotwords and weights of a search, as arrays; read only."""

    weights: Weights
    lm: NgramArrays
    trie: TrieArrays
    hotwords: HotwordArrays
    lm_of_word: NDArray[np.int32]  # (words of the lexicon,) ids in the language model
    lm_of_token: NDArray[np.int32]  # (V,) ids in a language model over characters


class Extension(NamedTuple):
    """A prefix longer by a token: the word it ends, if any, its node of the lexicon, its paths."""

    token: Index
    word: Index
    spelled: Index
    acoustic: float


class BeamState(NamedTuple):
    """The state of a search. `counts` says how much of each array is in use."""

    nodes: NDArray[np.int64]  # (capacity, NODE_COLUMNS)
    score: NDArray[np.float64]  # (capacity,) all scores but the acoustic log-probability
    slots: NDArray[np.int64]  # (B,) the nodes in the beam
    blank: NDArray[np.float64]  # (B,) paths that end in a blank
    token: NDArray[np.float64]  # (B,) paths that end in the node's token
    sums: NDArray[np.float64]  # (B,) all paths
    next_blank: NDArray[np.float64]  # (B,) the same three after the current frame
    next_token: NDArray[np.float64]
    next_sums: NDArray[np.float64]
    candidates: NDArray[np.int64]  # (most, FIXED + 1) prefixes that are not in the beam
    candidate_scores: NDArray[np.float64]  # (most, 2) acoustic log-probability and score
    totals: NDArray[np.float64]  # (2, B + most) of slots and candidates; room to sort them
    # Losers to prefixes with the same future: (0,) without recombination, or if not remembered.
    futures: NDArray[np.int64]  # (2**k,) hash table of slots and candidates
    lost_to: NDArray[np.int64]  # (B + most,) the better slot or candidate, or -1
    lost_by: NDArray[np.float64]  # (B + most,) the difference of their totals, at most 0
    places: NDArray[np.int64]  # (B + most,) nodes of slots and candidates, or -1
    merged: NDArray[np.int64]  # (capacity,) the node that a node lost to, or -1
    margin: NDArray[np.float64]  # (capacity,) the difference of their totals then, at most 0
    met: NDArray[np.int64]  # (capacity,) the number of nodes then
    asked: NDArray[np.int64]  # (2**k, 3) a language model's states, words after them, next states
    answers: NDArray[np.float64]  # (2**k,) the scores of these words
    kept: NDArray[np.int64]  # (V,) tokens to try in the current frame
    counts: NDArray[np.int64]  # how many of nodes, slots, candidates and kept are in use
    cutoff: NDArray[np.float64]  # (1,) lowest total to keep in the current frame


NODES, SLOTS, CANDIDATES, KEPT = range(4)  # places in counts


# The loop over frames ---------------------------------------------------------------------------


@kernel
def advance(knowledge: Knowledge, state: BeamState, log_probs: NDArray[np.float32]) -> None:
    """Advance over frames, float32 (T, V). `state` has room for 2 B more nodes a frame."""
    for t in range(len(log_probs)):
        frame = log_probs[t]
        _keep_tokens(knowledge.weights, state, frame)
        _stay(knowledge.weights, state, frame)
        for slot in range(state.counts[SLOTS]):
            _expand(knowledge, state, frame, slot)
        if len(state.futures) > 0:
            recombine(state)
        _select(state)


@inlined
def _keep_tokens(weights: Weights, state: BeamState, frame: NDArray[np.float32]) -> None:
    """Keep the tokens above a threshold, or else the best one, most probable first."""
    kept, best = 0, 1
    for token in range(1, len(frame)):
        if frame[token] > frame[best]:
            best = token
        if frame[token] >= weights.token_threshold and frame[token] > NEVER:
            place = kept
            while place > 0 and frame[state.kept[place - 1]] < frame[token]:
                state.kept[place] = state.kept[place - 1]
                place -= 1
            state.kept[place] = token
            kept += 1
    if kept == 0 and frame[best] > NEVER:
        state.kept[0] = best
        kept = 1
    state.counts[KEPT] = kept


@inlined
def _stay(weights: Weights, state: BeamState, frame: NDArray[np.float32]) -> None:
    """Add up the paths to the prefixes in the beam: blanks, repeats, and paths from their parents.

    Sets the cutoff: a lower total cannot be among the best, as these alone can fill the beam.
    """
    slots = state.counts[SLOTS]
    best, worst = NEVER, -NEVER
    for slot in range(slots):
        node = state.slots[slot]
        token = state.nodes[node, TOKEN]
        state.next_blank[slot] = state.sums[slot] + frame[BLANK]
        state.next_token[slot] = state.token[slot] + frame[token]
        parent = state.nodes[node, PARENT]
        if parent >= 0 and state.nodes[parent, SLOT] >= 0:
            paths = _paths(state, state.nodes[parent, SLOT], token) + frame[token]
            state.next_token[slot] = log_add(state.next_token[slot], paths)
        state.next_sums[slot] = log_add(state.next_blank[slot], state.next_token[slot])
        total = state.next_sums[slot] + state.score[node]
        state.totals[0, slot] = total
        best, worst = max(best, total), min(worst, total)
    state.cutoff[0] = best - weights.beam_threshold
    if slots == len(state.slots):
        state.cutoff[0] = max(state.cutoff[0], worst)


@inlined
def _paths(state: BeamState, slot: Index, token: Index) -> float:
    """Return the log-probability of the paths to a slot that another token can follow.

    A repeat is a new token only after a blank, so for a repeat only paths that end in a blank
    count.
    """
    if token == state.nodes[state.slots[slot], TOKEN]:
        return float(state.blank[slot])
    return float(state.sums[slot])


@inlined
def _expand(
    knowledge: Knowledge, state: BeamState, frame: NDArray[np.float32], slot: Index
) -> None:
    """Propose all prefixes that are one token longer than a slot's and may be among the best."""
    node, separator = state.slots[slot], knowledge.weights.separator
    spell, end = most_gains(knowledge, state.nodes[node, SPELLED])
    total = state.sums[slot] + state.score[node]
    for position in range(state.counts[KEPT]):
        token = state.kept[position]
        gain = end if token == separator else spell
        if total + frame[token] + gain >= state.cutoff[0]:
            acoustic = _paths(state, slot, token) + frame[token]
            if acoustic > NEVER:
                _follow(knowledge, state, node, token, acoustic)
        elif token != separator and (separator == BLANK or frame[token] < frame[separator]):
            break  # the remaining tokens are less probable, and none is the separator


@inlined
def _follow(
    knowledge: Knowledge, state: BeamState, node: Index, token: Index, acoustic: float
) -> None:
    """Propose the children of a prefix by a token: one for each word it ends, one for no word.

    A separator ends every word with this spelling, or a word that the lexicon lacks. Without a
    separator the last token of a word ends it, and the word may be the beginning of a longer one.
    """
    trie, separator = knowledge.trie, knowledge.weights.separator
    ends, before = token == separator, state.nodes[node, SPELLED]
    if ends and before == ROOT:  # two separators, or one at the start
        return
    spelled = before if ends else find_child(trie, before, token)
    word, following = (OOV, ROOT) if ends else (NO_WORD, spelled)
    first, last = words_spelled(trie, spelled)
    lacked = spelled == NO_NODE or (ends and first == last)
    goes_on = not ends and (separator != BLANK or has_children(trie, spelled))
    if knowledge.weights.open_vocabulary if lacked else goes_on:
        _propose(knowledge, state, node, Extension(token, word, following, acoustic))
    if ends or separator == BLANK:
        for place in range(first, last):
            ended = np.int64(trie.word[place])
            _propose(knowledge, state, node, Extension(token, ended, ROOT, acoustic))


@inlined
def _propose(knowledge: Knowledge, state: BeamState, node: Index, extension: Extension) -> None:
    """Make the child of a node a candidate, unless it is in the beam already."""
    known = known_child(state, node, extension.token, extension.word)
    if known >= 0 and state.nodes[known, SLOT] >= 0:
        return
    if known >= 0:
        score = state.score[known]
        lm_state, hotword = state.nodes[known, LM_STATE], state.nodes[known, HOTWORD]
    else:
        hotword, before = state.nodes[node, HOTWORD], state.nodes[node, SPELLED]
        gain, lm_state = _gain(knowledge, state, node, extension)
        bonus, hotword = _hotword_gain(knowledge, hotword, before, extension)
        score = state.score[node] + gain + bonus + look_ahead(knowledge, extension.spelled)
        score -= look_ahead(knowledge, before)
    total = extension.acoustic + score
    if total < state.cutoff[0]:
        return
    state.cutoff[0] = max(state.cutoff[0], total - knowledge.weights.beam_threshold)
    place = state.counts[CANDIDATES]
    candidate = state.candidates[place]
    candidate[PARENT], candidate[TOKEN], candidate[WORD] = node, extension.token, extension.word
    candidate[SPELLED], candidate[LM_STATE], candidate[HOTWORD] = (
        extension.spelled,
        lm_state,
        hotword,
    )
    candidate[KNOWN] = known
    state.candidate_scores[place, 0], state.candidate_scores[place, 1] = extension.acoustic, score
    state.totals[0, state.counts[SLOTS] + place] = total
    state.counts[CANDIDATES] = place + 1


@inlined
def _gain(
    knowledge: Knowledge, state: BeamState, node: Index, extension: Extension
) -> tuple[float, Index]:
    """Return the score of an extension of a node, and the language model's next state.

    Prefixes try to end the same words in many frames, so the last answers are kept.
    """
    before, word = state.nodes[node, LM_STATE], extension.word
    if word == NO_WORD or knowledge.weights.lm_unit != LM_ON_WORDS:
        return word_gain(knowledge, before, extension.token, word)
    mixed = (before * 0x9E3779B1 + word) * 0x85EBCA77
    row = np.int64((mixed ^ (mixed >> 29)) & (len(state.answers) - 1))
    asked = state.asked[row]
    if asked[0] != before or asked[1] != word:
        gain, after = word_gain(knowledge, before, extension.token, word)
        asked[0], asked[1], asked[2] = before, word, after
        state.answers[row] = gain
    return state.answers[row], asked[2]


@inlined
def _select(state: BeamState) -> None:
    """Fill the beam with the best of slots and candidates."""
    slots, candidates, room = state.counts[SLOTS], state.counts[CANDIDATES], len(state.slots)
    totals = state.totals[0]
    cutoff = max(state.cutoff[0], nth_largest(state, slots + candidates, room))
    state.counts[SLOTS] = 0
    for slot in range(slots):
        node = state.slots[slot]
        state.places[slot] = node
        state.nodes[node, SLOT] = -1
        if totals[slot] >= cutoff and totals[slot] > NEVER:
            blank, token = state.next_blank[slot], state.next_token[slot]
            occupy(state, node, blank, token, state.next_sums[slot])
    for place in range(candidates):
        state.places[slots + place] = -1
        if totals[slots + place] >= cutoff and state.counts[SLOTS] < room:
            token = state.candidate_scores[place, 0]
            node = node_of(state, place)
            state.places[slots + place] = node
            occupy(state, node, NEVER, token, token)
    if len(state.merged) > 0:
        remember_losers(state, slots, slots + candidates)
    state.counts[CANDIDATES] = 0


# The tree and the beam --------------------------------------------------------------------------


@inlined
def log_add(a: float, b: float) -> float:
    """Return log(exp(a) + exp(b))."""
    high, low = max(a, b), min(a, b)
    return high if low == NEVER else high + math.log1p(math.exp(low - high))


@inlined
def known_child(state: BeamState, node: Index, token: Index, word: Index) -> Index:
    """Return the child that a node already has for a token and the word it ends; -1 without one."""
    child = np.int64(state.nodes[node, FIRST_CHILD])
    while child >= 0 and (state.nodes[child, TOKEN] != token or state.nodes[child, WORD] != word):
        child = np.int64(state.nodes[child, SIBLING])
    return child


@inlined
def occupy(state: BeamState, node: Index, blank: float, token: float, both: float) -> None:
    """Put a node into the next slot of the beam."""
    slot = state.counts[SLOTS]
    state.counts[SLOTS] = slot + 1
    state.slots[slot], state.nodes[node, SLOT] = node, slot
    state.blank[slot], state.token[slot], state.sums[slot] = blank, token, both


@inlined
def node_of(state: BeamState, place: Index) -> Index:
    """Return the node of a candidate; make it if it was never in the beam."""
    candidates, nodes = state.candidates, state.nodes
    node = np.int64(candidates[place, KNOWN])
    if node < 0:
        node = np.int64(state.counts[NODES])
        state.counts[NODES] += 1
        for column in range(FIXED):
            nodes[node, column] = candidates[place, column]
        parent = nodes[node, PARENT]
        nodes[node, FIRST_CHILD], nodes[node, SIBLING] = -1, nodes[parent, FIRST_CHILD]
        nodes[parent, FIRST_CHILD] = node
        nodes[node, SLOT] = -1
        if len(state.merged) > 0:
            state.merged[node] = -1
        state.score[node] = state.candidate_scores[place, 1]
    return node


@inlined
def nth_largest(state: BeamState, count: Index, n: Index) -> float:
    """Return the n-th largest of `count` totals (Hoare's selection); NEVER if count <= n."""
    if count <= n:
        return NEVER
    work = state.totals[1]
    for place in range(count):
        work[place] = state.totals[0, place]
    low, high = 0, count - 1
    while low < high:
        pivot = work[(low + high) // 2]
        left, right = low, high
        while left <= right:
            while work[left] > pivot:
                left += 1
            while work[right] < pivot:
                right -= 1
            if left <= right:
                work[left], work[right] = work[right], work[left]
                left += 1
                right -= 1
        if n - 1 <= right:
            high = right
        elif n - 1 >= left:
            low = left
        else:
            break
    return float(work[n - 1])


# Scores beside the acoustics --------------------------------------------------------------------


@inlined
def word_gain(
    knowledge: Knowledge, lm_state: Index, token: Index, word: Index
) -> tuple[float, Index]:
    """Return the score of a token (BLANK: none) and the word it ends, and the LM's next state."""
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
    """Return the expected score of the best word that begins as spelled, from its unigram."""
    weights = knowledge.weights
    if spelled == NO_NODE:
        return weights.oov_score + weights.lm_weight * weights.unknown_log_prob
    return weights.lm_weight * float(knowledge.trie.look_ahead[spelled])


@inlined
def most_gains(knowledge: Knowledge, spelled: Index) -> tuple[float, float]:
    """Return the largest scores that a token can add: within a word, and where it ends one.

    A language model never adds. Look-ahead grows only where a word ends, or where a word that the
    lexicon lacks is cheaper than the rest of its words.
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
def _hotword_gain(
    knowledge: Knowledge, hotword: Index, before: Index, extension: Extension
) -> tuple[float, Index]:
    """Return the score of an extension for hotwords, and the next state of the automaton."""
    mode = knowledge.weights.hotwords
    ended = extension.token if mode == ON_TOKENS else extension.word
    return hotword_gain(knowledge.hotwords, mode, hotword, before, (ended, extension.spelled))


# Recombination ----------------------------------------------------------------------------------
#
# Two prefixes have the same future if they share the last token, the node of the lexicon, the state
# of the language model and that of the hotwords: every continuation scores the same after both. So
# the worse one cannot win any more, and would only crowd out different hypotheses: with a trigram
# model and phones, a beam of 100 finds what a beam of more than 1,500 finds without recombination
# (recipes/librispeech/LOG.md). One thing is lost: later paths that merge into the loser alone.
#
# Source: Ney and Ortmanns 2000, 'Progress in dynamic programming search for LVCSR', Proc. IEEE.
# An entry is one of the beam's slots, or a candidate behind them.


@inlined
def recombine(state: BeamState) -> None:
    """Keep the best of slots and candidates with the same future; mark the others as losers.

    The table of futures is no larger than needed.
    """
    slots, totals = state.counts[SLOTS], state.totals[0]
    entries = slots + state.counts[CANDIDATES]
    size = 2
    while size < 2 * entries:
        size *= 2
    state.futures[:size] = -1
    for entry in range(entries):
        state.lost_to[entry] = -1
        if totals[entry] < state.cutoff[0]:
            continue
        row = _row_of_future(state, entry, size - 1)
        best = state.futures[row]
        if best < 0 or totals[best] < totals[entry]:
            state.futures[row], loser, winner = entry, best, np.int64(entry)
        else:
            loser, winner = np.int64(entry), best
        if loser >= 0:
            state.lost_to[loser], state.lost_by[loser] = winner, totals[loser] - totals[winner]
            totals[loser] = NEVER


@inlined
def _row_of_future(state: BeamState, entry: Index, mask: Index) -> Index:
    """Return the row of `futures` for the future of an entry: a hash table with open addressing.

    The factors are those of xxHash; any large odd ones would do.
    """
    token, spelled, lm_state, hotword = _future(state, entry)
    mixed = ((lm_state * 0x9E3779B1 + spelled) * 0x85EBCA77 + token) * 0xC2B2AE3D + hotword
    row = np.int64((mixed ^ (mixed >> 29)) & mask)
    while state.futures[row] >= 0:
        if _future(state, state.futures[row]) == (token, spelled, lm_state, hotword):
            break
        row = (row + 1) & mask
    return np.int64(row)


@inlined
def _future(state: BeamState, entry: Index) -> tuple[Index, Index, Index, Index]:
    """Return everything that the scores of later tokens depend on, for a slot or candidate."""
    slots = state.counts[SLOTS]
    row = state.nodes[state.slots[entry]] if entry < slots else state.candidates[entry - slots]
    return row[TOKEN], row[SPELLED], row[LM_STATE], row[HOTWORD]


@inlined
def remember_losers(state: BeamState, slots: Index, entries: Index) -> None:
    """Keep prefixes that lost to one that is still in the beam: they may be alternatives later.

    `state.places` holds the nodes of all entries that have one. At most as many losers are kept as
    there are slots.
    """
    room = len(state.slots)
    for entry in range(entries):
        if state.lost_to[entry] < 0 or room == 0:
            continue
        winner, margin = state.lost_to[entry], state.lost_by[entry]
        while state.lost_to[winner] >= 0:
            margin += state.lost_by[winner]
            winner = state.lost_to[winner]
        to = state.places[winner]
        if margin > -_NEAREST and to >= 0 and state.nodes[to, SLOT] >= 0:
            node = state.places[entry] if entry < slots else node_of(state, entry - slots)
            if state.merged[node] != to:  # otherwise the earlier meeting counts
                state.merged[node], state.margin[node] = to, margin
                state.met[node] = state.counts[NODES]
            room -= 1


# The end of an utterance ------------------------------------------------------------------------


@kernel
def finish(
    knowledge: Knowledge,
    state: BeamState,
    words: NDArray[np.int32],
    totals: NDArray[np.float64],
    texts: NDArray[np.int64],
) -> None:
    """End every hypothesis of the beam; the beam itself stays as it is.

    Fills words (B,) with the word that the end completes; totals (B,) with acoustic and other
    scores together, NEVER for an unfinished word in a closed vocabulary; texts (B,) with a hash of
    all words.
    """
    for slot in range(state.counts[SLOTS]):
        node = state.slots[slot]
        word, gain, lm_state = _last_word(knowledge, state, node)
        if knowledge.weights.lm_unit != LM_OFF:
            log_prob, _ = query(knowledge.lm, lm_state, knowledge.weights.sentence_end)
            gain += knowledge.weights.lm_weight * log_prob
        mode, hotword = knowledge.weights.hotwords, state.nodes[node, HOTWORD]
        gain -= lent(knowledge.hotwords, mode, hotword, state.nodes[node, SPELLED])
        gain -= look_ahead(knowledge, state.nodes[node, SPELLED])
        words[slot], texts[slot] = word, _hash_of_words(knowledge, state, node, word)
        totals[slot] = state.sums[slot] + state.score[node] + gain


@inlined
def _last_word(knowledge: Knowledge, state: BeamState, node: Index) -> tuple[Index, float, Index]:
    """Return the best word that can end a hypothesis, its score, and the state after it."""
    trie, spelled = knowledge.trie, state.nodes[node, SPELLED]
    lm_state, mode = state.nodes[node, LM_STATE], knowledge.weights.hotwords
    if spelled == ROOT:
        return NO_WORD, 0.0, lm_state
    best_word, best_gain, best_state = NO_WORD, NEVER, lm_state
    if knowledge.weights.separator != BLANK:
        first, last = words_spelled(trie, spelled)
        for place in range(first, last):
            word = np.int64(trie.word[place])
            gain, following = word_gain(knowledge, lm_state, _NO_TOKEN, word)
            gain += completed(knowledge.hotwords, mode, state.nodes[node, HOTWORD], word)
            if gain > best_gain:
                best_word, best_gain, best_state = word, gain, following
    if best_word == NO_WORD and knowledge.weights.open_vocabulary:
        best_word = OOV
        best_gain, best_state = word_gain(knowledge, lm_state, _NO_TOKEN, OOV)
    return best_word, best_gain, best_state


@inlined
def _hash_of_words(knowledge: Knowledge, state: BeamState, node: Index, last_word: Index) -> Index:
    """Return a hash of 64 bits of the words of a hypothesis.

    Words that the lexicon lacks are hashed by their spelling.
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

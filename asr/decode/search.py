"""CTC prefix beam search: the compiled loop over frames.

A prefix is a node of a growing tree; its acoustic probability is summed over all paths that merge
to it, in two parts: paths that end in a blank, and paths that end in its last token (Graves and
Jaitly 2014, algorithm 1; Hannun et al. 2014). To that a node adds its `score`: language model,
words, hotwords, and a look-ahead to the best word its unfinished one can become. Prefixes stay
apart as long as their tokens or words differ, so the sums are exact for what the beam holds; of
those that all that may follow continues alike, the best can be kept alone (asr.decode.recombine).

Shapes: T frames, V tokens, B hypotheses in the beam. Probabilities are natural logarithms.
"""

import numpy as np
from numpy.typing import NDArray

from asr.compiled import Index, inlined, kernel
from asr.decode.lexicon import NO_NODE, ROOT, find_child, has_children, words_spelled
from asr.decode.prefixes import (
    CANDIDATES,
    HOTWORD,
    KEPT,
    KNOWN,
    LM_STATE,
    NEVER,
    PARENT,
    SLOT,
    SLOTS,
    SPELLED,
    TOKEN,
    WORD,
    State,
    known_child,
    log_add,
    node_of,
    nth_largest,
    occupy,
)
from asr.decode.recombine import remember_losers, thin_out
from asr.decode.scoring import (
    NO_WORD,
    OOV,
    Knowledge,
    Step,
    Weights,
    hotword_gain,
    look_ahead,
    most_gains,
    word_gain,
)
from asr.text import BLANK


@kernel
def advance(knowledge: Knowledge, state: State, log_probs: NDArray[np.float32]) -> None:
    """Go on over frames, float32 (T, V). `state` has room for B more nodes a frame."""
    for t in range(len(log_probs)):
        frame = log_probs[t]
        _keep_tokens(knowledge.weights, state, frame)
        _stay(knowledge.weights, state, frame)
        for slot in range(state.counts[SLOTS]):
            _expand(knowledge, state, frame, slot)
        if len(state.futures) > 0:
            thin_out(state)
        _select(state)


@inlined
def _keep_tokens(weights: Weights, state: State, frame: NDArray[np.float32]) -> None:
    """The tokens a frame makes worth a try, most probable first: one, and all above a threshold."""
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
def _stay(weights: Weights, state: State, frame: NDArray[np.float32]) -> None:
    """All paths that lead to the prefixes in the beam: blanks, repeats, and from their parents.

    Sets the cutoff: what is worse cannot be among the best, as a full beam of these is better.
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
def _paths(state: State, slot: Index, token: Index) -> float:
    """Log-probability of the paths to a slot that another token can follow.

    A repeat without a blank between is no new token, so then only those that end in a blank.
    """
    if token == state.nodes[state.slots[slot], TOKEN]:
        return float(state.blank[slot])
    return float(state.sums[slot])


@inlined
def _expand(knowledge: Knowledge, state: State, frame: NDArray[np.float32], slot: Index) -> None:
    """All prefixes that are one token longer than that of a slot and may be among the best."""
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
            break  # what follows is less probable, and no separator


@inlined
def _follow(knowledge: Knowledge, state: State, node: Index, token: Index, acoustic: float) -> None:
    """The children of a prefix for a token: one for each word it ends, and one for what is none.

    A separator ends all words that are spelled so, or what the lexicon lacks. Without a separator
    the last token of a word does, and the word may be the beginning of a longer one.
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
        _propose(knowledge, state, node, Step(token, word, following, acoustic))
    if ends or separator == BLANK:
        for place in range(first, last):
            ended = np.int64(trie.word[place])
            _propose(knowledge, state, node, Step(token, ended, ROOT, acoustic))


@inlined
def _propose(knowledge: Knowledge, state: State, node: Index, step: Step) -> None:
    """Make the child of a node a candidate, unless it is in the beam already."""
    known = known_child(state, node, step.token, step.word)
    if known >= 0 and state.nodes[known, SLOT] >= 0:
        return
    if known >= 0:
        score = state.score[known]
        lm_state, hotword = state.nodes[known, LM_STATE], state.nodes[known, HOTWORD]
    else:
        hotword = state.nodes[node, HOTWORD]
        gain, lm_state = _gain(knowledge, state, node, step)
        bonus, hotword = hotword_gain(knowledge.hotwords, hotword, step.token)
        score = state.score[node] + gain + bonus + look_ahead(knowledge, step.spelled)
        score -= look_ahead(knowledge, state.nodes[node, SPELLED])
    total = step.acoustic + score
    if total < state.cutoff[0]:
        return
    state.cutoff[0] = max(state.cutoff[0], total - knowledge.weights.beam_threshold)
    place = state.counts[CANDIDATES]
    candidate = state.candidates[place]
    candidate[PARENT], candidate[TOKEN], candidate[WORD] = node, step.token, step.word
    candidate[SPELLED], candidate[LM_STATE], candidate[HOTWORD] = step.spelled, lm_state, hotword
    candidate[KNOWN] = known
    state.candidate_scores[place, 0], state.candidate_scores[place, 1] = step.acoustic, score
    state.totals[0, state.counts[SLOTS] + place] = total
    state.counts[CANDIDATES] = place + 1


@inlined
def _gain(knowledge: Knowledge, state: State, node: Index, step: Step) -> tuple[float, Index]:
    """Score of a step from a node, and the language model's next state.

    That of a word is kept: a prefix tries to end it anew in every frame until it succeeds.
    """
    before = state.nodes[node, LM_STATE]
    if step.word == NO_WORD:
        return word_gain(knowledge, before, step.token, step.word)
    if state.ended[node, 0] != step.word:
        gain, after = word_gain(knowledge, before, step.token, step.word)
        state.ended[node, 0], state.ended[node, 1], state.ended[node, 2] = step.word, gain, after
    return state.ended[node, 1], np.int64(state.ended[node, 2])


@inlined
def _select(state: State) -> None:
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

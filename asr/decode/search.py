"""CTC prefix beam search: the compiled loop over frames.

A prefix is a node of a growing tree; its acoustic probability is summed over all paths that merge
to it, in two parts: paths that end in a blank, and paths that end in its last token (Graves and
Jaitly 2014, algorithm 1; Hannun et al. 2014). To that a node adds its `score`: language model,
words, hotwords, and a look-ahead to the best word its unfinished one can become. Prefixes stay
apart as long as their tokens or words differ, so the sums are exact for what the beam holds.

Shapes: T frames, V tokens, B hypotheses in the beam. Probabilities are natural logarithms.
"""

import numpy as np
from numpy.typing import NDArray

from asr.compiled import Index, constant, kernel
from asr.decode.lexicon import NO_NODE, ROOT, find_child, has_children
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
from asr.decode.scoring import (
    LM_OFF,
    NO_WORD,
    OOV,
    Knowledge,
    Step,
    Weights,
    hotword_gain,
    look_ahead,
    word_gain,
)
from asr.lm.query import query
from asr.text import BLANK

_NO_TOKEN = constant(BLANK)


@kernel
def advance(knowledge: Knowledge, state: State, log_probs: NDArray[np.float32]) -> None:
    """Go on over frames, float32 (T, V). `state` has room for B more nodes a frame."""
    for t in range(len(log_probs)):
        frame = log_probs[t]
        _keep_tokens(knowledge.weights, state, frame)
        _stay(state, frame)
        state.counts[CANDIDATES] = 0
        for slot in range(state.counts[SLOTS]):
            _expand(knowledge, state, frame, slot)
        _select(knowledge.weights, state)


@kernel
def _keep_tokens(weights: Weights, state: State, frame: NDArray[np.float32]) -> None:
    """The tokens a frame makes worth a try: its most probable one, and all above the threshold."""
    threshold, kept = NEVER, 0
    for token in range(1, len(frame)):
        threshold = max(threshold, frame[token])
    threshold = min(threshold, weights.token_threshold)
    for token in range(1, len(frame)):
        if frame[token] >= threshold and frame[token] > NEVER:
            state.kept[kept] = token
            kept += 1
    state.counts[KEPT] = kept


@kernel
def _stay(state: State, frame: NDArray[np.float32]) -> None:
    """Blanks and repeats: what leaves every prefix as it is."""
    state.best[0] = NEVER
    for slot in range(state.counts[SLOTS]):
        node = state.slots[slot]
        total = log_add(state.blank[slot], state.token[slot])
        state.next_blank[slot] = total + frame[BLANK]
        state.next_token[slot] = state.token[slot] + frame[state.nodes[node, TOKEN]]
        total = log_add(state.next_blank[slot], state.next_token[slot]) + state.score[node]
        state.best[0] = max(state.best[0], total)


@kernel
def _expand(knowledge: Knowledge, state: State, frame: NDArray[np.float32], slot: Index) -> None:
    """All prefixes that are one token longer than that of a slot."""
    node = state.slots[slot]
    total = log_add(state.blank[slot], state.token[slot])
    for position in range(state.counts[KEPT]):
        token = state.kept[position]
        # A repeat without a blank between is no new token: only paths that end in a blank count.
        before = state.blank[slot] if token == state.nodes[node, TOKEN] else total
        if before > NEVER:
            acoustic = before + frame[token]
            if token == knowledge.weights.separator:
                _end_word(knowledge, state, node, acoustic)
            else:
                _spell(knowledge, state, node, token, acoustic)


@kernel
def _spell(knowledge: Knowledge, state: State, node: Index, token: Index, acoustic: float) -> None:
    """A token within a word; without a separator, its last token ends a word."""
    trie = knowledge.trie
    spelled = find_child(trie, state.nodes[node, SPELLED], token)
    if spelled == NO_NODE and not knowledge.weights.open_vocabulary:
        return
    if knowledge.weights.separator != BLANK or spelled == NO_NODE or has_children(trie, spelled):
        _propose(knowledge, state, node, Step(token, NO_WORD, spelled, acoustic))
    if knowledge.weights.separator == BLANK and spelled != NO_NODE:
        for place in range(trie.first_word[spelled], trie.first_word[spelled + 1]):
            word = np.int64(trie.word[place])
            _propose(knowledge, state, node, Step(token, word, ROOT, acoustic))


@kernel
def _end_word(knowledge: Knowledge, state: State, node: Index, acoustic: float) -> None:
    """A separator: the end of every word that is spelled so, or of one outside of the lexicon."""
    trie, spelled = knowledge.trie, state.nodes[node, SPELLED]
    if spelled == ROOT:  # two separators, or one at the start
        return
    token, known = knowledge.weights.separator, False
    if spelled != NO_NODE:
        for place in range(trie.first_word[spelled], trie.first_word[spelled + 1]):
            known = True
            word = np.int64(trie.word[place])
            _propose(knowledge, state, node, Step(token, word, ROOT, acoustic))
    if knowledge.weights.open_vocabulary and not known:
        _propose(knowledge, state, node, Step(token, OOV, ROOT, acoustic))


@kernel
def _propose(knowledge: Knowledge, state: State, node: Index, step: Step) -> None:
    """Make the child of a node a candidate; where it is in the beam, these are more paths to it."""
    known = known_child(state, node, step.token, step.word)
    if known >= 0 and state.nodes[known, SLOT] >= 0:
        slot = state.nodes[known, SLOT]
        state.next_token[slot] = log_add(state.next_token[slot], step.acoustic)
        return
    if known >= 0:
        score = state.score[known]
        lm_state, hotword = state.nodes[known, LM_STATE], state.nodes[known, HOTWORD]
    else:
        lm_state, hotword = state.nodes[node, LM_STATE], state.nodes[node, HOTWORD]
        gain, lm_state = word_gain(knowledge, lm_state, step.token, step.word)
        bonus, hotword = hotword_gain(knowledge.hotwords, hotword, step.token)
        score = state.score[node] + gain + bonus + look_ahead(knowledge, step.spelled)
        score -= look_ahead(knowledge, state.nodes[node, SPELLED])
    if step.acoustic + score < state.best[0] - knowledge.weights.beam_threshold:
        return
    state.best[0] = max(state.best[0], step.acoustic + score)
    place = state.counts[CANDIDATES]
    candidate = state.candidates[place]
    candidate[PARENT], candidate[TOKEN], candidate[WORD] = node, step.token, step.word
    candidate[SPELLED], candidate[LM_STATE], candidate[HOTWORD] = step.spelled, lm_state, hotword
    candidate[KNOWN] = known
    state.candidate_scores[place, 0], state.candidate_scores[place, 1] = step.acoustic, score
    state.counts[CANDIDATES] = place + 1


@kernel
def _select(weights: Weights, state: State) -> None:
    """Fill the beam with the best of slots and candidates."""
    slots, candidates = state.counts[SLOTS], state.counts[CANDIDATES]
    totals, best = state.totals[0], NEVER
    for slot in range(slots):
        acoustic = log_add(state.next_blank[slot], state.next_token[slot])
        totals[slot] = acoustic + state.score[state.slots[slot]]
        best = max(best, totals[slot])
    for place in range(candidates):
        scores = state.candidate_scores[place]
        totals[slots + place] = scores[0] + scores[1]
        best = max(best, totals[slots + place])
    room = len(state.slots)
    cutoff = max(best - weights.beam_threshold, nth_largest(state, slots + candidates, room))
    state.counts[SLOTS] = 0
    for slot in range(slots):
        node = state.slots[slot]
        state.nodes[node, SLOT] = -1
        if totals[slot] >= cutoff and totals[slot] > NEVER:
            occupy(state, node, state.next_blank[slot], state.next_token[slot])
    for place in range(candidates):
        if totals[slots + place] >= cutoff and state.counts[SLOTS] < room:
            occupy(state, node_of(state, place), NEVER, state.candidate_scores[place, 0])


@kernel
def finish(
    knowledge: Knowledge,
    state: State,
    words: NDArray[np.int32],
    totals: NDArray[np.float64],
) -> None:
    """End every hypothesis of the beam, which stays as it is.

    Fills words (B,) with the word that its end completes, and totals (B,) with acoustic and other
    scores together; NEVER where it breaks off within a word and the vocabulary is not open.
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
        words[slot] = word
        totals[slot] = log_add(state.blank[slot], state.token[slot]) + state.score[node] + gain


@kernel
def _last_word(knowledge: Knowledge, state: State, node: Index) -> tuple[Index, float, Index]:
    """The best word that a hypothesis can end with, its score, and the state after it."""
    trie, spelled = knowledge.trie, state.nodes[node, SPELLED]
    lm_state = state.nodes[node, LM_STATE]
    if spelled == ROOT:
        return NO_WORD, 0.0, lm_state
    best_word, best_gain, best_state = NO_WORD, NEVER, lm_state
    if knowledge.weights.separator != BLANK and spelled != NO_NODE:
        for place in range(trie.first_word[spelled], trie.first_word[spelled + 1]):
            word = np.int64(trie.word[place])
            gain, following = word_gain(knowledge, lm_state, _NO_TOKEN, word)
            if gain > best_gain:
                best_word, best_gain, best_state = word, gain, following
    if best_word == NO_WORD and knowledge.weights.open_vocabulary:
        best_word = OOV
        best_gain, best_state = word_gain(knowledge, lm_state, _NO_TOKEN, OOV)
    return best_word, best_gain, best_state

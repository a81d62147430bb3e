"""Forced alignment: the frames of each token of a known text.

It finds the most probable CTC path that writes the tokens, by the Viterbi algorithm over the states
blank, t1, blank, t2, blank ... (Graves et al. 2006, section 4.1, with the maximum in place of the
sum).

Time grows with T * U, memory with U * sqrt(T): the first pass keeps the scores before every
sqrt(T)-th frame. The second pass goes backward, block by block; it computes the scores within a
block again, only for the few states that can lead to the path already found.

Shapes: T frames, V tokens, U tokens of the text, S = 2U + 3 states; token 0 is the blank. States 0
and 1 are never entered: with them, every other state has one that lies two before it. Of the other
states, the even ones emit blanks, the odd ones tokens.

A text may lack words that were said. The best path then tears a word apart, and finds its letters
in the words that the text lacks. So `align_words` bounds what a word may last, and looks again for
a word that lasts longer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from asr._numba import allocating
from asr.decode.greedy import best_path
from asr.decode.hypothesis import Hypothesis
from asr.errors import CheckpointError, TextError, VocabularyError
from asr.formats import Word
from asr.text import BLANK, Vocabulary

TAIL_S = 0.06  # a word lasts so long after its last token; from the ends of 162 espeak-ng words
# Of 1,767 words of LibriSpeech, the longest last (0.3 + 0.06 * letters) s.
_LONGEST_S, _LONGEST_LETTER_S = 0.6, 0.15
# Speech has no text where the model hears so many times the tokens of the text, and some more.
_MORE_HEARD, _STRAY = 1.2, 10
_EDGE_S = 0.15  # beside a word, where speech counts as its own
_BREATH_S = 0.5  # a longer pause ends a stretch of speech
_STARTS = 4096  # that are tried at once
_FIRST = 2  # the state of the blank before all tokens


@dataclass(frozen=True, eq=False)
class Alignment:
    """The most probable path of a text."""

    spans: NDArray[np.int32]  # (U, 2): each token's first frame, and the frame after its last
    log_prob: float  # of the path, natural logarithm

    def path(self, tokens: Sequence[int], num_frames: int) -> NDArray[np.int64]:
        """Return the token or blank (T,) that each frame emits, given the U tokens of the text."""
        path = np.full(num_frames, BLANK, np.int64)
        for (first, end), token in zip(self.spans, tokens, strict=True):
            path[first:end] = token
        return path


class _Lattice(NamedTuple):
    labels: NDArray[np.int64]  # (S,) the token or blank that a state emits
    skips: NDArray[np.float64]  # (S,) 0 if a state may follow the state two before it, else -inf


def forced_alignment(log_probs: NDArray[np.float32], tokens: Sequence[int]) -> Alignment:
    """Align the tokens of a text with the frames of its recording.

    Args:
        log_probs: float32 (T, V), natural-log probabilities.
        tokens: U ids in 1..V-1, repeats included.

    Raises:
        TextError: there are fewer frames than the tokens need, or no path has a probability.
        VocabularyError: an id is the blank or outside the vocabulary.
        CheckpointError: log_probs hold NaN, as those of a damaged model do.
        ValueError: log_probs is not 2-D.
    """
    _check(log_probs, np.array(tokens, np.int64))
    # one layout, and writeable, because numba would compile anew for any other
    log_probs = np.require(log_probs, np.float32, ["C", "W"])
    lattice = _lattice(tokens)
    block = isqrt(len(log_probs)) or 1
    kept, scores = _forward(log_probs, lattice, block)
    last = len(scores) - 1
    end = last - int(scores[last - 1] > scores[last])  # the last token, or the blank after it
    if scores[end] == -np.inf:
        raise TextError("every path through the text has probability 0; is it another recording's?")
    states = _trace(log_probs, lattice, kept, block, end)  # (T,), in ascending order
    of_tokens = np.arange(_FIRST + 1, last, 2)
    edges = [np.searchsorted(states, of_tokens, side) for side in ("left", "right")]
    return Alignment(np.stack(edges, axis=1).astype(np.int32), float(scores[end]))


def align_words(
    log_probs: NDArray[np.float32], tokens: Sequence[int], vocabulary: Vocabulary, frame_s: float
) -> tuple[Word, ...]:
    """Return the words of a known text with times and confidence; see `timed_words`.

    Words last at most `longest_s`. If one would last longer, speech without text is allowed for
    between all words; a word that still does is placed where its tokens fit best, close together.

    Args:
        log_probs: float32 (T, V), natural-log probabilities.
        tokens: U ids in 1..V-1: characters with spaces between words, or whole words.
        vocabulary: of the tokens.
        frame_s: seconds from one frame to the next.

    Raises:
        TextError, VocabularyError, CheckpointError, ValueError: as `forced_alignment` does.
    """
    alignment = forced_alignment(log_probs, tokens)
    text = Hypothesis.of_tokens(tokens, vocabulary, alignment.log_prob)
    alignment = _with_bounded_words(log_probs, text, alignment, frame_s)
    return timed_words(log_probs, text, alignment, frame_s)


def longest_s(word: str) -> float:
    """Return the seconds from the first to the last token of a word that are allowed."""
    return _LONGEST_S + _LONGEST_LETTER_S * len(word)


def unwritten_speech(
    log_probs: NDArray[np.float32], words: Sequence[Word], frame_s: float
) -> list[tuple[float, float]]:
    """Return the stretches in which the model hears speech, but no word stands.

    Args:
        log_probs: float32 (T, V), natural-log probabilities.
        words: the words that are known, in order.
        frame_s: seconds from one frame to the next.

    Returns:
        (start, end) in seconds of each stretch, in order.
    """
    is_heard = log_probs.argmax(axis=1) != BLANK
    for word in words:
        first, last = (int(time / frame_s) for time in (word.start - _EDGE_S, word.end + _EDGE_S))
        is_heard[max(0, first) : last + 1] = False
    times = np.flatnonzero(is_heard) * frame_s
    parts = np.split(times, np.flatnonzero(np.diff(times) > _BREATH_S) + 1)
    return [(float(part[0]), float(part[-1] + frame_s)) for part in parts if len(part)]


def timed_words(
    log_probs: NDArray[np.float32], text: Hypothesis, alignment: Alignment, frame_s: float
) -> tuple[Word, ...]:
    """Return the words of a text, aligned by its tokens, with times and confidence.

    A word starts with the first frame of its first token. CTC emits a token in few frames, with
    blanks after it, so a word goes on after its last token: by at most TAIL_S, and at most to the
    start of the next token of the text, which may be a space. Its confidence is the mean over its
    tokens of the highest probability that each has within its frames.
    """
    frames = alignment.spans.tolist()
    limits = [first for first, _ in frames[1:]] + [len(log_probs)]
    words = []
    for name, (begin, end) in zip(text.words, text.spans, strict=True):
        peaks = [log_probs[slice(*frames[u]), text.tokens[u]].max() for u in range(begin, end)]
        words.append(
            Word(
                word=name,
                start=frames[begin][0] * frame_s,
                end=min(frames[end - 1][1] * frame_s + TAIL_S, limits[end - 1] * frame_s),
                confidence=min(1.0, float(np.exp(peaks).mean())),
            )
        )
    return tuple(words)


def _with_bounded_words(
    log_probs: NDArray[np.float32], text: Hypothesis, alignment: Alignment, frame_s: float
) -> Alignment:
    """Return the alignment, or another one if a word lasts too long or speech lacks its text."""
    limits = [int(longest_s(name) / frame_s) for name in text.words]

    def is_torn(spans: NDArray[np.int32], word: int) -> bool:
        begin, end = text.spans[word]
        return bool(spans[end - 1, 1] - spans[begin, 0] > limits[word])

    torn = any(is_torn(alignment.spans, word) for word in range(len(limits)))
    most_heard = _MORE_HEARD * len(text.tokens) + _STRAY
    if not (torn or (limits and len(best_path(log_probs)) > most_heard)):
        return alignment
    spans = _among_other_speech(log_probs, text, alignment.spans)
    for word, (begin, end) in enumerate(text.spans):
        if is_torn(spans, word):
            first = spans[text.spans[word - 1][1] - 1, 1] if word else 0
            stop = spans[text.spans[word + 1][0], 0] if word + 1 < len(limits) else len(log_probs)
            found = _placed(log_probs[first:stop], text.tokens[begin:end], limits[word])
            spans[begin:end] = spans[begin:end] if found is None else first + found
    return Alignment(_with_separators(spans, text, len(log_probs)), alignment.log_prob)


def _among_other_speech(
    log_probs: NDArray[np.float32], text: Hypothesis, spans: NDArray[np.int32]
) -> NDArray[np.int32]:
    """Return the frames (U, 2) of the tokens of a text that lacks words of its recording.

    A filler stands between the words, in place of spaces. It is as probable as the best token of
    each frame, so that speech without text costs nothing between words, but it does inside them.
    Where the frames do not suffice for fillers, `spans` (U, 2) are returned.
    """
    filler = log_probs.shape[1]
    tokens, places = [filler], list[int]()  # places: of the words' tokens among these
    for begin, end in text.spans:
        places += range(len(tokens), len(tokens) + end - begin)
        tokens += [*text.tokens[begin:end], filler]
    spans = spans.copy()
    if _frames_needed(np.array(tokens)) <= len(log_probs) + 2:
        wider = np.full((len(log_probs) + 2, filler + 1), -np.inf, np.float32)
        wider[1:-1, :filler] = log_probs
        wider[:, filler] = wider.max(axis=1)
        wider[[0, -1], filler] = 0.0  # a frame at each end for the outer fillers
        found = forced_alignment(wider, tokens).spans - 1
        spans[[u for begin, end in text.spans for u in range(begin, end)]] = found[places]
    return spans


def _with_separators(
    spans: NDArray[np.int32], text: Hypothesis, num_frames: int
) -> NDArray[np.int32]:
    """Return spans (U, 2) in which spaces are empty and lie where the next word begins."""
    of_words = {u for begin, end in text.spans for u in range(begin, end)}
    at = num_frames
    for u in range(len(spans) - 1, -1, -1):
        if u in of_words:
            at = spans[u, 0]
        else:
            spans[u] = at
    return spans


def _placed(
    log_probs: NDArray[np.float32], tokens: Sequence[int], longest: int
) -> NDArray[np.int32] | None:
    """Return the frames (U, 2) of a word's tokens where the word fits best; None if nowhere.

    A word fits well where its path is nearly as probable as the best path of all, whatever that
    one writes. Frames of other words make it fit worse, frames of silence do not.

    Args:
        log_probs: float32 (T, V) of the frames where the word may stand.
        tokens: U ids of the word.
        longest: most frames from its first to its last.
    """
    regret = log_probs.astype(np.float64) - log_probs.max(axis=1, keepdims=True)
    lattice = _lattice(tokens)
    labels, skips = lattice.labels[_FIRST + 1 : -1], lattice.skips[_FIRST + 1 : -1]
    best, found = -np.inf, None
    for base in range(0, len(regret), _STARTS):
        part = regret[base : base + _STARTS + longest][:, labels]  # (t, states)
        starts = min(_STARTS, len(part))
        scores = np.full((starts, 2 + len(labels)), -np.inf)  # two states before the first
        scores[:, 1] = 0.0
        for length in range(1, min(longest, len(part)) + 1):
            frames = part[length - 1 : length - 1 + starts]
            scores = scores[: len(frames)]
            before = np.maximum(scores[:, 1:-1], scores[:, :-2] + skips)
            scores[:, 2:] = np.maximum(scores[:, 2:], before) + frames
            scores[:, :2] = -np.inf
            at = int(scores[:, -1].argmax())
            if scores[at, -1] > best:
                best, found = scores[at, -1], (base + at, base + at + length)
    if found is None:
        return None
    start, stop = found
    return start + forced_alignment(log_probs[start:stop], tokens).spans


def _check(log_probs: NDArray[np.float32], tokens: NDArray[np.int64]) -> None:
    """Raise unless the tokens can be aligned with the frames."""
    if log_probs.ndim != 2:
        raise ValueError(f"log_probs has {log_probs.ndim} axes; it must be (T, V)")
    num_frames, num_tokens = log_probs.shape
    unknown = tokens[(tokens <= BLANK) | (tokens >= num_tokens)]
    if len(unknown):
        raise VocabularyError(f"id {unknown[0]} is no token; allowed: 1..{num_tokens - 1}")
    needed = _frames_needed(tokens)
    if needed > num_frames:
        raise TextError(
            f"the text needs {needed} frames, the recording has {num_frames}; is the text "
            "another's, or the recording cut short?"
        )
    if np.isnan(log_probs).any():
        raise CheckpointError("the log-probabilities hold NaN; use an earlier checkpoint")


def _frames_needed(tokens: NDArray[np.int64]) -> int:
    """Return the fewest frames of a path; asr.ctc has the same, but needs torch."""
    return len(tokens) + int(np.count_nonzero(tokens[1:] == tokens[:-1]))


def _lattice(tokens: Sequence[int]) -> _Lattice:
    """Return the states of a text."""
    labels = np.full(_FIRST + 1 + 2 * len(tokens), BLANK, np.int64)
    labels[_FIRST + 1 :: 2] = tokens
    skips = np.full(len(labels), -np.inf)  # only the blank between different tokens can be skipped
    skips[_FIRST + 3 :: 2][labels[_FIRST + 3 :: 2] != labels[_FIRST + 1 : -2 : 2]] = 0.0
    return _Lattice(labels, skips)


@allocating
def _forward(
    log_probs: NDArray[np.float32], lattice: _Lattice, block: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the scores (T / block, S) before each block of frames, and (S,) after the last frame.

    A path climbs by at most two states a frame. So states that no path has reached yet are left
    out, and states from which no path can reach the end any more.
    """
    labels, skips = lattice
    num_frames, last = len(log_probs), len(labels) - 1
    kept = np.empty(((num_frames + block - 1) // block, len(labels)))
    before = np.full(len(labels), -np.inf)
    before[_FIRST] = 0.0
    after = before.copy()
    for t in range(num_frames):
        if t % block == 0:
            _copy(before, kept[t // block])
        low = max(0, last - 1 - 2 * (num_frames - t))
        high = min(last, _FIRST + 1 + 2 * t) + 1
        part = _Lattice(labels[low:high], skips[low:high])
        _advance(before[low:high], after[low:high], log_probs[t], part)
        before, after = after, before
    return kept, before


@allocating
def _trace(
    log_probs: NDArray[np.float32],
    lattice: _Lattice,
    kept: NDArray[np.float64],
    block: int,
    end: int,
) -> NDArray[np.int64]:
    """Return the state (T,) in each frame of the best path that ends in the state `end`."""
    states = np.empty(len(log_probs), np.int64)
    for row in range(len(kept) - 1, -1, -1):
        frames = log_probs[row * block : (row + 1) * block]
        base = max(0, end - 2 * len(frames))  # the lowest state that leads to `end` within them
        near = _Lattice(lattice.labels[base : end + 1], lattice.skips[base : end + 1])
        scores = np.full((len(frames) + 1, end + 1 - base), -np.inf)
        _copy(kept[row, base : end + 1], scores[0])
        for t in range(len(frames)):
            _advance(scores[t], scores[t + 1], frames[t], near)
        for t in range(len(frames) - 1, -1, -1):
            states[row * block + t] = end
            here = end - base
            stay, step = scores[t, here], scores[t, here - 1]
            skip = scores[t, here - 2] + near.skips[here]
            end -= 2 if skip > max(stay, step) else int(step > stay)
    return states


@allocating
def _advance(
    before: NDArray[np.float64],
    after: NDArray[np.float64],
    emitted: NDArray[np.float32],
    lattice: _Lattice,
) -> None:
    """Set the scores (S,) of all states but the lowest two after a frame, emitted (V,)."""
    labels, skips = lattice
    for state in range(_FIRST, len(before)):
        stay, step, skip = before[state], before[state - 1], before[state - 2] + skips[state]
        best = step if step > stay else stay
        best = skip if skip > best else best
        after[state] = best + emitted[labels[state]]


@allocating
def _copy(source: NDArray[np.float64], target: NDArray[np.float64]) -> None:
    """Copy an array; `target[:] = source` takes numba seconds to compile."""
    for i in range(len(source)):
        target[i] = source[i]

"""Beam search decoding of CTC log-probabilities, with a lexicon, an n-gram model and hotwords.

    decoder = BeamDecoder(vocabulary, lm=load_lm("lm.bin"))
    best, *others = decoder.decode(log_probs, nbest=10)

Language model, lexicon and hotwords are prepared once; each utterance has a search of its own.
Shapes: T frames, V tokens; token 0 is the blank. Probabilities are natural logarithms.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from asr._cores import usable_cores
from asr._numba import is_cached, is_kept
from asr._progress import say
from asr.decode.hotwords import NO_WORD, OOV
from asr.decode.hypothesis import Hypothesis, Span
from asr.decode.knowledge import gather_knowledge, reweighted
from asr.decode.lattice import LatticePath, best_first, path_to
from asr.decode.search import (
    LM_OFF,
    LM_ON_TOKENS,
    LM_ON_WORDS,
    NEVER,
    NODES,
    SLOTS,
    TOKEN,
    WORD,
    Knowledge,
    advance,
    finish,
)
from asr.decode.settings import DecoderConfig
from asr.decode.state import compact, completions, make_room, new_state
from asr.lexicon import Lexicon
from asr.lm import NgramModel, score_ids
from asr.text import BLANK, Vocabulary

_BLOCK = 256  # frames between two checks of the room left in the tree
_AHEAD = 1024  # frames that get room at once: what is not used takes no memory, a copy does
_MOST_PATHS = 1000  # examined for hypotheses: many have the same words in other pronunciations
_MANY_NODES = 2**21  # from this size on, nodes that the beam no longer needs are dropped


class BeamDecoder:
    """A beam search decoder with one vocabulary, language model, lexicon and list of hotwords.

    Args:
        vocabulary: tokens of the acoustic model.
        config: weights and thresholds.
        lm: n-gram model over words, or over characters if it knows the token <space>.
        lexicon: words and their spellings; by default all words of the language model that the
            vocabulary can write; without a model over words, the vocabulary's words, or any string.
        hotwords: words and phrases to prefer, written as the model writes text. Words that the
            lexicon lacks are added to it.

    Raises:
        DecoderError: a hotword cannot be spelled, or a setting does not fit the vocabulary.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        config: DecoderConfig | None = None,
        *,
        lm: NgramModel | None = None,
        lexicon: Lexicon | None = None,
        hotwords: Sequence[str] = (),
    ) -> None:
        self.vocabulary = vocabulary
        self.config = config or DecoderConfig()
        self.knowledge, self.words, self.lm_state = gather_knowledge(
            vocabulary, self.config, lm, lexicon, hotwords
        )
        self.most_candidates = self.config.beam_size * _most_children(self.knowledge)

    def decode(self, log_probs: NDArray[np.float32], nbest: int = 1) -> list[Hypothesis]:
        """Return the best hypotheses of an utterance, float (T, V), best first: at least one.

        Raises:
            ValueError: log_probs is not (T, V), or holds NaN.
        """
        search = self.start(remember=nbest > 1)
        search.advance(log_probs)
        return search.hypotheses(nbest)

    def decode_all(
        self, utterances: Iterable[NDArray[np.float32]], nbest: int = 1, threads: int | None = None
    ) -> list[list[Hypothesis]]:
        """Decode several utterances, in as many threads as there are cores by default."""
        with ThreadPoolExecutor(threads or usable_cores()) as pool:
            return list(pool.map(lambda log_probs: self.decode(log_probs, nbest), utterances))

    def reweighted(self, lm_weight: float, word_score: float) -> "BeamDecoder":
        """Return this decoder with other weights; language model and lexicon are shared."""
        other = copy(self)
        other.config = replace(self.config, lm_weight=lm_weight, word_score=word_score)
        other.knowledge = reweighted(self.knowledge, other.config)
        return other

    def start(self, *, remember: bool = False) -> "BeamSearch":
        """Begin an utterance or stream that arrives in parts.

        With recombination the search keeps few alternatives, unless `remember` makes it keep a
        lattice.
        """
        return BeamSearch(self, remember=remember)


class BeamSearch:
    """The search of one utterance or stream: `advance` by frames, ask for `hypotheses` any time."""

    def __init__(self, decoder: BeamDecoder, *, remember: bool = False) -> None:
        self.decoder = decoder
        has_lm = decoder.knowledge.weights.lm_unit != LM_OFF
        self.state = new_state(
            decoder.config.beam_size,
            decoder.most_candidates,
            len(decoder.vocabulary),
            decoder.lm_state,
            recombine=decoder.config.recombine and has_lm,
            remember=remember,
        )

    def advance(self, log_probs: NDArray[np.float32]) -> None:
        """Advance over float (T, V) natural-log probabilities; parts give the result of the whole.

        Raises:
            ValueError: log_probs is not (T, V), or holds NaN.
        """
        frames = np.ascontiguousarray(log_probs, np.float32).view()
        frames.flags.writeable = False  # one type for the compiled code
        if frames.ndim != 2 or frames.shape[1] != len(self.decoder.vocabulary):
            raise ValueError(f"log_probs is {frames.shape}; (T, {len(self.decoder.vocabulary)})")
        if np.isnan(frames).any():
            raise ValueError("log_probs hold NaN")
        for begin in range(0, len(frames), _BLOCK):
            if self.state.counts[NODES] > _MANY_NODES:
                self.state = compact(self.state)
            a_frame, ahead = 2 * len(self.state.slots), min(len(frames) - begin, _AHEAD)
            self.state = make_room(self.state, a_frame * _BLOCK, a_frame * ahead)
            advance(self.decoder.knowledge, self.state, frames[begin : begin + _BLOCK])

    def hypotheses(self, nbest: int = 1) -> list[Hypothesis]:
        """Return the best hypotheses if the utterance ended here, best first; the search can go on.

        If the lexicon allows no hypothesis to end here, unfinished words are returned as spelled so
        far; without a token between words, which phones lack, as the likeliest word that begins so.
        """
        found: dict[tuple[str, ...], Hypothesis] = {}
        for path in islice(self._paths(nbest), _MOST_PATHS):
            hypothesis = self._trace(path)
            found.setdefault(hypothesis.words, hypothesis)
            if len(found) == nbest:
                break
        return list(found.values())

    def _paths(self, nbest: int) -> Iterator[LatticePath]:
        """Yield the paths that end in the beam, and those merged into them, best first."""
        knowledge = self.decoder.knowledge
        used = int(self.state.counts[SLOTS])
        words, totals = np.empty(used, np.int32), np.empty(used)
        said = np.empty(used, np.int64)
        finish(knowledge, self.state, words, totals, said)
        if (totals == NEVER).all():
            anything = knowledge.weights._replace(open_vocabulary=True)
            finish(knowledge._replace(weights=anything), self.state, words, totals, said)
            if anything.separator == BLANK:
                words[:] = completions(knowledge, self.state)
        ended = np.flatnonzero(totals > NEVER)
        distinct, text = np.unique(said[ended], return_inverse=True)
        scores = np.full(len(distinct), NEVER)
        np.logaddexp.at(scores, text, totals[ended])
        ends = []
        for number in np.argsort(-scores, kind="stable")[:nbest]:
            alike = ended[text == number]  # slots with the same words
            best = alike[totals[alike].argmax()]
            acoustic = float(np.logaddexp.reduce(self.state.sums[alike]))
            nodes = path_to(self.state, int(self.state.slots[best]))
            ends.append(LatticePath(float(scores[number]), acoustic, nodes, int(words[best])))
        return best_first(self.state, ends)

    def _trace(self, path: LatticePath) -> Hypothesis:
        """Return the words on a path, their tokens and their spans."""
        nodes = self.state.nodes[list(path.nodes)]
        separator = self.decoder.knowledge.weights.separator
        tokens, words, spans, begin = nodes[:, TOKEN].tolist(), list[int](), list[Span](), 0
        for place, word in enumerate(nodes[:, WORD].tolist()):
            if word != NO_WORD:
                words.append(word)
                spans.append((begin, place + (tokens[place] != separator)))
                begin = place + 1
        if begin < len(tokens):
            words.append(path.last_word)
            spans.append((begin, len(tokens)))
        elif tokens and tokens[-1] == separator:
            tokens.pop()
        names = (
            self._name(word, tokens[slice(*span)]) for word, span in zip(words, spans, strict=True)
        )
        language = self._language_score(words, tokens)
        return Hypothesis(
            tuple(names), tuple(tokens), tuple(spans), path.acoustic, path.score, language
        )

    def _language_score(self, words: list[int], tokens: list[int]) -> float:
        """Return the log-probability of a hypothesis by the n-gram model; 0 without one."""
        knowledge = self.decoder.knowledge
        weights, ids = knowledge.weights, list[int]()
        if weights.lm_unit == LM_ON_WORDS:
            of_word = knowledge.lm_of_word
            ids = [weights.unknown if word == OOV else int(of_word[word]) for word in words]
        elif weights.lm_unit == LM_ON_TOKENS:
            ids = knowledge.lm_of_token[tokens].tolist()
        if weights.lm_unit != LM_OFF:
            ids.append(weights.sentence_end)
        scores = np.empty(len(ids))
        numbers = np.array(ids, np.int32)
        score_ids(knowledge.lm, self.decoder.lm_state, weights.sentence_end, numbers, scores)
        return float(scores.sum())

    def _name(self, word: int, spelled: list[int]) -> str:
        decoder = self.decoder
        return decoder.vocabulary.decode(spelled) if word == OOV else decoder.words[word]


def _most_children(knowledge: Knowledge) -> int:
    """Return the largest number of children that a prefix can have in one frame."""
    trie = knowledge.trie
    words = np.diff(trie.first_word)
    below = np.concatenate(([0], np.cumsum(words)))[trie.first_child]
    homophones = int(np.diff(below).max() + words.max())
    return len(knowledge.lm_of_token) + homophones


def compile_search() -> None:
    """Compile the frame loop, or load it from the cache that an earlier process left.

    numba keeps the cache beside the package, or in the user's cache folder if it cannot write
    there; NUMBA_CACHE_DIR moves it. Files are renamed into place, so processes do not disturb one
    another.
    """
    if not is_kept(advance):
        say(
            "compiling the decoder in memory, some seconds: no folder can be written to keep it; "
            "set NUMBA_CACHE_DIR to one"
        )
    elif not is_cached(advance):
        say("compiling the decoder: once after an install, some seconds")
    vocabulary = Vocabulary(("<blank>", " ", "A"))
    BeamDecoder(vocabulary).decode(np.full((2, 3), -1.0, np.float32))

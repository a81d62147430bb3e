"""Pronunciations of words that a dictionary lacks: a joint n-gram model of letters and phones.

The words of the dictionary become sequences of graphones, on which an n-gram model is estimated.
The pronunciation of a new word is read from the most probable sequence that has its letters.

Source: Bisani & Ney 2008, "Joint-sequence models for grapheme-to-phoneme conversion".
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from asr._numba import Index, constant, inlined, kernel, read_only
from asr._progress import progress
from asr.errors import LanguageModelError
from asr.lexicon.dictionary import Pronunciation
from asr.lexicon.graphones import Graphone, align
from asr.lm import MAX_ORDER, NgramArrays, NgramModel, estimate, query

BEAM_SIZE = 16
_NONE = constant(-1)  # no second letter; no hypothesis
_UNKNOWN = -2  # a letter that the dictionary lacks


class GraphoneArrays(NamedTuple):
    """The graphones, sorted by their first letter; read only."""

    second: NDArray[np.int64]  # (graphones,) the second letter; _NONE if there is one letter
    word: NDArray[np.int64]  # (graphones,) id in the language model
    first: NDArray[np.int64]  # (letters + 1,) graphones of letter i: first[i : i + 2]


class Beam(NamedTuple):
    """The best hypotheses at each place of a word: before letter 0, before letter 1 and so on."""

    size: NDArray[np.int64]  # (places,) number of hypotheses
    score: NDArray[np.float64]  # (places, BEAM_SIZE), as the next three
    state: NDArray[np.int64]  # of the language model
    graphone: NDArray[np.int64]  # the last one
    before: NDArray[np.int64]  # the hypothesis, at its own place, that the last graphone extends


@dataclass(frozen=True)
class PronouncedWords:
    """Words as a user wrote them, with their pronunciations."""

    pronunciations: dict[str, Sequence[Pronunciation]]  # the first is the usual one
    guessed: tuple[str, ...]  # words among them whose pronunciations are guessed
    left_out: tuple[str, ...]  # other words, which cannot be guessed from the dictionary


def pronounce(
    words: Iterable[str],
    dictionary: Mapping[str, Sequence[Pronunciation]],
    pronouncer: "Callable[[], Pronouncer] | None" = None,
) -> PronouncedWords:
    """Look words up in a dictionary, in any case, and guess those that it lacks.

    Args:
        words: to be pronounced.
        dictionary: its words are in lower case.
        pronouncer: returns a guesser, if there are words to guess; by default it is trained on the
            dictionary.

    Raises:
        LanguageModelError: there are words to guess, and the dictionary is no use for it.
    """
    words = tuple(dict.fromkeys(words))
    found = {w: dictionary[w.lower()] for w in words if w.lower() in dictionary}
    lacking = [word for word in words if word not in found]
    if lacking:
        found |= _guesses(lacking, pronouncer() if pronouncer else Pronouncer.train(dictionary))
    return PronouncedWords(
        found,
        tuple(word for word in lacking if word in found),
        tuple(word for word in lacking if word not in found),
    )


def spelled(words: Iterable[str]) -> PronouncedWords:
    """Return words that are said as they are written: their letters are their phones."""
    return PronouncedWords({word: [tuple(word)] for word in dict.fromkeys(words)}, (), ())


def _guesses(words: Sequence[str], guess: "Pronouncer") -> dict[str, Sequence[Pronunciation]]:
    """Return the words that can be guessed, each with its guess."""
    guesses = ((word, guess(word.lower())) for word in progress(words, "guessing pronunciations"))
    return {word: [phones] for word, phones in guesses if phones}


@dataclass(frozen=True, eq=False)
class Pronouncer:
    """A guesser of pronunciations, trained on a dictionary."""

    lm: NgramModel
    graphones: tuple[Graphone, ...]  # sorted

    @classmethod
    def train(cls, dictionary: Mapping[str, Sequence[Pronunciation]]) -> "Pronouncer":
        """Train on all pronunciations of a dictionary.

        Raises:
            LanguageModelError: no word can be aligned with its phones, or there are thousands of
                letters.
        """
        spoken = [(word, phones) for word, several in dictionary.items() for phones in several]
        sequences = [sequence for sequence in align(spoken) if sequence]
        if not sequences:
            raise LanguageModelError(
                f"none of the {len(dictionary)} words of the dictionary can be aligned with its "
                "phones; give a dictionary with more words, of at most two phones for each letter"
            )
        graphones = tuple(sorted(set(chain.from_iterable(sequences))))
        names = {graphone: _name(graphone) for graphone in graphones}
        lm = estimate(([names[g] for g in sequence] for sequence in sequences), MAX_ORDER)
        return cls(lm, graphones)

    def __call__(self, word: str) -> Pronunciation | None:
        """Return the likeliest pronunciation of a word; None if it cannot be guessed.

        A word cannot be guessed if the dictionary lacks one of its letters, or this sequence of
        letters.
        """
        letters = np.array([self._letters.get(letter, _UNKNOWN) for letter in word], np.int64)
        if _UNKNOWN in letters:
            return None
        beam = _new_beam(len(word) + 1, self.lm.begin)
        best = _search(self.lm.arrays, self.lm.eos, self._arrays, letters, beam)
        phones: Pronunciation = ()
        place = len(word)
        while place and best != _NONE:
            graphone = self.graphones[beam.graphone[place, best]]
            best = beam.before[place, best]
            phones = graphone.phones + phones
            place -= len(graphone.letters)
        return phones or None

    @cached_property
    def _letters(self) -> dict[str, int]:
        letters = {letter for graphone in self.graphones for letter in graphone.letters}
        return {letter: index for index, letter in enumerate(sorted(letters))}

    @cached_property
    def _arrays(self) -> GraphoneArrays:
        index = self._letters | {"": int(_NONE)}
        first = [index[graphone.letters[0]] for graphone in self.graphones]
        second = [index[graphone.letters[1:]] for graphone in self.graphones]
        words = [self.lm.word_id(_name(graphone)) for graphone in self.graphones]
        starts = np.searchsorted(first, np.arange(len(self._letters) + 1))
        return read_only(GraphoneArrays(np.array(second), np.array(words), starts))


def _name(graphone: Graphone) -> str:
    """Return the name of a graphone as a word of the language model."""
    return f"{graphone.letters} {' '.join(graphone.phones)}"


def _new_beam(places: int, state: int) -> Beam:
    """Return a beam with one empty hypothesis."""
    table = (places, BEAM_SIZE)
    score, (states, graphone, before) = np.zeros(table), np.zeros((3, *table), np.int64)
    size = np.zeros(places, np.int64)
    size[0], states[0, 0] = 1, state
    return Beam(size, score, states, graphone, before)


@kernel
def _search(
    lm: NgramArrays,
    eos: Index,
    graphones: GraphoneArrays,
    letters: NDArray[np.int64],
    beam: Beam,
) -> Index:
    """Fill a new beam; return the best hypothesis of the whole word, _NONE where there is none."""
    for place in range(len(letters)):
        for hypothesis in range(beam.size[place]):
            for g in range(graphones.first[letters[place]], graphones.first[letters[place] + 1]):
                end = place + 1
                if graphones.second[g] != _NONE:
                    if end == len(letters) or letters[end] != graphones.second[g]:
                        continue
                    end += 1
                score, state = query(lm, beam.state[place, hypothesis], graphones.word[g])
                score += beam.score[place, hypothesis]
                slot = _slot(beam, end, score, state)
                if slot != _NONE:
                    beam.score[end, slot] = score
                    beam.state[end, slot] = state
                    beam.graphone[end, slot] = g
                    beam.before[end, slot] = hypothesis
    best, highest = _NONE, -np.inf
    for hypothesis in range(beam.size[len(letters)]):
        score = beam.score[len(letters), hypothesis]
        score += query(lm, beam.state[len(letters), hypothesis], eos)[0]
        if score > highest:
            best, highest = np.int64(hypothesis), score
    return best


@inlined
def _slot(beam: Beam, place: Index, score: float, state: Index) -> Index:
    """Return the slot for a new hypothesis; _NONE if the hypotheses there are better.

    Two hypotheses in the same state score the same continuations equally, so only the better one
    stays.
    """
    worst = np.int64(0)
    for slot in range(beam.size[place]):
        if beam.state[place, slot] == state:
            return np.int64(slot) if score > beam.score[place, slot] else _NONE
        if beam.score[place, slot] < beam.score[place, worst]:
            worst = np.int64(slot)
    if beam.size[place] < BEAM_SIZE:
        beam.size[place] += 1
        return np.int64(beam.size[place] - 1)
    return worst if score > beam.score[place, worst] else _NONE

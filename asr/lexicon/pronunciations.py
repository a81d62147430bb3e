"""Pronunciations that come with a model: targets of its phone output, and the way back to words."""

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from asr._atomic import write_atomically
from asr._npz import read_npz
from asr._progress import counted, say
from asr._regular import open_regular
from asr.errors import CheckpointError, DecoderError, LanguageModelError, VocabularyError
from asr.lexicon.dictionary import Pronunciation, read_dictionary
from asr.lexicon.trie import Lexicon
from asr.lm import NgramModel
from asr.text import PHONES, SPACE_TOKEN, Normalizer, Vocabulary

if TYPE_CHECKING:
    from asr.lexicon.guess import PronouncedWords, Pronouncer

LEXICON = "lexicon.npz"
_MOST_BYTES = 2**27  # of lexicon.npz when it is unpacked; 100,000 words take 4 MB
_LONGEST = 1000  # letters or phones of a word


@dataclass(frozen=True, eq=False)
class Pronunciations:
    """The pronunciations of words as transcripts spell them, the usual one first."""

    phones: Vocabulary
    lexicon: Lexicon

    @classmethod
    def read(cls, path: Path, normalizer: Normalizer) -> "Pronunciations":
        """Read a dictionary, such as asr-lexicon writes; entries of several words are left out.

        Raises:
            LanguageModelError: the file is not a dictionary, or has no single word.
        """
        entries, spoken = read_dictionary(path), dict[str, list[Pronunciation]]()
        for word, several in entries.items():
            normalised = normalizer(word)
            if normalised and " " not in normalised:  # CAUSE is not read as 'cause is
                spoken.setdefault(normalised, entries.get(normalised.lower(), several))
        phones = chain.from_iterable(chain.from_iterable(spoken.values()))
        try:
            vocabulary = Vocabulary.from_texts([" ".join(phones)], "word")
        except VocabularyError as error:
            raise LanguageModelError(
                f"{path}: no dictionary to learn phones from ({error}); give a word and its "
                "phones on each line"
            ) from error
        return cls(vocabulary, _lexicon(spoken, vocabulary))

    @classmethod
    def load(cls, folder: Path) -> "Pronunciations":
        """Load what `save` wrote.

        Raises:
            VocabularyError, DecoderError: a file is missing or damaged.
        """
        phones = Vocabulary.load(folder / PHONES, "word")
        path = folder / LEXICON
        try:
            with open_regular(path, _MOST_BYTES) as file:
                return cls(phones, _unpacked(file.read(), len(phones)))
        except Exception as error:  # a damaged archive raises many kinds, of no common class
            raise DecoderError(
                f"{path}: not a lexicon of a model ({error}); copy the model again"
            ) from error

    def save(self, folder: Path) -> None:
        """Write phones.txt and lexicon.npz, which np.load reads without a pickle.

        Raises:
            CheckpointError: they cannot be written.
        """
        content = io.BytesIO()
        np.savez_compressed(
            content,
            words=np.frombuffer("\n".join(self.lexicon.words).encode(), np.uint8),
            word=self.lexicon.word,
            tokens=self.lexicon.tokens.astype(np.min_scalar_type(len(self.phones))),
        )
        try:
            self.phones.save(folder / PHONES)
            write_atomically(folder / LEXICON, content.getvalue())
        except OSError as error:
            raise CheckpointError(
                f"{folder / LEXICON}: cannot be written ({error.strerror}); make room, or give "
                "another --out"
            ) from error

    def among(self, lm: NgramModel) -> Lexicon:
        """Return the pronunciations of the words of a language model.

        Raises:
            DecoderError: the language model is over characters, or has none of the words.
        """
        if SPACE_TOKEN in lm:
            raise DecoderError(
                "the language model is over characters, which are not phones; add --unit tokens"
            )
        lexicon = self.lexicon.among(lm)
        if not lexicon.words:
            raise DecoderError(
                f"no word of the language model has a pronunciation: {lm.words[-3:]} against "
                f"{self.lexicon.words[:3]}; check upper and lower case, or add --unit tokens"
            )
        return lexicon

    def entries(self) -> dict[str, list[Pronunciation]]:
        """Return the words with their pronunciations, as `read_dictionary` does."""
        sounds, words = self.phones.tokens, self.lexicon.words
        spoken = dict[str, list[Pronunciation]]()
        for word, row in zip(self.lexicon.word.tolist(), self.lexicon.tokens, strict=True):
            phones = tuple(sounds[phone] for phone in row[row > 0])
            spoken.setdefault(words[word], []).append(phones)
        return spoken

    def with_entries(self, spoken: Mapping[str, Sequence[Pronunciation]]) -> "Pronunciations":
        """Return these pronunciations with others for some words, known or not.

        Raises:
            VocabularyError: a phone is not among these phones.
        """
        if not spoken:
            return self
        others = self.lexicon.among(set(self.lexicon.words) - spoken.keys())
        return Pronunciations(self.phones, others.joined(_lexicon(spoken, self.phones)))

    def guesses(self, words: Iterable[str]) -> "PronouncedWords":
        """Return pronunciations of words, guessed from the known words where they are not known.

        Raises:
            LanguageModelError: nothing can be guessed from the known words.
        """
        from asr.lexicon.guess import pronounce  # 40 ms that only guesses need

        return pronounce(words, self._known, lambda: self._pronouncer)

    def guessed(self, words: Iterable[str]) -> Lexicon:
        """Return pronunciations of words, guessed where they are not known.

        Raises:
            DecoderError: a word has letters that no known word has.
        """
        words = tuple(words)
        if unknown := [word for word in words if self.lacks(word)]:
            # Not which words: a server says nothing of what its clients send.
            say(f"guessing how to pronounce {counted(len(unknown), 'word')}: some seconds")
        found = self.guesses(words)
        if found.left_out:
            raise DecoderError(
                f"{found.left_out[0]!r}: its pronunciation cannot be guessed; leave it out, give "
                "it with --lexicon, or add --unit tokens"
            )
        return _lexicon(found.pronunciations, self.phones)

    def encode(self, text: str) -> tuple[int, ...]:
        """Return the ids of the phones of a text; () if a word has no pronunciation.

        Each word has its usual pronunciation.
        """
        rows = [self._usual.get(word) for word in text.split()]
        known = [row for row in rows if row is not None]
        if len(known) < len(rows) or not known:
            return ()
        ids = self.lexicon.tokens[known]
        return tuple(ids[ids > 0].tolist())

    def lacks(self, text: str) -> list[str]:
        """Return the words of a text that have no pronunciation."""
        return [word for word in text.split() if word not in self._usual]

    @cached_property
    def _known(self) -> dict[str, list[Pronunciation]]:
        """The words in lower case, with their pronunciations."""
        known = dict[str, list[Pronunciation]]()
        for word, several in self.entries().items():
            known.setdefault(word.lower(), []).extend(several)
        return known

    @cached_property
    def _pronouncer(self) -> "Pronouncer":
        from asr.lexicon.guess import Pronouncer

        return Pronouncer.train(self._known)

    @cached_property
    def _usual(self) -> dict[str, int]:
        """The row of each word's first pronunciation."""
        found, rows = np.unique(self.lexicon.word, return_index=True)
        words = self.lexicon.words
        return {words[index]: row for index, row in zip(found.tolist(), rows.tolist(), strict=True)}


def _lexicon(spoken: Mapping[str, Sequence[Pronunciation]], phones: Vocabulary) -> Lexicon:
    """Return the lexicon of words with their pronunciations."""
    spellings = [
        (index, phones.encode(" ".join(one)))
        for index, several in enumerate(spoken.values())
        for one in several
    ]
    return Lexicon.of_spellings(tuple(spoken), spellings)


def _unpacked(content: bytes, num_phones: int) -> Lexicon:
    """Return the lexicon in a file that `Pronunciations.save` wrote.

    Raises:
        Exception: of many kinds, if it is another file.
    """
    stored = read_npz(content, _MOST_BYTES)
    if stored.keys() != {"words", "word", "tokens"}:
        raise ValueError(f"it holds {', '.join(stored)}; allowed: words, word and tokens")
    words = tuple(stored["words"].tobytes().decode().split("\n"))
    if "" in words or len(set(words)) < len(words):
        raise ValueError("a word is empty, or there a second time")
    if any(stored[name].dtype.kind not in "iu" for name in ("word", "tokens")):
        raise ValueError("its indices are not whole numbers")
    word, tokens = stored["word"], stored["tokens"]
    if tokens.ndim != 2 or tokens.shape[:1] != word.shape:
        raise ValueError("its parts do not fit together")
    if min(word.min(), tokens.min()) < 0 or word.max() >= len(words) or tokens.max() >= num_phones:
        raise ValueError("it refers to words or phones that do not exist")
    longest_word = max(map(len, words))
    if max(tokens.shape[1], longest_word) > _LONGEST:
        raise ValueError(f"a word has more than {_LONGEST} letters or phones")
    if not (tokens[:, 0] > 0).all() or ((tokens[:, :-1] == 0) & (tokens[:, 1:] > 0)).any():
        raise ValueError("a pronunciation is empty, or goes on after its end")
    narrow = tokens.astype(np.min_scalar_type(num_phones))  # as `save` writes them
    return Lexicon(words, word.astype(np.int32), narrow)

"""What a network in training will be decoded with: a language model, pronunciations, weights."""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from asr._folders import find_model
from asr._progress import counted, say
from asr.decode import LM, LSTM, SETTINGS, has_phones
from asr.errors import ConfigError, LanguageModelError

if TYPE_CHECKING:
    from asr.lexicon import Pronunciations
    from asr.text import Normalizer

HANDED_ON = (LM, LSTM, SETTINGS)  # the weights of the search belong to the language models
MOST_SHOWN = 5  # guessed pronunciations
MOST_UNSPOKEN = 0.5  # share of the transcripts' words that a lexicon of this language may lack


@dataclass(frozen=True)
class LanguageModels:
    """Files of language models, and a tagger, to put into an experiment's folder, by name there."""

    files: Mapping[str, Path] = field(default_factory=dict)

    def put_into(self, folder: Path) -> None:
        """Copy the files; a model in ARPA is converted.

        Raises:
            LanguageModelError: a language model is damaged.
        """
        from asr.lm import load_lm, saver

        if self.files:
            folder.mkdir(parents=True, exist_ok=True)
        for name, path in self.files.items():
            lm = load_lm(path) if name == LM else None  # refuses a damaged one
            if lm and path.suffix != ".bin":
                saver(str(folder / LM))(lm)
            elif not (folder / name).exists() or not path.samefile(folder / name):
                shutil.copyfile(path, folder / name)


def language_models(source: Path | None) -> LanguageModels:
    """Return the language models that --lm names: a file, or those of a model.

    Raises:
        ConfigError: there is no such file, or the model has none.
    """
    if source is None:
        return LanguageModels()
    path = find_model(source)
    if path.is_dir():
        files = {name: path / name for name in HANDED_ON if (path / name).exists()}
        if LM not in files:
            raise ConfigError(f"--lm {source}: the model has no {LM}; give one of asr-lm")
        return LanguageModels(files)
    if not path.is_file():
        raise ConfigError(f"--lm {source}: no such file or model; give a language model of asr-lm")
    return LanguageModels({LM: path})


def is_first_process() -> bool:
    """Return whether this is the first of the processes that share a training run, or the only one.

    They were started by torchrun, or by the first one.
    """
    return os.environ.get("RANK", "0") == "0"


def say_once(*lines: str) -> None:
    """Print lines in the first process alone."""
    if is_first_process():
        say(*lines)


def pronunciations(
    source: Path, normalizer: "Normalizer", texts: Sequence[str], more: Sequence[Path] = ()
) -> "Pronunciations":
    """Return the pronunciations that --lexicon names: of a dictionary, or of a model.

    Args:
        source: a file, or the folder or name of a model.
        normalizer: of the words.
        texts: the normalised transcripts.
        more: dictionaries in the phones of `source`, whose words go before its own.

    Raises:
        ConfigError: the model has none, or none of the words of the transcripts; a dictionary of
            `more` has other phones.
        LanguageModelError: a file is no dictionary.
    """
    from asr.lexicon import Pronunciations

    path = find_model(source)
    is_model = path.is_dir()
    if is_model and not has_phones(path):
        raise ConfigError(f"--lexicon {source}: the model has no pronunciations; give a dictionary")
    spoken = Pronunciations.load(path) if is_model else Pronunciations.read(path, normalizer)
    for other in reversed(more):
        if find_model(other).is_dir():
            raise ConfigError(
                f"--lexicon {other}: is a model; give it last, as the words of the others go "
                "before its own"
            )
        entries = Pronunciations.read(other, normalizer).entries()
        _check_phones(entries, spoken, other)
        spoken = spoken.with_entries(entries)
    words = [word for text in texts for word in text.split()]
    lacking = [word for word in words if spoken.lacks(word)]
    if words and len(lacking) == len(words) and is_model:
        raise ConfigError(
            f"--lexicon {source}: lacks all {len(words)} words of the transcripts, such as "
            f"{lacking[0]!r}, and has {spoken.lexicon.words[0]!r}; give a dictionary, or let "
            "[text] write words as that model does"
        )
    if len(lacking) > MOST_UNSPOKEN * len(words):
        say_once(
            f"--lexicon {source} lacks {len(lacking)} of {len(words)} words of the transcripts, "
            f"such as {lacking[0]!r}: is it of their language? asr-lexicon can guess words; "
            f"a few words go before those of a model: --lexicon {source} --lexicon MODEL"
        )
    return spoken


def _check_phones(
    entries: "Mapping[str, Sequence[tuple[str, ...]]]", spoken: "Pronunciations", path: Path
) -> None:
    """Raise unless the entries of a dictionary have the phones of the pronunciations."""
    known = spoken.phones.tokens[1:]  # without the blank
    for word, several in entries.items():
        for phone in chain.from_iterable(several):
            if phone not in known:
                raise ConfigError(
                    f"--lexicon {path}: {word} has the phone {phone!r}; allowed: the phones of the "
                    f"last --lexicon or of the model, {' '.join(known)}"
                )


def with_guesses(spoken: "Pronunciations", texts: Sequence[str]) -> "Pronunciations":
    """Return pronunciations with guesses for the words of normalised texts that they lack.

    Nothing is guessed where most words are lacking: they may be of another language. Words that
    cannot be guessed stay without a pronunciation.
    """
    words = [word for text in texts for word in text.split()]
    lacking = [word for word in words if spoken.lacks(word)]
    if not lacking or len(lacking) > MOST_UNSPOKEN * len(words):
        return spoken
    try:
        found = spoken.guesses(lacking).pronunciations
    except LanguageModelError:  # a dictionary of some words
        return spoken
    shown = "; ".join(f"{word} {' '.join(found[word][0])}" for word in [*found][:MOST_SHOWN])
    if found:
        some = counted(len(found), "word")
        say_once(
            f"the lexicon lacks {some} of the transcripts; guessed: {shown}"
            f"{' ...' * (len(found) > MOST_SHOWN)} (give others in a file: --lexicon)"
        )
    return spoken.with_entries(found)

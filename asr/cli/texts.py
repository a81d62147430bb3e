"""The options by which asr-lm and asr-lexicon write texts as a model does."""

import argparse
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, groupby, islice
from pathlib import Path
from typing import Any

from asr._folders import INDEXES
from asr._json import read_json
from asr._progress import say
from asr.cli.run import given_model
from asr.config import config_from_dict, load_config
from asr.errors import CheckpointError, ConfigError
from asr.lm import UNITS, UNK, read_sentences, units_of
from asr.text import LANGUAGES, Normalizer, language_settings

SAMPLE = 1000  # sentences by which a text is judged
FEW = 0.01  # share of them that may look unusual
HOW = "as a model writes it: --model EXP, --text CONF or --language NAME"


def add_writing(parser: argparse.ArgumentParser) -> None:
    """Add --model, --text and --language, of which one can be given."""
    group = parser.add_argument_group("how texts are normalised").add_mutually_exclusive_group()
    group.add_argument(
        "--model", type=Path, metavar="EXP", help="as this model's transcripts; a folder or a name"
    )
    group.add_argument(
        "--text", metavar="CONF", help="as [text] of this configuration says; a TOML file"
    )
    group.add_argument("--language", help=f"as this preset: {', '.join(LANGUAGES)}")


def normalizer_of(arguments: argparse.Namespace) -> Normalizer | None:
    """Return the normaliser that the options name; None if they name none.

    Raises:
        ConfigError: the configuration or the language cannot be used, or there is no such folder.
        CheckpointError: the folder is no model.
    """
    if arguments.model:
        return Normalizer(**_text_of(given_model("--model", arguments.model)))
    if arguments.text:
        return Normalizer(**vars(load_config(arguments.text).text))
    if arguments.language:
        return Normalizer(**language_settings(arguments.language))
    return None


def _text_of(folder: Path) -> dict[str, Any]:
    """Return the settings by which the texts of a model were normalised; a bundle has them, too."""
    paths = [folder / name for name in INDEXES]
    try:
        given: dict[str, Any] = read_json(next(filter(Path.exists, paths), paths[0]))
        return vars(config_from_dict({"text": given.get("text", {})}, str(folder)).text)
    except (OSError, ValueError, ConfigError) as error:
        raise CheckpointError(f"--model {folder}: is no model of asr-train ({error})") from error


def sentences(
    paths: Sequence[str], unit: str, normalizer: Normalizer | None, *, warn: bool = True
) -> Iterator[list[str]]:
    """Return the sentences of texts in units, normalised; say so if that seems to be forgotten.

    Args:
        paths: files.
        unit: one of UNITS.
        normalizer: None leaves texts as they are.
        warn: whether to say so.

    Raises:
        LanguageModelError, ConfigError: as `read_sentences`; nothing is left of the texts.
    """
    words = iter(read_sentences(paths))
    if normalizer:
        words = filter(None, (_normalised(normalizer, sentence) for sentence in words))
        first = list(islice(words, 1))
        if not first:
            raise ConfigError(f"{', '.join(paths)}: no word is left after normalisation")
    else:
        first = list(islice(words, SAMPLE))
        if warn and (odd := oddities(first)):
            say(
                f"the text has {odd}. Where a network's transcripts have none, such words are "
                f"never recognised: let the text be written {HOW}"
            )
    joined = chain(first, words)
    return (units_of(words, unit) for words in joined)


def warn_of_oddities(paths: Sequence[str]) -> None:
    """Say so if texts do not look normalised, as `sentences` does."""
    next(sentences(paths, UNITS[0], None))


def _normalised(normalizer: Normalizer, words: list[str]) -> list[str]:
    """Return a sentence normalised; the word for unknown words stays."""
    if UNK not in words:
        return normalizer(" ".join(words)).split()
    parts = (
        group if is_unknown else normalizer(" ".join(group)).split()
        for is_unknown, group in groupby(words, UNK.__eq__)
    )
    return list(chain.from_iterable(parts))


def oddities(some: Iterable[list[str]]) -> str:
    """Return what in sentences no normalised text has, such as "digits"; "" if nothing."""
    total = 0
    found = {"capitals beside small letters": 0, "punctuation": 0, "digits": 0}
    for words in some:
        text = "".join(word for word in words if word != UNK)
        total += 1
        found["capitals beside small letters"] += text != text.lower() and text != text.upper()
        found["punctuation"] += any(not (c.isalnum() or c in "'-\u2019") for c in _letters(text))
        found["digits"] += any(map(str.isdigit, text))
    names = [name for name, count in found.items() if count > FEW * total]
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _letters(text: str) -> Iterator[str]:
    """Yield the characters of a text without combining marks."""
    return (c for c in text if unicodedata.category(c)[0] != "M")

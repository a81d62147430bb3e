"""asr-lexicon: pronunciations of words, from a dictionary or guessed, for a model over phones."""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

from asr._streams import put
from asr.cli.output import check_outputs
from asr.cli.run import CommandParser, run
from asr.cli.texts import HOW, add_writing, normalizer_of
from asr.errors import ConfigError, LanguageModelError

if TYPE_CHECKING:
    from asr.lexicon import PronouncedWords
    from asr.manifest import Utterance
    from asr.text import Normalizer

_MANIFEST = ".jsonl"
_MODELS = (".bin", ".arpa", ".arpa.gz", ".arpa.xz")
_EXAMPLES = 3


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = CommandParser(
        prog="asr-lexicon",
        description="Find the pronunciations of words in DICT; guess them for words that it lacks, "
        "by a joint n-gram model of letters and phones trained on DICT.",
    )
    parser.add_argument(
        "dictionary",
        metavar="DICT",
        help="a word and its phones a line, such as cmudict.dict; leave it out with --graphemes",
    )
    parser.add_argument(
        "sources",
        metavar="SOURCE",
        nargs="*",
        help="where the words are: a manifest (.jsonl), an n-gram model (.bin, .arpa), or a text "
        "or lines 'WORD COUNT', plain or packed (.gz, .bz2, .xz); - is standard input",
    )
    parser.add_argument(
        "--out",
        required=True,
        help="lexicon to write, for --lexicon of other commands; with a name in .jsonl, write the "
        "given manifest with phones in place of words instead, for training",
    )
    parser.add_argument(
        "--graphemes",
        action="store_true",
        help="without a dictionary: the letters of a word are its phones",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object with counts")
    add_writing(parser)
    return run("asr-lexicon", lambda: _lexicon(parser.parse_args(argv)))


def _lexicon(arguments: argparse.Namespace) -> int:
    from asr._progress import waiting
    from asr.lexicon import pronounce, read_dictionary, spelled

    if arguments.graphemes:
        arguments.sources.insert(0, arguments.dictionary)
    if not arguments.sources:
        raise ConfigError("no SOURCE; give a manifest, a language model or a text with the words")
    _check_names(arguments.sources, arguments.out)
    check_outputs({"--out": Path(arguments.out)}, [arguments.dictionary, *arguments.sources])
    manifests = _manifests(arguments.sources)
    normalizer = normalizer_of(arguments) or _by_manifests(manifests.values())
    lost: Counter[str] = Counter()
    with waiting("reading"):
        words = dict.fromkeys(
            word
            for source in arguments.sources
            for word in _words(source, manifests, normalizer, lost)
        )
    if lost:
        _warn_of_lost_letters(lost)
    dictionary = {} if arguments.graphemes else read_dictionary(arguments.dictionary)
    found = spelled(words) if arguments.graphemes else pronounce(words, dictionary)
    if not found.pronunciations:
        raise LanguageModelError(
            f"{', '.join(arguments.sources)}: no word has a pronunciation; give words in the "
            "letters of the dictionary"
        )
    if arguments.out.endswith(_MANIFEST):
        _write_manifest(manifests[arguments.sources[0]], arguments.out, found, normalizer)
    else:
        _write_lexicon(arguments.out, found)
    _report(arguments.out, found)
    if arguments.json:
        record = {
            "words": len(found.pronunciations),
            "guessed": len(found.guessed),
            "left_out": found.left_out,
        }
        put(json.dumps(record, ensure_ascii=False))
    return 0


def _check_names(sources: Sequence[str], out: str) -> None:
    """Raise if --out is a manifest and SOURCE is not one manifest."""
    if out.endswith(_MANIFEST) and (len(sources) > 1 or not sources[0].endswith(_MANIFEST)):
        raise ConfigError(
            f"--out is {out}, a manifest in phones: give one manifest in {_MANIFEST} as SOURCE, or "
            "another --out, such as lexicon.txt"
        )


def _manifests(sources: Sequence[str]) -> "dict[str, list[Utterance]]":
    """Read the manifests among the sources."""
    from asr.manifest import read_manifest

    return {source: read_manifest(source) for source in sources if source.endswith(_MANIFEST)}


def _by_manifests(manifests: "Iterable[list[Utterance]]") -> "Normalizer":
    """Return the normaliser of the language that the manifests name, or else of English."""
    from asr.manifest import language_of
    from asr.text import Normalizer, language_settings

    language = language_of(chain.from_iterable(manifests))
    return Normalizer(**language_settings(language or "en"))


def _words(
    source: str,
    manifests: "Mapping[str, list[Utterance]]",
    normalizer: "Normalizer",
    lost: Counter[str],
) -> Iterator[str]:
    """Yield the words of a source; transcripts and texts are normalised as in training.

    Letters that this loses are counted in `lost`.
    """
    from asr.lm import UNK, load_lm, read_sentences
    from asr.text import lost_letters

    if source.endswith(_MODELS):
        lm = load_lm(source)
        special = {lm.unk, lm.bos, lm.eos}
        yield from (word for index, word in enumerate(lm.words) if index not in special)
        return
    texts: Iterable[str]
    if source in manifests:
        texts = (utterance.text for utterance in manifests[source])
    else:
        said = map(_without_count, read_sentences([source]))
        texts = (" ".join(word for word in words if word != UNK) for words in said)
    for text in texts:
        normalised = normalizer(text)
        lost.update(lost_letters(text, normalised))
        yield from normalised.split()


def _warn_of_lost_letters(lost: Counter[str]) -> None:
    from asr._progress import say

    shown = " ".join(letter for letter, _ in lost.most_common(8))
    say(f"texts lose letters such as {shown} by normalisation; write words {HOW}")


def _without_count(words: list[str]) -> list[str]:
    """Return the words of a line, without the count of a line 'WORD COUNT'."""
    return words[:1] if len(words) == 2 and words[1].isdecimal() else words


def _write_lexicon(path: str, found: "PronouncedWords") -> None:
    """Write a word and one of its pronunciations a line, sorted by word."""
    from asr.lm import created

    with created(path) as file:
        for word in sorted(found.pronunciations):
            for phones in found.pronunciations[word]:
                file.write(f"{word} {' '.join(phones)}\n".encode())


def _write_manifest(
    utterances: "Sequence[Utterance]", path: str, found: "PronouncedWords", normalizer: "Normalizer"
) -> None:
    """Write the utterances whose words all have a pronunciation."""
    from asr._progress import counted, say
    from asr.manifest import write_manifest

    spoken = [*filter(None, (_in_phones(utterance, found, normalizer) for utterance in utterances))]
    write_manifest(path, spoken)
    if left_out := len(utterances) - len(spoken):
        some = counted(left_out, "utterance")
        say(f"{path}: left out: {some} with words that have no pronunciation")


def _in_phones(
    utterance: "Utterance", found: "PronouncedWords", normalizer: "Normalizer"
) -> "Utterance | None":
    """Return an utterance in phones, each word in its first pronunciation; None if one has none."""
    from dataclasses import replace

    words = normalizer(utterance.text).split()
    if not found.pronunciations.keys() >= set(words):
        return None
    phones = chain.from_iterable(found.pronunciations[word][0] for word in words)
    return replace(utterance, text=" ".join(phones))


def _report(out: str, found: "PronouncedWords") -> None:
    """Report how many words were found, guessed and left out."""
    from asr._progress import counted, say

    say(
        f"{out}: {counted(len(found.pronunciations), 'word')}, {len(found.guessed)} of them guessed"
    )
    for word in islice(found.guessed, _EXAMPLES):
        say(f"guessed {word}: {' '.join(found.pronunciations[word][0])}")
    if found.left_out:
        examples = ", ".join(found.left_out[:_EXAMPLES])
        some = counted(len(found.left_out), "word")
        say(f"{some} cannot be guessed from the dictionary: {examples}")


if __name__ == "__main__":
    sys.exit(main())

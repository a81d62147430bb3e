"""asr-lexicon: pronunciations of words, from a dictionary or guessed, for a model over phones."""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING

from asr.cli.run import run

if TYPE_CHECKING:
    from asr.lexicon import PronouncedWords
    from asr.manifest import Utterance

_MANIFEST = ".jsonl"
_MODELS = (".bin", ".arpa", ".arpa.gz", ".arpa.xz")
_EXAMPLES = 3


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(
        prog="asr-lexicon",
        description="Find the pronunciations of words in DICT; guess them for words that it lacks, "
        "by a joint n-gram model of letters and phones trained on DICT.",
    )
    parser.add_argument(
        "dictionary", metavar="DICT", help="a word and its phones a line, such as cmudict.dict"
    )
    parser.add_argument(
        "sources",
        metavar="SOURCE",
        nargs="+",
        help="where the words are: a manifest (.jsonl), an n-gram model (.bin, .arpa), or a text "
        "or lines 'WORD COUNT', plain or packed (.gz, .bz2, .xz); - is standard input",
    )
    parser.add_argument(
        "--out",
        required=True,
        help="lexicon to write, for --lexicon of other commands; with a name in .jsonl, write the "
        "given manifest with phones in place of words instead, for training",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object with counts")
    arguments = parser.parse_args(argv)
    return run("asr-lexicon", lambda: _lexicon(arguments))


def _lexicon(arguments: argparse.Namespace) -> int:
    from asr.lexicon import pronounce, read_dictionary

    _check_names(arguments.sources, arguments.out)
    words = dict.fromkeys(chain.from_iterable(map(_words, arguments.sources)))
    found = pronounce(words, read_dictionary(arguments.dictionary))
    if arguments.out.endswith(_MANIFEST):
        _write_manifest(arguments.sources[0], arguments.out, found)
    else:
        _write_lexicon(arguments.out, found)
    _report(arguments.out, found)
    if arguments.json:
        record = {
            "words": len(found.pronunciations),
            "guessed": len(found.guessed),
            "left_out": found.left_out,
        }
        print(json.dumps(record, ensure_ascii=False))
    return 0


def _check_names(sources: Sequence[str], out: str) -> None:
    """Raise if --out is a manifest and SOURCE is not one manifest."""
    from asr.errors import ConfigError

    if out.endswith(_MANIFEST) and (len(sources) > 1 or not sources[0].endswith(_MANIFEST)):
        raise ConfigError(
            f"--out is {out}, a manifest in phones: give one manifest in {_MANIFEST} as SOURCE, or "
            "another --out, such as lexicon.txt"
        )


def _words(source: str) -> Iterator[str]:
    """Yield the words of a source; transcripts and texts are normalised as in training."""
    from asr.lm import load_lm, read_sentences
    from asr.manifest import read_manifest
    from asr.text import Normalizer

    if source.endswith(_MODELS):
        lm = load_lm(source)
        special = {lm.unk, lm.bos, lm.eos}
        yield from (word for index, word in enumerate(lm.words) if index not in special)
        return
    texts: Iterable[str]
    if source.endswith(_MANIFEST):
        texts = (utterance.text for utterance in read_manifest(source))
    else:
        texts = (" ".join(_without_count(words)) for words in read_sentences([source]))
    for text in map(Normalizer(), texts):
        yield from text.split()


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


def _write_manifest(source: str, path: str, found: "PronouncedWords") -> None:
    """Write the utterances whose words all have a pronunciation."""
    from asr._progress import say
    from asr.manifest import read_manifest, write_manifest

    utterances = read_manifest(source)
    spoken = [*filter(None, (_in_phones(utterance, found) for utterance in utterances))]
    write_manifest(path, spoken)
    if left_out := len(utterances) - len(spoken):
        say(f"{path}: {left_out} utterances are left out, with words that have no pronunciation")


def _in_phones(utterance: "Utterance", found: "PronouncedWords") -> "Utterance | None":
    """Return an utterance in phones, each word in its first pronunciation; None if one has none."""
    from dataclasses import replace

    from asr.text import Normalizer

    words = Normalizer()(utterance.text).split()
    if not found.pronunciations.keys() >= set(words):
        return None
    phones = chain.from_iterable(found.pronunciations[word][0] for word in words)
    return replace(utterance, text=" ".join(phones))


def _report(out: str, found: "PronouncedWords") -> None:
    """Report how many words were found, guessed and left out."""
    from asr._progress import say

    say(f"{out}: {len(found.pronunciations)} words, {len(found.guessed)} of them guessed")
    for word in islice(found.guessed, _EXAMPLES):
        say(f"guessed {word}: {' '.join(found.pronunciations[word][0])}")
    if found.left_out:
        examples = ", ".join(found.left_out[:_EXAMPLES])
        say(f"{len(found.left_out)} words cannot be guessed from the dictionary: {examples}")


if __name__ == "__main__":
    sys.exit(main())

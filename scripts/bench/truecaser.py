#!/usr/bin/env python3
"""Judge the capitals of the package truecase on written text, as asr-text judge does ours.

usage: scripts/bench/truecaser.py TEXT ...

truecase (PyPI) brings its counts of words, pairs and triples, 73 MB as a pickle, and needs no
download if it is given words. It is told where sentences end, which our tagger has to find out.
Needs `pip install truecase`, in a virtual environment of its own, beside `pip install .`.
"""

import sys

import numpy as np
from truecase.TrueCaser import TrueCaser
from versions import version_of

from asr.readable import WrittenText, capitals, count_tags
from asr.text import Normalizer


def main() -> None:
    """Print precision, recall, F1 and counts."""
    text = WrittenText.read(sys.argv[1:], Normalizer("keep", "en"))
    words = [text.words[word] for word in text.ids.tolist()]
    # Sentences begin where the tags alone, without a name, ask for a capital.
    lower = np.zeros_like(text.cases)
    starts = np.flatnonzero(capitals(lower, text.marks) != lower)
    sentences = [words[a:b] for a, b in zip([0, *starts], [*starts, len(words)], strict=True)]
    caser = TrueCaser()
    print(f"truecase {version_of('truecase')}, {len(words)} words, sentence ends given")
    for unknown in ("lower", "title"):  # how it writes words that it does not know
        given = list[str]()
        for sentence in filter(None, sentences):
            first, *others = caser.get_true_case_from_tokens(sentence, unknown)
            given += [first[:1].upper() + first[1:], *others]
        cases = np.array([word != word.lower() for word in given]).astype(text.cases.dtype)
        counts = count_tags((text.cases, text.marks), (cases, text.marks))
        print(f"unknown words {unknown}: capital {counts['capital']}")


if __name__ == "__main__":
    main()

"""Normalise texts that are to be scored, without losing NIST's marks."""

from collections.abc import Iterator
from itertools import groupby

from asr.text import Normalizer

_MARKS = frozenset("{/}@")


def normalized(normalizer: Normalizer, text: str, *, deletable: bool = False) -> str:
    """Return a text as the normaliser writes it; alternatives stay alternatives.

    Args:
        normalizer: of words that stand together.
        text: the text, perhaps with alternatives `{ a / b c / @ }`.
        deletable: whether a `(word)` stays one that may be left out.
    """
    words = text.split()
    marked = "{" in words

    def kind(word: str) -> int:
        if marked and word in _MARKS:
            return 1
        return 2 if deletable and word[:1] + word[-1:] == "()" else 0

    def parts() -> Iterator[str]:
        for what, group in groupby(words, kind):
            if what == 1:
                yield from group
            elif what == 2:
                yield from (f"({w})" for word in group for w in normalizer(word).split())
            else:
                yield normalizer(" ".join(group))

    return " ".join(filter(None, parts()))

"""Tell which spoken words each word of a written text stands for, so that it can have their times.

A text that people wrote has capitals, marks and digits; it is aligned with its recording as the
words that are spoken: `$20,` as TWENTY DOLLARS.
"""

from collections.abc import Callable

from asr.formats.transcript import WrittenWord

_MOST_TOGETHER = 4  # words that are spoken otherwise together: $3.5 million


def written_words(text: str, normalise: Callable[[str], str]) -> tuple[WrittenWord, ...]:
    """Return the words of a text as written; none if they do not add up to the spoken words.

    A word that is not spoken, such as a dash, belongs to the word before it, or else to the next.

    Args:
        text: as people wrote it.
        normalise: returns the spoken words of a text, separated by spaces.
    """
    spoken, shown = normalise(text).split(), text.split()
    found = list[WrittenWord]()
    at, place, silent = 0, 0, ""  # `silent`: what stands in front of the first spoken word
    while place < len(shown):
        size, count = _first(shown[place:], spoken[at:], normalise)
        if not size:
            return ()
        form = silent + " ".join(shown[place : place + size])
        place += size
        if count:
            found.append(WrittenWord(form, at, at + count))
            at, silent = at + count, ""
        elif found:
            found[-1] = WrittenWord(f"{found[-1].text} {form}", found[-1].first, at)
        else:
            silent = f"{form} "
    return tuple(found) if at == len(spoken) else ()


def _first(shown: list[str], spoken: list[str], normalise: Callable[[str], str]) -> tuple[int, int]:
    """Return how many written words the first spoken words are, and how many these are.

    (0, 0) if the written words begin with no such words.
    """
    for size in range(1, 1 + min(_MOST_TOGETHER, len(shown))):
        words = normalise(" ".join(shown[:size])).split()
        if spoken[: len(words)] == words:
            return size, len(words)
    return 0, 0

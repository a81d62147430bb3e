"""Say what the text settings do to transcripts: letters that are lost, digits and their words."""

import re
from collections import Counter
from collections.abc import Sequence

from asr.config import TextConfig
from asr.doctor.dataset import Dataset
from asr.doctor.finding import EXAMPLES, Finding
from asr.text import lost_letters

FEW = 0.02  # share of an English set's utterances that may have a word such as café
ENGLISH_WORDS = frozenset((
    "a", "and", "are", "as", "at", "be", "but", "by", "for", "from", "had", "have", "he", "her",
    "his", "i", "in", "is", "it", "my", "not", "of", "on", "or", "she", "that", "the", "they",
    "this", "to", "was", "we", "were", "which", "with", "you",
))  # fmt: skip
ENGLISH_SHARE = 0.15  # of a text's words that are among them: English has 0.3 to 0.45
BEFORE = 20  # characters shown before the first that is exchanged
FEWEST_WORDS = 50  # that tell a language


def check_writing(dataset: Dataset, places: Sequence[int], config: TextConfig) -> list[Finding]:
    """Find letters that the settings lose, and digits that become words of another language.

    A few borrowed words in English are no fault.
    """
    english = looks_english(dataset, places)
    lost: Counter[str] = Counter()
    losing, spoken, left = dict[int, str](), dict[int, str](), dict[int, str]()
    for place in places:
        raw, text = dataset.utterances[place].text, dataset.texts[place]
        letters, digits = lost_letters(raw, text), any(map(str.isdecimal, raw))
        lost.update(letters)
        if letters:
            losing[place] = before_and_after(raw, text)
        if digits:
            (left if config.numbers == "keep" else spoken)[place] = before_and_after(raw, text)
    findings = []
    if losing and not (english and len(losing) <= FEW * len(places)):
        why = " ".join(letter for letter, _ in lost.most_common(8))
        findings += dataset.finding("lost-letters", losing, why)
    if config.numbers == "en" and not english:
        findings += dataset.finding("english-numbers", spoken)
    return [*findings, *dataset.finding("digits", left)]


def looks_english(dataset: Dataset, places: Sequence[int]) -> bool:
    """Return whether the transcripts may be English: by frequent words, or too few to tell."""
    texts = (dataset.utterances[place].text.lower() for place in places)
    words = [word for text in texts for word in re.findall(r"[^\W\d_]+", text)]
    frequent = sum(word in ENGLISH_WORDS for word in words) >= ENGLISH_SHARE * len(words)
    if len(words) < FEWEST_WORDS or len(set(words)) < FEWEST_WORDS:  # or a fixed set of words
        return frequent or all(word.isascii() for word in words)
    return frequent


def examples_of_writing(dataset: Dataset) -> list[str]:
    """Return transcripts before and after normalisation, the ones that change most."""
    changed = {
        item.text: text
        for item, text in zip(dataset.utterances, dataset.texts, strict=True)
        if item.text.casefold() != text.casefold()
    }
    most = sorted(changed, key=lambda raw: (-_changes(raw, changed[raw]), len(raw)))
    return [before_and_after(raw, changed[raw]) for raw in most[:EXAMPLES]]


def _changes(raw: str, text: str) -> int:
    """Return how many letters are lost, and digits exchanged."""
    return len(lost_letters(raw, text)) + sum(map(str.isdecimal, raw))


def before_and_after(raw: str, text: str) -> str:
    """Return a transcript and what normalisation makes of it, from where they begin to differ."""
    digit = next((i for i, c in enumerate(raw) if c.isdecimal()), 0)
    odd = digit or next((i for i, c in enumerate(raw) if ord(c) > 127), 0)
    start = raw.rfind(" ", 0, max(0, odd - BEFORE)) + 1
    words = len(raw[:start].split())
    return (
        f"{_shown(raw[start:])} becomes {_shown(' '.join(text.split()[words:]) if start else text)}"
    )


def _shown(text: str) -> str:
    return repr(text if len(text) <= 44 else f"{text[:43]}…")

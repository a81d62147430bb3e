"""Check that texts fit their audio, the vocabulary, and the number of frames that CTC needs."""

import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from asr.config import Config
from asr.data import Example, trainable
from asr.doctor.dataset import Dataset
from asr.doctor.finding import Finding
from asr.errors import TrainingError
from asr.text import Vocabulary

FEWEST = 20  # utterances that statistics need
SPREADS = 6.0  # standard deviations by which a log rate may differ from the median
LEAST_FACTOR = 2.0  # by which a rate may differ from the median, however small the spread
PAUSE_S = 2.0  # of silence that an utterance may have beside its text
MATCHING = 0.4  # correlation of text length and duration; speech has 0.8 to 0.97
SHIFTED = 0.7  # correlation from which a shift of lines explains the mismatch
FARTHEST_SHIFT = 3  # lines
RARE_SHARE = 0.02  # of utterances; symbols of rarer sorts are strays

Floats = NDArray[np.float64]


def check_empty(dataset: Dataset, places: Sequence[int]) -> list[Finding]:
    """Find utterances without a letter or digit in their text."""
    details = {
        place: f"text is {dataset.utterances[place].text!r}"
        for place in places
        if not any(map(str.isalnum, dataset.texts[place]))
    }
    return dataset.finding("empty-text", details)


def check_order(dataset: Dataset, places: Sequence[int]) -> list[Finding]:
    """Find a set whose texts, as a whole, belong to other audio."""
    if len(places) < FEWEST:
        return []
    lengths, durations = _measures(dataset, places)
    why = order_mismatch(lengths, durations)
    details = {
        place: f"{durations[i]:.1f} s, {lengths[i]:.0f} characters"
        for i, place in enumerate(places)
    }
    return dataset.finding("text-order", details, why) if why else []


def check_fit(dataset: Dataset, places: Sequence[int]) -> list[Finding]:
    """Find single texts that are too long or too short for their audio."""
    if len(places) < FEWEST:
        return []
    lengths, durations = _measures(dataset, places)
    low, high = rate_bounds(lengths / durations)
    speaking = np.maximum(durations - PAUSE_S, lengths / high)  # seconds, at least
    odd = (lengths / durations > high) | (lengths / speaking < low)
    details = {
        places[i]: f"{lengths[i] / durations[i]:.1f} characters/s: "
        f"{dataset.texts[places[i]][:40]!r} in {durations[i]:.2f} s"
        for i in np.flatnonzero(odd).tolist()
    }
    why = f"believed: {low:.1f} to {high:.1f} characters/s, and {PAUSE_S:g} s of pauses"
    return dataset.finding("text-fit", details, why)


def rate_bounds(rates: Floats) -> tuple[float, float]:
    """Return the lowest and highest plausible rate, in characters a second.

    Logarithms treat slow and fast speech alike. 1.4826 times the median absolute deviation
    estimates the standard deviation of normal data (Rousseeuw and Croux 1993), and outliers
    hardly change it.
    """
    logs = np.log(rates)
    middle = np.median(logs)
    spread = 1.4826 * np.median(np.abs(logs - middle))
    reach = max(np.log(LEAST_FACTOR), SPREADS * spread)
    return float(np.exp(middle - reach)), float(np.exp(middle + reach))


def order_mismatch(lengths: Floats, durations: Floats) -> str:
    """Return why the texts, as a whole, cannot belong to their audio; "" if they can.

    Long texts take longer to say, so lengths and durations correlate in speech. Where all are
    about equal, as with single words, the correlation tells nothing, and "" is returned.

    Args:
        lengths: of the texts in characters, in the order of the manifest.
        durations: of the utterances in seconds, in the same order.
    """
    if not (_varies(lengths, 2.0) and _varies(durations, 1.3)):
        return ""
    correlation = _correlation(lengths, durations)
    if correlation >= MATCHING:
        return ""
    why = f"correlation of length and duration {correlation:.2f}, in speech 0.8 or more"
    for shift in (s for n in range(1, FARTHEST_SHIFT + 1) for s in (n, -n)):
        moved = _correlation(np.roll(lengths, shift), durations)
        if moved > SHIFTED:
            direction = "down" if shift > 0 else "up"
            return f"{why}; {moved:.2f} with the texts moved {direction} {abs(shift)} line(s)"
    return why


def check_symbols(dataset: Dataset, places: Sequence[int], vocabulary: Vocabulary) -> list[Finding]:
    """Find symbols that the vocabulary lacks; a mismatch of case is a finding of its own."""
    known = set(vocabulary.tokens)
    return _odd_units(
        dataset, places, vocabulary, lambda unit: unit not in known, "unknown-symbols"
    )


def check_strays(dataset: Dataset, places: Sequence[int], vocabulary: Vocabulary) -> list[Finding]:
    """Find symbols of a script, case or accent that hardly any utterance of the set has.

    A letter that is merely rare, such as Z, is no fault.
    """
    if len(places) < FEWEST:
        return []
    character = vocabulary.unit == "character"
    sort: Callable[[str], str] = _sort if character else str
    held = Counter(
        name
        for p in places
        for name in {sort(unit) for unit in _units(dataset.texts[p], character)}
    )
    limit = max(1, int(RARE_SHARE * len(places))) if character else 1
    rare = {name for name, count in held.items() if name and count <= limit}
    return _odd_units(dataset, places, vocabulary, lambda u: sort(u) in rare, "stray-symbols")


def check_trainable(
    dataset: Dataset, places: Sequence[int], vocabulary: Vocabulary, config: Config
) -> list[Finding]:
    """Find utterances that training leaves out: too long, or with too few frames for CTC."""
    examples = to_examples(dataset, places, vocabulary)
    try:
        kept = {id(example) for example in trainable(list(examples.values()), config)[0]}
    except TrainingError:
        kept = set()
    long, short = {}, {}
    for place, example in examples.items():
        seconds = example.utterance.duration
        if id(example) in kept:
            continue
        if seconds > config.data.max_utterance_s:
            long[place] = f"{seconds:.1f} s"
        else:
            short[place] = (
                f"{seconds:.2f} s for {len(example.tokens)} labels: {example.text[:40]!r}"
            )
    frame_ms = config.features.frame_shift_ms * config.model.stack
    why = f"a frame of {frame_ms:g} ms, speed {max(config.augment.speeds):g}"
    return [
        *dataset.finding("too-few-frames", short, why),
        *dataset.finding("too-long", long, f"{config.data.max_utterance_s:g} s"),
    ]


def to_examples(
    dataset: Dataset, places: Sequence[int], vocabulary: Vocabulary
) -> dict[int, Example]:
    """Return the examples of utterances by place.

    Raises:
        VocabularyError: a text holds symbols that the vocabulary lacks.
    """
    examples = {}
    for place in places:
        text = dataset.texts[place]
        tokens = tuple(vocabulary.encode(text))
        examples[place] = Example(dataset.utterances[place], text, tokens)
    return examples


def _odd_units(
    dataset: Dataset,
    places: Sequence[int],
    vocabulary: Vocabulary,
    is_odd: Callable[[str], bool],
    kind: str,
) -> list[Finding]:
    """Find odd units in texts: "case-mismatch" if only their case is wrong, else `kind`."""
    known = set(vocabulary.tokens)
    details: dict[str, dict[int, str]] = {"case-mismatch": {}, kind: {}}
    for place in places:
        text = dataset.texts[place]
        odd = [u for u in dict.fromkeys(_units(text, vocabulary.unit == "character")) if is_odd(u)]
        if odd:
            swapped = all(unit.swapcase() in known and unit.swapcase() != unit for unit in odd)
            shown = ", ".join(
                f"{u!r} (U+{ord(u):04X})" if len(u) == 1 else repr(u) for u in odd[:5]
            )
            details["case-mismatch" if swapped else kind][place] = f"{shown} in {text[:60]!r}"
    return [f for name, which in details.items() for f in dataset.finding(name, which)]


def _units(text: str, character: bool) -> Sequence[str]:
    return text if character else text.split()


def _sort(letter: str) -> str:
    """Return script, case and accent of a letter or digit, such as "LATIN Lu"; "" for others."""
    category = unicodedata.category(letter)
    if category[0] not in "LN":
        return ""
    name = unicodedata.name(letter, "?")
    return f"{name.split()[0]} {category}{' with an accent' if ' WITH ' in name else ''}"


def _measures(dataset: Dataset, places: Sequence[int]) -> tuple[Floats, Floats]:
    """Return lengths of texts in characters, and durations in seconds."""
    lengths = np.array([float(len(dataset.texts[place])) for place in places])
    durations = np.array([dataset.utterances[place].duration for place in places])
    return lengths, durations


def _varies(values: Floats, factor: float) -> bool:
    low, high = np.quantile(values, [0.1, 0.9])
    return bool(high > factor * low)


def _correlation(lengths: Floats, durations: Floats) -> float:
    """Return the larger of the correlations of logarithms and of ranks.

    A few odd texts spoil the former, and lengths that differ little the latter.
    """
    ranks = [np.unique(values, return_inverse=True)[1] for values in (lengths, durations)]
    both = ((np.log(lengths), np.log(durations)), ranks)
    return max(float(np.corrcoef(*pair)[0, 1]) for pair in both)

"""report.html of asr-evaluate: where a system errs, and each utterance to read and to hear."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr.decode import expected_calibration_error
from asr.manifest import Utterance
from asr.media import SoundQuality
from asr.reports.audio import audio_url
from asr.reports.page import PAGES, write_page
from asr.scoring import Comparison, ScoredUtterance, System, breakdown

BINS = 10  # of the reliability plot, equally wide
_NOISE_DB = (15, 20, 25, 30, 40, 50)  # limits of the classes of level range
_CLIPPED = 1e-3  # share of samples at full scale, from which asr-doctor warns
_CLIPPING = ("none", f"up to {_CLIPPED:.1%}", f"more than {_CLIPPED:.1%}")
_RANGE = (
    "Level of the loud frames over that of the quiet ones. A small range means noise or music, or "
    "speech without pauses."
)
_BAND = "Narrow: nothing in the upper fifth of the band, as on a telephone."
_MARKS = {"sub": "S", "del": "D", "ins": "I"}

Labels = Sequence[str]


@dataclass(frozen=True, kw_only=True)
class JudgedUtterance:
    """An utterance with what is known about its sound and its words."""

    utterance: Utterance
    quality: SoundQuality | None  # None: there is no sound, but frames that others computed
    range_db: float  # from its quiet to its loud frames: little where there is noise
    confidences: tuple[float, ...] = ()  # 0..1, of each word of the hypothesis; () if unknown


def write_report(
    path: Path,
    system: System,
    judged: Mapping[str, JudgedUtterance],
    *,
    comparison: Comparison | None = None,
    other: System | None = None,
    facts: Mapping[str, str],
    remarks: Sequence[str] = (),
) -> None:
    """Write the report of an evaluation.

    Args:
        path: the HTML file; recordings are named relative to it.
        system: scored.
        judged: its utterances by id.
        comparison: of the system with `other`.
        other: a second system, scored on the same utterances.
        facts: lines about the evaluation, by name, such as "model" and "manifest".
        remarks: sentences that restrict what the figures mean.

    Raises:
        OSError: the file cannot be written.
    """
    items = [judged[scored.id] for scored in system.utterances]
    groups = [_group(grouping, system, other) for grouping in _groupings(system, items)]
    confidences = _confidences(system, items)
    found = breakdown.word_errors(system)
    data = {
        "name": system.name,
        "facts": dict(facts),
        "remarks": list(remarks),
        "total": system.as_dict(),
        "other": other and {"name": other.name, **other.as_dict()},
        "comparison": comparison and comparison.as_dict(),
        "groups": groups,
        "words": found.as_dict(),
        "bins": reliability(confidences, _correct(system)),
        "utterances": _utterances(path, system, items, other) | {"confidences": confidences},
    }
    write_page(path, PAGES / "report.html", f"Evaluation of {system.name}", data)


def reliability(
    confidences: NDArray[np.float64], correct: NDArray[np.bool_]
) -> dict[str, Any] | None:
    """Return the bins of the reliability plot that have words; None without confidences.

    Source: Guo et al. 2017, 'On calibration of modern neural networks', figure 1 and equation 3.

    Args:
        confidences: (W,) in 0..1, or NaN for a word whose confidence is not known.
        correct: (W,), whether each word is right.
    """
    known = ~np.isnan(confidences)
    confidences, correct = confidences[known], correct[known]
    if not len(confidences):
        return None
    places = np.minimum((confidences * BINS).astype(int), BINS - 1)
    counts = np.bincount(places, minlength=BINS)
    kept = counts > 0
    claimed, right = (
        np.bincount(places, values, minlength=BINS)[kept] / counts[kept]
        for values in (confidences, correct)
    )
    return {
        "low": (np.flatnonzero(kept) / BINS).tolist(),
        "counts": counts[kept].tolist(),
        "claimed": claimed.tolist(),
        "right": right.tolist(),
        "error": expected_calibration_error(confidences, correct, BINS),
    }


def _confidences(system: System, items: Sequence[JudgedUtterance]) -> NDArray[np.float64]:
    """Return the confidences (W,) of all words of the hypotheses; NaN where one is not known."""
    rows = (
        item.confidences or [np.nan] * len(scored.hyp)
        for item, scored in zip(items, system.utterances, strict=True)
    )
    return np.array([*chain.from_iterable(rows)], np.float64)


def _correct(system: System) -> NDArray[np.bool_]:
    """Return whether each word of the hypotheses is right, (W,)."""
    steps = chain.from_iterable(scored.steps for scored in system.utterances)
    return np.array([op == "cor" for op, _, heard in steps if heard is not None], np.bool_)


@dataclass(frozen=True)
class _Grouping:
    """A way to put utterances into classes."""

    title: str
    note: str
    labels: Labels  # the class of each utterance
    order: Callable[[str], Any]  # the key by which classes are sorted


def _groupings(system: System, items: Sequence[JudgedUtterance]) -> list[_Grouping]:
    speakers = [scored.speaker or "?" for scored in system.utterances]
    lengths = [breakdown.length_class(scored.score.word.words) for scored in system.utterances]
    found = [
        _Grouping("Speaker", "? is an unknown speaker.", speakers, str),
        _Grouping("Length", "Words of the reference.", lengths, _leading),
    ]
    qualities = [item.quality for item in items if item.quality]
    if len(qualities) < len(items):
        return found
    noise = [_noise_class(item.range_db) for item in items]
    bands = [_band_class(quality) for quality in qualities]
    clipping = [_clipping_class(quality) for quality in qualities]
    return [
        *found,
        _Grouping("Level range", _RANGE, noise, _leading),
        _Grouping("Band", _BAND, bands, str),
        _Grouping("Clipping", "Share of samples at full scale.", clipping, _CLIPPING.index),
    ]


def _leading(label: str) -> int:
    """Return the number that a label begins with, by which classes are ordered."""
    return int(re.split(r"\D", label)[0])


def _noise_class(range_db: float) -> str:
    low = [limit for limit in _NOISE_DB if range_db >= limit]
    high = [limit for limit in _NOISE_DB if range_db < limit]
    if not low:
        return f"0-{high[0]} dB"
    return f"{low[-1]}-{high[0]} dB" if high else f"{low[-1]}+ dB"


def _band_class(quality: SoundQuality) -> str:
    if quality.is_silent:
        return "silent"
    return "narrow" if quality.is_narrow(quality.sample_rate_hz) else "full"


def _clipping_class(quality: SoundQuality) -> str:
    if not quality.clipped_fraction:
        return _CLIPPING[0]
    return _CLIPPING[1] if quality.clipped_fraction <= _CLIPPED else _CLIPPING[2]


def _group(grouping: _Grouping, system: System, other: System | None) -> dict[str, Any]:
    """Return the score of each class of utterances, and the class of each utterance."""
    names = sorted(set(grouping.labels), key=grouping.order)
    places = {name: place for place, name in enumerate(names)}
    sums = [
        breakdown.summed(zip(grouping.labels, (u.score for u in one.utterances), strict=True))
        for one in (system, other)
        if one
    ]
    rows = [
        {"name": name, **sums[0][name].as_dict(), "other_wer": sums[-1][name].as_dict()["wer"]}
        for name in names
    ]
    classes = np.array([places[label] for label in grouping.labels])
    return {"title": grouping.title, "note": grouping.note, "rows": rows, "classes": classes}


def _utterances(
    path: Path, system: System, items: Sequence[JudgedUtterance], other: System | None
) -> dict[str, Any]:
    """Return columns with a value for each utterance."""
    scored = system.utterances
    others = other.utterances if other else ()
    return {
        "id": [one.id for one in scored],
        "speaker": [one.speaker for one in scored],
        "audio": [item.quality and audio_url(item.utterance.audio, path) for item in items],
        "start": [item.utterance.start for item in items],
        "duration": [item.utterance.duration for item in items],
        "range_db": np.array([item.range_db for item in items], np.float32),
        "steps": [_steps(one) for one in scored],
        "errors": np.array([one.score.word.errors for one in scored], np.int32),
        "words": np.array([one.score.word.words for one in scored], np.int32),
        "other_errors": np.array([one.score.word.errors for one in others], np.int32),
        "other_steps": [
            None if one.hyp == two.hyp else _steps(two)
            for one, two in zip(scored, others, strict=False)
        ],
    }


def _steps(scored: ScoredUtterance) -> list[str | list[str | None] | None]:
    """Return an alignment: a right word as a string, an error as [mark, reference, hypothesis]."""
    return [hyp if op == "cor" else [_MARKS[op], ref, hyp] for op, ref, hyp in scored.steps]

"""The report of the doctor as an HTML page, with histograms, and examples that can be played."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from asr.doctor.dataset import Dataset
from asr.doctor.examination import Examination
from asr.doctor.finding import KINDS, Finding
from asr.doctor.report import Report
from asr.doctor.sound import Heard
from asr.reports import PAGES, audio_url, write_page
from asr.sequences import FRAMES

MOST_BARS = 12  # of a histogram: on a phone they can still be touched
SHOWN = 5  # utterances of each bar, letter or finding
_STEPS = (1, 2, 2.5, 5)  # times a power of ten: widths of a bar
_ROUNDING = 1e-6  # of a bar: 0.6 / 0.1 is less than 6

Url = Callable[[Path], str]


def write_html(path: Path, report: Report, examination: Examination) -> None:
    """Write the page.

    Args:
        path: the HTML file; recordings are named relative to it.
        report: the findings, and what else is printed.
        examination: the sets that were examined.

    Raises:
        OSError: the file cannot be written.
    """

    def url(audio: Path) -> str:
        return audio_url(audio, path)

    datasets = {dataset.name: dataset for dataset, _ in examination.sets}
    summaries = {summary.dataset: summary.as_dict() for summary in report.summaries}
    title = f"Examination of {datasets['train'].path}"
    data = {
        "title": title,
        "counts": report.counts,
        "findings": [_finding(found, datasets, url) for found in report.findings],
        "notes": report.notes(),
        "sets": [
            {**summaries[dataset.name], **_pictured(dataset, heard, url)}
            for dataset, heard in examination.sets
        ],
    }
    write_page(path, PAGES / "doctor.html", title, data)


def _finding(found: Finding, datasets: Mapping[str, Dataset], url: Url) -> dict[str, Any]:
    """Return a finding with its first utterances; a line that is no utterance has none."""
    kind = KINDS[found.kind]
    dataset = datasets.get(found.dataset)
    places = found.places[: len(found.examples)]
    utterances = [_utterance(dataset, place, url) for place in places] if dataset else []
    return {
        "kind": found.kind,
        "severity": kind.severity,
        "dataset": found.dataset,
        "count": found.count,
        "total": found.total,
        "what": kind.what,
        "why": found.why,
        "remedy": kind.remedy,
        "examples": [*zip_longest(found.examples, utterances)],
    }


def _utterance(dataset: Dataset, place: int, url: Url) -> dict[str, Any]:
    utterance = dataset.utterances[place]
    return {
        "id": utterance.id,
        "text": utterance.text,
        "url": "" if utterance.audio.suffix == FRAMES else url(utterance.audio),
        "start": utterance.start,
        "duration": utterance.duration,
    }


def _pictured(dataset: Dataset, heard: Heard, url: Url) -> dict[str, Any]:
    """Return the histograms and the letters of a set, and the utterances that they show."""
    durations = {place: one.duration for place, one in enumerate(dataset.utterances)}
    rates = {p: len(dataset.texts[p]) / duration for p, duration in durations.items()}
    levels = {place: quality.rms_db for place, quality in heard.items()}
    charts = [
        {"title": "Duration", "unit": "s", **histogram(durations)},
        {"title": "Rate of speech", "unit": "characters/s", **histogram(rates)},
        {"title": "Level", "unit": "dBFS (RMS)", **histogram(levels)},
    ]
    letters = _letters(dataset)
    bars = [places for chart in charts for places in chart["examples"]]
    shown = {place for places in [*bars, *(row["examples"] for row in letters)] for place in places}
    utterances = {str(place): _utterance(dataset, place, url) for place in sorted(shown)}
    return {"charts": charts, "letters": letters, "shown": utterances}


def histogram(values: Mapping[int, float]) -> dict[str, Any]:
    """Count values by place in bars of the finest round width that needs at most MOST_BARS.

    Returns:
        The start of the first bar, the width of each, their counts, and SHOWN places of each.
    """
    if not values:
        return {"start": 0.0, "step": 1.0, "counts": [], "examples": []}
    low, high = min(values.values()), max(values.values())
    step = _round_step((high - low) / (MOST_BARS - 1))
    first = _bar(low, step)
    places = defaultdict(list)
    for place, value in values.items():
        places[_bar(value, step) - first].append(place)
    bars = [places[bar] for bar in range(max(places) + 1)]
    return {
        "start": first * step,
        "step": step,
        "counts": [len(bar) for bar in bars],
        "examples": [bar[:SHOWN] for bar in bars],
    }


def _bar(value: float, step: float) -> int:
    return math.floor(value / step + _ROUNDING)


def _round_step(least: float) -> float:
    """Return the smallest of 0.1, 0.2, 0.25, 0.5, 1, 2 ... that is at least so wide."""
    if least <= 0.1:
        return 0.1
    power = 10.0 ** math.floor(math.log10(least))
    return next((n * power for n in _STEPS if n * power >= least), 10 * power)


def _letters(dataset: Dataset) -> Sequence[dict[str, Any]]:
    """Return the characters of the normalised texts, most frequent first."""
    counts: Counter[str] = Counter()
    places = defaultdict[str, list[int]](list)
    for place, text in enumerate(dataset.texts):
        counts.update(text)
        for letter in set(text):
            places[letter].append(place)
    return [
        {
            "letter": letter,
            "count": count,
            "utterances": len(places[letter]),
            "examples": places[letter][:SHOWN],
        }
        for letter, count in counts.most_common()
    ]

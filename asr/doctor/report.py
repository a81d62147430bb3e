"""Report what the doctor found, with a summary of each set: as text, as JSON, as an exit status."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from asr._progress import counted
from asr.doctor.advice import for_frames, recommendation
from asr.doctor.finding import SEVERITIES, Finding

if TYPE_CHECKING:  # so that a model is examined without torch
    from asr.doctor.cost import Cost
    from asr.doctor.dataset import Dataset
    from asr.doctor.recordings import Headers
    from asr.doctor.selftest import SelfTest

MOST_BINS = 12
STEPS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)  # widths of a bin
BAR = 40  # characters of the longest bar


@dataclass(frozen=True, kw_only=True)
class Bin:
    """The number of utterances with start <= duration < end, in seconds."""

    start: float
    end: float
    count: int


@dataclass(frozen=True, kw_only=True)
class Summary:
    """A description of one set in figures."""

    dataset: str
    path: str
    utterances: int
    hours: float
    speakers: int  # different ones that the manifest names
    sample_rates_hz: dict[int, int]  # recordings by rate
    frame_widths: dict[int, int]  # files of frames by the number of values of a frame
    listened: int  # utterances that were decoded
    lengths: tuple[Bin, ...]

    def as_dict(self) -> dict[str, object]:
        """Return everything, fit for JSON."""
        return asdict(self)

    def lines(self) -> list[str]:
        """Return the figures as lines of text, with bars for the lengths."""
        files = [f"{count} at {rate} Hz" for rate, count in self.sample_rates_hz.items()]
        files += [f"{n} with frames of {counted(w, 'value')}" for w, n in self.frame_widths.items()]
        speakers = counted(self.speakers, "speaker") if self.speakers else "no speakers"
        head = (
            f"{self.dataset}: {self.path}: {counted(self.utterances, 'utterance')}, "
            f"{self.hours:.2f} hours, {speakers} named; {', '.join(files)}; "
            f"listened to {self.listened}"
        )
        most = max(piece.count for piece in self.lengths)
        return [
            head,
            *(
                f"{piece.start:>10g} to {piece.end:g} s".ljust(24)
                + f"{piece.count:>7}  {'#' * math.ceil(BAR * piece.count / most)}".rstrip()
                for piece in self.lengths
            ),
        ]


def summarize(dataset: "Dataset", headers: "Headers", listened: int) -> Summary:
    """Return the summary of a set."""
    audio = {utterance.audio for utterance in dataset.utterances}
    sound = [headers[path] for path in audio if not headers[path].fault]
    rates = Counter(header.rate_hz for header in sound if header.rate_hz)
    widths = Counter(header.width for header in sound if header.width)
    durations = [utterance.duration for utterance in dataset.utterances]
    return Summary(
        dataset=dataset.name,
        path=str(dataset.path),
        utterances=len(durations),
        hours=sum(durations) / 3600,
        speakers=len({utterance.speaker for utterance in dataset.utterances} - {None}),
        sample_rates_hz=dict(rates.most_common()),
        frame_widths=dict(widths.most_common()),
        listened=listened,
        lengths=histogram(durations),
    )


def histogram(durations: Sequence[float]) -> tuple[Bin, ...]:
    """Count durations in bins of the finest width that needs at most MOST_BINS bins."""
    longest = max(durations)
    step = next((s for s in STEPS_S if longest < MOST_BINS * s), longest)
    counts = Counter(int(duration / step) for duration in durations)
    bins = range(min(counts), max(counts) + 1)
    return tuple(
        Bin(start=round(i * step, 6), end=round((i + 1) * step, 6), count=counts[i]) for i in bins
    )


@dataclass(frozen=True)
class Report:
    """The whole report of the doctor; parts that were not asked for are None."""

    summaries: tuple[Summary, ...]
    examined: tuple[Finding, ...]  # in the sets
    cost: "Cost | None" = None
    self_test: "SelfTest | None" = None
    left_out: dict[str, int] | None = None  # of the cleaned manifest, by kind of finding
    writing: tuple[str, ...] = ()  # transcripts before and after normalisation

    @property
    def findings(self) -> list[Finding]:
        """The findings on sets and model, the worst first."""
        measured = [part.findings() for part in (self.cost, self.self_test) if part]
        every = [*self.examined, *(finding for some in measured for finding in some)]
        return sorted(every, key=lambda finding: SEVERITIES.index(finding.severity))

    @property
    def counts(self) -> dict[str, int]:
        """The number of findings of each severity."""
        return {s: sum(f.severity == s for f in self.findings) for s in SEVERITIES}

    @property
    def status(self) -> int:
        """The exit status: 1 if any finding is an error, else 0."""
        return int(self.counts["error"] > 0)

    def as_dict(self) -> dict[str, object]:
        """Return everything, fit for JSON."""
        return {
            "sets": [summary.as_dict() for summary in self.summaries],
            "findings": [finding.as_dict() for finding in self.findings],
            "counts": self.counts,
            "cost": asdict(self.cost) if self.cost else None,
            "self_test": self.self_test.as_dict() if self.self_test else None,
            "left_out": self.left_out,
            "writing": self.writing,
        }

    def notes(self) -> list[str]:
        """Return lines about cost, self-test, settings, and what was left out of a clean set."""
        lines = [f"model: {self.cost.line()}"] if self.cost else []
        lines += [f"self-test: {self.self_test.line()}"] if self.self_test else []
        if self.summaries:  # of a model folder there are none
            train = self.summaries[0]
            if train.frame_widths:
                lines += for_frames(train.frame_widths)
            else:
                lines += recommendation(train.hours, self.cost)
        return [*lines, *(f"left out: {n} {kind}" for kind, n in (self.left_out or {}).items())]

    def lines(self) -> list[str]:
        """Return the report as text: sets, findings with the worst first, model, conclusion."""
        lines = [line for summary in self.summaries for line in summary.lines()]
        lines += [f"text: {line}" for line in self.writing]
        lines += [line for finding in self.findings for line in finding.lines()]
        lines += self.notes()
        counts = ", ".join(counted(count, severity) for severity, count in self.counts.items())
        return [*lines, counts if self.findings else "nothing found"]

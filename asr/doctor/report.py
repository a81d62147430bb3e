"""The doctor's report: as text, as JSON, and as an exit status."""

from dataclasses import asdict, dataclass

from asr.doctor.cost import Cost
from asr.doctor.finding import SEVERITIES, Finding
from asr.doctor.selftest import SelfTest
from asr.doctor.summary import Summary


@dataclass(frozen=True)
class Report:
    """Everything the doctor has to say; what was not asked for is None."""

    summaries: tuple[Summary, ...]
    examined: tuple[Finding, ...]  # in the sets
    cost: Cost | None = None
    self_test: SelfTest | None = None
    left_out: dict[str, int] | None = None  # of the cleaned manifest, by kind of finding

    @property
    def findings(self) -> list[Finding]:
        """Of sets and model, the worst first."""
        measured = [part.findings() for part in (self.cost, self.self_test) if part]
        every = [*self.examined, *(finding for some in measured for finding in some)]
        return sorted(every, key=lambda finding: SEVERITIES.index(finding.severity))

    @property
    def counts(self) -> dict[str, int]:
        """Findings by severity."""
        return {s: sum(f.severity == s for f in self.findings) for s in SEVERITIES}

    @property
    def status(self) -> int:
        """1 where a finding is an error, else 0."""
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
        }

    def lines(self) -> list[str]:
        """Return everything as text: sets, findings with the worst first, model, conclusion."""
        lines = [line for summary in self.summaries for line in summary.lines()]
        lines += [line for finding in self.findings for line in finding.lines()]
        lines += [f"model: {self.cost.line()}"] if self.cost else []
        lines += [f"self-test: {self.self_test.line()}"] if self.self_test else []
        lines += [f"left out: {n} {kind}" for kind, n in (self.left_out or {}).items()]
        counts = ", ".join(f"{count} {severity}s" for severity, count in self.counts.items())
        return [*lines, counts if self.findings else "nothing found"]

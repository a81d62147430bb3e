"""Read a manifest with all its faults, which asr.manifest would refuse, and write it without."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from asr.doctor.finding import EXAMPLES, KINDS, Finding
from asr.errors import ManifestError
from asr.manifest import Utterance, manifest_lines, parse_line, write_manifest
from asr.text import Normalizer


@dataclass(frozen=True)
class Dataset:
    """The utterances of a manifest and their normalised texts; a place is an index into both."""

    name: str  # "train", "valid" or "test"
    path: Path
    utterances: tuple[Utterance, ...]
    texts: tuple[str, ...]

    def finding(
        self, kind: str, details: Mapping[int, str], why: str = "", total: int | None = None
    ) -> list[Finding]:
        """Return one finding of this kind, with details by place; without details an empty list."""
        if not details:
            return []
        shown = list(details.items())[:EXAMPLES]
        return [
            Finding(
                kind=kind,
                dataset=self.name,
                count=len(details),
                total=len(self.utterances) if total is None else total,
                why=why,
                examples=tuple(f"{self.utterances[p].id}: {detail}" for p, detail in shown),
                places=tuple(details),
            )
        ]

    def kept(self, findings: Iterable[Finding]) -> list[int]:
        """Return the places of the utterances that no finding leaves out."""
        faults = (f for f in findings if KINDS[f.kind].leave_out and f.dataset == self.name)
        out = {place for finding in faults for place in finding.places}
        return [place for place in range(len(self.utterances)) if place not in out]


def read_dataset(name: str, path: Path, normalizer: Normalizer) -> tuple[Dataset, list[Finding]]:
    """Read a manifest; malformed lines and repeated ids become findings.

    Raises:
        ManifestError: the file cannot be read, or no line of it is an utterance.
    """
    folder = path.parent.resolve()
    utterances: list[Utterance] = []
    malformed: list[str] = []
    numbers: list[int] = []  # the line of each utterance
    for number, line in manifest_lines(path):
        try:
            utterances.append(parse_line(line, folder))
            numbers.append(number)
        except ValueError as error:
            malformed.append(f"line {number}: {error}")
    if not utterances:
        example = f" ({malformed[0]})" if malformed else ""
        raise ManifestError(f"{path}: holds no utterance{example}; make it anew with asr-prepare")
    dataset = Dataset(
        name, path, tuple(utterances), tuple(normalizer(item.text) for item in utterances)
    )
    return dataset, [*_malformed(dataset, malformed), *_repeated_ids(dataset, numbers)]


def write_clean(path: Path, dataset: Dataset, findings: Sequence[Finding]) -> dict[str, int]:
    """Write the utterances that are kept; return how many were left out, by kind of finding.

    An utterance with several faults counts for the first one.

    Raises:
        ManifestError: no utterance is left, or the file cannot be written.
    """
    reasons: dict[int, str] = {}
    for finding in findings:
        if finding.dataset == dataset.name and KINDS[finding.kind].leave_out:
            for place in finding.places:
                reasons.setdefault(place, finding.kind)
    kept = (dataset.utterances[place] for place in dataset.kept(findings))
    write_manifest(path, kept)
    malformed = {f.kind: f.count for f in findings
                 if f.kind == "malformed-line" and f.dataset == dataset.name}  # fmt: skip
    return malformed | dict(Counter(reasons.values()))


def _malformed(dataset: Dataset, complaints: list[str]) -> list[Finding]:
    if not complaints:
        return []
    total = len(dataset.utterances) + len(complaints)
    return [
        Finding(
            kind="malformed-line",
            dataset=dataset.name,
            count=len(complaints),
            total=total,
            examples=tuple(f"{dataset.path}, {line}" for line in complaints[:EXAMPLES]),
        )
    ]


def _repeated_ids(dataset: Dataset, numbers: list[int]) -> list[Finding]:
    first: dict[str, int] = {}
    details = {}
    for place, (utterance, number) in enumerate(zip(dataset.utterances, numbers, strict=True)):
        if first.setdefault(utterance.id, number) != number:
            details[place] = f"line {number}, and line {first[utterance.id]} before"
    return dataset.finding("duplicate-id", details)

"""The manifest without what training is better without."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from asr.doctor.dataset import Dataset
from asr.doctor.finding import KINDS, Finding
from asr.manifest import write_manifest


def write_clean(path: Path, dataset: Dataset, findings: Sequence[Finding]) -> dict[str, int]:
    """Write the utterances that stand; return how many were left out, by kind of finding.

    An utterance with several faults counts for the first one.

    Raises:
        ManifestError: no utterance stands, or the file cannot be written.
    """
    reasons: dict[int, str] = {}
    for finding in findings:
        if finding.dataset == dataset.name and KINDS[finding.kind].leave_out:
            for place in finding.places:
                reasons.setdefault(place, finding.kind)
    standing = (dataset.utterances[place] for place in dataset.standing(findings))
    write_manifest(path, standing)
    malformed = {f.kind: f.count for f in findings
                 if f.kind == "malformed-line" and f.dataset == dataset.name}  # fmt: skip
    return malformed | dict(Counter(reasons.values()))

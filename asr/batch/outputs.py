"""Destinations of transcripts: lines on standard output, or files in a folder with a journal."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from asr._atomic import content_sha256, write_atomically
from asr.batch.jobs import Job, Outcome
from asr.batch.journal import OK, Journal
from asr.batch.naming import distinct, file_names
from asr.errors import ConfigError
from asr.formats import FORMATS, Format

JOURNAL = "asr-journal.jsonl"


class Sink(ABC):
    """A destination of outcomes."""

    def is_done(self, job: Job) -> bool:
        """Return whether an earlier run has done the job."""
        return False

    @abstractmethod
    def take(self, outcome: Outcome) -> None:
        """Write the outcome of a job."""

    @abstractmethod
    def close(self) -> None:
        """Complete the output."""


class Printer(Sink):
    """Standard output: several recordings print as path<TAB>text, or as one JSON array.

    Raises:
        ConfigError: several recordings, in a format that needs a file for each.
    """

    def __init__(self, form: Format, several: bool) -> None:
        if several and not form.joins:
            raise ConfigError(
                f"several recordings as {form.suffix} need a file for each; add --output-dir OUT"
            )
        self._form = FORMATS["tsv"] if several and form is FORMATS["txt"] else form
        self._is_array = several and form is FORMATS["json"]
        self._bracket = "["  # to print before the next object: a bracket or a comma

    def close(self) -> None:
        """Close the array."""
        if self._is_array:
            print("]" if self._bracket == "," else "[]", flush=True)

    def take(self, outcome: Outcome) -> None:
        """Print a transcript; an error prints nothing."""
        if outcome.transcript is None:
            return
        if self._is_array:
            print(self._bracket)
            self._bracket = ","
        print(self._form.write(outcome.transcript), end="", flush=True)


class OutputFolder(Sink):
    """A folder with a file for each recording and format, whole or absent, and a journal.

    Args:
        folder: made where it is missing.
        formats: of the files.
        settings: a digest of everything that transcripts depend on, except the recording.
        jobs: all jobs of the run; where two would write one file, both get longer names.
        skips: whether a job counts as done if its files exist and the journal says that they were
            written for the same content of the recording and the same settings.

    Raises:
        ConfigError: the folder or journal cannot be used.
    """

    def __init__(
        self,
        folder: Path,
        formats: Sequence[Format],
        settings: str,
        jobs: Sequence[Job],
        *,
        skips: bool,
    ) -> None:
        self._folder = folder
        self._formats = formats
        self._settings = settings
        self._skips = skips
        names = distinct([file_names(job.name, job.source) for job in jobs], self._files, [JOURNAL])
        self._names = {job.number: name for job, name in zip(jobs, names, strict=True)}
        self._journal = Journal(folder / JOURNAL)

    def close(self) -> None:
        """Close the journal."""
        self._journal.close()

    def is_done(self, job: Job) -> bool:
        """Return whether the job's files exist, for the same recording and settings."""
        outputs = self._outputs(job)
        if not (self._skips and self._journal.knows(outputs)):
            return False
        return all((self._folder / output).exists() for output in outputs) and (
            self._journal.is_done(outputs, content_sha256(Path(job.source)), self._settings)
        )

    def take(self, outcome: Outcome) -> None:
        """Write the files, then the line of the journal.

        Raises:
            ConfigError: the files cannot be written.
        """
        outputs = self._outputs(outcome.job)
        facts = {
            "path": str(outcome.job.source),
            "sha256": outcome.sha256,
            "settings": self._settings,
            "seconds": round(outcome.seconds, 3),
        }
        if outcome.transcript is None:
            self._journal.add("failed", outputs, **facts, error=str(outcome.error))
            return
        if self._journal.knows(outputs):  # its old line is about to be untrue
            self._journal.add("replacing", outputs, path=facts["path"])
        for output, form in zip(outputs, self._formats, strict=True):
            self._write(output, form.write(outcome.transcript))
        self._journal.add(OK, outputs, **facts, duration=round(outcome.transcript.duration, 3))

    def _outputs(self, job: Job) -> list[str]:
        return self._files(self._names[job.number])

    def _files(self, name: str) -> list[str]:
        """Return the files of a recording, in the order of the formats."""
        return [name + form.suffix for form in self._formats]

    def _write(self, output: str, content: str) -> None:
        path = self._folder / output
        try:
            write_atomically(path, content)
        except OSError as error:
            raise ConfigError(
                f"{path}: cannot be written ({error.strerror}); make room, or give another "
                "--output-dir"
            ) from error

"""Destinations of transcripts: lines on standard output, or files in a folder with a journal."""

import errno
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from asr._atomic import content_sha256, write_atomically
from asr._progress import say
from asr._streams import put, put_part
from asr.batch.jobs import Job, Outcome
from asr.batch.journal import OK, Journal
from asr.batch.naming import distinct, file_names
from asr.errors import AudioError, ConfigError
from asr.formats import FORMATS, Format

JOURNAL = ".asr-journal.jsonl"
_OF_ONE_NAME = {errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL}


class Sink(ABC):
    """A destination of outcomes."""

    def is_done(self, job: Job) -> bool:
        """Return whether an earlier run has done the job."""
        return False

    @abstractmethod
    def take(self, outcome: Outcome) -> Outcome:
        """Write the outcome of a job; return it, with an error if it alone cannot be written."""

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
            put("]" if self._bracket == "," else "[]")

    def take(self, outcome: Outcome) -> Outcome:
        """Print a transcript; an error prints nothing."""
        if outcome.transcript is None:
            return outcome
        if self._is_array:
            put(self._bracket)
            self._bracket = ","
        put_part(self._form.write(outcome.transcript))
        return outcome


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

    def take(self, outcome: Outcome) -> Outcome:
        """Write the files, then the line of the journal.

        A name that the disk does not allow, such as one of more than 255 bytes with the suffix of
        the format, is an error of that recording alone.

        Raises:
            ConfigError: no files can be written.
        """
        outputs = self._outputs(outcome.job)
        path = str(outcome.job.source)
        if outcome.transcript and self._journal.knows(outputs):
            if other := self._journal.other_recording(outputs, outcome.sha256, path):
                say(
                    f"{self._folder / outputs[0]}: was of {other}, and is of {path} now; to keep "
                    "both, give both recordings in one command, or another --output-dir"
                )
            self._journal.add("replacing", outputs, path=path)  # its line is about to be untrue
        outcome = self._written(outcome, outputs)
        facts = {
            "path": path,
            "sha256": outcome.sha256,
            "settings": self._settings,
            "seconds": round(outcome.seconds, 3),
        }
        if outcome.transcript is None:
            self._journal.add("failed", outputs, **facts, error=str(outcome.error))
        else:
            duration = round(outcome.transcript.duration, 3)
            self._journal.add(OK, outputs, **facts, duration=duration)
        return outcome

    def _written(self, outcome: Outcome, outputs: Sequence[str]) -> Outcome:
        """Write the files of an outcome; return it, or an error where their names are not allowed.

        Raises:
            ConfigError: no files can be written.
        """
        if outcome.transcript is None:
            return outcome
        for output, form in zip(outputs, self._formats, strict=True):
            try:
                write_atomically(self._folder / output, form.write(outcome.transcript))
            except OSError as error:
                why = f"{self._folder / output}: cannot be written ({error.strerror})"
                if error.errno not in _OF_ONE_NAME:
                    raise ConfigError(f"{why}; make room, or give another --output-dir") from error
                wrong = AudioError(f"{outcome.job.source}: {why}; rename the recording")
                return replace(outcome, transcript=None, error=wrong)
        return outcome

    def _outputs(self, job: Job) -> list[str]:
        return self._files(self._names[job.number])

    def _files(self, name: str) -> list[str]:
        """Return the files of a recording, in the order of the formats."""
        return [name + form.suffix for form in self._formats]

"""Recordings to be recognised, a job each, and the outcomes of these jobs.

A `Transcriber` does a job: in this process, in others (`workers.py`), or on the machines of a Ray
cluster (`ray.py`). Outcomes always come back to this process, which writes them.
"""

import sys
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from asr._atomic import content_sha256
from asr._cores import usable_cores
from asr.batch.inputs import STDIN, list_audio
from asr.batch.naming import recording_ids
from asr.errors import AsrError
from asr.formats import Transcript

if TYPE_CHECKING:
    from asr.recognize import Recognizer

MOST_WORKERS = 8  # by default: each holds a model in memory
WORTH_BYTES = 4_000_000  # of audio: to recognise it takes as long as to start a process


@dataclass(frozen=True)
class Job:
    """A recording to be recognised."""

    number: int  # 0, 1, 2 ... in the order of the inputs
    source: Path | str  # a file, or STDIN
    name: str  # of its output files: a relative path without suffix
    num_bytes: int = 0  # where known
    id: str = ""  # in transcripts; none: the name of the file


@dataclass(frozen=True)
class Outcome:
    """The result of a job: a transcript or an error."""

    job: Job
    transcript: Transcript | None = None
    error: AsrError | None = None
    seconds: float = 0.0  # that the job took
    sha256: str | None = None  # of the recording's bytes, if they were asked for

    @property
    def audio_s(self) -> float:
        """Seconds that were recognised."""
        return self.transcript.duration if self.transcript else 0.0


Outcomes = Generator[Outcome, None, None]  # closing it ends the work
# Told how far a job is: the job, the seconds done, and the seconds in all, if they are known.
Watch = Callable[[Job, float, float | None], None]


@dataclass
class Transcriber:
    """A worker that loads its model at its first job, so that it can be sent to other processes."""

    load: Callable[[], "Recognizer"]
    system: Mapping[str, object] = field(default_factory=dict)  # kept with each transcript
    hashed: bool = False  # whether outcomes carry the sha256 of their recordings

    @cached_property
    def recognizer(self) -> "Recognizer":
        """The model, loaded at its first use.

        Raises:
            AsrError: the model cannot be loaded.
        """
        return self.load()

    def run(self, job: Job, watch: Watch | None = None) -> Outcome:
        """Do a job; an error of its recording is part of the outcome.

        Raises:
            AsrError: the model cannot be loaded.
        """
        recognizer = self.recognizer
        started = time.monotonic()
        sha256 = content_sha256(Path(job.source)) if self.hashed else None
        try:
            source = sys.stdin.buffer if job.source == STDIN else job.source
            progress = partial(watch, job) if watch else None
            found = recognizer.transcribe(source, progress=progress)
        except AsrError as error:
            return Outcome(job, None, error, time.monotonic() - started, sha256)
        found = replace(found, system=self.system, id=job.id)
        return Outcome(job, found, None, time.monotonic() - started, sha256)


def run_here(transcriber: Transcriber, jobs: Iterable[Job], watch: Watch | None = None) -> Outcomes:
    """Do jobs one after the other in this process.

    Raises:
        AsrError: the model cannot be loaded.
    """
    for job in jobs:
        yield transcriber.run(job, watch)


def in_order(outcomes: Outcomes) -> Outcomes:
    """Yield the outcomes of jobs 0, 1, 2 ... in this order, each as early as the order allows."""
    early: dict[int, Outcome] = {}
    due = 0
    with closing(outcomes):
        for outcome in outcomes:
            early[outcome.job.number] = outcome
            while due in early:
                yield early.pop(due)
                due += 1


def default_workers(jobs: Iterable[Job]) -> int:
    """Return the number of processes that is worth starting for jobs on this machine."""
    sizes = [job.num_bytes for job in jobs]
    return min(most_workers(), len(sizes), 1 + sum(sizes) // WORTH_BYTES)


def most_workers() -> int:
    """Return the number of processes by default, where there is work for all: one a core, to 8."""
    return min(usable_cores(), MOST_WORKERS)


def list_jobs(
    inputs: Sequence[str], listed: Iterable[Path] = (), left_out: list[Path] | None = None
) -> list[Job]:
    """Return a job for each recording, each recording once, with an id that no other one has.

    The name of a job is the path of its file below the folder that was given, or below the part
    of a glob before the first wildcard. A listed file is named by its path in the list.

    Args:
        inputs: files, folders, globs and STDIN.
        listed: more files.
        left_out: gets the files of folders that seem to be recordings and were not taken.
    """
    found: dict[Path | str, tuple[Path | str, str]] = {}  # by absolute path: source, and name
    for argument in inputs:
        if argument == STDIN:
            found[STDIN] = STDIN, "stdin"
            continue
        root = _root(argument)
        for path in list_audio([argument], left_out):
            found.setdefault(path.absolute(), (path, _name(path.relative_to(root))))
    for path in listed:
        found.setdefault(path.absolute(), (path, _name(path)))
    if left_out is not None:
        left_out[:] = [path for path in dict.fromkeys(left_out) if path.absolute() not in found]
    ids = recording_ids([source for source, _ in found.values()])
    return [
        Job(number, source, name, _num_bytes(source), ids[number])
        for number, (source, name) in enumerate(found.values())
    ]


def _root(argument: str) -> Path:
    """Return the folder below which an argument finds its files."""
    path = Path(argument)
    with suppress(OSError):  # a name too long: reading it will say so
        if path.is_dir():
            return path
        if path.exists():
            return path.parent
    fixed = takewhile(lambda part: not set(part) & set("*?["), path.parts)
    return Path(*fixed) if set(argument) & set("*?[") else path.parent


def _name(path: Path) -> str:
    """Return a path without suffix that stays below the folder it is appended to."""
    below = Path(*(part for part in path.parts if part not in (path.anchor, "..")))
    return str(below.with_suffix("")) if below.name else "recording"


def _num_bytes(source: Path | str) -> int:
    try:
        return Path(source).stat().st_size if source != STDIN else 0
    except (OSError, ValueError):  # ValueError: no file can have such a name
        return 0

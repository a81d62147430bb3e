"""A stand-in for a model, in a module of its own so that other processes can import it.

Its recordings are text files. A file says what is to happen: `text` is recognised, `bad` is no
audio, `die` kills the process, `die once` does so the first time, `slow` takes a minute, `bug` is
a mistake of ours, `lock` takes a semaphore, as numba does to compile, and `pid` gives the number of
the process.

As a script it does jobs of the files in its arguments in two processes and prints their texts.
"""

import fcntl
import multiprocessing
import os
import signal
import sys
import time
from functools import partial
from pathlib import Path

from asr.batch import Transcriber, list_jobs, run_in_processes
from asr.cli.run import run
from asr.errors import AudioError, CheckpointError
from asr.formats import Transcript, Word


class FakeModel:
    """Does what its recordings say; with words, it says so; timed, they last 0.1 s each."""

    def __init__(self, words: bool, timed: bool = False) -> None:
        self.words = words
        self.timed = timed
        self.locks = list[object]()

    def transcribe(self, source: Path, *, progress: object = None) -> Transcript:
        """Recognise a file of text."""
        text = source.read_text()
        if text == "bad":
            raise AudioError(f"{source}: is bad")
        if text == "bug":
            raise ZeroDivisionError
        if text == "slow":
            time.sleep(60)
        if text == "lock":
            self.locks.append(multiprocessing.Lock())
        if text == "die" or (text == "die once" and not _seen(source)):
            os.kill(os.getpid(), signal.SIGKILL)
        text = str(os.getpid()) if text == "pid" else text
        text = f"{text}{' with words' if self.words else ''}"
        spoken = text.split() if self.timed else ()
        words = (Word(word, 0.1 * i, 0.1 * (i + 1), 1.0) for i, word in enumerate(spoken))
        return Transcript(str(source), text, 1.0, tuple(words))


def _seen(source: Path) -> bool:
    mark = source.with_suffix(".seen")
    if mark.exists():
        return True
    mark.touch()
    return False


def load(kind: str = "good", words: bool = False, timed: bool = False) -> FakeModel:
    """Load a model that is good, damaged, or larger than the memory."""
    if kind == "damaged":
        raise CheckpointError("exp: is damaged")
    if kind == "large":
        os.kill(os.getpid(), signal.SIGKILL)
    return FakeModel(words, timed)


def load_after(deaths: Path) -> FakeModel:
    """Load a model in a process, after as many others as the file says were killed in doing so."""
    with deaths.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        left = int(file.read())
        file.seek(0)
        file.write(str(max(0, left - 1)))
        file.flush()
        if left:
            os.kill(os.getpid(), signal.SIGKILL)
    return FakeModel(words=False)


def transcriber(
    kind: str = "good", words: bool = False, timed: bool = False, **options: bool
) -> Transcriber:
    """Something that does jobs with such a model."""
    return Transcriber(partial(load, kind, words, timed), **options)


def print_texts() -> int:
    """Do the jobs of the arguments in two processes."""
    for outcome in run_in_processes(transcriber(), list_jobs(sys.argv[1:]), 2):
        print(outcome.transcript.text if outcome.transcript else outcome.error, flush=True)
    return 0


if __name__ == "__main__":
    # a shell that runs the tests in the background has them ignore Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(run("fake", print_texts))

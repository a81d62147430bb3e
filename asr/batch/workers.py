"""Jobs in several processes, each with one thread and a model of its own.

A recording during which a process dies (out of memory, a crash in a codec) fails alone: a new
process does the next one. So it does where a process dies while it loads the model; where several
in a row do, and none has ever loaded it, the work ends. No worker outlives the process that started
it, however that ends.
"""

import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from multiprocessing import connection, get_context, parent_process
from multiprocessing.connection import Connection
from typing import Any

from asr.batch.jobs import Job, Outcome, Outcomes, Transcriber, Watch
from asr.errors import AsrError, WorkerError

MOST_DEATHS = 3  # in a row of processes that load the model, before any has loaded it
GRACE_S = 5.0  # for a process to end


def run_in_processes(
    transcriber: Transcriber, jobs: Iterable[Job], count: int, watch: Watch | None = None
) -> Outcomes:
    """Do jobs in `count` processes; yield outcomes as they come.

    A job is taken from `jobs` when a process is free for it. Closing the iterator ends all
    processes. With `watch`, the processes say at each pause how far their recordings are.

    Raises:
        AsrError: the model cannot be loaded.
        WorkerError: processes died while they loaded the model, one after the other.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # the processes inherit it
    patience = max(count, MOST_DEATHS)  # that many may die before the first has loaded the model
    waiting = iter(jobs)
    workers, done = list[_Worker](), list[_Worker]()
    try:
        workers += (_Worker(transcriber, job, watch) for job in islice(waiting, count))
        while workers:
            of_connection: dict[Any, _Worker] = {worker.connection: worker for worker in workers}
            for ready in connection.wait(list(of_connection)):
                worker = of_connection[ready]
                outcome = worker.receive()
                patience = patience - 1 if worker.died_loading else sys.maxsize
                if patience == 0:
                    assert outcome and outcome.error
                    raise outcome.error
                if outcome is None:
                    continue
                yield outcome
                job = next(waiting, None)
                if job and worker.is_alive:
                    worker.give(job)
                    continue
                workers.remove(worker)
                if worker.is_alive:
                    worker.connection.close()
                    done.append(worker)
                else:
                    worker.stop()
                if job:
                    workers.append(_Worker(transcriber, job, watch))
    finally:
        for worker in workers:
            worker.stop()
        for worker in done:  # each ends by itself, and says so to the tracker of semaphores
            worker.stop(GRACE_S)


class _Worker:
    """A process and the job that it does."""

    def __init__(self, transcriber: Transcriber, job: Job, watch: Watch | None) -> None:
        context = get_context("spawn")  # a fork would copy locks that threads of torch hold
        self.connection, theirs = context.Pipe()
        self._watch = watch
        arguments = theirs, transcriber, watch is not None
        self._process = context.Process(target=_work, args=arguments, daemon=True)
        with _ignoring_interrupts():
            self._process.start()
        theirs.close()
        self.is_alive = True
        self._is_loaded = False
        self.give(job)

    def give(self, job: Job) -> None:
        self._job = job
        with suppress(OSError):  # the process has died: `receive` will notice
            self.connection.send(job)

    def receive(self) -> Outcome | None:
        """Return the outcome of the job, or None when there is none yet.

        Before it, the process says that the model is loaded, and then how far the job is.

        Raises:
            AsrError: the model could not be loaded.
        """
        try:
            message = self.connection.recv()
        except (EOFError, OSError):
            self.is_alive = False
            return Outcome(self._job, error=self._death())
        if isinstance(message, Exception):
            raise message
        self._is_loaded = True
        if isinstance(message, tuple):
            assert self._watch
            self._watch(self._job, *message)
            return None
        assert message is None or isinstance(message, Outcome)
        return message

    @property
    def died_loading(self) -> bool:
        """Whether the process died before it had loaded the model."""
        return not (self.is_alive or self._is_loaded)

    def stop(self, patience_s: float = 0.0) -> None:
        self.connection.close()
        self._process.join(patience_s)
        self._process.terminate()
        self._process.join(GRACE_S)
        self._process.kill()  # one that was stopped does not hear the first signal
        self._process.join()
        self._process.close()

    def _death(self) -> WorkerError:
        self._process.join()
        status = self._process.exitcode or 0
        how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended: {status}"
        return WorkerError(
            f"{self._job.source}: the process that worked on it {how}; if memory is short, use "
            "fewer --workers"
        )


def _work(driver: Connection, transcriber: Transcriber, watched: bool) -> None:
    """Load the model, then do jobs until there are no more: the main function of a process."""
    end_with_parent()

    def tell(job: Job, done_s: float, total_s: float | None) -> None:
        driver.send((done_s, total_s))

    try:
        _ = transcriber.recognizer
    except (AsrError, ModuleNotFoundError) as error:
        driver.send(error)
        return
    driver.send(None)
    with suppress(EOFError, OSError):
        while True:
            driver.send(transcriber.run(driver.recv(), tell if watched else None))


def end_with_parent() -> None:
    """From now on, end as soon as the process that started this one has ended, however it did."""
    threading.Thread(target=_exit_after_parent, daemon=True).start()


def _exit_after_parent() -> None:
    parent = parent_process()
    if parent:
        connection.wait([parent.sentinel])
    os._exit(1)


@contextmanager
def _ignoring_interrupts() -> Iterator[None]:
    """Hide Ctrl-C from processes that are started inside; their parent ends them."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)

"""Where requests meet worker processes: a desk for recordings, and one for live sessions."""

import asyncio
import math
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

from asr.errors import AsrError
from asr.formats import Segment
from asr.serve.messages import (
    Assignment,
    Cancel,
    Close,
    Closed,
    Failed,
    Finished,
    Heard,
    Loaded,
    OfSession,
    Open,
    Progress,
    SoundPiece,
)
from asr.serve.problems import RequestError, as_request_error
from asr.serve.processes import Main, Process, Seat
from asr.serve.worker import Load, serve_live, serve_recordings

_RECALL_S = 5.0  # for a process to notice that nobody waits for its task
_START_S = 10.0  # that a live session waits for a process to start
_AHEAD_BYTES = 1 << 20  # of a session's sound that may wait for its process
_LONGEST_RETRY_S = 120
_USUAL_S = 5.0  # a guess at how long a recording takes, before the first


class _Desk:
    """A desk with seats for worker processes.

    Args:
        main: main function of the processes.
        load: loads their model.
        seats: the number of processes.
    """

    def __init__(self, main: Main, load: Load, seats: int) -> None:
        self._new_seats = [(main, load)] * seats
        self._seats = list[Seat]()

    def open(self) -> None:
        """Start the processes."""
        self._seats = [Seat(main, load, self._take, self._ready) for main, load in self._new_seats]

    async def loaded(self) -> Loaded | None:
        """Wait until each process has its model; return what one says of it, None without any.

        Raises:
            AsrError: a process cannot load it.
        """
        loads = [asyncio.shield(seat.process.loaded) for seat in self._seats]
        return (await asyncio.gather(*loads))[0] if loads else None

    def close(self) -> None:
        """End all processes."""
        for seat in self._seats:
            seat.stop()

    @property
    def num_ready(self) -> int:
        """The number of processes that have their model."""
        return sum(seat.process.is_ready for seat in self._seats)

    @property
    def num_deaths(self) -> int:
        """The number of processes that have died."""
        return sum(seat.num_deaths for seat in self._seats)

    @abstractmethod
    def _take(self, process: Process, message: Any) -> None: ...

    @abstractmethod
    def _ready(self, process: Process) -> None: ...


class RecordingDesk(_Desk):
    """A desk where recordings wait, in order, for a process that is free.

    Args:
        load: loads the model.
        workers: number of processes.
        queue: number of recordings that may wait.
    """

    def __init__(self, load: Load, workers: int, queue: int) -> None:
        super().__init__(serve_recordings, load, workers)
        self._workers, self._queue = workers, queue
        self._free = dict[Process, None]()  # in the order in which they became free
        self._waiters = deque[asyncio.Future[Process]]()
        self._inboxes = dict[Process, asyncio.Queue[Any]]()
        self._recalls = set[asyncio.Task[None]]()
        self._usual_s = _USUAL_S
        self.num_admitted = 0

    @property
    def num_waiting(self) -> int:
        """The number of recordings that are still arriving, or wait for a process."""
        return max(0, self.num_admitted - len(self._inboxes))

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Hold a place for a request while it is inside.

        Raises:
            RequestError: 429, all places are taken.
        """
        if self.num_admitted >= self._workers + self._queue:
            rounds = math.ceil(self.num_admitted / self._workers)
            wait_s = min(_LONGEST_RETRY_S, max(1, math.ceil(rounds * self._usual_s)))
            raise RequestError(
                429,
                "queue_full",
                f"{self.num_admitted} recordings are being recognised or wait, as many as this "
                f"server takes; try again in {wait_s} s",
                retry_after=wait_s,
            )
        self.num_admitted += 1
        try:
            yield
        finally:
            self.num_admitted -= 1

    async def recognise(
        self, task: Assignment, descriptor: int, tell: Callable[[Progress | Segment], None]
    ) -> Finished:
        """Have a recording recognised as soon as a process is free.

        If the caller is cancelled, the process stops at the next pause of the recording.

        Args:
            task: what is to be done.
            descriptor: of the file.
            tell: is called with each segment, and with the progress.

        Raises:
            RequestError: the recording cannot be recognised, or the process died.
        """
        finished = None
        while finished is None:
            finished = await self._recognise(await self._free_process(), task, descriptor, tell)
        self._usual_s += 0.2 * (finished.seconds - self._usual_s)
        return finished

    async def _recognise(
        self,
        process: Process,
        task: Assignment,
        descriptor: int,
        tell: Callable[[Progress | Segment], None],
    ) -> Finished | None:
        """Give a task to a process; return None if it had died before."""
        if not process.is_alive:  # it died after it was chosen: nothing more will come from it
            return None
        inbox = self._inboxes[process] = asyncio.Queue[Any]()
        try:
            await process.send(task, descriptor)
            finished = await _outcome(inbox, tell) if await inbox.get() else None
        except asyncio.CancelledError:
            recall = asyncio.create_task(self._recall(process, inbox))
            self._recalls.add(recall)
            recall.add_done_callback(self._recalls.discard)
            raise
        except RequestError:
            self._release(process)
            raise
        self._release(process)
        return finished

    async def _free_process(self) -> Process:
        """Wait for a process that is free; first come, first served."""
        if self._free:
            return self._free.popitem()[0]
        waiter: asyncio.Future[Process] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self._release(waiter.result())
            raise

    def _release(self, process: Process) -> None:
        """Give a process to the next in the queue; if it has died, its successor will come."""
        self._inboxes.pop(process, None)
        while process.is_ready and self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(process)
                return
        if process.is_ready:
            self._free[process] = None

    async def _recall(self, process: Process, inbox: asyncio.Queue[Any]) -> None:
        """Stop a task that nobody waits for; end the process if it does not stop."""
        try:
            async with asyncio.timeout(_RECALL_S):
                await process.send(Cancel())
                await _outcome(inbox, lambda message: None)
        except TimeoutError:
            process.kill()
            self._inboxes.pop(process, None)
            return
        except RequestError:
            pass  # it stopped
        self._release(process)

    def _take(self, process: Process, message: Any) -> None:
        if message is None:
            self._free.pop(process, None)
        if process in self._inboxes:
            self._inboxes[process].put_nowait(message)

    def _ready(self, process: Process) -> None:
        self._release(process)


async def _outcome(
    inbox: asyncio.Queue[Any], tell: Callable[[Progress | Segment], None]
) -> Finished:
    while True:
        message = await inbox.get()
        if message is None:
            raise _crash()
        if isinstance(message, Failed):
            raise _answer_to(message.error)
        if isinstance(message, Finished):
            return message
        tell(message)


class LiveDesk(_Desk):
    """A desk that spreads live sessions over its processes.

    Args:
        load: loads the model.
        workers: number of processes.
        most: sessions at once.
    """

    def __init__(self, load: Load, workers: int, most: int) -> None:
        super().__init__(serve_live, load, workers)
        self._most = most
        self._numbers = count(1)
        self._started = asyncio.Event()  # a process has its model
        self.sessions = dict[int, LiveCall]()

    async def call(
        self, sample_rate_hz: int, encoding: str, hotwords: tuple[str, ...]
    ) -> "LiveCall":
        """Begin a session, in the process that has the fewest.

        Raises:
            RequestError: 429, there are as many sessions as are allowed; 503, no process is ready.
        """
        if not self._seats:
            raise RequestError(
                503, "no_live_sessions", "this server takes none; start it with --live-workers 1"
            )
        process = await self._process()
        if len(self.sessions) >= self._most:
            raise RequestError(
                429,
                "too_many_sessions",
                f"{self._most} live sessions are open, as many as this server takes; try again "
                "later",
                retry_after=10,
            )
        number = next(self._numbers)
        self.sessions[number] = session = LiveCall(self, process, number)
        await process.send(Open(number, sample_rate_hz, encoding, hotwords))
        return session

    def _take(self, process: Process, message: Any) -> None:
        if message is None:
            for session in self.sessions.values():
                if session.process is process:
                    session.take(None)
        elif message.session in self.sessions:
            self.sessions[message.session].take(message)

    async def _process(self) -> Process:
        """Return the process with the fewest sessions; after a crash, wait until there is one."""
        try:
            async with asyncio.timeout(_START_S):
                while not self.num_ready:
                    self._started.clear()
                    await self._started.wait()
        except TimeoutError:
            raise RequestError(
                503, "not_ready", "no process is ready for live sessions; try again", retry_after=5
            ) from None
        busy = [call.process for call in self.sessions.values()]
        ready = (seat.process for seat in self._seats if seat.process.is_ready)
        return min(ready, key=busy.count)

    def _ready(self, process: Process) -> None:
        self._started.set()


class LiveCall:
    """A live session with a worker process."""

    def __init__(self, desk: LiveDesk, process: Process, number: int) -> None:
        self._desk = desk
        self._number = number
        self._messages = asyncio.Queue[OfSession | None]()
        self._ahead_bytes = 0
        self._room = asyncio.Event()
        self._room.set()
        self.process = process

    async def send(self, content: bytes) -> None:
        """Send sound; wait while too much of it waits for its turn."""
        await self._room.wait()
        self._ahead_bytes += len(content)
        self._check_room()
        await self.process.send(SoundPiece(self._number, content))

    async def finish(self) -> None:
        """Say that there is no more sound; Closed will be the last message."""
        await self.process.send(Close(self._number))

    async def receive(self) -> OfSession:
        """Return the next message: an Event, or in the end Closed.

        Raises:
            RequestError: the session has failed, or its process has died.
        """
        message = await self._messages.get()
        if message is None:
            raise _crash()
        if isinstance(message, Failed):
            raise _answer_to(message.error)
        return message

    def take(self, message: OfSession | None) -> None:
        """Take a message of the process; None: it has died."""
        if isinstance(message, Heard):
            self._ahead_bytes -= message.num_bytes
        else:
            self._messages.put_nowait(message)
        if message is None or isinstance(message, Failed | Closed):
            self._ahead_bytes = 0
        self._check_room()

    async def leave(self) -> None:
        """End the session, whatever its state."""
        self._desk.sessions.pop(self._number, None)
        await self.process.send(Cancel(self._number))

    def _check_room(self) -> None:
        if self._ahead_bytes < _AHEAD_BYTES:
            self._room.set()
        else:
            self._room.clear()


def _crash() -> RequestError:
    return RequestError(
        500,
        "worker_crashed",
        "the process that worked on the request has died; it is being replaced: try again",
    )


def _answer_to(error: Exception) -> RequestError:
    assert isinstance(error, AsrError)
    return as_request_error(error)

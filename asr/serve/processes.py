"""Worker processes as the server sees them: one that dies is replaced.

A thread waits for the messages of a process and hands them to the event loop. Messages to a process
are sent by another thread, because a pipe that is full makes the sender wait.
"""

import asyncio
import os
import socket
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from threading import Thread
from typing import Any

from asr._progress import say
from asr.errors import AsrError, WorkerError
from asr.serve.messages import Failed, Loaded
from asr.serve.worker import Load, run_worker

Main = Callable[[Connection, Load], None]
_LONGEST_PAUSE_S = 30.0  # between two tries to start a process that does not load its model


class Process:
    """A worker process.

    Args:
        main: its main function.
        load: loads its model.
        take: is called in the event loop with each message after Loaded, and with None when the
            process has died.
    """

    def __init__(self, main: Main, load: Load, take: Callable[[Any], None]) -> None:
        context = get_context("spawn")  # a fork would copy the sockets of all clients
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=run_worker, args=(main, theirs, load), daemon=True)
        self._process.start()
        theirs.close()
        self._channel = socket.socket(fileno=os.dup(self._connection.fileno()))
        self._loop = asyncio.get_running_loop()
        self._take = take
        self._sender = ThreadPoolExecutor(1)
        self.loaded: asyncio.Future[Loaded] = self._loop.create_future()
        self.is_alive = True
        Thread(target=self._listen, daemon=True).start()

    @property
    def is_ready(self) -> bool:
        """Whether it is alive and has its model."""
        return self.is_alive and self.loaded.done() and not self.loaded.exception()

    async def send(self, message: object, descriptor: int | None = None) -> None:
        """Send a message, and a file where it needs one; a process that has died gets nothing."""
        # The caller may be cancelled and close its descriptor before the thread comes to it.
        own = None if descriptor is None else os.dup(descriptor)
        try:
            sending = self._loop.run_in_executor(self._sender, self._send, message, own)
        except RuntimeError:  # it has died, and its thread has ended
            _close(own)
        else:
            await asyncio.shield(sending)

    def _send(self, message: object, descriptor: int | None) -> None:
        try:
            self._connection.send(message)
            if descriptor is not None and sys.platform != "win32":  # `serve` refuses Windows
                socket.send_fds(self._channel, [b"\0"], [descriptor])
        except OSError:  # it has died: `_listen` will notice
            pass
        finally:
            _close(descriptor)

    def kill(self) -> None:
        """End the process at once; `take` gets None."""
        if self.is_alive:
            self._process.kill()

    def _listen(self) -> None:
        """Hand each message to the event loop, until the process has died."""
        with suppress(EOFError, OSError):
            while True:
                self._hand_over(self._connection.recv())
        self._process.join()
        self._hand_over(None)

    def _hand_over(self, message: object) -> None:
        with suppress(RuntimeError):  # the event loop has ended
            self._loop.call_soon_threadsafe(self._receive, message)

    def _receive(self, message: object) -> None:
        if isinstance(message, Loaded):
            self.loaded.set_result(message)
        elif message is None:
            self._bury()
            self._take(None)
        elif isinstance(message, Failed) and not self.loaded.done():
            self.loaded.set_exception(message.error)
        else:
            self._take(message)

    def _bury(self) -> None:
        """Free what a dead process leaves."""
        self.is_alive = False
        if not self.loaded.done():
            status = self._process.exitcode
            self.loaded.set_exception(
                WorkerError(
                    f"a process ended with status {status} while it loaded the model; if memory is "
                    "short, use fewer --workers"
                )
            )
        self._sender.shutdown(wait=False)
        self._connection.close()
        self._channel.close()
        self._process.close()


class Seat:
    """A place for one process after the other: when one dies, the next is started.

    Args:
        main: main function of the processes.
        load: loads their model.
        take: is called with the process and each of its messages; with None when it has died.
        ready: is called with a process that has loaded its model.
    """

    def __init__(
        self,
        main: Main,
        load: Load,
        take: Callable[[Process, Any], None],
        ready: Callable[[Process], None],
    ) -> None:
        self._main, self._load = main, load
        self._take, self._ready = take, ready
        self._died = asyncio.Event()
        self.num_deaths = 0
        self.process = self._start()
        self._keeper = asyncio.create_task(self._keep())

    def stop(self) -> None:
        """End the process for good."""
        self._keeper.cancel()
        self.process.kill()

    def _start(self) -> Process:
        return Process(self._main, self._load, self._receive)

    def _receive(self, message: Any) -> None:
        if message is None:
            self.num_deaths += 1
            self._died.set()
        self._take(self.process, message)

    async def _keep(self) -> None:
        """Start another process when one dies; later each time that it does not load its model."""
        pause_s = 0.1
        while True:
            try:
                await asyncio.shield(self.process.loaded)
            except (AsrError, ModuleNotFoundError) as error:
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
                if self.num_deaths:  # else the server does not even start, and says why
                    say(f"asr-serve: error: {error}")
            else:
                pause_s = 0.1
                self._ready(self.process)
            await self._died.wait()
            self._died.clear()
            await asyncio.sleep(pause_s)
            self.process = self._start()


def _close(descriptor: int | None) -> None:
    if descriptor is not None:
        os.close(descriptor)

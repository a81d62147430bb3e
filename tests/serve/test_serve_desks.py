"""Which worker process gets a recording, with stand-ins for the processes."""

import asyncio
from typing import Any

import pytest

pytest.importorskip("starlette")

from asr.formats import Transcript
from asr.serve.desks import RecordingDesk
from asr.serve.messages import Assignment, Finished

TASK = Assignment("a.wav", words=False, stream=False, hotwords=(), longest_s=60)
DONE = Finished(Transcript("a.wav", "HELLO", 1.0), (), seconds=0.1, language="English")


class StandIn:
    """A worker process that answers at once while it is alive, and says nothing when it is not."""

    is_alive = is_ready = True

    def __init__(self, desk: RecordingDesk) -> None:
        self.desk = desk

    async def send(self, message: object, descriptor: int | None = None) -> None:
        if self.is_alive:
            for answer in (True, DONE):
                self.desk._take(self, answer)

    def die(self) -> None:
        self.is_alive = self.is_ready = False
        self.desk._take(self, None)


def test_a_process_that_dies_just_after_it_was_chosen_costs_nothing():
    """Its notice comes before anybody listens to it."""

    async def serve() -> Any:
        desk = RecordingDesk(None, workers=1, queue=1)
        answer = asyncio.create_task(desk.recognise(TASK, 0, lambda message: None))
        await asyncio.sleep(0)  # it waits for a process
        first = StandIn(desk)
        desk._ready(first)
        first.die()
        await asyncio.sleep(0.01)
        desk._ready(StandIn(desk))
        return await asyncio.wait_for(answer, 5)

    assert asyncio.run(serve()) is DONE

"""The batches of an epoch: what is in each, and making them in threads ahead of their use."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

import numpy as np

B = TypeVar("B")

LENGTH_JITTER = 0.05  # batches mix lengths that differ by so much, so that neighbours change
LOOKAHEAD = 4  # batches prepared ahead for each worker


def plan_batches(
    durations: np.ndarray, batch_s: float, order: np.random.Generator | None
) -> list[list[int]]:
    """Group indices into batches of at most batch_s seconds, padding included.

    Args:
        durations: float (count,), seconds.
        batch_s: longest batch; an utterance longer than it makes a batch of its own.
        order: shuffles lengths a little and batches wholly; None: shortest first.

    Returns:
        Lists of indices; each index once.
    """
    jitter = order.uniform(1, 1 + LENGTH_JITTER, len(durations)) if order else 1.0
    batches: list[list[int]] = []
    longest = 0.0
    for index in np.argsort(durations * jitter, kind="stable").tolist():
        longest = max(longest, durations[index])
        if batches and longest * (len(batches[-1]) + 1) <= batch_s:
            batches[-1].append(index)
        else:
            batches.append([index])
            longest = durations[index]
    if order:
        order.shuffle(batches)
    return batches


class Epoch(Generic[B]):
    """The batches of one epoch, or of a slice of it: each is made when it is iterated.

    Args:
        plan: indices of what is in each batch.
        lengths: of all that indices can point at, in any unit.
        make: a batch of indices; None: an empty share of it.
        workers: threads that make batches ahead.
    """

    def __init__(
        self,
        plan: list[list[int]],
        lengths: np.ndarray,
        make: Callable[[Sequence[int]], B | None],
        workers: int = 1,
    ) -> None:
        self.plan = plan
        self.lengths = lengths
        self.make = make
        self.workers = workers

    @property
    def padding(self) -> float:
        """Share of the batches that is padding."""
        padded = sum(len(indices) * self.lengths[indices].max() for indices in self.plan)
        used = sum(self.lengths[indices].sum() for indices in self.plan)
        return float(1 - used / padded)

    def __len__(self) -> int:
        return len(self.plan)

    def __getitem__(self, part: slice) -> "Epoch[B]":
        return Epoch(self.plan[part], self.lengths, self.make, self.workers)

    def __iter__(self) -> Iterator[B | None]:
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="batches")
        pending: deque[Future[B | None]] = deque()
        try:
            for indices in self.plan:
                pending.append(pool.submit(self.make, indices))
                if len(pending) > LOOKAHEAD * self.workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

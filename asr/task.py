"""What the training loop asks of a task, whether of sound or of text."""

from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

from torch import Generator, Tensor, nn


class Batches(Protocol):
    """The batches of one epoch; None: an empty share of one."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Any]: ...
    def __getitem__(self, part: slice, /) -> "Batches": ...

    @property
    def padding(self) -> float:
        """Share of the batches that is padding."""


class Task(Protocol):
    """A model, its data and its judge."""

    @property
    def model(self) -> nn.Module:
        """What is trained; parameters that need no gradient stay as they are."""

    def batches(self, epoch: int) -> Batches:
        """The training batches of an epoch, the same for the same epoch."""

    def loss(self, batch: Any, generator: Generator) -> tuple[Tensor, int]:
        """Summed loss over a batch, and the number of tokens in it."""

    def describe(self, batch: Any) -> str:
        """Names of what is in the batch, for messages."""

    def seconds(self, batch: Any) -> float:
        """Amount of data in the batch: seconds of audio, or tokens of text."""

    def report(self) -> dict[str, float]:
        """Figures gathered while training since the last call."""

    def validate(self, model: Any) -> dict[str, float]:
        """Figures on held-out data; 'loss' and 'error' (lower is better) among them."""


@runtime_checkable
class Counting(Protocol):
    """A task whose reports follow from counts that a resumed run must go on with."""

    def state(self) -> dict[str, Any]:
        """What was gathered since the last report, of JSON types."""

    def restore(self, state: dict[str, Any]) -> None:
        """The inverse of `state`."""

"""How decoders are compared: weights tuned on one part, speed measured in turns on another."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from statistics import median

from asr.scoring import score

Decoded = tuple[list[str], float]  # texts, and the seconds of CPU that they took


@dataclass(frozen=True)
class Weights:
    """Natural-log scores: of the language model's log-probabilities, and for each word."""

    lm_weight: float
    word_score: float


GRID = tuple(Weights(*pair) for pair in product((0.5, 0.8, 1.1, 1.5), (0.0, 1.0, 2.0)))


@dataclass(frozen=True)
class Measured:
    """What a decoder found, and the seconds that each round took."""

    texts: list[str]
    rounds_s: list[float]

    @property
    def median_s(self) -> float:
        """Seconds of the median round."""
        return median(self.rounds_s)


def tune(
    decode: Callable[[Weights], Decoded], references: Sequence[str], grid: Iterable[Weights]
) -> Weights:
    """The weights of a grid with the fewest word errors; of several, the first."""

    def errors(weights: Weights) -> int:
        return score(references, decode(weights)[0]).word.errors

    return min(grid, key=errors)


def in_turns(runs: Mapping[str, Callable[[], Decoded]], rounds: int) -> dict[str, Measured]:
    """Run all, then all again and so on, so that what disturbs the machine disturbs them alike."""
    turns = [{name: run() for name, run in runs.items()} for _ in range(rounds)]
    return {name: Measured(turns[-1][name][0], [turn[name][1] for turn in turns]) for name in runs}


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines with aligned columns; the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]

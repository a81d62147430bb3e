"""Measure over how many frames recurrent cells remember, on two tasks that are generated.

Adding: of a sequence of numbers in 0..1, two are marked, one in the first tenth and one in the
first half; the sum of both is asked for after the last frame. Order: among random letters stand
two of X and Y, one in the second tenth and one in the sixth; asked for is which of XX, XY, YX and
YY. Both are of Hochreiter and Schmidhuber 1997, 'Long short-term memory', sections 5.4 and 5.6.

Each run trains a layer of `asr.lstm` on fresh sequences until the task is solved or the steps are
used up. A line of lags.jsonl is a run, a line of gradients.jsonl a gradient by distance. Runs that
stand in lags.jsonl are not made again.

Shapes: N sequences, T frames, F features. The lag is T.
"""

import argparse
import itertools
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor, nn

from asr.config import ModelConfig
from asr.lstm import RecurrentStack

CELLS = {
    "rnn": ModelConfig(cell="rnn"),
    "gru": ModelConfig(cell="gru"),
    "lstm, forget bias 0": ModelConfig(cell="lstm", forget_bias=0.0),
    "lstm, forget bias 1": ModelConfig(cell="lstm", forget_bias=1.0),
}
HIDDEN = 32
BATCH = 32
# Chosen with seed 101, which is in no result: of 5e-3 and 1e-2 for the plain cell on `order`, and
# for the LSTM with bias 1 on `adding`. The other two rates were not compared.
LEARNING_RATES = {
    "rnn": 1e-2,
    "gru": 1e-2,
    "lstm, forget bias 0": 5e-3,
    "lstm, forget bias 1": 5e-3,
}
# Torch draws the weights of inputs from -1/sqrt(HIDDEN) to 1/sqrt(HIDDEN), however few inputs there
# are. Multiplied by sqrt(HIDDEN), two to six inputs weigh as much as the hidden state does.
INPUT_SCALE = HIDDEN**0.5
SUM_SOLVED = 0.04  # mean squared error; 1/6 for the mean sum, 1/12 for one of both numbers known
ORDER_SOLVED = 0.01  # share of wrong sequences; 0.75 by guessing
TESTED = 1000  # sequences that no other run and no training step sees
WINDOW = 20  # steps over which the training error is averaged
TRAINED_LAG = 30  # of the networks whose gradients are measured
GRADIENT_LAG = 100  # of the sequences on which they are measured


def adding(count: int, lag: int, random: Generator) -> tuple[Tensor, Tensor]:
    """Make sequences (N, T, 2) of numbers and marks, and the sums (N,) of the marked numbers."""
    numbers = torch.rand(count, lag, generator=random)
    marks = torch.zeros(count, lag)
    first = torch.randint(0, max(1, lag // 10), (count,), generator=random)
    second = torch.randint(max(1, lag // 10), lag // 2, (count,), generator=random)
    each = torch.arange(count)
    marks[each, first] = marks[each, second] = 1.0
    return torch.stack([numbers, marks], dim=2), (numbers * marks).sum(dim=1)


def order(count: int, lag: int, random: Generator) -> tuple[Tensor, Tensor]:
    """Make sequences (N, T, 6) of one-hot letters, X and Y the last two, and classes (N,)."""
    letters = torch.randint(0, 4, (count, lag), generator=random)
    which = torch.randint(0, 2, (count, 2), generator=random)
    each, tenth = torch.arange(count), lag // 10
    for column, start in enumerate((tenth, 5 * tenth)):
        places = start + torch.randint(0, tenth, (count,), generator=random)
        letters[each, places] = 4 + which[:, column]
    return nn.functional.one_hot(letters, 6).float(), 2 * which[:, 0] + which[:, 1]


class LastFrame(nn.Module):
    """A recurrent layer, and a linear layer that reads its last frame."""

    def __init__(self, inputs: int, outputs: int, model: ModelConfig) -> None:
        super().__init__()
        options = {"layers": 1, "hidden": HIDDEN, "bidirectional": False, "dropout": 0.0}
        self.network = RecurrentStack(inputs, ModelConfig(**(vars(model) | options)))
        self.output = nn.Linear(HIDDEN, outputs)

    def forward(self, frames: Tensor) -> Tensor:
        """Return the outputs (N, outputs) for (N, T, F) frames."""
        hidden = self.network(INPUT_SCALE * frames, torch.full((len(frames),), frames.shape[1]))
        return self.output(hidden[:, -1])


Make = Callable[[int, int, Generator], tuple[Tensor, Tensor]]
Judge = Callable[[Tensor, Tensor], Tensor]


def squares(found: Tensor, sums: Tensor) -> Tensor:
    """Return the mean squared error of (N, 1) outputs."""
    return nn.functional.mse_loss(found[:, 0], sums)


def wrong(found: Tensor, classes: Tensor) -> Tensor:
    """Return the share of (N, 4) outputs whose largest is not the class."""
    return (found.argmax(dim=1) != classes).float().mean()


# task -> sequences, features, outputs, loss, error, the error at which it is solved
TASKS: dict[str, tuple[Make, int, int, Judge, Judge, float]] = {
    "adding": (adding, 2, 1, squares, squares, SUM_SOLVED),
    "order": (order, 6, 4, nn.functional.cross_entropy, wrong, ORDER_SOLVED),
}


def gradient_norms(network: nn.Module, task: str) -> list[float]:
    """Return the norm of the loss's gradient at each frame, from the last frame back, as (T,).

    It is the root of the mean square over 100 sequences of the gradient of a sequence's own loss.
    """
    make, _, _, loss, _, _ = TASKS[task]
    frames, targets = make(100, GRADIENT_LAG, Generator().manual_seed(0))
    frames.requires_grad_()
    (100 * loss(network(frames), targets)).backward()
    norms: Tensor = frames.grad.square().sum(dim=2).mean(dim=0).sqrt().flip(0)
    return norms.tolist()


def test_error(network: nn.Module, task: str, lag: int) -> float:
    """Return the error on sequences kept for this."""
    make, _, _, _, error, _ = TASKS[task]
    with torch.no_grad():
        frames, targets = make(TESTED, lag, Generator().manual_seed(2**40 + lag))
        return float(error(network(frames), targets))


class Run(NamedTuple):
    """A network to train: the task, its cell, its lag, and the seed of weights and sequences."""

    task: str
    cell: str
    lag: int
    seed: int


def train(run: Run, steps: int, learning_rate: float) -> tuple[dict[str, Any], list]:
    """Train until the task is solved; return the result and the gradients before and after.

    Training ends when the error of the last steps is half of what counts as solved. The test is
    made once, after that, so that no run is stopped by a lucky test.
    """
    task, cell, lag, _ = run
    torch.manual_seed(run.seed)
    random = Generator().manual_seed(run.seed)
    make, inputs, outputs, loss, error, solved = TASKS[task]
    network = LastFrame(inputs, outputs, CELLS[cell])
    gradients = [gradient_norms(network, task)] if lag == TRAINED_LAG else []
    optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate)
    errors: list[float] = []
    started = time.process_time()
    for _ in range(steps):
        frames, targets = make(BATCH, lag, random)
        found = network(frames)
        errors.append(float(error(found.detach(), targets)))
        if len(errors) >= WINDOW and sum(errors[-WINDOW:]) < WINDOW * solved / 2:
            break
        optimizer.zero_grad()
        loss(found, targets).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
    final = test_error(network, task, lag)
    gradients += [gradient_norms(network, task)] if lag == TRAINED_LAG else []
    result = run._asdict() | {"learning_rate": learning_rate, "steps": len(errors)}
    result |= {"error": final, "solved": final < solved, "cpu_s": time.process_time() - started}
    return result, gradients


def read(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a file of JSON lines; none if there is no file."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def wanted(options: argparse.Namespace, results: list[dict[str, Any]]) -> Iterator[Run]:
    """Yield the runs that are to be made, short lags first.

    A lag is tried with a seed only where this cell and seed solved all shorter lags: what a network
    cannot learn over 30 frames it does not learn over 100 either.
    """
    for lag, seed, task, cell in itertools.product(options.lags, options.seeds, TASKS, CELLS):
        same = [r for r in results if (r["task"], r["cell"], r["seed"]) == (task, cell, seed)]
        if all(r["solved"] and r["lag"] < lag for r in same):
            yield Run(task, cell, lag, seed)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument("--lags", type=int, nargs="+", default=[10, 30, 100, 300, 1000])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--steps", type=int, default=2000, help="most steps of a run")
    parser.add_argument(
        "--learning-rate", type=float, help="of all cells; default: the one chosen for each cell"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    results = read(options.out / "lags.jsonl")
    for run in wanted(options, results):
        rate = options.learning_rate or LEARNING_RATES[run.cell]
        result, gradients = train(run, options.steps, rate)
        results.append(result)
        for when, norms in zip(("before", "after"), gradients, strict=False):
            line = {"task": run.task, "cell": run.cell, "seed": run.seed}
            line |= {"when": when, "norms": norms}
            with (options.out / "gradients.jsonl").open("a") as file:
                file.write(json.dumps(line) + "\n")
        with (options.out / "lags.jsonl").open("a") as file:
            file.write(json.dumps(result) + "\n")
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()

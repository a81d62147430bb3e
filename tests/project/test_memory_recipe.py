"""The programs of recipes/memory: their tasks, their gradients, and a run of each in small."""

import json
import runpy
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from folders import ROOT

RECIPE = ROOT / "recipes" / "memory"
LAGS = runpy.run_path(str(RECIPE / "lags.py"))
REACH = runpy.run_path(str(RECIPE / "reach.py"))
REPORT = runpy.run_path(str(RECIPE / "report.py"))


def random() -> torch.Generator:
    return torch.Generator().manual_seed(1)


@pytest.mark.parametrize("lag", [10, 30, 100])
def test_two_numbers_are_marked_and_their_sum_is_asked_for(lag: int):
    frames, sums = LAGS["adding"](2000, lag, random())
    numbers, marks = frames.unbind(2)
    assert frames.shape == (2000, lag, 2)
    assert torch.equal(marks.sum(1), torch.full((2000,), 2.0))
    assert torch.equal(marks[:, : lag // 10].sum(1), torch.ones(2000))
    assert not marks[:, lag // 2 :].any()
    assert torch.allclose(sums, (numbers * marks).sum(1))
    assert float(sums.var()) == pytest.approx(1 / 6, abs=0.01)  # the error of the mean sum


@pytest.mark.parametrize("lag", [10, 30, 100])
def test_the_class_is_the_order_of_two_letters(lag: int):
    frames, classes = LAGS["order"](500, lag, random())
    assert torch.equal(frames.sum(2), torch.ones(500, lag))
    told = frames[:, :, 4:].sum(2)
    assert torch.equal(told.sum(1), torch.full((500,), 2.0))
    places = told.nonzero()[:, 1].view(500, 2)
    assert ((places[:, 0] >= lag // 10) & (places[:, 0] < 2 * (lag // 10))).all()
    letters = [[int(frames[n, t, 5]) for t in places[n].tolist()] for n in range(500)]
    assert classes.tolist() == [2 * first + second for first, second in letters]
    assert set(classes.tolist()) == {0, 1, 2, 3}


def test_the_gradient_is_that_of_finite_differences():
    torch.manual_seed(0)
    network = LAGS["LastFrame"](2, 1, LAGS["CELLS"]["gru"]).double()
    norms = LAGS["gradient_norms"]
    make = LAGS["adding"]

    def in_double(count: int, lag: int, generator: torch.Generator):
        return [tensor.double() for tensor in make(3, 6, generator)]

    frames, sums = in_double(3, 6, torch.Generator().manual_seed(0))
    squares, step = torch.zeros(6, dtype=torch.float64), 1e-5
    for index in np.ndindex(3, 6, 2):
        losses = []
        for change in (step, -step):
            moved = frames.clone()
            moved[index] += change
            losses.append((network(moved)[:, 0] - sums).square().sum().item())
        squares[index[1]] += ((losses[0] - losses[1]) / (2 * step)) ** 2 / 3
    tasks = norms.__globals__["TASKS"]
    known = tasks["adding"]
    tasks["adding"] = (in_double, *known[1:])
    try:
        found = torch.tensor(norms(network, "adding"), dtype=torch.float64)
    finally:
        tasks["adding"] = known
    # `gradient_norms` has 100 sequences, of which the loss is the mean: here there are 3
    assert torch.allclose(found * 3 / 100, squares.sqrt().flip(0), rtol=1e-5)


def test_reach_ends_where_no_share_is_heard_any_more():
    reach = REACH["reach"]
    assert reach(np.array([1.0, 0.5, 0.005, 0.02, 0.001, 0.0]), 10.0) == 40.0
    assert reach(np.array([1.0, 0.5, 0.2]), 10.0) is None


def test_a_small_run_gives_tables_and_plots_and_is_not_made_again(tmp_path: Path):
    command = [sys.executable, str(RECIPE / "lags.py"), "--out", str(tmp_path)]
    command += ["--lags", "10", "30", "--seeds", "1", "--steps", "40"]
    for _ in range(2):
        subprocess.run(command, check=True, capture_output=True)
        runs = [json.loads(line) for line in (tmp_path / "lags.jsonl").read_text().splitlines()]
        kinds = [(run["task"], run["cell"], run["lag"], run["seed"]) for run in runs]
        assert len(kinds) == len(set(kinds))
    solved = {kind[:2] for kind, run in zip(kinds, runs, strict=True) if run["solved"]}
    assert {kind[:2] for kind in kinds if kind[2] == 30} == solved  # others were not tried
    report = [sys.executable, str(RECIPE / "report.py"), str(tmp_path), "--out", str(tmp_path)]
    done = subprocess.run(report, check=True, capture_output=True, text=True)
    assert done.stdout.startswith("| task | cell | 10 |")
    assert done.stdout == (tmp_path / "tables.md").read_text()


def test_a_plot_is_well_formed_and_has_a_line_for_each_curve():
    svg = REPORT["plot"]("a title", "ms", {"rnn": [(0, 1.0), (5, 1e-9)], "gru": [(0, 1.0), (9, 1)]})
    root = ElementTree.fromstring(svg)
    lines = root.findall("{http://www.w3.org/2000/svg}polyline")
    assert [line.get("points") for line in lines] == [
        "70.0,30.0 281.1,290.0",
        "70.0,30.0 450.0,30.0",
    ]


def test_a_seed_that_failed_at_a_shorter_lag_counts_as_failed():
    runs = [
        {"task": "adding", "cell": "rnn", "lag": 10, "seed": 1, "solved": True, "steps": 100},
        {"task": "adding", "cell": "rnn", "lag": 10, "seed": 2, "solved": False, "steps": 900},
        {"task": "adding", "cell": "rnn", "lag": 30, "seed": 1, "solved": True, "steps": 300},
    ]
    assert REPORT["lag_table"](runs).splitlines()[-1] == (
        "| adding | rnn | 1 of 2 (100 steps) | 1 of 2 (300 steps) |"
    )

"""Write the tables of RESULTS.md as Markdown, and its plots as SVG, from the files of a run."""

import argparse
import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Curve = Sequence[tuple[float, float]]
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
DASHES = ("none", "6 3", "2 3", "9 3 2 3", "1 2", "12 4")
WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 640, 340, 70, 30, 190, 50
LOWEST = 1e-6  # of a share: smaller ones are not drawn


def plot(title: str, below: str, curves: Mapping[str, Curve]) -> str:
    """Return an SVG of curves over a linear axis; shares 1..LOWEST stand on a logarithmic one."""
    low = min(x for curve in curves.values() for x, _ in curve)
    high = max(x for curve in curves.values() for x, _ in curve)
    wide, tall = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def place(x: float, share: float) -> str:
        down = math.log10(max(share, LOWEST)) / math.log10(LOWEST)
        return f"{LEFT + wide * (x - low) / (high - low):.1f},{TOP + tall * down:.1f}"

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="18" font-weight="bold">{title}</text>',
        f'<text x="{LEFT + wide / 2}" y="{HEIGHT - 10}" text-anchor="middle">{below}</text>',
    ]
    for power in range(round(-math.log10(LOWEST)) + 1):
        y = TOP + tall * power / -math.log10(LOWEST)
        parts.append(f'<path d="M{LEFT},{y:.1f}h{wide}" stroke="#ddd"/>')
        parts.append(
            f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{10.0**-power:g}</text>'
        )
    for step in range(5):
        x = low + (high - low) * step / 4
        at = LEFT + wide * step / 4
        parts.append(f'<text x="{at}" y="{TOP + tall + 18}" text-anchor="middle">{x:.0f}</text>')
    for number, (name, curve) in enumerate(curves.items()):
        look = f'stroke="{COLOURS[number % 6]}" stroke-dasharray="{DASHES[number % 6]}"'
        points = " ".join(place(x, share) for x, share in curve)
        parts.append(f'<polyline points="{points}" fill="none" stroke-width="1.6" {look}/>')
        x, y = LEFT + wide + 12, TOP + 14 + 18 * number
        parts.append(f'<path d="M{x},{y - 4}h24" stroke-width="1.6" {look}/>')
        parts.append(f'<text x="{x + 30}" y="{y}">{name}</text>')
    return "\n".join([*parts, "</svg>\n"])


def read(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a file of JSON lines; none if there is no file."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def lag_table(runs: Sequence[Mapping[str, Any]]) -> str:
    """Return a table of how many seeds solved each lag; a seed that failed before counts, too.

    The steps are the mean of the seeds that solved it.
    """
    lags = sorted({run["lag"] for run in runs})
    rows = [["task", "cell", *map(str, lags)]]
    groups = defaultdict[tuple[str, str], list[Mapping[str, Any]]](list)
    for run in runs:
        groups[run["task"], run["cell"]].append(run)
    for (task, cell), group in groups.items():
        cells = []
        for lag in lags:
            here = [run for run in group if run["lag"] == lag]
            solved = [run for run in here if run["solved"]]
            earlier = [run for run in group if run["lag"] < lag and not run["solved"]]
            tried = len(here) + len(earlier)
            steps = sum(run["steps"] for run in solved) / max(len(solved), 1)
            after = f" ({steps:.0f} steps)" if solved else ""
            cells.append(f"{len(solved)} of {tried}{after}" if tried else "not run")
        rows.append([task, cell, *cells])
    return table(rows)


def reach_table(models: Sequence[Mapping[str, Any]]) -> str:
    """Return a table of WER, reach and time by network: of the seeds' means, with their number."""
    rows = [["corpus", "network", "weights", "seeds", "WER %", "reach back", "reach ahead", "min"]]
    groups = defaultdict[tuple[str, str], list[Mapping[str, Any]]](list)
    for model in models:
        groups[model["corpus"], model["network"]].append(model)
    for (corpus, network), group in groups.items():
        wers = [100 * model["wer"] for model in group]
        spread = f" ({min(wers):.1f} to {max(wers):.1f})" if len(wers) > 1 else ""
        minutes = mean([model["minutes"] for model in group])
        figures = [f"{group[0]['weights']:,}", str(len(group)), f"{mean(wers):.1f}{spread}"]
        reaches = [distance(group, key) for key in ("before_ms", "after_ms")]
        rows.append([corpus, named(network), *figures, *reaches, f"{minutes:.1f}"])
    return table(rows)


def named(network: str) -> str:
    """Return the name of a network for people: '2 lstm, both directions' for '2-lstm-true'."""
    layers, cell, both = network.split("-")
    return f"{layers} {cell}, {'both directions' if both == 'true' else 'one direction'}"


def mean(values: Sequence[float]) -> float:
    """Return the mean of at least one value."""
    return sum(values) / len(values)


def distance(group: Sequence[Mapping[str, Any]], key: str) -> str:
    """Return the mean reach of models in ms; 'beyond' if that of one does not end."""
    found = [model[key] for model in group]
    return "beyond" if None in found else f"{mean(found):.0f} ms"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows, the first of them titles, as a table of Markdown."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def gradient_plots(lines: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return plots by name: the gradient by distance before and after training, of seed 1."""
    plots = {}
    for task in sorted({line["task"] for line in lines}):
        for when in ("before", "after"):
            curves = {
                line["cell"]: [
                    (i, norm / max(line["norms"])) for i, norm in enumerate(line["norms"])
                ]
                for line in lines
                if (line["task"], line["when"], line["seed"]) == (task, when, 1)
            }
            title = f"{task}: gradient of the loss, {when} training"
            plots[f"gradient-{task}-{when}"] = plot(title, "frames before the last", curves)
    return plots


def reach_plots(models: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return plots by name: the gradient by distance of the networks of two layers, of seed 1."""
    plots = {}
    for corpus in sorted({model["corpus"] for model in models}):
        curves = {}
        for model in models:
            if (model["corpus"], model["seed"]) == (corpus, 1) and model["network"][0] in "12":
                middle, shift = len(model["shares"]) // 2, model["shift_ms"]
                points = [((i - middle) * shift, s) for i, s in enumerate(model["shares"])]
                curves[named(model["network"])] = [p for p in points if abs(p[0]) <= 1000]
        title = f"{corpus}: gradient of a frame's log-probability"
        plots[f"reach-{corpus}"] = plot(title, "ms from the frame", curves)
    return plots


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("exp", type=Path, help="folder with lags.jsonl and reach.jsonl")
    parser.add_argument("--out", type=Path, required=True, help="folder of tables.md and plots")
    options = parser.parse_args()
    runs, models = read(options.exp / "lags.jsonl"), read(options.exp / "reach.jsonl")
    tables = [lag_table(runs)] if runs else []
    tables += [reach_table(models)] if models else []
    text = "\n\n".join(tables) + "\n"
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "tables.md").write_text(text)
    gradients = read(options.exp / "gradients.jsonl")
    for name, svg in (gradient_plots(gradients) | reach_plots(models)).items():
        (options.out / f"{name}.svg").write_text(svg)
    print(text, end="")


if __name__ == "__main__":
    main()

"""Training steps: ours, a packed torch.nn.LSTM's, SpeechBrain's, and the GEMM rate.

    python scripts/bench/training.py [--device cuda] [--batch-s 600] --json FILE

The network is that of conf/blstm_ctc.toml; the batches, too, but for their content, which is
random. README.md beside it says what is compared, and how.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from contest import Measured, in_turns, table
from peers import WorkerError, make_environment
from steps import GEMM_SIZE, GEMM_TIMES

from asr._atomic import write_atomically
from asr._progress import say
from asr.cli.run import run
from asr.config import Config, config_to_dict, load_config
from asr.data import plan_batches

ROOT = Path(__file__).parents[2]
BUILD = Path(__file__).with_name("build")
STEPS = Path(__file__).with_name("steps.py")
CONF = ROOT / "conf" / "blstm_ctc.toml"
SPEECHBRAIN = "speechbrain==1.1.2"
BATCHES = 4  # in a round
VOCABULARY = 29  # of English characters

# LibriSpeech's train-clean-5: every twentieth part of its 1519 utterances is between two of these.
UTTERANCES = 1519
LENGTHS_S = (
    *(1.9, 4.1, 6.3, 8.6, 10.0, 11.3, 12.3, 12.7, 13.2, 13.6, 13.9),
    *(14.2, 14.5, 14.7, 14.9, 15.2, 15.4, 15.5, 15.8, 16.0, 17.3),
)
TOKENS_PER_S = 14.6


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser("training.py", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--rounds", type=int, default=3, help="the median counts (3)")
    parser.add_argument("--threads", type=int, default=1, help="of each network (1)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--batch-s", type=float, help="seconds of a batch (those of the network)")
    arguments = parser.parse_args(argv)
    return run("training.py", lambda: benchmark(arguments))


def benchmark(arguments: argparse.Namespace) -> int:
    """Measure, print; the exit status."""
    from torch import __version__ as torch_version

    changes = [f"data.batch_s={arguments.batch_s}"] if arguments.batch_s else []
    stacked = "model.conv_channels=0"  # stacked frames, as the peers read them
    config = load_config(CONF, [stacked, *changes])
    setup = setup_of(config, arguments.threads, arguments.device)
    pythons = dict.fromkeys(("asr", "packed", "gemm"), Path(sys.executable))
    if arguments.device == "cpu":  # SpeechBrain packs as well: on a GPU it is torch's LSTM
        peers = (f"torch=={torch_version.partition('+')[0]}", SPEECHBRAIN)
        pythons["speechbrain"] = make_environment(BUILD / "training-venv", peers)
    report = record(config, setup, *measure(pythons, setup, arguments.rounds))
    if arguments.json:
        write_atomically(arguments.json, json.dumps(report, indent=1) + "\n")
    print("\n".join(lines(report)))
    return 0


def setup_of(config: Config, threads: int, device: str = "cpu") -> dict[str, Any]:
    """What steps.py reads: network, and the lengths of a few batches of one epoch."""
    rng = np.random.default_rng(0)
    places = np.linspace(0, 1, len(LENGTHS_S))
    lengths_s = np.interp(rng.uniform(size=UTTERANCES), places, LENGTHS_S)
    plan = plan_batches(lengths_s, config.data.batch_s, rng)[:BATCHES]
    shift_s = config.features.frame_shift_ms / 1000 * config.model.stack
    batches = [np.sort(lengths_s[indices])[::-1] for indices in plan]  # packing wants longest first
    return {
        "config": config_to_dict(config),
        "num_features": config.features.num_features,
        "vocabulary": VOCABULARY,
        "threads": threads,
        "device": device,
        "num_frames": [
            (np.round(batch / shift_s).astype(int) * config.model.stack).tolist()
            for batch in batches
        ],
        "num_tokens": [(batch * TOKENS_PER_S).astype(int).tolist() for batch in batches],
    }


def measure(
    pythons: Mapping[str, Path], setup: Mapping[str, Any], rounds: int
) -> tuple[dict[str, Measured], dict[str, dict[str, Any]]]:
    """Rounds of those that are available; and of all, versions or why they are not."""
    short = {**setup, **{key: setup[key][:1] for key in ("num_frames", "num_tokens")}}
    hello = {name: ask(name, python, short) for name, python in pythons.items()}
    say(f"measuring {rounds} times")
    runs = {
        name: partial(timed, name, python, setup)
        for name, python in pythons.items()
        if "seconds" in hello[name]
    }
    return in_turns(runs, rounds), hello


def timed(name: str, python: Path, setup: Mapping[str, Any]) -> tuple[list[str], float]:
    """No texts, as in_turns has for decoders, and seconds."""
    return [], ask(name, python, setup)["seconds"]


def ask(name: str, python: Path, setup: Mapping[str, Any]) -> dict[str, Any]:
    """The answer of steps.py.

    Raises:
        WorkerError: it has none.
    """
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(setup["threads"]))
    done = subprocess.run(
        [python, STEPS, name],
        input=json.dumps(setup),
        env={**os.environ, **threads, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = done.stderr.strip().rpartition("\n")[2]
        raise WorkerError(f"{name}: steps.py ended with status {done.returncode}: {said}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def record(
    config: Config,
    setup: Mapping[str, Any],
    measured: Mapping[str, Measured],
    hello: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """All figures."""
    ours_s = measured["asr"].median_s
    frames = sum(map(sum, setup["num_frames"]))
    gemm_rate = 2 * GEMM_SIZE**3 * GEMM_TIMES / measured["gemm"].median_s
    audio_s = frames * config.features.frame_shift_ms / 1000
    return {
        **{
            f"ratio_to_{name}": measured[name].median_s / ours_s if name in measured else None
            for name in ("packed", "speechbrain")
        },
        "fraction_of_gemm": flop(config, frames) / ours_s / gemm_rate,
        "audio_s_per_s": audio_s / ours_s,
        "gemm_gflop_per_s": gemm_rate / 1e9,
        "threads": setup["threads"],
        "device": setup["device"],
        "batches": len(setup["num_frames"]),
        "audio_s": audio_s,
        "rounds_s": {name: found.rounds_s for name, found in measured.items()},
        "versions": {name: found.get("versions") for name, found in hello.items()},
        "not_available": {n: f["not_available"] for n, f in hello.items() if "not_available" in f},
    }


def flop(config: Config, frames: int) -> float:
    """Floating-point operations that training on so many frames needs, in matrix products alone.

    Twice a product's weights forwards, as much for the gradient of the weights, and as much for
    that of its input, which the first layer's does not need. Padding is not counted.
    """
    model = config.model
    gates, outputs = 4 * model.hidden, 2 * model.hidden
    first = 2 * gates * config.features.num_features * model.stack
    between = 2 * gates * outputs * (model.layers - 1)
    recurrent = 2 * gates * model.hidden * model.layers
    last = outputs * VOCABULARY
    weights = 2 * first + 3 * (between + recurrent + last)
    return 2.0 * weights * frames / model.stack


def lines(report: Mapping[str, Any]) -> list[str]:
    """The report as text."""
    rows = [["", "seconds", "audio s / s", "times ours", "versions"]]
    for name in ("asr", "packed", "speechbrain"):
        if name in report["rounds_s"]:
            seconds = float(np.median(report["rounds_s"][name]))
            rows.append(
                [
                    name,
                    f"{seconds:.2f}",
                    f"{report['audio_s'] / seconds:.1f}",
                    f"{report.get(f'ratio_to_{name}', 1.0):.2f}",
                    ", ".join(f"{n} {v}" for n, v in report["versions"][name].items()),
                ]
            )
    absent = [f"{name}: not available ({why})" for name, why in report["not_available"].items()]
    gemm = (
        f"{report['fraction_of_gemm']:.0%} of the GEMM rate, {report['gemm_gflop_per_s']:.0f} "
        f"GFLOP/s; {report['device']}, threads: {report['threads']}"
    )
    return [*table(rows), *absent, gemm]


if __name__ == "__main__":
    sys.exit(main())

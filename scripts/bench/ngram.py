"""Estimating an n-gram model: ours and KenLM's lmplz, on the same text.

    python scripts/bench/ngram.py [--json FILE] [--order 3] TEXT

Each thousandth line is held out. Both write ARPA files of the rest, in turns; each tool then says
the perplexity of its own model on the lines held out (asr-lm perplexity, KenLM's query).

KenLM is built once, beside this script. That needs cmake, a C++ compiler, and Boost with
program_options, thread, system and unit_test_framework (libboost-all-dev in Debian).
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, astuple, dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import asr
from asr._atomic import write_atomically
from asr._progress import say
from asr.cli.run import run
from asr.corpora import unpack
from asr.errors import AsrError, ConfigError
from asr.lm import opened

ROOT = Path(__file__).parents[2]
BUILD = Path(__file__).with_name("build")
HELD_OUT_EVERY = 1000
LARGEST_DIFFERENCE = 0.01  # of the perplexities
KENLM = "kenlm-0.3.0"


@dataclass(frozen=True)
class Estimate:
    """What estimating takes, until the ARPA file is written."""

    seconds: float
    cpu_seconds: float
    peak_mb: float


@dataclass(frozen=True)
class Entrant:
    """An estimator and its commands; `perplexity` reads the lines held out from standard input."""

    version: str
    train: list[str]
    perplexity: list[str]
    perplexity_is: str  # the pattern that finds it in what the command prints


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser("ngram.py", description=__doc__)
    parser.add_argument("text", type=Path, metavar="TEXT", help="a sentence a line")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--order", type=int, default=3, help="words of the longest n-gram (3)")
    parser.add_argument("--rounds", type=int, default=1, help="the median counts (1)")
    parser.add_argument("--lmplz", type=Path, metavar="PATH", help="KenLM's, with query beside it")
    arguments = parser.parse_args(argv)
    return run("ngram.py", lambda: _compare(arguments))


def _compare(arguments: argparse.Namespace) -> int:
    lmplz = arguments.lmplz.resolve() if arguments.lmplz else build_kenlm()
    with tempfile.TemporaryDirectory(prefix="asr-bench-") as folder:
        kept, held_out = Path(folder) / "kept", Path(folder) / "held_out"
        words = hold_out(arguments.text, kept, held_out)
        entrants = {
            "asr": ours(kept, arguments.order),
            "kenlm": kenlm(lmplz, kept, arguments.order),
        }
        figures = measure(entrants, arguments.rounds, held_out)
    perplexities = [each["perplexity"] for each in figures.values()]
    difference = abs(perplexities[0] / perplexities[1] - 1)
    record = {
        "text": arguments.text.name,
        "words": words,
        "order": arguments.order,
        "python": platform.python_version(),
        "numpy": version("numpy"),
        **figures,
        "perplexity_difference": difference,
    }
    if arguments.json:
        write_atomically(arguments.json, json.dumps(record, indent=1) + "\n")
    print("\n".join(table(record, entrants)))
    return int(difference > LARGEST_DIFFERENCE)


def ours(text: Path, order: int) -> Entrant:
    """The commands of asr-lm."""
    command, out = [sys.executable, "-m", "asr.cli.lm"], f"{text}.asr.arpa"
    return Entrant(
        version=asr.__version__,
        train=[*command, "train", "--order", str(order), str(text), "--out", out],
        perplexity=[*command, "perplexity", out, "-", "--json"],
        perplexity_is=r'"perplexity": ([\d.]+)',
    )


def kenlm(lmplz: Path, text: Path, order: int) -> Entrant:
    """The commands of KenLM; --discount_fallback is what we do unasked.

    Raises:
        ConfigError: they are not there.
    """
    query, out = lmplz.with_name("query"), f"{text}.kenlm.arpa"
    for program in (lmplz, query):
        if not os.access(program, os.X_OK):
            raise ConfigError(f"{program}: no program; give the path of a built lmplz")
    options = ["-o", str(order), "-S", "4G", "-T", str(text.parent), "--discount_fallback"]
    return Entrant(
        version=KENLM.removeprefix("kenlm-") if lmplz.is_relative_to(BUILD) else "given",
        train=[str(lmplz), *options, "--text", str(text), "--arpa", out],
        perplexity=[str(query), "-v", "summary", out],
        perplexity_is=r"including OOVs:\s+([\d.]+)",
    )


def build_kenlm() -> Path:
    """Fetch and build KenLM unless that is done; return the path of lmplz.

    Raises:
        ConfigError: its source cannot be fetched, or not built.
    """
    archive, source, made = BUILD / f"{KENLM}.tar.gz", BUILD / KENLM, BUILD / f"{KENLM}-made"
    lmplz = made / "bin" / "lmplz"
    if lmplz.exists():
        return lmplz
    say("building KenLM (some minutes, once)")
    fetch = [sys.executable, "-m", "pip", "download", KENLM.replace("-", "=="), "--no-deps"]
    fetch += ["--no-binary", ":all:", "--no-build-isolation", "--dest", str(BUILD)]
    try:
        subprocess.run(fetch, check=True, stdout=sys.stderr)
        if not source.exists():
            unpack(archive, source)
        for step in (["-S", source / KENLM, "-B", made], ["--build", made, "-t", "query", "lmplz"]):
            subprocess.run(["cmake", *map(str, step)], check=True, stdout=sys.stderr)
    except (OSError, subprocess.CalledProcessError) as error:
        raise ConfigError(
            f"KenLM cannot be built ({error}); install cmake, a C++ compiler and Boost, or give "
            "--lmplz"
        ) from error
    return lmplz


def measure(
    entrants: Mapping[str, Entrant], rounds: int, held_out: Path
) -> dict[str, dict[str, Any]]:
    """Run all entrants in turns; return the medians of each, and its perplexity."""
    runs: dict[str, list[Estimate]] = {name: [] for name in entrants}
    for number in range(rounds):
        for name, entrant in entrants.items():
            say(f"{name}, round {number + 1} of {rounds}")
            runs[name].append(timed(entrant.train))
    return {
        name: {
            "version": entrant.version,
            "perplexity": perplexity_of(entrant, held_out),
            **asdict(Estimate(*map(median, zip(*map(astuple, runs[name]), strict=True)))),
        }
        for name, entrant in entrants.items()
    }


def hold_out(text: Path, kept: Path, held_out: Path) -> int:
    """Split a text; return the number of words to estimate from.

    Raises:
        ConfigError: it is too short.
    """
    words = number = 0
    with opened(text) as lines, kept.open("wb") as rest, held_out.open("wb") as held:
        for number, line in enumerate(lines, 1):
            is_held = number % HELD_OUT_EVERY == 0
            (held if is_held else rest).write(line)
            words += 0 if is_held else len(line.split())
    if number < HELD_OUT_EVERY:
        raise ConfigError(f"{text}: {number} lines; give {HELD_OUT_EVERY} or more")
    return words


def timed(command: list[str]) -> Estimate:
    """Run a command; its times and memory are those the system kept of it."""
    start = time.perf_counter()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)  # it is waited for
        if process.returncode:
            log.seek(0)
            said = last_line(log.read().decode(errors="replace"))
            raise AsrError(f"{' '.join(command)}: status {process.returncode}: {said}")
    seconds = time.perf_counter() - start
    return Estimate(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def last_line(said: str) -> str:
    """Where programs say what went wrong."""
    return said.strip().rpartition("\n")[2]


def perplexity_of(entrant: Entrant, held_out: Path) -> float:
    """What the entrant's own tool finds on the lines held out."""
    with held_out.open("rb") as lines:
        said = subprocess.run(
            entrant.perplexity,
            cwd=ROOT,
            stdin=lines,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        ).stdout
    found = re.search(entrant.perplexity_is, said)
    if not found:
        raise AsrError(f"{' '.join(entrant.perplexity)}: no perplexity: {last_line(said)}")
    return float(found[1])


def table(record: dict[str, Any], names: Iterable[str]) -> list[str]:
    """The figures as lines of text."""
    lines = [
        f"{record['order']}-gram of {record['words']} words of {record['text']}; "
        f"Python {record['python']}, numpy {record['numpy']}",
        f"{'':8}{'version':>10}{'perplexity':>12}{'seconds':>10}{'CPU s':>10}{'peak MB':>10}",
    ]
    for name in names:
        figures = record[name]
        lines.append(
            f"{name:8}{figures['version']:>10}{figures['perplexity']:12.3f}"
            f"{figures['seconds']:10.1f}{figures['cpu_seconds']:10.1f}{figures['peak_mb']:10.0f}"
        )
    return [*lines, f"perplexities differ by {100 * record['perplexity_difference']:.4f} %"]


if __name__ == "__main__":
    sys.exit(main())

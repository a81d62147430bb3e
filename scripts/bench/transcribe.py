"""Whole recognisers on one thread: ours, as installed without torch, and PocketSphinx.

    python scripts/bench/transcribe.py AUDIO ... --json FILE      AUDIO: recordings, or a manifest

README.md beside it says what is compared, and how.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from contest import Decoded, Measured, in_turns, table
from peers import make_environment, packages_of
from recognisers import BUILD, ROOT, Entrant, Usage, core_environment, float_bundle, size_mb, timed
from recordings import Recordings, gather, join

from asr._atomic import write_atomically
from asr._progress import say
from asr.cli.run import run
from asr.config import TextConfig
from asr.errors import ConfigError
from asr.export import read_bundle
from asr.scoring import score_system
from asr.text import Normalizer

ENGLISH = ROOT / "asr" / "models" / "english"
PEER = "pocketsphinx"
PEER_PACKAGE = "pocketsphinx==5.1.1"
LONGEST_H = 24  # a WAV file has 4 GB at most


@dataclass(frozen=True)
class Start:
    """A process that is started for one recording; what each such process took."""

    run: Callable[[], tuple[Any, Usage]]
    usages: list[Usage] = field(default_factory=list)

    def __call__(self) -> Decoded:
        """Run it; no texts, as in_turns has them, and seconds."""
        self.usages.append(self.run()[1])
        return [], self.usages[-1].wall_s

    @property
    def seconds(self) -> dict[str, float]:
        """Medians."""
        return {
            "wall": median(usage.wall_s for usage in self.usages),
            "cpu": median(usage.cpu_s for usage in self.usages),
        }


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser("transcribe.py", description=__doc__)
    parser.add_argument("inputs", nargs="+", metavar="AUDIO", help="recordings, or one .jsonl")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument(
        "--model", type=Path, default=ENGLISH, help="experiment that is an int8 bundle as well"
    )
    parser.add_argument("--rounds", type=_positive, default=3, help="the median counts (3)")
    parser.add_argument(
        "--hours", type=_hours, default=3.0, help="of the long recording; 0: without it (3)"
    )
    arguments = parser.parse_args(argv)
    return run("transcribe.py", lambda: benchmark(arguments))


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}; allowed: 1 or more")
    return int(text)


def _hours(text: str) -> float:
    try:
        hours = float(text)
    except ValueError:
        hours = -1.0
    if not 0 <= hours <= LONGEST_H:
        raise argparse.ArgumentTypeError(f"{text!r}; allowed: 0 to {LONGEST_H}")
    return hours


def benchmark(arguments: argparse.Namespace) -> int:
    """Prepare, measure, print; the exit status."""
    model, info = arguments.model.absolute(), read_bundle(arguments.model).info
    if info.precision != "int8":
        raise ConfigError(f"--model: {model} is {info.precision}; run: asr-export --int8")
    recordings = gather(arguments.inputs, BUILD / "recordings")
    core, sphinx = core_environment(), make_environment(BUILD / "sphinx-venv", (PEER_PACKAGE,))
    entrants = {
        f"asr {precision} {decoder}": Entrant(core, f"asr-{decoder}", folder)
        for precision, folder in (("int8", model), ("float", float_bundle(model)))
        for decoder in ("greedy", "beam")
    } | {PEER: Entrant(sphinx, PEER, BUILD)}
    command = (core.with_name("asr-transcribe"), "--model", model)
    report = measure(entrants, command, recordings, info.text, arguments.rounds)
    environments = {"asr": core, PEER: sphinx}
    report["installed_mb"] = {n: size_mb(packages_of(p)) for n, p in environments.items()}
    if arguments.hours:
        add_long_recording(report, command, recordings, arguments.hours)
    if arguments.json:
        write_atomically(arguments.json, json.dumps(report, indent=1) + "\n")
    print("\n".join(lines(report)))
    return 0


def measure(
    entrants: Mapping[str, Entrant],
    command: Sequence[str | Path],
    recordings: Recordings,
    text: TextConfig,
    rounds: int,
) -> dict[str, Any]:
    """All figures of the recordings; `command` is asr-transcribe, which is started for one."""
    short = recordings.wavs[recordings.short]
    hello = {name: entrant.hear([short])[0] for name, entrant in entrants.items()}
    available = {name: entrants[name] for name in hello if "versions" in hello[name]}
    starts = {
        "asr-transcribe": Start(partial(timed, (*command, short))),
        "asr-transcribe --decoder greedy": Start(
            partial(timed, (*command, "--decoder", "greedy", short))
        ),
    }
    if PEER in available:
        starts[PEER] = Start(partial(available[PEER].hear, [short]))
    say(f"measuring {rounds} times")
    warm = {name: partial(heard, entrant, recordings) for name, entrant in available.items()}
    measured = in_turns(warm | {f"start {name}": start for name, start in starts.items()}, rounds)
    versions = [hello[name]["versions"].items() for name in available]
    return {
        **hello,  # of those that are not available
        **{name: figures(name, measured[name], recordings, text) for name in available},
        "cold_start_s": {name: start.seconds for name, start in starts.items()},
        "peak_memory_mb": {n: max(u.peak_mb for u in s.usages) for n, s in starts.items()},
        "versions": {package: version for found in versions for package, version in found},
        "audio_s": recordings.audio_s,
        "recordings": len(recordings.wavs),
        "started_for_s": recordings.seconds[recordings.short],
        "rounds": rounds,
    }


def heard(entrant: Entrant, recordings: Recordings) -> Decoded:
    """Texts and seconds of CPU, by a process that has heard the short recording before."""
    answer, _ = entrant.hear([recordings.wavs[recordings.short], *recordings.wavs])
    return answer["texts"][1:], sum(answer["cpu_s"][1:])


def figures(
    name: str, measured: Measured, recordings: Recordings, text: TextConfig
) -> dict[str, Any]:
    """Speed, and errors where there are references; all texts are normalised alike."""
    real_time_factor = measured.median_s / recordings.audio_s
    found = {
        "real_time_factor": real_time_factor,
        "times_real_time": 1 / real_time_factor,
        "rounds_s": measured.rounds_s,
    }
    if not recordings.references:
        return found
    normalizer = Normalizer(**vars(text))
    references, texts = (
        {str(number): normalizer(text) for number, text in enumerate(part)}
        for part in (recordings.references, measured.texts)
    )
    speakers = {str(number): speaker for number, speaker in enumerate(recordings.speakers)}
    return score_system(name, references, texts, speakers).as_dict() | found


def add_long_recording(
    report: dict[str, Any], command: Sequence[str | Path], recordings: Recordings, hours: float
) -> None:
    """Figures of asr-transcribe with one long recording, made of all."""
    wav = BUILD / "long.wav"
    join(recordings, hours, wav)
    say(f"a recording of {hours:g} hours")
    _, usage = timed((*command, wav))
    wav.unlink()
    name = f"asr-transcribe, {hours:g} h"
    report["peak_memory_mb"][name] = usage.peak_mb
    report["long_recording"] = {"hours": hours, "times_real_time": hours * 3600 / usage.cpu_s}


def lines(report: Mapping[str, Any]) -> list[str]:
    """The report as text."""
    named = {name: part for name, part in report.items() if name.startswith(("asr ", PEER))}
    absent = {n: part["not_available"] for n, part in named.items() if "not_available" in part}
    installed = ", ".join(f"{name} {mb:.0f} MB" for name, mb in report["installed_mb"].items())
    return [
        *table(_recogniser_rows({name: named[name] for name in named if name not in absent})),
        "",
        *table(_process_rows(report)),
        "",
        *(f"{name}: not available ({reason})" for name, reason in absent.items()),
        f"{report['audio_s']:.0f} s in {report['recordings']} recordings, rounds: "
        f"{report['rounds']}; processes were started for {report['started_for_s']:.1f} s",
        f"installed: {installed}",
        ", ".join(f"{name} {version}" for name, version in report["versions"].items()),
    ]


def _recogniser_rows(named: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    rows = [["recogniser", "WER %", "errors", "RTF", "x real time"]]
    for name, found in named.items():
        scored = "wer" in found
        rows.append(
            [
                name,
                f"{100 * found['wer']:.2f}" if scored else "",
                f"{found['errors']}/{found['words']}" if scored else "",
                f"{found['real_time_factor']:.5f}",
                f"{found['times_real_time']:.1f}",
            ]
        )
    return rows


def _process_rows(report: Mapping[str, Any]) -> list[list[str]]:
    rows = [["whole process", "wall s", "CPU s", "peak MB"]]
    for name, peak_mb in report["peak_memory_mb"].items():
        seconds = report["cold_start_s"].get(name, {})  # a long recording has none
        shown = [f"{seconds[key]:.2f}" if seconds else "" for key in ("wall", "cpu")]
        rows.append([name, *shown, f"{peak_mb:.0f}"])
    return rows


if __name__ == "__main__":
    sys.exit(main())

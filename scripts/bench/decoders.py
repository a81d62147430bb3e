"""Beam search with a 3-gram: ours and the peers', on the same log-probabilities, on one thread.

    python scripts/bench/decoders.py --manifest MANIFEST --lm ARPA [--json FILE]

README.md beside it says what is compared, and how.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from contest import GRID, Weights, in_turns, table, tune
from material import WORK, Material, gather, tokens_a_frame
from peers import Worker, make_environment, packages_of

from asr._atomic import write_atomically
from asr._progress import progress, say
from asr.cli.run import run
from asr.errors import ConfigError
from asr.scoring import System, score_system

OURS = "asr"
ENGLISH = Path(__file__).parents[2] / "asr" / "models" / "english"
ROUNDS = 3
NO_LM = Weights(0.0, 0.0)
HOTWORDS = {OURS: (0, 10, 100, 1000), "pyctcdecode": (0, 100)}
HOTWORD_UTTERANCES = {OURS: 200, "pyctcdecode": 10}  # pyctcdecode is slow with them


@dataclass(frozen=True)
class Entrant:
    """A decoder that is measured; `system` is its name in worker.py."""

    system: str
    beside_asr: bool = False  # runs in our environment instead of the peers'
    lm: bool = True
    weights_of: str | None = None  # whose weights it takes over, for it searches alike


ENTRANTS = {
    OURS: Entrant("asr", beside_asr=True),
    "pyctcdecode": Entrant("pyctcdecode"),
    "flashlight-text": Entrant("flashlight-text"),
    "torchaudio": Entrant("torchaudio", beside_asr=True, weights_of="flashlight-text"),
    "asr-without-lm": Entrant("asr", beside_asr=True, lm=False),
    "fast-ctc-decode": Entrant("fast-ctc-decode", lm=False),
}


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser("decoders.py", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--model", type=Path, default=ENGLISH, help="experiment folder")
    parser.add_argument("--manifest", type=Path, required=True, help="utterances to decode")
    parser.add_argument("--lm", type=Path, required=True, help="n-gram model in ARPA")
    parser.add_argument("--beam", type=int, default=100, help="hypotheses kept (100)")
    parser.add_argument(
        "--beam-threshold", type=float, default=16.0, help="how far below the best, in nats (16)"
    )
    parser.add_argument(
        "--token-threshold", type=float, default=-9.0, help="least log-probability of a token (-9)"
    )
    parser.add_argument(
        "--tune", type=int, default=100, metavar="N", help="utterances that weights are tuned on"
    )
    arguments = parser.parse_args(argv)
    return run("decoders.py", lambda: benchmark(arguments))


def benchmark(arguments: argparse.Namespace) -> int:
    """Prepare, tune, measure and print; return the exit status."""
    material = gather(arguments.model, arguments.manifest, arguments.lm)
    if not 0 < arguments.tune < len(material.utterances):
        raise ConfigError(
            f"--tune is {arguments.tune} of {len(material.utterances)} utterances; "
            "some must be left to be measured"
        )
    pruning = {
        "beam_size": arguments.beam,
        "beam_threshold": arguments.beam_threshold,
        "token_threshold": arguments.token_threshold,
        "tokens_a_frame": tokens_a_frame(material.log_probs, arguments.token_threshold),
    }
    with ExitStack() as stack:
        workers = start_workers(material, pruning, stack)
        contest = Contest(material, workers, arguments.tune)
        report = contest.report()
    report["settings"] = {
        **pruning,
        "tuned_on": arguments.tune,
        "measured_on": len(material.utterances) - arguments.tune,
        "audio_s": contest.audio_s,
        "rounds": ROUNDS,
        "model": str(arguments.model),
        "lm": str(material.lm),
        "words": len(material.words),
    }
    if arguments.json:
        write_atomically(arguments.json, json.dumps(report, indent=1) + "\n")
    print("\n".join(lines(report)))
    return 0


def start_workers(
    material: Material, pruning: Mapping[str, float], stack: ExitStack
) -> dict[str, Worker]:
    """A process for each entrant."""
    peers = make_environment(WORK / "venv")
    lexicon = WORK / "lexicon.txt"
    write_atomically(lexicon, "".join(f"{w} {' '.join(w)} |\n" for w in material.words))
    workers = {}
    for name, entrant in progress(ENTRANTS.items(), "loading"):
        setup = {
            "tokens": material.tokens,
            "log_probs": str(material.log_probs),
            "lm": str(material.lm) if entrant.lm else None,
            "words": material.words,
            "lexicon": str(lexicon),
            "peers": str(packages_of(peers)),
            **pruning,
        }
        path = WORK / f"{name}.json"
        write_atomically(path, json.dumps(setup))
        python = Path(sys.executable) if entrant.beside_asr else peers
        workers[name] = Worker(entrant.system, python, path, path.with_suffix(".log"))
        stack.callback(workers[name].close)
    return workers


class Contest:
    """Tunes and measures the entrants that are available."""

    def __init__(self, material: Material, workers: Mapping[str, Worker], tuned_on: int) -> None:
        self.material = material
        self.absent = {name: w.not_available for name, w in workers.items() if w.not_available}
        self.workers = {name: w for name, w in workers.items() if name not in self.absent}
        self.tuning = slice(0, tuned_on)
        self.measuring = slice(tuned_on, len(material.utterances))
        self.audio_s = self._audio_s(self.measuring)

    def report(self) -> dict[str, dict[str, Any]]:
        """Figures by entrant, or why there are none."""
        weights: dict[str, Weights] = {}
        for name in self.workers:
            weights[name] = self._tuned(name, weights)
        runs = {
            name: partial(worker.decode, self.measuring, **asdict(weights[name]))
            for name, worker in self.workers.items()
        }
        say(f"measuring {len(runs)} decoders {ROUNDS} times")
        measured = in_turns(runs, ROUNDS)
        hotwords = self._hotwords(weights)
        report: dict[str, dict[str, Any]] = {
            name: {
                **self._score(name, found.texts).as_dict(),
                "real_time_factor": found.median_s / self.audio_s,
                "times_ours": found.median_s / measured[OURS].median_s,
                "rounds_s": found.rounds_s,
                "hotwords": hotwords.get(name, {}),
                **asdict(weights[name]),
                "versions": self.workers[name].versions,
            }
            for name, found in measured.items()
        }
        return report | {name: {"not_available": reason} for name, reason in self.absent.items()}

    def _tuned(self, name: str, known: Mapping[str, Weights]) -> Weights:
        """Weights of an entrant; decoding for them warms its caches as well."""
        entrant, decode = ENTRANTS[name], self.workers[name].decode
        grid = GRID if entrant.lm else (NO_LM,)
        if entrant.weights_of and entrant.weights_of in known:
            grid = (known[entrant.weights_of],)
        return tune(
            lambda weights: decode(self.tuning, **asdict(weights)),
            self.material.references[self.tuning],
            progress(grid, f"tuning {name}"),
        )

    def _score(self, name: str, texts: list[str]) -> System:
        measured = self.material.utterances[self.measuring]
        ids = [utterance.id for utterance in measured]
        return score_system(
            name,
            dict(zip(ids, self.material.references[self.measuring], strict=True)),
            dict(zip(ids, texts, strict=True)),
            {utterance.id: utterance.speaker for utterance in measured},
        )

    def _hotwords(self, weights: Mapping[str, Weights]) -> dict[str, dict[str, float]]:
        """Real-time factors by number of hotwords; more hotwords are those and others."""
        words = self.material.words
        shuffled = Random(0).sample(words, min(len(words), max(HOTWORDS[OURS])))
        found = {}
        for name, counts in HOTWORDS.items():
            if name in self.workers:
                first = self.measuring.start
                part = slice(first, min(first + HOTWORD_UTTERANCES[name], self.measuring.stop))
                decode = partial(self.workers[name].decode, part, **asdict(weights[name]))
                runs = {str(n): partial(decode, hotwords=shuffled[:n]) for n in counts}
                audio_s = self._audio_s(part)
                found[name] = {
                    n: measured.median_s / audio_s for n, measured in in_turns(runs, ROUNDS).items()
                }
        return found

    def _audio_s(self, part: slice) -> float:
        return sum(utterance.duration for utterance in self.material.utterances[part])


def lines(report: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The report as text."""
    rows = [["decoder", "WER %", "errors", "RTF", "x ours", "lm", "word", "version"]]
    remarks = []
    for name in ENTRANTS:
        found = report[name]
        if "not_available" in found:
            remarks.append(f"{name}: not available ({found['not_available']})")
            continue
        rows.append(
            [
                name,
                f"{100 * found['wer']:.2f}",
                f"{found['errors']}/{found['words']}",
                f"{found['real_time_factor']:.5f}",
                f"{found['times_ours']:.1f}",
                f"{found['lm_weight']:.1f}",
                f"{found['word_score']:.1f}",
                next(iter(found["versions"].values())),
            ]
        )
        cost = {n: rtf / found["hotwords"]["0"] for n, rtf in found["hotwords"].items()}
        if cost:
            shown = ", ".join(f"{n}: {ratio:.2f}" for n, ratio in cost.items())
            remarks.append(f"{name}: cost with so many hotwords, in times of none: {shown}")
    settings = ", ".join(f"{key} {value}" for key, value in report["settings"].items())
    return [*table(rows), *remarks, settings]


if __name__ == "__main__":
    sys.exit(main())

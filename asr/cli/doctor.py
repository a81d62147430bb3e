"""asr-doctor: find what will go wrong in training before it does."""

import argparse
import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from asr._folders import find_conf, find_model
from asr._streams import put
from asr.cli.output import check_outputs
from asr.cli.run import CommandParser, check_given, run
from asr.config import Config, TextConfig, load_config
from asr.errors import ConfigError, ManifestError
from asr.manifest import language_of, manifest_lines, parse_line
from asr.text import language_settings

if TYPE_CHECKING:
    from asr.doctor import Cost, Examination, Report, SelfTest


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = CommandParser(
        prog="asr-doctor",
        description="Examine a training manifest, and the manifests to validate and test on. With "
        "--model CONF, also estimate what training costs on this machine, and test whether the "
        "model can learn a handful of the utterances by heart. With --model FOLDER and no "
        "manifest, load every file of a model, as recognition does. Exit status 1: a finding is an "
        "error.",
    )
    parser.add_argument(
        "manifest", metavar="M.jsonl", type=Path, nargs="?", help="manifest to train on"
    )
    parser.add_argument("overrides", nargs="*", metavar="section.key=value")
    parser.add_argument("--valid", type=Path, metavar="V.jsonl", help="manifest to validate on")
    parser.add_argument("--test", type=Path, metavar="T.jsonl", help="manifest to test on")
    parser.add_argument(
        "--model",
        type=Path,
        metavar="CONF",
        help="TOML file of the model to train, or a preset's name; without M.jsonl: bundle or "
        "experiment to examine, a folder or a name",
    )
    parser.add_argument(
        "--language",
        help="how transcripts are normalised, as with asr-train (default: as the manifest says, "
        "or English)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--html", type=Path, metavar="FILE",
        help="also write the report as a page, with histograms, and examples that can be played",
    )  # fmt: skip
    parser.add_argument(
        "--fix", type=Path, metavar="CLEAN.jsonl",
        help="examine the sound of all utterances, and write the manifest without the faulty ones",
    )  # fmt: skip
    return run("asr-doctor", lambda: _diagnose(parser.parse_intermixed_args(argv)))


def _diagnose(arguments: argparse.Namespace) -> int:
    # Waiting threads must sleep, as in asr-train: spinning ones slow all steps on a busy machine.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read when torch is imported
    from asr._progress import waiting
    from asr.doctor import Report, examine_model

    if arguments.model:
        # A preset and a model may have one name; with a manifest it is the preset's.
        folder = find_model(arguments.model)
        alone = folder.is_dir() and not arguments.manifest
        arguments.model = folder if alone else find_conf(arguments.model)
        check_given("--model", arguments.model)
        if arguments.model.is_dir():
            _check_alone(arguments)
            with waiting("examining"):
                findings = tuple(examine_model(arguments.model))
            return _show(Report((), findings), arguments.json)
    if not arguments.manifest:
        raise ConfigError("no M.jsonl to examine; give a manifest, or --model FOLDER without one")
    return _show(_examined(arguments), arguments.json)


def _check_alone(arguments: argparse.Namespace) -> None:
    """Raise if a model folder is to be examined together with something else."""
    others = {
        "M.jsonl": arguments.manifest,
        "--valid": arguments.valid,
        "--test": arguments.test,
        "--language": arguments.language,
        "--fix": arguments.fix,
        "--html": arguments.html,
    }
    for name, given in others.items():
        if given:
            raise ConfigError(
                f"--model {arguments.model} is a folder, which is examined alone; leave {name} "
                f"{given} out, or give the TOML file of a model to train"
            )


def _show(report: "Report", as_json: bool) -> int:
    """Print a report; return the exit status."""
    if as_json:
        put(json.dumps(report.as_dict(), ensure_ascii=False))
    else:
        put(*report.lines())
    return report.status


def _examined(arguments: argparse.Namespace) -> "Report":
    """Examine the manifests, and with a configuration the cost of training with it."""
    config = _config(arguments)
    named = {"train": arguments.manifest, "valid": arguments.valid, "test": arguments.test}
    paths = {name: path for name, path in named.items() if path}
    check_outputs({"--fix": arguments.fix, "--html": arguments.html}, paths.values())
    from asr.doctor import Report, examine, examples_of_writing, write_clean, write_html

    examination = examine(paths, config, everything=bool(arguments.fix))
    left_out = None
    if arguments.fix:
        left_out = write_clean(arguments.fix, examination.train, examination.findings)
    cost, self_test = _measured(examination, config) if arguments.model else (None, None)
    report = Report(
        examination.summaries,
        examination.findings,
        cost,
        self_test,
        left_out,
        tuple(examples_of_writing(examination.train)),
    )
    if arguments.html:
        write_html(arguments.html, report, examination)
    return report


def _config(arguments: argparse.Namespace) -> Config:
    language = arguments.language or _language_of(arguments.manifest)
    if arguments.model:
        return load_config(arguments.model, arguments.overrides, language=language)
    if arguments.overrides:
        raise ConfigError(
            f"{arguments.overrides[0]!r} changes a configuration, and none is given; "
            "add --model CONF"
        )
    return Config(text=TextConfig(**language_settings(language))) if language else Config()


def _language_of(manifest: Path) -> str | None:
    """Return the language that a manifest names; faulty lines do not count, as in `examine`."""
    utterances = []
    with suppress(ManifestError):  # it cannot be read: the doctor says so
        for _, line in manifest_lines(manifest):
            with suppress(ValueError):
                utterances.append(parse_line(line, manifest.parent))
    return language_of(utterances)


def _measured(examination: "Examination", config: Config) -> "tuple[Cost | None, SelfTest | None]":
    """Estimate the cost and run the self-test; None for both if nothing can be trained on."""
    from asr._progress import say, waiting
    from asr.distributed import choose_device, share_cores
    from asr.doctor import Machine, choose_handful, learn_by_heart, measure_cost

    if not (examination.examples and examination.vocabulary):
        return None, None
    device = choose_device(config)
    cores = share_cores(config, device)
    machine = Machine(device, cores.processes, cores.threads)
    say("timing training steps")
    with waiting("timing"):
        cost = measure_cost(examination.examples, config, examination.vocabulary, machine)
    say("learning a handful of utterances by heart, for at most a minute and a half")
    handful = choose_handful(examination.examples)
    with waiting("learning"):
        return cost, learn_by_heart(handful, config, examination.vocabulary, device)


if __name__ == "__main__":
    sys.exit(main())

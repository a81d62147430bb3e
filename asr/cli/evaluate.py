"""asr-evaluate: recognise a manifest with a model and print its word error rate."""

import argparse
import json
import os
import sys
import time
from pathlib import Path

from asr.cli.run import run
from asr.manifest import read_manifest
from asr.progress import say


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser("asr-evaluate", description=__doc__)
    parser.add_argument("model", type=Path, help="experiment folder of asr-train")
    parser.add_argument("manifest", type=Path, help="JSONL manifest of asr-prepare")
    parser.add_argument("--out", type=Path, required=True, help="folder for ref.trn, hyp.trn ...")
    parser.add_argument("--json", action="store_true", help="print one JSON object; rates are 0..1")
    arguments = parser.parse_args(argv)
    return run("asr-evaluate", lambda: evaluate(arguments))


def evaluate(arguments: argparse.Namespace) -> int:
    """Evaluate, save, print; the exit status."""
    utterances = read_manifest(arguments.manifest)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

    from asr.atomic import write_atomically
    from asr.checkpoint import load_model
    from asr.evaluate import evaluate_manifest
    from asr.system import score_system

    model, vocabulary = load_model(arguments.model)
    started = time.perf_counter()
    result = evaluate_manifest(model, vocabulary, utterances)
    elapsed = time.perf_counter() - started
    speakers = {utterance.id: utterance.speaker for utterance in utterances}
    system = score_system(str(arguments.model), result.references, result.hypotheses, speakers)
    summary = json.dumps(system.as_dict())
    result.save(arguments.out)
    write_atomically(arguments.out / "score.json", summary + "\n")
    audio_s = sum(utterance.duration for utterance in utterances)
    say(f"{audio_s / 3600:.2f} hours in {elapsed:.0f} s, {audio_s / elapsed:.0f} times real time")
    if remark := system.remark():
        say(remark)
    print(summary if arguments.json else "\n".join(system.nist_lines()))
    return 0


if __name__ == "__main__":
    sys.exit(main())

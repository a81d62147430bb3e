"""asr-evaluate: recognise a manifest with a model and print its word error rate."""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from asr.cli import decoding
from asr.cli.run import run
from asr.errors import DecoderError
from asr.manifest import Utterance, read_manifest
from asr.progress import say

if TYPE_CHECKING:
    from asr.decode.settings import DecoderConfig
    from asr.model import AcousticModel
    from asr.text import Vocabulary


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser("asr-evaluate", description=__doc__)
    parser.add_argument("model", type=Path, help="experiment folder of asr-train")
    parser.add_argument("manifest", type=Path, help="JSONL manifest of asr-prepare")
    parser.add_argument("--out", type=Path, required=True, help="folder for ref.trn, hyp.trn ...")
    parser.add_argument("--json", action="store_true", help="print one JSON object; rates are 0..1")
    parser.add_argument(
        "--tune",
        action="store_true",
        help="find weights and calibrate confidences on this manifest first, and keep "
        "both with the model; "
        "what is then printed is no test result",
    )
    decoding.add_options(parser)
    arguments = parser.parse_args(argv)
    return run("asr-evaluate", lambda: evaluate(arguments))


def evaluate(arguments: argparse.Namespace) -> int:
    """Evaluate, save, print; the exit status."""
    decoding.complete_options(arguments, arguments.model)
    if arguments.tune and not arguments.lm:
        raise DecoderError("--tune weighs a language model; add --decoder beam --lm LM")
    utterances = read_manifest(arguments.manifest)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

    from asr.atomic import write_atomically
    from asr.checkpoint import load_model
    from asr.evaluate import evaluate_manifest
    from asr.system import score_system

    model, vocabulary = load_model(arguments.model)
    config = decoding.settings(arguments, arguments.model)
    if arguments.tune:
        config = tuned(arguments, config, model, vocabulary, utterances)
    decoder = decoding.make_decoder(arguments, config, vocabulary, model.config.text)
    started = time.perf_counter()
    result = evaluate_manifest(model, vocabulary, utterances, decoder)
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


def tuned(
    arguments: argparse.Namespace,
    config: "DecoderConfig",
    model: "AcousticModel",
    vocabulary: "Vocabulary",
    utterances: list[Utterance],
) -> "DecoderConfig":
    """Find the weights on these utterances, say what was tried, and keep them with the model."""
    from asr.decode.confidence import save_calibration
    from asr.decode.rescore import Rescorer
    from asr.decode.settings import save_settings
    from asr.evaluate import manifest_loader, recognise
    from asr.tune import Material, calibrate, tune

    decoder = decoding.make_beam(arguments, config, vocabulary, model.config.text)
    scorer = decoding.load_scorer(arguments)
    loader = manifest_loader(model, vocabulary, utterances)
    recognised = [(log_probs.copy(), e.text) for e, log_probs, _ in recognise(model, loader)]
    material = Material([frames for frames, _ in recognised], [text for _, text in recognised])
    found, trials = tune(material, decoder, scorer)
    for trial in trials:
        say(str(trial))
    best = decoder.reweighted(found.lm_weight, found.word_score)
    judged = Rescorer(best, scorer, found) if scorer else best
    fit = calibrate(material, judged, vocabulary, model.frame_shift_ms / 1000)
    save_settings(arguments.model, found)
    save_calibration(arguments.model, fit.calibration)
    say(
        f"kept in {arguments.model}: lm_weight {found.lm_weight}, word_score {found.word_score}; "
        f"confidences: expected calibration error {fit.error_before:.3f} before and "
        f"{fit.error_after:.3f} after fitting, on {fit.words} words of the other utterances"
    )
    return found


if __name__ == "__main__":
    sys.exit(main())

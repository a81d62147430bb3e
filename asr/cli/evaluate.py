"""asr-evaluate: recognise a manifest with a model and print its word error rate."""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from asr._lock import locked_folder
from asr._progress import progress, say
from asr._streams import put
from asr.cli.decoding import add_options, chosen
from asr.cli.run import CommandParser, given_model, run
from asr.errors import DecoderError
from asr.manifest import Utterance, read_manifest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from asr.decode import Calibration, Decoder, DecoderConfig
    from asr.inference import Acoustics
    from asr.options import Decoding

    Outputs = Iterable[tuple[str, NDArray[np.float32]]]  # id, log-probabilities (T, V)


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = CommandParser("asr-evaluate", description=__doc__)
    parser.add_argument("model", type=Path, help="bundle or experiment, a folder or a name")
    parser.add_argument("manifest", type=Path, help="JSONL manifest of asr-prepare")
    parser.add_argument("--out", type=Path, required=True, help="folder for ref.trn, hyp.trn ...")
    parser.add_argument("--json", action="store_true", help="print one JSON object; rates are 0..1")
    parser.add_argument(
        "--tune",
        action="store_true",
        help="find weights and calibrate confidences on this manifest first, and keep both with "
        "the model; the printed figures are then no test result",
    )
    add_options(parser)
    return run("asr-evaluate", lambda: evaluate(parser.parse_args(argv)))


def evaluate(arguments: argparse.Namespace) -> int:
    """Evaluate a model, save and print the score; return the exit status."""
    given_model("MODEL", arguments.model)
    decoding = chosen(arguments).resolve(arguments.model)
    if arguments.tune and not decoding.lm:
        raise DecoderError("--tune weighs a language model; add --decoder beam --lm LM")
    if arguments.tune and not decoding.is_usual_unit:
        raise DecoderError(
            "--tune keeps weights with the model, for its phones; leave --unit tokens out, and "
            "try weights by --set lm_weight=0.8 --set word_score=0"
        )
    utterances = read_manifest(arguments.manifest)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with locked_folder(arguments.out, "--out"):  # an error now, not after all the work
        return _evaluate(arguments, decoding, utterances)


def _evaluate(
    arguments: argparse.Namespace, decoding: "Decoding", utterances: Sequence[Utterance]
) -> int:
    from asr._atomic import write_atomically
    from asr.evaluation import normalised_references, recognise, save_texts
    from asr.scoring import score_system

    acoustics = decoding.open_output()
    references = normalised_references(
        acoustics, utterances, spelled_by_lexicon=decoding.reads_words
    )
    outputs: Outputs = recognise(acoustics, progress(utterances, "recognising"))
    if arguments.tune:
        outputs = list(outputs)
        decoder = tuned(decoding, acoustics, outputs, references)
    else:
        decoder = decoding.make_decoder(acoustics.vocabulary, acoustics.text)
    started = time.perf_counter()
    hypotheses = {name: decoder.decode(log_probs)[0].text for name, log_probs in outputs}
    elapsed = time.perf_counter() - started
    speakers = {utterance.id: utterance.speaker for utterance in utterances}
    system = score_system(str(arguments.model), references, hypotheses, speakers)
    summary = json.dumps(system.as_dict())
    audio_s = sum(utterance.duration for utterance in utterances)
    if not arguments.tune:  # with it, the network ran before the clock
        speed = audio_s / elapsed
        say(f"{audio_s / 3600:.2f} hours in {elapsed:.0f} s, {speed:.0f} times real time")
    if remark := system.remark():
        say(remark)
    try:
        put(*([summary] if arguments.json else system.nist_lines()))
    finally:  # what can be written is written, the score or the files
        save_texts(arguments.out, references, hypotheses)
        write_atomically(arguments.out / "score.json", summary + "\n")
    return 0


def tuned(
    decoding: "Decoding",
    acoustics: "Acoustics",
    outputs: "Outputs",
    references: Mapping[str, str],
) -> "Decoder":
    """Find the weights on these utterances, say what was tried, and keep them with the model.

    Returns:
        The decoder with these weights.
    """
    from asr.decode import Rescorer
    from asr.evaluation import TuningData, calibrate, tune

    decoder = decoding.make_beam(acoustics.vocabulary, acoustics.text)
    scorer = decoding.load_scorer(decoder.words)
    names, log_probs = zip(*outputs, strict=True)
    material = TuningData(log_probs, [references[name] for name in names])
    found, trials = tune(material, decoder, scorer)
    for trial in trials:
        say(str(trial))
    best = decoder.reweighted(found.lm_weight, found.word_score)
    weighed = Rescorer(best, scorer, found) if scorer else best
    fit = calibrate(material, weighed, acoustics.frame_shift_ms / 1000)
    keep(decoding.model, found, fit.calibration)
    say(
        f"kept in {decoding.model}: lm_weight {found.lm_weight}, word_score {found.word_score}; "
        f"confidences: expected calibration error {fit.error_before:.3f} before and "
        f"{fit.error_after:.3f} after fitting, on {fit.words} words of the other utterances"
    )
    return weighed


def keep(model: Path, found: "DecoderConfig", calibration: "Calibration") -> None:
    """Keep weights and calibration with a model, which stays a bundle if it was one."""
    from asr.decode import CALIBRATION, SETTINGS, save_calibration, save_settings
    from asr.export import is_bundle, reseal

    save_settings(model, found)
    save_calibration(model, calibration)
    if is_bundle(model):
        reseal(model, SETTINGS, CALIBRATION)


if __name__ == "__main__":
    sys.exit(main())

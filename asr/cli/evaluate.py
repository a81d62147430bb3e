"""asr-evaluate: recognise a manifest, print the word error rate, write report.html."""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from asr._lock import locked_folder
from asr._progress import progress, say
from asr._streams import put
from asr.cli.decoding import add_options, chosen
from asr.cli.run import CommandParser, check_given, given_model, run
from asr.errors import ConfigError, DecoderError, ScoreError
from asr.manifest import Utterance, read_manifest

if TYPE_CHECKING:
    from asr.decode import Calibration, Decoder, DecoderConfig
    from asr.evaluation import HeardUtterance
    from asr.inference import Acoustics
    from asr.options import Decoding
    from asr.reports import JudgedUtterance
    from asr.scoring import Comparison, System

    Heard = Iterable[HeardUtterance]


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = CommandParser("asr-evaluate", description=__doc__)
    parser.add_argument("model", type=Path, help="bundle or experiment, a folder or a name")
    parser.add_argument("manifest", type=Path, help="JSONL manifest of asr-prepare")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for report.html, hyp.trn ..."
    )
    parser.add_argument(
        "--against",
        type=Path,
        metavar="HYP",
        help="hypotheses of another system to compare with: a file, or the --out folder of an "
        "earlier evaluation of the same manifest",
    )
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
    check_given("--against", arguments.against)
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
    from asr.evaluation import hear, normalised_references, save_texts
    from asr.scoring import score_system

    acoustics = decoding.open_output()
    references = normalised_references(
        acoustics, utterances, spelled_by_lexicon=decoding.reads_words
    )
    speakers = {utterance.id: utterance.speaker for utterance in utterances}
    other = None
    if arguments.against:
        other = _other_system(arguments.against, acoustics, references, speakers)
    heard: Heard = hear(acoustics, progress(utterances, "recognising"))
    if arguments.tune:
        heard = list(heard)
        decoder = tuned(decoding, acoustics, heard, references)
    else:
        decoder = decoding.make_decoder(acoustics.vocabulary, acoustics.text)
    found, elapsed = _recognised(heard, decoder, acoustics, decoding.calibration())
    hypotheses = {name: text for name, (text, _) in found.items()}
    system = score_system(str(arguments.model), references, hypotheses, speakers)
    verdict = _Verdict(system, other)
    audio_s = sum(utterance.duration for utterance in utterances)
    if not arguments.tune:  # with it, the network ran before the clock
        speed = audio_s / elapsed
        say(f"{audio_s / 3600:.2f} hours in {elapsed:.0f} s, {speed:.0f} times real time")
    if remark := system.remark():
        say(remark)
    try:
        put(*([verdict.json] if arguments.json else verdict.lines()))
    finally:  # what can be written is written, the score or the files
        save_texts(arguments.out, references, hypotheses)
        write_atomically(arguments.out / "score.json", verdict.json + "\n")
        _write_report(arguments, verdict, {name: judged for name, (_, judged) in found.items()})
    return 0


@dataclass(frozen=True)
class _Verdict:
    """The score of a system, alone or beside that of another one."""

    system: "System"
    other: "System | None"

    @cached_property
    def comparison(self) -> "Comparison | None":
        from asr.scoring import compare

        return compare(self.system, self.other) if self.other else None

    @cached_property
    def json(self) -> str:
        record = self.system.as_dict()
        if self.other and self.comparison:
            record["against"] = {"name": self.other.name, **self.other.as_dict()}
            record["comparison"] = self.comparison.as_dict()
        return json.dumps(record)

    def lines(self) -> list[str]:
        from asr.scoring import report

        if not (self.other and self.comparison):
            return self.system.nist_lines()
        systems = (self.system, self.other)
        both = [line for each in systems for line in (each.name, *each.nist_lines())]
        return [*both, *report.comparison(self.comparison)]


def _other_system(
    path: Path,
    acoustics: "Acoustics",
    references: Mapping[str, str],
    speakers: Mapping[str, str | None],
) -> "System":
    """Score the hypotheses of --against, written as the model writes text.

    Raises:
        TextError, ScoreError: they cannot be read, or are of other utterances.
    """
    from asr.scoring import TranscriptFile, read_file, score_system
    from asr.text import Normalizer

    file = read_file(path / "hyp.trn" if path.is_dir() else path)
    for remark in file.remarks:
        say(f"asr-evaluate: {path}: {remark}")
    normalizer = Normalizer(**vars(acoustics.text))
    said = file.against(TranscriptFile(dict(references), {}))
    texts = {name: normalizer(text) for name, text in said.items()}
    try:
        return score_system(str(path), references, texts, speakers)
    except ScoreError as error:
        raise ScoreError(f"--against {path}: {error}") from error


def _recognised(
    heard: "Heard", decoder: "Decoder", acoustics: "Acoustics", calibration: "Calibration | None"
) -> "tuple[dict[str, tuple[str, JudgedUtterance]], float]":
    """Return the text of each utterance with what the report tells of it, by id, and the seconds.

    The seconds are those of recognition alone, without the confidences of words.
    """
    from asr.decode import NBEST, spoken_words
    from asr.reports import JudgedUtterance

    found = {}
    started, spent_s = time.perf_counter(), 0.0
    for one in heard:
        nbest = decoder.decode(one.log_probs, NBEST)
        since = time.perf_counter()
        frame_s = acoustics.frame_shift_ms / 1000
        words = spoken_words(one.log_probs, nbest, frame_s, calibration)
        found[one.utterance.id] = (
            nbest[0].text,
            JudgedUtterance(
                utterance=one.utterance,
                quality=one.quality,
                range_db=one.range_db,
                confidences=tuple(word.confidence for word in words),
            ),
        )
        spent_s += time.perf_counter() - since
    return found, time.perf_counter() - started - spent_s


def _write_report(
    arguments: argparse.Namespace, verdict: _Verdict, judged: "Mapping[str, JudgedUtterance]"
) -> None:
    """Write report.html.

    Raises:
        ConfigError: it cannot be written.
    """
    from asr.reports import write_report

    path = arguments.out / "report.html"
    remarks = [verdict.system.remark()]
    if arguments.tune:
        remarks.append("weights and confidences were fitted to this set: this is no test result")
    try:
        write_report(
            path,
            verdict.system,
            judged,
            comparison=verdict.comparison,
            other=verdict.other,
            facts={"model": str(arguments.model), "manifest": str(arguments.manifest)},
            remarks=[*filter(None, remarks)],
        )
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be written ({error.strerror}); the other files are there; remove "
            "what has its name, or make room"
        ) from error


def tuned(
    decoding: "Decoding",
    acoustics: "Acoustics",
    heard: "Sequence[HeardUtterance]",
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
    texts = [references[one.utterance.id] for one in heard]
    material = TuningData([one.log_probs for one in heard], texts)
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

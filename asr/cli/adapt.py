"""asr-adapt: make a model better for a speaker, or for one kind of speech, by transcribed speech.

The transcripts are split by recording into a part to learn from, a part that chooses the epoch,
and a part to compare the model on, before and after, with the decoder that it comes with.
"""

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from asr._folders import find_model
from asr._lock import LOCK, locked_folder
from asr._progress import counted, progress, say
from asr._streams import put
from asr.cli.run import CommandParser, run
from asr.decode import CALIBRATION
from asr.errors import AsrError, ConfigError, TrainingError
from asr.manifest import read_manifest, write_manifest

if TYPE_CHECKING:
    from asr.manifest import Utterance
    from asr.scoring import System

PROGRAM = "asr-adapt"
SHARES = "75/10/15"
LEAST_S = 60.0  # of speech: less says nothing about a model
WORK = "adaptation"  # the folder in NEW for the sets and the training run
WARPS = ("0.96", "1.04")  # as the English model has them: each recording is heard twice
LEFT_BEHIND = ("last", "events.out.*", LOCK, WORK)  # they only serve to resume a training run


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = CommandParser(
        PROGRAM,
        usage="asr-adapt [MODEL] MANIFEST --out NEW [option ...] [section.key=value ...]",
        description=__doc__,
    )
    parser.add_argument(
        "given",
        nargs="+",
        metavar="[MODEL] MANIFEST [section.key=value ...]",
        help="the model, a folder or a name (default: English), and the manifest of asr-prepare",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="NEW", help="the new model")
    parser.add_argument(
        "--split",
        default=SHARES,
        metavar=SHARES,
        help=f"shares to learn from, to choose the epoch by, and to compare on (default: {SHARES})",
    )
    parser.add_argument(
        "--lexicon",
        metavar="FILE",
        help="pronunciations of words such as names, a word and its phones a line; other words "
        "that the model's lexicon lacks are guessed",
    )
    parser.add_argument("--seed", type=int, default=1, help="of the random split (default: 1)")
    parser.add_argument("--resume", action="store_true", help="go on where training was stopped")
    return run(PROGRAM, lambda: adapt(parser.parse_intermixed_args(argv)))


def adapt(arguments: argparse.Namespace) -> int:
    """Adapt a model, compare it with itself before, and keep the better one."""
    base, manifest, overrides = _named(arguments.given)
    new, work = arguments.out, arguments.out / WORK
    if new.exists() and any(new.iterdir()) and not (arguments.resume and work.is_dir()):
        raise ConfigError(
            f"--out {new}: holds files; give a new folder, or add --resume to go on there"
        )
    _check_base(base)
    if arguments.lexicon:
        _check_lexicon(Path(arguments.lexicon), base)
    with locked_folder(new, "--out"):
        return _adapt(arguments, base, manifest, overrides)


def _check_lexicon(path: Path, base: Path) -> None:
    """Raise unless a file has pronunciations in the phones of a model: before anything is written.

    Raises:
        ConfigError, LanguageModelError: it has not.
    """
    from asr.checkpoint import read_config
    from asr.cli.knowledge import pronunciations
    from asr.text import Normalizer

    pronunciations(base, Normalizer(**vars(read_config(base).text)), [], [path])


def _adapt(
    arguments: argparse.Namespace, base: Path, manifest: Path, overrides: Sequence[str]
) -> int:
    new, work = arguments.out, arguments.out / WORK
    test = _sets(arguments, manifest, base, work)
    say(f"before: {base} on {counted(len(test), 'utterance')} to compare it on")
    before = _score(base, test, work / "before")
    say(before.nist_lines()[0])

    from asr.cli import export, train
    from asr.export import is_bundle

    exp = work / "exp"
    sets = ["--train", str(work / "train.jsonl"), "--valid", str(work / "valid.jsonl")]
    words = ["--init", str(base), *sets, "--out", str(exp), "--no-advice", *overrides]
    if arguments.lexicon:
        words += ["--lexicon", arguments.lexicon, "--lexicon", str(base)]
    status = train.main([*words, *(["--resume"] if arguments.resume else [])], PROGRAM)
    if status:
        return status
    warps = ["--warps", *WARPS] if is_bundle(base) else []
    if status := export.main([str(exp), str(exp), "--int8", *warps], PROGRAM):
        return status
    after = _score(exp, test, work / "after")
    return keep_better(base, exp, new, before, after, lexicon=arguments.lexicon)


def _named(given: Sequence[str]) -> tuple[Path, Path, list[str]]:
    """Return the model, the manifest and the overrides of the command line."""
    from asr.options import ENGLISH

    overrides = [word for word in given if "=" in word and not Path(word).exists()]
    paths = [word for word in given if word not in overrides]
    if len(paths) not in (1, 2):
        raise ConfigError("give a manifest, or a model and a manifest; see asr-adapt --help")
    model = find_model(paths[0]).absolute() if len(paths) == 2 else ENGLISH
    return model, Path(paths[-1]), overrides


def _check_base(base: Path) -> None:
    if not base.is_dir():
        raise ConfigError(f"{base}: no model; give its folder, or a name (asr --version -v)")
    if not (base / "best").is_dir():
        raise ConfigError(
            f"{base}: has no best/, the weights to go on from; give the experiment folder that it "
            "was exported from"
        )


def _sets(
    arguments: argparse.Namespace, manifest: Path, base: Path, work: Path
) -> "list[Utterance]":
    """Write the sets to learn from and to choose by; return the one to compare on."""
    from asr.corpora import parse_shares, split
    from asr.training import known_speakers

    shares = parse_shares(arguments.split)
    if len(shares) < 3 or not shares[2]:
        raise ConfigError(f"--split {arguments.split}: asr-adapt compares on a third set; {SHARES}")
    utterances = read_manifest(manifest)
    seconds = sum(utterance.duration for utterance in utterances)
    if seconds < LEAST_S:
        raise TrainingError(
            f"{manifest}: {seconds:.0f} s of speech; asr-adapt needs {LEAST_S:.0f} s or more, and "
            "five minutes are worth it"
        )
    if known := known_speakers(base, (utterance.speaker for utterance in utterances)):
        say(
            f"{', '.join(known[:5])}: the model has learned from speakers of this name already; if "
            "they are the same people, the figures before and after flatter it"
        )
    made = split(utterances, shares, arguments.seed, ("recording", "utterance"))
    for name, part in made.parts.items():
        write_manifest(work / f"{name}.jsonl", part)
    minutes = {name: sum(i.duration for i in part) / 60 for name, part in made.parts.items()}
    say(
        f"split by {made.by}: {minutes['train']:.1f} minutes to learn from, "
        f"{minutes['valid']:.1f} to choose the epoch by, {minutes['test']:.1f} to compare on"
    )
    return made.parts["test"]


def _score(model: Path, utterances: "list[Utterance]", out: Path) -> "System":
    """Recognise utterances with a model and its own decoder; return the score."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from asr.evaluation import normalised_references, recognise, save_texts
    from asr.options import DecodingOptions
    from asr.scoring import score_system

    decoding = DecodingOptions().resolve(model)
    acoustics = decoding.open_output()
    references = normalised_references(acoustics, utterances, spelled_by_lexicon=True)
    decoder = decoding.make_decoder(acoustics.vocabulary, acoustics.text)
    outputs = recognise(acoustics, progress(utterances, "recognising"))
    hypotheses = {name: decoder.decode(log_probs)[0].text for name, log_probs in outputs}
    save_texts(out, references, hypotheses)
    speakers = {utterance.id: utterance.speaker for utterance in utterances}
    return score_system(str(model), references, hypotheses, speakers)


def keep_better(
    base: Path,
    exp: Path,
    new: Path,
    before: "System",
    after: "System",
    *,
    lexicon: str | None = None,
) -> int:
    """Make NEW of the adapted model or, if it has no fewer errors, of the one before.

    Args:
        base, exp: folders of the model before and of the adapted one.
        new: the folder to make.
        before, after: their scores.
        lexicon: the file of pronunciations that the adapted model has and the one before lacks.
    """
    errors = [system.total.word.errors for system in (before, after)]
    better = errors[1] < errors[0]
    source = exp if better else base
    try:
        shutil.copytree(
            source, new, ignore=shutil.ignore_patterns(*LEFT_BEHIND), dirs_exist_ok=True
        )
    except (OSError, shutil.Error) as error:
        raise AsrError(f"{new}: the model cannot be written ({error}); make room") from error
    for name, system in (("before", before), ("after", after)):
        put(f"{name:<7}{system.nist_lines()[0]}")
    kept = "the new model" if better else "the model before, as the new one is no better;"
    has = f", which alone has the pronunciations of {lexicon}" if lexicon else ""
    where = "" if better else f" the new one is {exp}{has}"
    put(f"{new} is {kept}{where}")
    if better and (base / CALIBRATION).exists():  # of the old model's posteriors
        say(
            f"{CALIBRATION} is not handed on, as it is true of the model before alone: confidences "
            "are the mean posteriors of tokens; asr-evaluate --tune calibrates them again"
        )
    if abs(errors[0] - errors[1]) < 2 * max(errors) ** 0.5:
        say(
            "so few errors may differ by chance; more transcribed speech, or a larger third share "
            "(--split 40/10/50), would tell"
        )
    say(f"use it: asr-transcribe --model {new} talk.wav; {new / WORK} may be removed")
    return 0


if __name__ == "__main__":
    sys.exit(main())

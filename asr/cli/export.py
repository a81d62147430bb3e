"""asr-export: a trained model as a bundle, which runs without torch."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from asr._atomic import check_folder
from asr._progress import say, waiting
from asr.cli.alike import load_alike
from asr.cli.run import CommandParser, check_given, given_model, run
from asr.decode import CALIBRATION, LM, LSTM, SETTINGS
from asr.errors import CheckpointError, ConfigError
from asr.export import COPIED, GRAPH, NOISY, BundleInfo, checkpoint_digest, is_bundle, write_bundle

if TYPE_CHECKING:
    from asr.model import AcousticModel


def main(argv: list[str] | None = None, program: str = "asr-export") -> int:
    """Run the command, which errors name as the program that was called; return its status."""
    parser = CommandParser(
        "asr-export",
        description="Make a model bundle: the network with its features as one ONNX graph, and "
        "the files that a decoder needs. BUNDLE may be EXP itself.",
    )
    parser.add_argument(
        "exp", metavar="EXP", type=Path, help="experiment of asr-train, a folder or a name"
    )
    parser.add_argument("bundle", metavar="BUNDLE", type=Path, help="folder to write")
    parser.add_argument("--lm", type=Path, help=f"binary n-gram model of asr-lm; default: EXP/{LM}")
    parser.add_argument(
        "--ensemble",
        metavar="EXP",
        type=Path,
        nargs="+",
        default=[],
        help="experiments whose log-probabilities are averaged with the first's, such as other "
        "seeds: fewer errors, but each network adds its time",
    )
    parser.add_argument(
        "--noisy",
        metavar="EXP",
        type=Path,
        nargs="+",
        default=[],
        help="experiments that hear recordings with noise, in place of the others",
    )
    parser.add_argument(
        "--warps",
        metavar="FACTOR",
        type=float,
        nargs="+",
        default=[1.0],
        help="factors by which the mel axis is stretched, as by vocal tracts of other lengths; "
        "the log-probabilities of several, such as 0.96 1.04, are averaged",
    )
    parser.add_argument("--int8", action="store_true", help="weights in bytes: small and fast")
    return run(program, lambda: export(parser.parse_args(argv)))


def export(arguments: argparse.Namespace) -> int:
    """Export a bundle; return the exit status."""
    from asr.checkpoint import load_acoustic_model
    from asr.export import export_graph, quantized

    exp, folder = given_model("EXP", arguments.exp), arguments.bundle
    check_given("--lm", arguments.lm)
    model, _ = load_acoustic_model(exp)
    networks = {GRAPH: [model, *_more("--ensemble", arguments.ensemble, exp, [model])]}
    if arguments.noisy:
        networks[NOISY] = _more("--noisy", arguments.noisy, exp, [])
    _check_target(exp, folder)
    copied = {name: exp / name for name in COPIED if (exp / name).exists()}
    if arguments.lm:
        copied[LM] = arguments.lm
    _check_loadable(copied)
    _check_writable(folder)
    warps = _checked_warps(arguments.warps)
    with waiting("exporting"):
        graphs = {name: export_graph(*each, warps=warps) for name, each in networks.items()}
        if arguments.int8:
            graphs = {
                name: quantized(graph, model.config.model.cell) for name, graph in graphs.items()
            }
    info = BundleInfo(
        sample_rate_hz=model.config.features.sample_rate_hz,
        frame_shift_ms=model.frame_shift_ms,
        unit=model.config.model.unit,
        text=model.config.text,
        precision="int8" if arguments.int8 else "float32",
        checkpoint=checkpoint_digest(exp),
        denoise=model.config.features.denoise,
        dereverberate=model.config.features.dereverberate,
    )
    write_bundle(folder, info, graphs, copied)
    with waiting("examining the bundle"):
        _check_written(folder)
    size = sum(map(len, graphs.values()))
    total = size + sum((folder / name).stat().st_size for name in copied)
    say(f"{folder}: {info.precision} model, {size / 1e6:.1f} MB; in all {total / 1e6:.1f}")
    return 0


def _more(
    option: str, folders: Sequence[Path], exp: Path, known: "Sequence[AcousticModel]"
) -> "list[AcousticModel]":
    """Load the experiments of an option, which must be like EXP, and apart from those known."""
    models: list[AcousticModel] = []
    for folder in folders:
        model = load_alike(option, given_model(option, folder), exp)
        for other in (*known, *models):
            _check_apart(option, folder, model, other)
        models.append(model)
    return models


def _check_apart(option: str, folder: Path, other: "AcousticModel", model: "AcousticModel") -> None:
    """Refuse equal layers: they add nothing, and onnxruntime fails to bring both into 8 bits."""
    known = dict(model.named_parameters())
    for name, weight in other.named_parameters():
        if weight.dim() > 1 and name in known and weight.equal(known[name]):
            raise ConfigError(
                f"{option}: {folder} has {name} in common with another one; give experiments "
                "that were trained apart, each from its own train.seed"
            )


def _check_target(exp: Path, folder: Path) -> None:
    """Refuse a folder that holds something else than this experiment or a bundle."""
    if not folder.is_dir() or folder.samefile(exp):
        return
    if (folder / "config.json").exists() or (any(folder.iterdir()) and not is_bundle(folder)):
        raise ConfigError(f"BUNDLE {folder} holds other files; give a new folder, or EXP itself")


def _check_loadable(copied: Mapping[str, Path]) -> None:
    """Load the files that a decoder reads: a damaged one is refused before anything is written."""
    from asr.decode import load_calibration, load_settings
    from asr.lexicon import LEXICON, Pronunciations
    from asr.lm import LstmArrays, read_binary
    from asr.readable import TAGGER, Tagger

    if SETTINGS in copied:
        load_settings(copied[SETTINGS].parent)
    if CALIBRATION in copied:
        load_calibration(copied[CALIBRATION].parent)
    if LM in copied:
        read_binary(copied[LM])  # refuses a model in ARPA, too
    if LSTM in copied:
        LstmArrays.load(copied[LSTM])
    if TAGGER in copied:
        Tagger.load(copied[TAGGER])
    if LEXICON in copied:
        Pronunciations.load(copied[LEXICON].parent)


def _check_written(folder: Path) -> None:
    """Examine the bundle as asr-doctor does: nobody shall be given one that cannot be used.

    Raises:
        CheckpointError: it has a fault.
    """
    from asr.doctor import examine_model

    faults = "; ".join(finding.why for finding in examine_model(folder))
    if faults:
        raise CheckpointError(f"the bundle is written, but cannot be used: {faults}")


def _check_writable(folder: Path) -> None:
    """Raise if the bundle cannot be written: now, not after the export.

    Raises:
        CheckpointError: it cannot.
    """
    try:
        check_folder(folder)
    except OSError as error:
        raise CheckpointError(
            f"{folder}: cannot be written ({error.strerror}); give another BUNDLE"
        ) from error


def _checked_warps(warps: Sequence[float]) -> Sequence[float]:
    for factor in warps:
        if not 0.5 <= factor <= 2:
            raise ConfigError(f"--warps: a factor is {factor:g}; allowed: 0.5..2")
    return warps


if __name__ == "__main__":
    sys.exit(main())

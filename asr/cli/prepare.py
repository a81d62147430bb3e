"""asr-prepare: turn a corpus, downloaded if need be, into JSONL manifests."""

import argparse
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from asr._atomic import check_file
from asr._lock import locked_folder
from asr._streams import put
from asr.cli.run import CommandParser, run
from asr.errors import ConfigError

if TYPE_CHECKING:
    from asr.manifest import Utterance


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run("asr-prepare", lambda: _prepare(_parser().parse_args(argv)))


def _prepare(arguments: argparse.Namespace) -> int:
    """Do what the chosen corpus needs, while no other run writes to the same folders."""
    with ExitStack() as held:
        if arguments.metavar == "DIR":
            held.enter_context(locked_folder(arguments.out, "--out"))
        else:
            check_file(arguments.out)  # an error now, not after all the work
        if getattr(arguments, "download", False) and arguments.root != arguments.out:
            held.enter_context(locked_folder(arguments.root, "ROOT"))
        status: int = arguments.prepare(arguments)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(prog="asr-prepare", description="Turn a corpus into JSONL manifests.")
    corpora = parser.add_subparsers(metavar="CORPUS", required=True)

    librispeech = corpora.add_parser("librispeech", help="LibriSpeech, Mini LibriSpeech")
    librispeech.add_argument("root", type=Path, help="the LibriSpeech folder, or its parent")
    librispeech.add_argument(
        "--subsets", nargs="+", metavar="NAME", help="folders in it (default: all)"
    )
    librispeech.add_argument(
        "--download", action="store_true", help="download missing subsets from OpenSLR"
    )
    librispeech.add_argument(
        "--url-base",
        metavar="URL",
        help="mirror to use instead of https://www.openslr.org/resources",
    )
    _add_out(librispeech, "DIR", "folder for SUBSET.jsonl", _librispeech)

    fsdd = corpora.add_parser("fsdd", help="Free Spoken Digit Dataset")
    fsdd.add_argument("root", type=Path, help="the folder that holds recordings/")
    fsdd.add_argument("--test-speaker", metavar="NAME", default="theo", help="default: theo")
    fsdd.add_argument("--valid-speaker", metavar="NAME", help="default: the first of the others")
    _add_out(fsdd, "DIR", "folder for all.jsonl and the splits", _fsdd)

    table = corpora.add_parser("csv", help="a table with the columns audio and text")
    table.add_argument("table", type=Path, metavar="FILE.csv", help="or LJSpeech's metadata.csv")
    _add_out(table, "FILE.jsonl", "the manifest", _csv)

    kaldi = corpora.add_parser("kaldi", help="a Kaldi data folder")
    kaldi.add_argument("folder", type=Path, help="the folder that holds wav.scp and text")
    _add_out(kaldi, "FILE.jsonl", "the manifest", _kaldi)

    for name, write, metavar, meaning in (
        ("to-csv", _to_csv, "FILE.csv", "the table"),
        ("to-kaldi", _to_kaldi, "DIR", "the Kaldi data folder"),
    ):
        back = corpora.add_parser(name, help=f"the other way: a manifest to {meaning[4:]}")
        back.add_argument("manifest", type=Path, metavar="FILE.jsonl")
        _add_out(back, metavar, meaning, write)

    tones = corpora.add_parser("tones", help="generated tones as words, for a first try")
    _add_out(tones, "DIR", "folder for the recordings and manifests", _tones)
    return parser


def _add_out(
    parser: argparse.ArgumentParser,
    metavar: str,
    meaning: str,
    prepare: Callable[[argparse.Namespace], int],
) -> None:
    parser.add_argument("--out", type=Path, required=True, metavar=metavar, help=meaning)
    parser.set_defaults(prepare=prepare, metavar=metavar)


def _librispeech(arguments: argparse.Namespace) -> int:
    from asr.corpora import librispeech

    root: Path = arguments.root
    if arguments.url_base and not arguments.download:
        raise ConfigError("--url-base is the mirror of --download; give both")
    if arguments.download and not arguments.subsets:
        raise ConfigError(
            f"--download needs --subsets; published: {', '.join(librispeech.ARCHIVES)}"
        )
    names = arguments.subsets or librispeech.subset_names(root)
    if not names:
        raise ConfigError(f"{root}: no subset in it; name a published one with --subsets")
    for name in names:
        if Path(name).name != name:
            raise ConfigError(f"--subsets {name}: not the name of a folder in {root}")
        if arguments.download:
            librispeech.fetch_subset(root, name, arguments.url_base or librispeech.URL_BASE)
    folders = [librispeech.find_subset(root, name) for name in names]  # before the long work
    for folder in folders:
        _write(arguments.out / f"{folder.name}.jsonl", librispeech.read_librispeech(folder))
    return 0


def _fsdd(arguments: argparse.Namespace) -> int:
    from asr.corpora import fsdd

    utterances = fsdd.read_fsdd(arguments.root)
    parts = fsdd.splits(utterances, arguments.test_speaker, arguments.valid_speaker)
    for name, part in {"all": utterances, **parts}.items():
        _write(arguments.out / f"{name}.jsonl", part)
    return 0


def _csv(arguments: argparse.Namespace) -> int:
    from asr.corpora import read_csv

    _write(arguments.out, read_csv(arguments.table))
    return 0


def _kaldi(arguments: argparse.Namespace) -> int:
    from asr.corpora import read_kaldi

    _write(arguments.out, read_kaldi(arguments.folder))
    return 0


def _to_csv(arguments: argparse.Namespace) -> int:
    from asr.corpora import write_csv
    from asr.manifest import read_manifest

    write_csv(arguments.out, read_manifest(arguments.manifest))
    return 0


def _to_kaldi(arguments: argparse.Namespace) -> int:
    from asr.corpora import write_kaldi
    from asr.manifest import read_manifest

    write_kaldi(arguments.out, read_manifest(arguments.manifest))
    return 0


def _tones(arguments: argparse.Namespace) -> int:
    from asr.corpora import make_tones

    for name, part in make_tones(arguments.out).items():
        _write(arguments.out / f"{name}.jsonl", part)
    return 0


def _write(path: Path, utterances: "list[Utterance]") -> None:
    """Write a manifest, and print its number of utterances, hours and speakers."""
    from asr.manifest import write_manifest

    write_manifest(path, utterances)
    hours = sum(utterance.duration for utterance in utterances) / 3600
    speakers = {utterance.speaker for utterance in utterances} - {None}
    put(f"{path}: {len(utterances)} utterances, {hours:.2f} h, {len(speakers)} speakers")


if __name__ == "__main__":
    sys.exit(main())

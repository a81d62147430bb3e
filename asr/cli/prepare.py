"""asr-prepare: turn a corpus, downloaded if need be, into JSONL manifests."""

import argparse
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from asr import corpora
from asr._lock import locked_folder
from asr._streams import put
from asr.cli.output import check_outputs
from asr.cli.run import CommandParser, complain, run
from asr.errors import ConfigError

if TYPE_CHECKING:
    from asr.manifest import Utterance

    Subparsers = argparse._SubParsersAction[CommandParser]
    Read = Callable[[argparse.Namespace, list[str] | None], list[Utterance]]

_NAMED = 10  # utterances that are left out, and named


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return run("asr-prepare", lambda: _prepare(_parser().parse_args(argv)))


def _prepare(arguments: argparse.Namespace) -> int:
    """Do what the chosen corpus needs, while no other run writes to the same folders."""
    arguments.shares = _shares(arguments) if "split" in arguments else None
    with ExitStack() as held:
        if arguments.shares or arguments.into_folder:
            held.enter_context(locked_folder(arguments.out, "--out"))
        else:
            names = ("table", "labels", "audio", "manifest")  # of files that a corpus is made of
            inputs = [getattr(arguments, name) for name in names if name in arguments]
            check_outputs({"--out": arguments.out}, inputs)
        if getattr(arguments, "download", False) and arguments.root != arguments.out:
            held.enter_context(locked_folder(arguments.root, "ROOT"))
        status: int = arguments.prepare(arguments)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(prog="asr-prepare", description="Turn a corpus into JSONL manifests.")
    commands = parser.add_subparsers(metavar="CORPUS", required=True)

    table = commands.add_parser("csv", help="a table with the columns audio and text")
    table.add_argument("table", type=Path, metavar="FILE.csv", help="or LJSpeech's metadata.csv")
    _add_own(table, lambda given, left_out: corpora.read_csv(given.table, left_out))

    folder = commands.add_parser(
        "folder", help="recordings with a .txt, .lab or .TextGrid of the same name beside each"
    )
    folder.add_argument("folder", type=Path, help="a folder in it stands for a speaker")
    _add_own(folder, lambda given, left_out: corpora.read_folder(given.folder, left_out))

    labels = commands.add_parser("audacity", help="labels that Audacity exported, or a TextGrid")
    labels.add_argument("labels", type=Path, metavar="LABELS.txt")
    labels.add_argument("--audio", type=Path, required=True, help="the recording")
    _add_own(
        labels,
        lambda given, left_out: corpora.read_labelled(given.labels, given.audio, left_out),
    )

    voice = commands.add_parser("commonvoice", help="Common Voice, as downloaded and unpacked")
    voice.add_argument("folder", type=Path, help="of one language, with clips/ and train.tsv")
    _add_own(voice, None, "validated.tsv instead of the official train, dev and test")

    kaldi = commands.add_parser("kaldi", help="a Kaldi data folder")
    kaldi.add_argument("folder", type=Path, help="the folder that holds wav.scp and text")
    _add_own(kaldi, lambda given, left_out: corpora.read_kaldi(given.folder, left_out))

    _add_published(commands)
    for name, write, metavar, meaning in (
        ("to-csv", _to_csv, "FILE.csv", "the table"),
        ("to-kaldi", _to_kaldi, "DIR", "the Kaldi data folder"),
    ):
        back = commands.add_parser(name, help=f"the other way: a manifest to a {meaning[4:]}")
        back.add_argument("manifest", type=Path, metavar="FILE.jsonl")
        _add_out(back, metavar, meaning, write)
    return parser


def _add_published(commands: "Subparsers") -> None:
    """Add the corpora that have sets of their own."""
    librispeech = commands.add_parser("librispeech", help="LibriSpeech, Mini LibriSpeech")
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
    _add_strict(librispeech)
    _add_out(librispeech, "DIR", "folder for SUBSET.jsonl", _librispeech)

    fsdd = commands.add_parser("fsdd", help="Free Spoken Digit Dataset")
    fsdd.add_argument("root", type=Path, help="the folder that holds recordings/")
    fsdd.add_argument("--test-speaker", metavar="NAME", default="theo", help="default: theo")
    fsdd.add_argument("--valid-speaker", metavar="NAME", help="default: the first of the others")
    _add_out(fsdd, "DIR", "folder for all.jsonl and the splits", _fsdd)

    tones = commands.add_parser("tones", help="generated tones as words, for a first try")
    _add_out(tones, "DIR", "folder for the recordings and manifests", _tones)


def _add_own(
    parser: argparse.ArgumentParser,
    read: "Read | None",  # None: of Common Voice, which has sets of its own
    splits: str = "sets to train, validate and test on, in these shares",
) -> None:
    """Add what every corpus of one's own has: --split, --language, --strict and --out."""
    parser.add_argument(
        "--split",
        metavar="80/10/10",
        help=f"write DIR/train.jsonl, valid.jsonl and test.jsonl: {splits}; by speaker where there "
        "are several, else by recording",
    )
    parser.add_argument(
        "--split-by",
        choices=corpora.SPLIT_CHOICES,
        help="what no two sets are to share, instead; text: for sentences that several people read",
    )
    parser.add_argument("--seed", type=int, metavar="N", help="of the random split (default: 1)")
    parser.add_argument(
        "--language",
        metavar="NAME",
        help="by which training is to normalise the texts, as its own --language: en, any, de ...",
    )
    _add_strict(parser)
    if read:
        one = "the manifest, in .jsonl; with --split a folder"
        _add_out(parser, "OUT", one, partial(_own, read=read))
    else:
        _add_out(parser, "DIR", "folder for the manifests", _common_voice)


def _add_strict(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--strict",
        action="store_true",
        help="write nothing if an utterance cannot be used; default: leave it out, and name it",
    )


def _add_out(
    parser: argparse.ArgumentParser,
    metavar: str,
    meaning: str,
    prepare: Callable[[argparse.Namespace], int],
) -> None:
    parser.add_argument("--out", type=Path, required=True, metavar=metavar, help=meaning)
    parser.set_defaults(prepare=prepare, into_folder=metavar == "DIR")


def _own(arguments: argparse.Namespace, read: "Read") -> int:
    """Write the manifest of a corpus, or those of its split; return 1 if something is left out."""
    left_out: list[str] | None = None if arguments.strict else []
    utterances = _with_language(read(arguments, left_out), arguments.language)
    if arguments.shares:
        from asr._progress import say  # late: tqdm
        from asr.corpora import SPLIT_WAYS, split

        seed = 1 if arguments.seed is None else arguments.seed
        ways = (arguments.split_by,) if arguments.split_by else SPLIT_WAYS
        made = split(utterances, arguments.shares, seed, ways)
        for name, part in made.parts.items():
            _write(arguments.out / f"{name}.jsonl", part)
        put(str(made))
        for message in filter(None, (made.coarseness(arguments.shares), made.flattery())):
            say(message)
    else:
        _write(arguments.out, utterances)
    return _report(left_out)


def _shares(arguments: argparse.Namespace) -> tuple[float, ...] | None:
    """Return the shares of --split; check the options that go with it."""
    from asr.corpora import parse_shares
    from asr.text import check_language

    if arguments.language:
        check_language(arguments.language)
    if not arguments.split:
        if arguments.seed is not None:
            raise ConfigError("--seed is of the random --split; give both")
        if arguments.split_by:
            raise ConfigError(f"--split-by {arguments.split_by} is of --split; give both")
        return None
    if arguments.out.suffix == ".jsonl":
        raise ConfigError(
            f"--out {arguments.out}: --split writes several manifests; give a folder, such as data"
        )
    return parse_shares(arguments.split)


def _with_language(utterances: "list[Utterance]", language: str | None) -> "list[Utterance]":
    return [replace(utterance, language=language) for utterance in utterances]


def _report(left_out: list[str] | None) -> int:
    """Name the first utterances that were left out, and say how many; return the exit status."""
    if not left_out:
        return 0
    for problem in left_out[:_NAMED]:
        complain("asr-prepare", f"left out: {problem}")
    more = f"; the first {_NAMED} are named above" if len(left_out) > _NAMED else ""
    complain(
        "asr-prepare",
        f"{len(left_out)} left out in all{more}; --strict writes nothing in such a case",
    )
    return 1


def _common_voice(arguments: argparse.Namespace) -> int:
    """Write the official sets, or with --split those of all that is validated."""
    from asr.corpora import common_voice

    folder = common_voice.find_language(arguments.folder)
    if arguments.split:
        table = common_voice.VALIDATED
        return _own(arguments, lambda _, left_out: common_voice.read_table(folder, table, left_out))
    left_out: list[str] | None = None if arguments.strict else []
    sets = {
        name: _with_language(common_voice.read_table(folder, table, left_out), arguments.language)
        for table, name in common_voice.OFFICIAL.items()
    }
    for name, utterances in sets.items():
        _write(arguments.out / f"{name}.jsonl", utterances)
    return _report(left_out)


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
    left_out: list[str] | None = None if arguments.strict else []
    for folder in folders:
        utterances = librispeech.read_librispeech(folder, left_out)
        _write(arguments.out / f"{folder.name}.jsonl", utterances)
    return _report(left_out)


def _fsdd(arguments: argparse.Namespace) -> int:
    from asr.corpora import fsdd

    utterances = fsdd.read_fsdd(arguments.root)
    parts = fsdd.splits(utterances, arguments.test_speaker, arguments.valid_speaker)
    for name, part in {"all": utterances, **parts}.items():
        _write(arguments.out / f"{name}.jsonl", part)
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
    from asr._progress import counted  # late: tqdm
    from asr.manifest import write_manifest

    write_manifest(path, utterances)
    hours = sum(utterance.duration for utterance in utterances) / 3600
    speakers = {utterance.speaker for utterance in utterances} - {None}
    spoken = counted(len(utterances), "utterance")
    put(f"{path}: {spoken}, {hours:.2f} h, {counted(len(speakers), 'speaker')}")


if __name__ == "__main__":
    sys.exit(main())

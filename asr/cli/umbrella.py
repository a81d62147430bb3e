"""asr: the commands under one name; `asr transcribe` is asr-transcribe, and so on."""

import argparse
import importlib
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import asr
from asr._folders import MODELS_VARIABLE, named_models, user_models
from asr._install import distribution_name
from asr._streams import put
from asr.cli.completion import enter_command, words_of
from asr.cli.run import CommandParser, run

COMMANDS = {  # name -> what it does; the module in asr.cli has the same name
    "transcribe": "recordings to text",
    "prepare": "a corpus, a table or a folder of recordings to manifests",
    "doctor": "what will go wrong in training, before it does",
    "train": "train a model",
    "adapt": "make a model better for a speaker or a kind of speech",
    "average": "one network from several fine-tunings: the mean of their weights",
    "evaluate": "recognise a manifest, and print the word error rate",
    "score": "errors of texts that any program wrote",
    "align": "when each word of known texts was said",
    "explain": "see what the network does with a recording, on a page",
    "lm": "language models",
    "lexicon": "pronunciations",
    "text": "capitals, punctuation and digits: train a tagger, and use it",
    "serve": "an HTTP and WebSocket server, with a page to try it",
    "export": "a trained model as a bundle, which runs without torch",
}


def main(argv: list[str] | None = None) -> int:
    """Run the command that is named; return its exit status."""
    words = words_of(argv)
    if words and words[0] in COMMANDS:
        enter_command()
        command = importlib.import_module(f"asr.cli.{words[0]}")
        return int(command.main(words[1:]))
    parser = CommandParser(
        "asr",
        usage="asr COMMAND ...",
        description="Speech recognition: transcribe, train, adapt, measure.",
        epilog="\n".join(["commands:", *(f"  {name:<12}{what}" for name, what in COMMANDS.items())])
        + "\n\nasr COMMAND --help explains a command; asr-COMMAND is the same.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", metavar="COMMAND", choices=COMMANDS, nargs="?", help="see below")
    parser.add_argument("--version", action="store_true", help="print the version")
    parser.add_argument(
        "-v",
        "--verbose",
        action="store_true",
        help="with --version: folders, models and caches with their sizes, too",
    )
    parser.add_argument(
        "--clear-cache",
        action="store_true",
        help="remove the compiled code, which is made again when it is needed",
    )
    return run("asr", lambda: _umbrella(parser, words))


def _umbrella(parser: argparse.ArgumentParser, words: Sequence[str]) -> int:
    arguments = parser.parse_args(words)
    if arguments.clear_cache:
        return _clear_cache()
    if not arguments.version:
        parser.print_help()
        return 0 if not words else 2
    return _version(arguments.verbose)


def _version(verbose: bool) -> int:
    from asr._progress import counted  # late: tqdm

    put(f"{distribution_name() or 'asr'} {asr.__version__}")
    if verbose:
        put(f"models are looked for in {MODELS_VARIABLE} (folders) and {user_models()}")
        for name, folder in named_models().items():
            held = (path for path in folder.rglob("*") if path.is_file())
            put(f"model {name}: {folder}, {_megabytes(held)}")
        files = _cache()
        where = ", ".join(sorted({str(path.parent) for path in files})) or "none"
        put(
            f"compiled code, which may be removed (asr --clear-cache): {_megabytes(files)} in "
            f"{counted(len(files), 'file')}: {where}"
        )
    return 0


def _clear_cache() -> int:
    from asr._progress import counted  # late: tqdm

    files = _cache()
    size = _megabytes(files)
    for path in files:
        path.unlink(missing_ok=True)  # another process may have removed it
    put(f"removed {counted(len(files), 'file')} of compiled code, {size}")
    return 0


def _cache() -> list[Path]:
    """Return the files of compiled code, of the kernels in all rooms of the package."""
    from asr._numba import cached_files
    from asr.decode import compile_search
    from asr.lexicon import Lexicon
    from asr.lm import query
    from asr.scoring import errors_and_substitutions

    _ = compile_search, Lexicon, query, errors_and_substitutions  # numba names their folders
    return cached_files()


def _megabytes(files: Iterable[Path]) -> str:
    return f"{sum(path.stat().st_size for path in files) / 1e6:.1f} MB"


if __name__ == "__main__":
    sys.exit(main())

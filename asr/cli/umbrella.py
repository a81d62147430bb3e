"""asr: the commands under one name; `asr transcribe` is asr-transcribe, and so on."""

import argparse
import importlib
import sys
from collections.abc import Sequence

import asr
from asr._folders import MODELS_VARIABLE, named_models, user_models
from asr._install import distribution_name
from asr._streams import put
from asr.cli.run import CommandParser, run

COMMANDS = {  # name -> what it does; the module in asr.cli has the same name
    "transcribe": "recordings to text",
    "prepare": "a corpus, a table or a folder of recordings to manifests",
    "doctor": "what will go wrong in training, before it does",
    "train": "train a model",
    "adapt": "make a model better for a speaker or a kind of speech",
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
    words = sys.argv[1:] if argv is None else argv
    if words and words[0] in COMMANDS:
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
        "-v", "--verbose", action="store_true", help="with --version: folders and models, too"
    )
    return run("asr", lambda: _umbrella(parser, words))


def _umbrella(parser: argparse.ArgumentParser, words: Sequence[str]) -> int:
    arguments = parser.parse_args(words)
    if not arguments.version:
        parser.print_help()
        return 0 if not words else 2
    return _version(arguments.verbose)


def _version(verbose: bool) -> int:
    put(f"{distribution_name() or 'asr'} {asr.__version__}")
    if verbose:
        put(f"models are looked for in {MODELS_VARIABLE} (folders) and {user_models()}")
        for name, folder in named_models().items():
            put(f"model {name}: {folder}")
        from asr.lm import query

        cache = query.stats.cache_path or "none, as no folder can be written"  # type: ignore[attr-defined]
        put(f"compiled code, which may be removed at any time: {cache} and folders beside it")
    return 0


if __name__ == "__main__":
    sys.exit(main())

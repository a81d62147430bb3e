"""asr-transcribe: recordings to text."""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from asr.audio import list_audio
from asr.cli import decoding
from asr.cli.run import complain, run
from asr.container import Source
from asr.errors import AudioError
from asr.formats import FORMATS, WITH_WORDS, writer
from asr.progress import progress, say

STDIN = "-"


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(
        "asr-transcribe",
        description="Print the text of recordings: of one, the text; of several, path<TAB>text. "
        "What is to be said about a recording goes to stderr.",
    )
    parser.add_argument(
        "inputs", nargs="+", metavar="INPUT", help="file, folder, 'glob', or - for standard input"
    )
    parser.add_argument("--model", type=Path, help="experiment folder; default: English, included")
    parser.add_argument("--format", choices=list(FORMATS), default="txt")
    parser.add_argument("--quiet", action="store_true", help="say nothing about good recordings")
    decoding.add_options(parser)
    arguments = parser.parse_args(argv)
    return run("asr-transcribe", lambda: transcribe(arguments))


def transcribe(arguments: argparse.Namespace) -> int:
    """Transcribe all inputs; 1 when any could not be, after the others are done."""
    sources = list(list_sources(arguments.inputs))
    # One recording named as such prints its bare text; a folder's only one is one of several.
    several = len(sources) > 1 or sources[0] not in (STDIN, Path(arguments.inputs[0]))
    write = writer(arguments.format, several)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

    from asr.acoustics import open_acoustics
    from asr.recognize import ENGLISH, Recognizer

    folder = arguments.model or ENGLISH
    decoding.complete_options(arguments, folder)
    acoustics = open_acoustics(folder)
    config = decoding.settings(arguments, folder)
    decoder = decoding.make_decoder(arguments, config, acoustics.vocabulary, acoustics.text)
    calibration = decoding.kept_calibration(arguments, folder)
    recognizer = Recognizer(acoustics, decoder, calibration)
    with_words = arguments.format in WITH_WORDS
    failed = 0
    for source in progress(sources, "transcribing"):
        try:
            transcript = recognizer.transcribe(_opened(source), words=with_words)
        except AudioError as error:
            complain("asr-transcribe", str(error))
            failed += 1
            continue
        print(write(transcript), flush=True)
        if not arguments.quiet:
            for warning in transcript.warnings:
                say(f"{transcript.path}: {warning}")
    if failed and several:
        say(f"{failed} of {len(sources)} recordings could not be transcribed")
    return 1 if failed else 0


def list_sources(inputs: Sequence[str]) -> Iterator[Path | str]:
    """Expand files, folders and globs; - stays."""
    for name in dict.fromkeys(inputs):
        if name == STDIN:
            yield name
        else:
            yield from list_audio([name])


def _opened(source: Path | str) -> Source:
    return sys.stdin.buffer if source == STDIN else source


if __name__ == "__main__":
    sys.exit(main())

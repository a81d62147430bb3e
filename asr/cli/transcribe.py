"""asr-transcribe: recordings to text."""

import argparse
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from asr._progress import RecordingsBar, counted, say
from asr._streams import put_part
from asr.batch import (
    STDIN,
    Job,
    Outcome,
    Outcomes,
    OutputFolder,
    Printer,
    Sink,
    Transcriber,
    default_workers,
    describe_left_out,
    in_order,
    list_jobs,
    read_list,
    run_here,
)
from asr.cli.decoding import add_channels, add_options, add_readable, chosen
from asr.cli.output import check_not_read, printed_into
from asr.cli.run import CommandParser, complain, given_model, positive, run
from asr.errors import AudioError, ConfigError
from asr.formats import FORMATS, Format, parse_formats

if TYPE_CHECKING:
    from asr.options import Decoding
    from asr.recognize import Recognizer

LIVE_RATE_HZ = 16_000


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = CommandParser(
        "asr-transcribe",
        description="Print the text of recordings: of one, the text; of several, path<TAB>text. "
        "Remarks about recordings go to stderr.",
    )
    parser.add_argument(
        "inputs", nargs="*", metavar="INPUT", help="file, folder, 'glob', or - for standard input"
    )
    parser.add_argument(
        "--files-from", metavar="FILE", help="more inputs: a path a line; - for standard input"
    )
    parser.add_argument(
        "--model", type=Path, help="bundle or experiment, a folder or a name; default: English"
    )
    parser.add_argument(
        "--format",
        default="txt",
        help=f"{', '.join(FORMATS)} (for asr-train); with --output-dir also srt,json",
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="write into this file, not to stdout"
    )
    parser.add_argument(
        "--highlight-words",
        action="store_true",
        help="in vtt, underline each word while it is spoken",
    )
    parser.add_argument(
        "--quiet",
        action="store_true",
        help="say nothing about recordings that were read as a whole",
    )
    _add_options_for_many(parser)
    _add_options_for_live(parser)
    add_channels(parser)
    add_readable(parser)
    add_options(parser)
    return run("asr-transcribe", lambda: _transcribe(parser.parse_args(argv)))


def _transcribe(arguments: argparse.Namespace) -> int:
    return printed_into(arguments.output, partial(transcribe, arguments))


def _add_options_for_many(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("many recordings")
    group.add_argument(
        "--output-dir",
        type=Path,
        metavar="OUT",
        help="write a file for each recording, not stdout",
    )
    group.add_argument(
        "--skip-existing",
        action="store_true",
        help="leave out recordings that OUT has, from the same model and settings",
    )
    group.add_argument(
        "--workers",
        type=positive,
        metavar="N",
        help="number of processes; default: as many as are worth starting, at most 8",
    )
    group.add_argument(
        "--ray",
        nargs="?",
        const="auto",
        metavar="ADDRESS",
        help="on a Ray cluster: local, auto, HOST:PORT or ray://HOST:PORT",
    )


def _add_options_for_live(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("live")
    group.add_argument(
        "--live",
        action="store_true",
        help="print what is said while it is said; standard input: raw 16-bit samples, one channel",
    )
    group.add_argument(
        "--rate", type=positive, metavar="HZ", help=f"of the samples; default: {LIVE_RATE_HZ}"
    )


def transcribe(arguments: argparse.Namespace) -> int:
    """Transcribe all inputs; return 1 if any failed, after the others are done."""
    formats = parse_formats(arguments.format, highlight_words=arguments.highlight_words)
    mistakes = (
        *_mistakes_about_live(arguments),
        *_mistakes_about_stdin(arguments),
        *_mistakes_about_files(arguments, formats),
    )
    for mistake in mistakes:
        raise ConfigError(mistake)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

    from asr.recognize import Recognizer

    timed = any(form.timed for form in formats)
    if arguments.model:
        given_model("--model", arguments.model)
    decoding = chosen(arguments, words=timed).resolve(arguments.model)
    if arguments.live:
        return listen(Recognizer.load(decoding), arguments.rate or LIVE_RATE_HZ)
    listed = read_list(arguments.files_from) if arguments.files_from else ()
    left_out = list[Path]()
    jobs = list_jobs(arguments.inputs, listed, left_out)
    check_not_read("-o", arguments.output, [job.source for job in jobs])
    if left_out:
        say(describe_left_out(left_out))
    transcriber = Transcriber(
        partial(Recognizer.load, decoding),
        decoding.describe(),
        hashed=arguments.output_dir is not None,
    )
    return _do(arguments, jobs, transcriber, _sink(arguments, jobs, formats, decoding))


def listen(recognizer: "Recognizer", rate_hz: int) -> int:
    """Print the words in standard input, raw samples at this rate, until it ends.

    Raises:
        AudioError: standard input held no sample.
    """
    from asr.streaming import run_live

    if not run_live(recognizer, sys.stdin.buffer, put_part, rate_hz):
        raise AudioError("standard input held no sound; --live hears raw 16-bit samples")
    return 0


def _mistakes_about_live(arguments: argparse.Namespace) -> Iterator[str]:
    if arguments.rate and not arguments.live:
        yield "--rate is for --live; recordings say their rate"
    if not arguments.live:
        return
    if arguments.inputs or arguments.files_from:
        yield "--live hears standard input alone; leave INPUT and --files-from out"
    if arguments.format != "txt":
        yield "--live prints plain text as it is said; leave --format out"
    if arguments.ray or arguments.workers:
        yield "--live is one stream for one process; leave --workers and --ray out"
    if arguments.output_dir:
        yield "--live prints; leave --output-dir out"
    if arguments.channels != "mix":
        yield "--live hears one channel; leave --channels out"


def _mistakes_about_stdin(arguments: argparse.Namespace) -> Iterator[str]:
    inputs = arguments.inputs or arguments.files_from
    if "" in arguments.inputs:
        yield "an INPUT is empty; give a file, folder or 'glob' (is a variable of the shell unset?)"
    if not (arguments.live or inputs):
        yield "no INPUT; give a file, folder, 'glob', - for standard input, or --files-from"
    if STDIN not in arguments.inputs:
        return
    if arguments.files_from == STDIN:
        yield "standard input is a recording or a list; give the other as a file"
    if arguments.output_dir:
        yield "- has no name for a file in --output-dir; redirect standard output"
    if "manifest" in arguments.format.split(","):
        yield "- is no file that a manifest could name; save the recording and give its path"
    if arguments.ray or arguments.workers:
        yield "- is read by one process; leave --workers and --ray out"


def _mistakes_about_files(
    arguments: argparse.Namespace, formats: Sequence[Format]
) -> Iterator[str]:
    if len(formats) > 1 and not arguments.output_dir:
        yield "several formats need files; add --output-dir OUT"
    if arguments.output and arguments.output_dir:
        yield "-o is one file, and --output-dir one for each recording; give one of them"
    if arguments.channels != "mix" and FORMATS["manifest"] in formats:
        yield "a manifest names recordings, not their channels; leave --channels or manifest out"
    if arguments.skip_existing and not arguments.output_dir:
        yield "--skip-existing is about the files in --output-dir; add --output-dir OUT"


def _sink(
    arguments: argparse.Namespace,
    jobs: Sequence[Job],
    formats: Sequence[Format],
    decoding: "Decoding",
) -> Sink:
    if not arguments.output_dir:
        # One recording named as such prints its bare text; a folder's only one is one of several.
        several = len(jobs) > 1 or jobs[0].source not in (STDIN, *map(Path, arguments.inputs))
        return Printer(formats[0], several)
    skips = arguments.skip_existing
    settings = decoding.digest() + (" highlighted" if arguments.highlight_words else "")
    return OutputFolder(arguments.output_dir, formats, settings, jobs, skips=skips)


def _do(
    arguments: argparse.Namespace, jobs: Sequence[Job], transcriber: Transcriber, sink: Sink
) -> int:
    """Do the jobs that have not been done; return 1 if any failed."""
    bar = RecordingsBar("transcribing", len(jobs), sum(job.num_bytes for job in jobs))
    num_done = num_failed = 0
    with closing(sink), bar:
        remaining = _remaining(jobs, sink, bar)
        with closing(_outcomes(arguments, jobs, transcriber, remaining, bar)) as outcomes:
            for outcome in outcomes:
                outcome = sink.take(outcome)  # noqa: PLW2901 -- with an error, if it cannot write
                _report(outcome, arguments.quiet)
                bar.advance(outcome.job.num_bytes, outcome.audio_s, outcome.job.number)
                num_failed += outcome.error is not None
                num_done += outcome.error is None
    if arguments.output_dir and not arguments.quiet:
        before = len(jobs) - num_done - num_failed
        speed = f", {bar.speed()}" if num_done else ""
        say(f"{counted(num_done, 'recording')} transcribed{speed}; {before} were done before")
    if num_failed and len(jobs) > 1:
        say(f"{num_failed} of {len(jobs)} recordings could not be transcribed")
    return 1 if num_failed else 0


def _remaining(jobs: Iterable[Job], sink: Sink, bar: RecordingsBar) -> Iterator[Job]:
    for job in jobs:
        if sink.is_done(job):
            bar.advance(job.num_bytes)
        else:
            yield job


def _outcomes(
    arguments: argparse.Namespace,
    jobs: Sequence[Job],
    transcriber: Transcriber,
    remaining: Iterable[Job],
    bar: RecordingsBar,
) -> Outcomes:
    """Start the work, here or elsewhere; without --output-dir, keep the order of the inputs."""

    def watch(job: Job, done_s: float, total_s: float | None) -> None:
        bar.within(job.number, job.num_bytes, done_s, total_s)

    outcomes = run_here(transcriber, remaining, watch)
    count = 1 if STDIN in arguments.inputs else arguments.workers or default_workers(jobs)
    if arguments.ray:
        from asr.batch import run_on_ray

        outcomes = run_on_ray(transcriber, remaining, arguments.ray, arguments.workers)
    elif count > 1:
        from asr.batch import run_in_processes

        outcomes = run_in_processes(transcriber, remaining, count, watch)
    return outcomes if arguments.output_dir else in_order(outcomes)


def _report(outcome: Outcome, quiet: bool) -> None:
    """Say on stderr what is wrong with a recording."""
    if outcome.error:
        complain("asr-transcribe", str(outcome.error))
    elif found := outcome.transcript:
        for warning in found.losses if quiet else found.warnings:  # sound is never lost in silence
            say(f"{found.path}: {warning}")


if __name__ == "__main__":
    sys.exit(main())

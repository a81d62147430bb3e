"""asr-explain: what the network does with a recording, as a page to look at."""

import argparse
import sys
from pathlib import Path

from asr._streams import put
from asr.cli.output import check_outputs
from asr.cli.run import CommandParser, given_model, run


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = CommandParser(
        "asr-explain",
        description="Write a page that shows a network at work on a recording: features, token "
        "posteriors, the gates and states of each LSTM cell, and how far the network hears. The "
        "page is one file, plays the sound, and needs no network connection.",
    )
    parser.add_argument("audio", type=Path, metavar="AUDIO", help="the recording")
    parser.add_argument(
        "--model", type=Path, metavar="M", help="model, a folder or a name; default: English"
    )
    parser.add_argument(
        "--against",
        type=Path,
        nargs="+",
        default=[],
        metavar="M2",
        help="more models, whose reach is drawn beside that of --model",
    )
    parser.add_argument(
        "--out", type=Path, metavar="PAGE.html", help="the page; default: AUDIO-explained.html here"
    )
    parser.add_argument("--start", type=float, default=0.0, metavar="S", help="begin at S seconds")
    parser.add_argument("--end", type=float, metavar="S", help="end at S seconds; default: the end")
    parser.add_argument(
        "--text",
        metavar="WORDS",
        help="the words that are known to be spoken: their path is drawn beside that of the "
        "recognised ones",
    )
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE.npz",
        help="write the arrays, for numpy.load, instead of the page (or beside --out)",
    )
    return run("asr-explain", lambda: explain(parser.parse_args(argv)))


def explain(arguments: argparse.Namespace) -> int:
    """Explain a recording; write the page, the arrays, or both."""
    from asr.options import ENGLISH

    model = given_model("--model", arguments.model) if arguments.model else ENGLISH
    against = [given_model("--against", name) for name in arguments.against]
    page, arrays = arguments.out, arguments.json
    if not (page or arrays):
        page = Path(f"{arguments.audio.stem}-explained.html")
    check_outputs({"--out": page, "--json": arrays}, [arguments.audio])

    from asr import explain as explaining  # late: torch takes seconds

    explanation = explaining.explain(
        arguments.audio,
        model,
        against,
        start=arguments.start,
        end=arguments.end,
        text=arguments.text,
    )
    if page:
        explaining.write_explanation(page, explanation)
    if arrays:
        explaining.save_arrays(arrays, explanation)
    for path in filter(None, (page, arrays)):
        put(str(path))
    return 0


if __name__ == "__main__":
    sys.exit(main())

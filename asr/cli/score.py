"""asr-score: word, character and sentence error rate of a hypothesis file against a reference."""

import argparse
import json
import sys

from asr.cli.run import run


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(
        prog="asr-score",
        description="Print %WER, %CER and %SER of HYP against REF. Both may be plain text, .trn, "
        "JSON lines, CSV or TSV; the content decides.",
    )
    parser.add_argument("ref", metavar="REF", help="reference transcripts")
    parser.add_argument("hyp", metavar="HYP", help="recognised transcripts")
    parser.add_argument("--json", action="store_true", help="print one JSON object; rates are 0..1")
    parser.add_argument(
        "--case-sensitive", action="store_true", help="tell A from a; NIST's sclite does not"
    )
    arguments = parser.parse_args(argv)
    return run("asr-score", lambda: _score(arguments))


def _score(arguments: argparse.Namespace) -> int:
    from asr.score import score
    from asr.transcripts import read_transcripts

    refs, hyps = read_transcripts(arguments.ref), read_transcripts(arguments.hyp)
    if not arguments.case_sensitive:
        refs, hyps = _lower(refs), _lower(hyps)
    result = score(refs, hyps)
    print(json.dumps(result.as_dict()) if arguments.json else "\n".join(result.nist_lines()))
    return 0


def _lower(transcripts: dict[str, str]) -> dict[str, str]:
    return {name: text.lower() for name, text in transcripts.items()}


if __name__ == "__main__":
    sys.exit(main())

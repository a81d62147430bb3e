#!/usr/bin/env python3
"""Look at the page of asr-explain in a headless Chromium: accessibility, and pictures for the docs.

    npm pack axe-core && tar xf axe-core-*.tgz package/axe.min.js
    python scripts/pictures.py --axe package/axe.min.js --pictures docs/images
    python scripts/pictures.py --pictures docs/images --reach digits.wav exp/lstm exp/gru exp/rnn

It is run by hand after a change of the page, as scripts/page.py is. It fails if axe finds a fault.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from axe import ROOT, check
from browser import Page, browsing

from asr.cli import explain

SPEECH = ROOT / "asr" / "samples" / "quickstart.flac"
WIDE, PHONE = (760, 900), (390, 760)
LAYER, CELL = 2, 60  # forward in the second layer; a cell that keeps some and forgets some


def main() -> int:
    """Look at the page; return 1 if it has faults."""
    parser = argparse.ArgumentParser("pictures.py", description=__doc__.splitlines()[0])
    parser.add_argument("--axe", type=Path, metavar="axe.min.js")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER")
    parser.add_argument(
        "--reach", type=Path, nargs="+", metavar=("AUDIO", "MODEL"), help="models to be compared"
    )
    arguments = parser.parse_args()
    faults = 0
    with tempfile.TemporaryDirectory() as folder, browsing(Path(folder), microphone=None) as page:
        shown, other = Path(folder, "page.html"), Path(folder, "x.png")
        if explain.main([str(SPEECH), "--out", str(shown)]):
            return 1
        page.open(shown.as_uri())
        page.run(f"chooseLayer({LAYER}); chooseCell({CELL}); byId('layer').value = {LAYER}; 0")
        for size in (WIDE, PHONE):
            for dark in (False, True):
                page.screenshot(other, *size, dark=dark)
                if arguments.axe:
                    state = f"{size[0]} pixels, {'dark' if dark else 'light'}"
                    faults += check(page, arguments.axe, state)
        if arguments.pictures:
            take_pictures(page, arguments.pictures)
        if arguments.pictures and arguments.reach:
            audio, model, *others = map(str, arguments.reach)
            if explain.main([audio, "--model", model, "--against", *others, "--out", str(shown)]):
                return 1
            page.open(shown.as_uri())
            take_reach(page, arguments.pictures)
    return 1 if faults else 0


def take_pictures(page: Page, folder: Path) -> None:
    """Write the pictures of the docs: the top, the gates, and the gates on a phone in the dark."""
    folder.mkdir(parents=True, exist_ok=True)
    page.run("window.scrollTo(0, 0)")
    page.screenshot(folder / "explain.png", *WIDE)
    for name, size, dark in (("gates", WIDE, False), ("phone-dark", PHONE, True)):
        page.screenshot(folder / f"explain-{name}.png", *size, dark=dark)
        page.run("byId('h-gates').scrollIntoView(); window.scrollBy(0, -byId('bar').offsetHeight)")
        page.screenshot(folder / f"explain-{name}.png", *size, dark=dark)


def take_reach(page: Page, folder: Path) -> None:
    """Write the picture of the gradients of several models by distance."""
    page.screenshot(folder / "explain-reach.png", *WIDE)
    page.run("byId('h-reach').scrollIntoView(); window.scrollBy(0, -byId('bar').offsetHeight)")
    page.screenshot(folder / "explain-reach.png", *WIDE)


if __name__ == "__main__":
    sys.exit(main())

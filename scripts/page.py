#!/usr/bin/env python3
"""Look at the page of asr-serve in a headless Chromium: accessibility, and pictures for the docs.

    npm pack axe-core && tar xf axe-core-*.tgz package/axe.min.js
    python scripts/page.py --axe package/axe.min.js --pictures docs/images

Axe is not part of the repository, and tests touch no network, so this is run by hand after a change
of the page. It fails if axe finds a fault, in any of the states that are looked at.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from axe import ROOT, check

sys.path.insert(0, str(ROOT / "tests" / "serve"))
from browser import Page, browsing
from serving import serving

SPEECH = ROOT / "asr" / "samples" / "quickstart.flac"
WIDE, PHONE = (760, 480), (390, 620)


def main() -> int:
    """Look at the page; return 1 if it has faults."""
    parser = argparse.ArgumentParser("page.py", description=__doc__.splitlines()[0])
    parser.add_argument("--axe", type=Path, metavar="axe.min.js")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER")
    arguments = parser.parse_args()
    faults = 0
    with tempfile.TemporaryDirectory() as folder, serving("--workers", 1) as server:
        broken = Path(folder, "broken.wav")
        broken.write_bytes(b"no sound")
        with browsing(Path(folder), microphone=None) as page:
            page.open(f"{server.url}/")
            if arguments.axe:
                faults += check(page, arguments.axe, "empty")
            page.choose_files("#files", broken, SPEECH)
            page.wait("document.querySelectorAll('.actions:not([hidden])').length === 2")
            if arguments.axe:
                for dark in (False, True):
                    page.screenshot(Path(folder, "x.png"), *PHONE, dark=dark)
                    faults += check(page, arguments.axe, f"results, {'dark' if dark else 'light'}")
                page.click(".edit:not([hidden])")
                faults += check(page, arguments.axe, "editing")
                page.click(".edit:not([hidden])")
            if arguments.pictures:
                page.click("article.failed .remove")
                page.run("document.activeElement.blur()")
                take_pictures(page, arguments.pictures)
    return 1 if faults else 0


def take_pictures(page: Page, folder: Path) -> None:
    """Write the pictures of the docs."""
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(folder / "page.png", *WIDE)
    page.screenshot(folder / "page-phone-dark.png", *PHONE, dark=True)


if __name__ == "__main__":
    sys.exit(main())

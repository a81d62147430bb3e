#!/usr/bin/env python3
"""Look at pages of asr.reports in a headless Chromium: accessibility, and pictures for the docs.

    npm pack axe-core && tar xf axe-core-*.tgz package/axe.min.js
    python scripts/reports_pictures.py exp/dev/report.html exp/curves.html doctor.html \
        --axe package/axe.min.js --pictures docs/images

A picture gets the name of its page. Axe is not part of the repository, and tests touch no network,
so this is run by hand after a change of a page. It fails if axe finds a fault, or a page an error.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from axe import check
from browser import Page, browsing

AT = {"report": "utterances-title", "doctor": "sets"}  # where a picture begins, by page
WIDE, PHONE = (1000, 760), (390, 844)


def main() -> int:
    """Look at the pages; return 1 if they have faults."""
    parser = argparse.ArgumentParser("reports_pictures.py", description=__doc__.splitlines()[0])
    parser.add_argument("pages", type=Path, nargs="+", metavar="PAGE.html")
    parser.add_argument("--axe", type=Path, metavar="axe.min.js")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER")
    parser.add_argument("--phone", action="store_true", help="also NAME-phone-dark.png")
    arguments = parser.parse_args()
    faults = 0
    with tempfile.TemporaryDirectory() as folder, browsing(Path(folder)) as page:
        for path in arguments.pages:
            page.open(path.resolve().as_uri())
            faults += look_at(page, path, arguments, Path(folder))
        for error in page.errors:
            print(f"error: {error}")
    return 1 if faults or page.errors else 0


def look_at(page: Page, path: Path, arguments: argparse.Namespace, scratch: Path) -> int:
    """Take the pictures of a page; return how many faults axe finds in light, dark and narrow."""
    faults = 0
    folder = arguments.pictures or scratch
    folder.mkdir(parents=True, exist_ok=True)
    for suffix, size, dark in (("", WIDE, False), ("-phone-dark", PHONE, True)):
        kept = not suffix or arguments.phone
        page.screenshot(scratch / "x.png", *size, dark=dark)  # the size decides where things stand
        if path.stem in AT:
            page.run(f"document.getElementById('{AT[path.stem]}').scrollIntoView()")
        page.screenshot(
            (folder if kept else scratch) / f"{path.stem}{suffix}.png", *size, dark=dark
        )
        wide = page.run("document.documentElement.scrollWidth > window.innerWidth")
        faults += bool(wide)
        if wide:
            print(f"{path.name}{suffix}: wider than the window")
        if arguments.axe:
            faults += check(page, arguments.axe, f"{path.name}{suffix}")
    return faults


if __name__ == "__main__":
    sys.exit(main())

"""What axe-core finds on a page of a headless Chromium, for the scripts that look at our pages.

To import this makes the modules of tests/ importable, such as `browser`.
"""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from browser import Page  # noqa: E402

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def check(page: Page, axe: Path, state: str) -> int:
    """Print the faults that axe.min.js finds on a page in some state; return their number."""
    page.run(f"{axe.read_text(encoding='utf-8')}; 0")
    rules = {"runOnly": {"type": "tag", "values": RULES}}
    script = f"axe.run(document, {json.dumps(rules)}).then((found) => found.violations)"
    found = page.run(script)
    for fault in found:
        where = ", ".join(str(node["target"][0]) for node in fault["nodes"][:5])
        print(f"{state}: {fault['impact']}: {fault['id']}: {fault['help']}: {where}")
    print(f"{state}: {len(found)} faults")
    return len(found)

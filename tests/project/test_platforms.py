"""What the code uses of the standard library is there on macOS and on Windows, too.

Neither is run here. The type checker knows which names the standard library has on each system; it
follows `sys.platform`, so that what stands behind such a condition is checked for that system only.
Other libraries are left out, which saves most of the time: what is then complained about on every
system alike says nothing.
"""

import subprocess
import sys
from pathlib import Path

from folders import ROOT

QUICK = ["--follow-imports=skip", "--no-warn-unused-ignores", "--no-warn-return-any"]


def complaints(platform: str, cache: Path, *files: str) -> set[str]:
    options = ["--platform", platform, "--cache-dir", str(cache), *QUICK]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options, *files],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    *lines, last = done.stdout.splitlines()
    assert last.startswith(("Found ", "Success: ")), done.stdout + done.stderr
    return set(lines)


def test_the_standard_library_of_each_platform_is_enough(tmp_path: Path):
    everywhere = complaints("linux", tmp_path)
    for platform in ("darwin", "win32"):
        assert complaints(platform, tmp_path) - everywhere == set(), platform


def test_a_name_that_a_platform_lacks_is_found(tmp_path: Path):
    (tmp_path / "lacking.py").write_text("import os\n\nread = os.pread\n")
    found = complaints("win32", tmp_path, str(tmp_path / "lacking.py"))
    assert 'has no attribute "pread"' in "".join(found)
    assert not complaints("linux", tmp_path, str(tmp_path / "lacking.py"))

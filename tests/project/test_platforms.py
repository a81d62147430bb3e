"""What the code uses of the standard library is there on macOS and on Windows, too.

Neither is run here. The type checker knows which names the standard library has on each system; it
follows `sys.platform`, so that what stands behind such a condition is checked for that system only.
"""

import subprocess
import sys
from pathlib import Path

import pytest
from folders import ROOT


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_the_standard_library_of_a_platform_is_enough(platform: str, tmp_path: Path):
    options = ["--platform", platform, "--cache-dir", tmp_path]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout

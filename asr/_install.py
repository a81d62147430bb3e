"""Say how an optional part of the package is installed, by the name it was installed under.

The name of the distribution is not the name that is imported: another project owns `asr` on the
public index, and `pip install asr` would bring that one.
"""

from functools import cache
from pathlib import Path

PACKAGE = "asr"
ROOT = Path(__file__).resolve().parents[1]


@cache
def distribution_name() -> str | None:
    """Return the name that this package was installed under; None if it was not installed."""
    from importlib.metadata import packages_distributions  # late: a third of a command's start

    named = sorted(packages_distributions().get(PACKAGE, []), key=lambda name: name == PACKAGE)
    return next((name for name in named if _holds_this(name)), None)


def _holds_this(name: str) -> bool:
    """Return whether a distribution holds the files of this package, or links to them."""
    from importlib.metadata import distribution

    installed = distribution(name)
    own = any(str(file) == "asr/_install.py" for file in installed.files or [])
    return own or ROOT.as_uri() in (installed.read_text("direct_url.json") or "")


def install(extra: str) -> str:
    """Return the command that installs an optional part: from a checkout where this is one."""
    if (ROOT / "pyproject.toml").is_file():
        return (
            f"pip install '{ROOT}[{extra}]'" if Path.cwd() != ROOT else f"pip install '.[{extra}]'"
        )
    return f"pip install '{distribution_name() or ROOT}[{extra}]'"

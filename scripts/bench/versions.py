"""Versions of the packages that a benchmark compares."""

from importlib.metadata import version


def version_of(package: str) -> str:
    """Return the version of a package by its imported name; ours is installed under another."""
    if package == "asr":
        import asr

        return asr.__version__
    return version(package)

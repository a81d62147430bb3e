"""Remember whose speech a model has learned from, so that figures on them are not taken for more.

A model's folder holds a hash of each speaker's name, not the name: models are passed on.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from asr._atomic import write_atomically
from asr.text import SPEAKERS

_DIGITS = 16  # of the hash


def save_speakers(folder: Path, names: Iterable[str | None], init: Path | None = None) -> None:
    """Write the hashes of the speakers of a training set, and those of the model it began with.

    Nothing is written where no speaker is known.
    """
    _write(folder, {_hash(name) for name in names if name} | (_read(init) if init else set()))


def join_speakers(folder: Path, models: Iterable[Path]) -> None:
    """Write the hashes of the speakers of several models."""
    _write(folder, set[str]().union(*map(_read, models)))


def known_speakers(folder: Path, names: Iterable[str | None]) -> list[str]:
    """Return those of the speakers from whom the model in a folder has learned, sorted."""
    hashes = _read(folder)
    return sorted({name for name in names if name and _hash(name) in hashes})


def _write(folder: Path, hashes: set[str]) -> None:
    if hashes:
        write_atomically(folder / SPEAKERS, "".join(f"{line}\n" for line in sorted(hashes)))


def _read(folder: Path) -> set[str]:
    try:
        return set((folder / SPEAKERS).read_text(encoding="utf-8").split())
    except (OSError, UnicodeDecodeError):  # a model from before there was such a file
        return set()


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:_DIGITS]

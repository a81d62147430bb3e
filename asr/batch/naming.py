"""Distinct names for recordings: ids in .ctm, .trn, JSON and manifests, and names of output files.

A name is as short as the other recordings allow, whatever the order in which they are given. It
grows where two recordings would share it, by the suffix or by the folders above:

    a/rec.flac b/rec.flac    a-rec and b-rec
    x/a.wav x/a.mp3          a.wav and a.mp3
    x/Rec.wav x/rec.wav      Rec-5b0d6d1c and rec-c4f7f7b2     a digest of the absolute path

Names that differ in nothing but case or in the form of Unicode count as equal: SCTK ignores case
in ids, and the disks of macOS and Windows ignore it in names of files.
"""

import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256
from itertools import count
from pathlib import Path

from asr.batch.inputs import STDIN
from asr.formats import safe_id

_STDIN_ID = "<stdin>"
_DIGITS = 8  # of a digest in a name


def recording_ids(sources: Sequence[Path | str]) -> list[str]:
    """Return a distinct id for each recording: the name of its file where no other shares it.

    An id holds no white space, no parentheses and no control characters. It depends on the set of
    recordings, not on their order.

    Args:
        sources: paths of different files, or `-` for standard input.
    """
    return distinct([map(safe_id, _ids(source)) for source in sources])


def distinct(
    candidates: Sequence[Iterator[str]],
    claims: Callable[[str], Iterable[str]] = lambda name: (name,),
    taken: Iterable[str] = (),
) -> list[str]:
    """Return a name for each item; items that clash go on to their next candidates, all of them.

    Args:
        candidates: names without end for each item, the best one first.
        claims: returns what a name occupies, such as the files that are called after it.
        taken: what nobody may claim.
    """
    reserved = Counter(map(_folded, taken))
    names = [next(names) for names in candidates]
    clashing: Sequence[int] = range(len(names))
    while clashing:
        held = [{_folded(claim) for claim in claims(name)} for name in names]
        holders = reserved + Counter(claim for claimed in held for claim in claimed)
        clashing = [i for i, here in enumerate(held) if any(holders[claim] > 1 for claim in here)]
        for i in clashing:
            names[i] = next(candidates[i])
    return names


def file_names(name: str, source: Path | str) -> Iterator[str]:
    """Yield names for the output files of a recording, relative paths without end.

    Args:
        name: the first choice, a relative path without suffix.
        source: the recording.
    """
    path = Path(source).absolute()
    above = path.parts[1 : len(path.parts) - len(Path(name).parts)]
    yield name
    yield f"{name}{path.suffix}"
    for folder in range(len(above) - 1, -1, -1):
        longer = Path(*above[folder:], name).as_posix()
        yield longer
        yield f"{longer}{path.suffix}"
    yield from (f"{name}-{digest}" for digest in _digests(path))


def with_digests(name: str) -> Iterator[str]:
    """Yield a name, then the name with digests of itself, without end."""
    yield name
    yield from (f"{name}-{digest}" for digest in _digests(Path(name)))


def _ids(source: Path | str) -> Iterator[str]:
    """Yield ids of a recording, without end: the name alone, then with suffix and folders."""
    path = Path(source)
    stem = _STDIN_ID if source == STDIN else path.stem
    parts = Path(os.path.abspath(path)).parts  # noqa: PTH100  Path.absolute() would leave ".." in
    for first in range(len(parts) - 1, 0, -1):
        folders = parts[first:-1]
        yield "-".join((*folders, stem))
        yield "-".join((*folders, path.name))
    yield from (f"{stem}-{digest}" for digest in _digests(path.absolute()))


def _digests(path: Path) -> Iterator[str]:
    """Yield digests of a path, without end."""
    for number in count():
        content = os.fsencode(path) + (b"\0%d" % number if number else b"")
        yield sha256(content).hexdigest()[:_DIGITS]


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())

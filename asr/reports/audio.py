"""Addresses by which a page finds the recordings that it plays."""

import os
from pathlib import Path
from urllib.parse import quote


def audio_url(audio: Path, page: Path) -> str:
    """Return the address of a recording as a page on the same disk names it.

    It is relative, so that page and recordings can be moved together. Where no relative path leads
    there, as between two drives of Windows, it is a file: address.
    """
    target = audio.absolute()
    try:
        relative = os.path.relpath(target, page.absolute().parent)
    except ValueError:
        return target.as_uri()
    return quote(os.fsencode(Path(relative).as_posix()))

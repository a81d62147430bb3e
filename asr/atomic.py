"""Files that are either the old ones or the new ones, never half of each."""

import os
import secrets
from pathlib import Path


def write_atomically(path: Path | str, content: str | bytes) -> None:
    """Write a file under a temporary name beside it, then rename it over `path`.

    Text is encoded as UTF-8; missing parent folders are made. Content and name are on the disk
    when the call returns. After an error the old file, if any, is untouched.

    Raises:
        OSError: the folder cannot be made or written, or `path` is a folder.
        UnicodeEncodeError: the text holds lone surrogates.
    """
    path = Path(path)
    data = content.encode() if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk: a rename is durable only after this."""
    if os.name == "nt":  # Windows opens no folders, and needs no such call
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

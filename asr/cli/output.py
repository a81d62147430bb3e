"""Files that commands write: checked before the work, whole or not there after it."""

import io
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import redirect_stdout
from pathlib import Path

from asr._atomic import check_file, created_atomically
from asr.errors import ConfigError


def check_output(option: str, path: Path) -> None:
    """Raise if a file cannot be written: before the work, not after it.

    Raises:
        ConfigError: it cannot.
    """
    try:
        check_file(path)
    except OSError as error:
        raise ConfigError(
            f"{option} {path}: cannot be written ({error.strerror}); give another path"
        ) from error


def check_not_read(option: str, path: Path | None, inputs: Iterable[Path | str]) -> None:
    """Raise if a file to be written is one of the files to be read.

    Raises:
        ConfigError: it is.
    """
    if path is None or not path.exists():
        return
    for source in inputs:
        if Path(source).exists() and path.samefile(source):
            raise ConfigError(f"{option} {path}: is to be read, not replaced; give another file")


def check_outputs(outputs: Mapping[str, Path | None], inputs: Collection[Path | str]) -> None:
    """Raise if files to be written, by their options, cannot be: before the work, not after it.

    Raises:
        ConfigError: a file cannot be written, is to be read, or is given for two outputs.
    """
    given = {option: path for option, path in outputs.items() if path}
    owners: dict[Path, str] = {}
    for option, path in given.items():
        check_output(option, path)
        check_not_read(option, path, inputs)
        owner = owners.setdefault(path.resolve(), option)
        if owner != option:
            raise ConfigError(f"{option} {path}: is the file of {owner}, too; give another file")


def printed_into(path: Path | None, body: Callable[[], int]) -> int:
    """Run the body of a command, with a file in place of standard output if a path is given.

    The file gets its name when the body is done. An exception leaves no file, or the old one.

    Raises:
        ConfigError: the file cannot be written, which is found before the body runs.
        OSError: the file cannot be written after all.
    """
    if path is None:
        return body()
    check_output("-o", path)
    with created_atomically(path) as raw:
        text = io.TextIOWrapper(raw, encoding="utf-8", newline="\n")
        with redirect_stdout(text):
            status = body()
        text.detach()  # flushes, and leaves the file to created_atomically
    return status

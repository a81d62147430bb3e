"""Run a command: print an error as one line, and return the right exit status."""

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from asr._folders import find_model
from asr._install import install
from asr._streams import escaped, flush_output, prepare_streams, silence
from asr.cli.completion import complete, enter_command, words_of
from asr.errors import AsrError, ConfigError, MissingDependencyError

INTERRUPTED = 130  # 128 + SIGINT, as a shell reports it


class CommandParser(argparse.ArgumentParser):
    """A parser that a shell can ask, and whose complaints show control characters escaped.

    An argument of the type Path must not be empty: Path("") would be the current folder.
    """

    def __init__(self, *words: Any, **options: Any) -> None:
        super().__init__(*words, **options)
        self.register("type", Path, _path)

    def parse_args(self, *words: Any, **options: Any) -> Any:
        """Parse as argparse does, or print the completions that a shell asks for."""
        complete(self)
        return super().parse_args(*words, **options)

    def parse_intermixed_args(self, *words: Any, **options: Any) -> Any:
        """Parse as argparse does, or print the completions that a shell asks for."""
        complete(self)
        return super().parse_intermixed_args(*words, **options)

    def error(self, message: str) -> NoReturn:
        """Print the usage and what is wrong; leave with status 2."""
        super().error(escaped(message))


def _path(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("is empty; give a path (is a shell variable unset?)")
    return Path(text)


def positive(text: str) -> int:
    """Return the number of an option that must be at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}; allowed: 1 or more")
    return int(text)


def run(program: str, body: Callable[[], int]) -> int:
    """Run the body of a command, which parses its arguments, too; return its exit status.

    Status 0: done. 1: some input failed. 2: usage or configuration. 130: Ctrl-C. A reader of
    standard output that goes away, as `head` does, is no error.
    """
    prepare_streams()
    try:
        return _completed(body)
    except AsrError as error:
        complain(program, str(error))
        return error.exit_status
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] == "asr":
            raise
        complain(program, f"needs the package {error.name}; install it: {install('train')}")
        return MissingDependencyError.exit_status
    except KeyboardInterrupt:
        complain(program, "interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        return 0
    except OSError as error:  # an --out that is a file, a full disk: whoever writes need not say so
        where = f"{error.filename}: " if error.filename else ""
        complain(program, f"{where}cannot be written or read ({error.strerror}); give another path")
        return ConfigError.exit_status
    finally:
        _flush_messages()


def run_command_of(
    program: str,
    description: str,
    commands: Mapping[str, Callable[[list[str]], int]],
    argv: list[str] | None,
) -> int:
    """Run the command that the first argument names, with the others; return its exit status."""
    words = words_of(argv)
    parser = CommandParser(
        program,
        usage=f"{program} COMMAND ...",
        description=description,
        epilog=f"{program} COMMAND --help explains a command.",
    )
    parser.add_argument("command", metavar="COMMAND", choices=commands, help=", ".join(commands))
    return run(program, lambda: _run_named(commands, parser, words))


def _run_named(
    commands: Mapping[str, Callable[[list[str]], int]], parser: CommandParser, words: list[str]
) -> int:
    if words and words[0] in commands:
        enter_command()
        name = words[0]
    else:
        name = parser.parse_args(words[:1]).command  # complains, or prints the help
    return commands[name](words[1:])


def _completed(body: Callable[[], int]) -> int:
    """Run a body and flush what it printed, also where argparse has printed help and leaves."""
    try:
        status = body()
    except SystemExit:
        flush_output()
        raise
    flush_output()
    return status


def _flush_messages() -> None:
    """Write what standard error holds back; drop it if that fails, as Python would complain."""
    try:
        sys.stderr.flush()
    except OSError:
        silence(sys.stderr)


def complain(program: str, message: str) -> None:
    """Print one line on stderr; line breaks inside the message become spaces."""
    from asr._progress import say  # late: tqdm

    say(f"{program}: error: {' '.join(message.split())}")


def check_given(option: str, path: Path | str | None) -> None:
    """Raise if the file or folder of a model that an option names does not exist.

    Raises:
        ConfigError: it does not.
    """
    try:
        missing = path is not None and not Path(path).exists()
    except (OSError, ValueError):  # a name too long, or with a null character
        missing = True
    if missing:
        raise ConfigError(f"{option} {path}: does not exist; give the path of a file or folder")


def given_model(option: str, name: Path | str) -> Path:
    """Return the folder of a model that an option gives by path or name.

    Raises:
        ConfigError: there is none.
    """
    path = find_model(name)
    check_given(option, path)
    return path

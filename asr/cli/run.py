"""Run a command: print an error as one line, and return the right exit status."""

import os
import sys
from collections.abc import Callable

from asr._install import install
from asr.errors import AsrError, ConfigError, MissingDependencyError

INTERRUPTED = 130  # 128 + SIGINT, as a shell reports it


def run(program: str, body: Callable[[], int]) -> int:
    """Run the body of a command; return its exit status.

    Status 0: done. 1: some input failed. 2: usage or configuration. 130: Ctrl-C.
    """
    try:
        return body()
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
    except BrokenPipeError:  # the reader of our stdout went away, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # an --out that is a file, a full disk: whoever writes need not say so
        where = f"{error.filename}: " if error.filename else ""
        complain(program, f"{where}cannot be written or read ({error.strerror}); give another path")
        return ConfigError.exit_status


def complain(program: str, message: str) -> None:
    """Print one line on stderr; line breaks inside the message become spaces."""
    print(f"{program}: error: {' '.join(message.split())}", file=sys.stderr)

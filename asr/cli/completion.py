"""Completion of commands and options by a shell, for which argcomplete asks and answers."""

import argparse
import os
import sys

_ASKED = "_ARGCOMPLETE"  # is set by argcomplete: how many words of the line name the program


def complete(parser: argparse.ArgumentParser) -> None:
    """Print what a shell asks for, and end the process; do nothing if none asks."""
    if _ASKED in os.environ:
        import argcomplete

        argcomplete.autocomplete(parser)


def words_of(argv: list[str] | None) -> list[str]:
    """Return the words behind the name of the program, or those that a shell wants to complete.

    The last of these is left out, as it is not finished.
    """
    if argv is not None:
        return argv
    if _ASKED not in os.environ:
        return sys.argv[1:]
    line = os.environ["COMP_LINE"][: int(os.environ["COMP_POINT"])]
    return f"{line}.".split()[int(os.environ[_ASKED]) : -1]


def enter_command() -> None:
    """Tell argcomplete that the name of a command belongs to that of the program."""
    if _ASKED in os.environ:
        os.environ[_ASKED] = str(int(os.environ[_ASKED]) + 1)

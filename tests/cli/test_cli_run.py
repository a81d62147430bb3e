"""What all commands share: exit status, one line for an error, broken pipes, missing packages."""

import subprocess
import sys
from pathlib import Path

import pytest
from folders import CONF

from asr._install import install
from asr.cli.run import CommandParser, run
from asr.errors import AudioError, ConfigError


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (AudioError("a.wav: is\n empty"), 1, "asr-x: error: a.wav: is empty\n"),
        (ConfigError("train.epochs is 0"), 2, "asr-x: error: train.epochs is 0\n"),
        (KeyboardInterrupt(), 130, "asr-x: error: interrupted\n"),
    ],
)
def test_errors_are_one_line_and_a_status(error, status: int, line: str, capsys):
    def body() -> int:
        raise error

    assert run("asr-x", body) == status
    assert capsys.readouterr() == ("", line)


def test_status_of_the_body_is_passed_on():
    assert [run("asr-x", lambda status=status: status) for status in (0, 1)] == [0, 1]


def test_our_own_bugs_are_not_hidden():
    with pytest.raises(ZeroDivisionError):
        run("asr-x", lambda: 1 // 0)
    with pytest.raises(ModuleNotFoundError):
        run("asr-x", lambda: __import__("asr.no_such_module"))


def test_without_torch_the_package_is_named(tmp_path: Path):
    check = (
        "import sys; sys.modules['torch'] = None\n"
        "from asr.cli.train import main; sys.exit(main(sys.argv[1:]))"
    )
    arguments = [CONF / "smoke.toml", "--train=a", "--valid=b", f"--out={tmp_path}"]
    command = [sys.executable, "-c", check, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == (
        f"asr-train: error: needs the package torch; install it: {install('train')}\n"
    )


def test_reader_that_goes_away_is_no_error():
    check = (
        "import sys; from asr.cli.run import run\n"
        "sys.exit(run('asr-x', lambda: [print('line', flush=True) for _ in range(99999)] and 0))"
    )
    writer = subprocess.Popen(
        [sys.executable, "-c", check], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert writer.stdout.readline() == b"line\n"
    writer.stdout.close()
    assert writer.wait(timeout=60) == 0
    assert writer.stderr.read() == b""
    writer.stderr.close()


def test_control_characters_of_arguments_are_escaped(capsys):
    with pytest.raises(SystemExit) as left:
        run("asr-x", lambda: bool(CommandParser("asr-x").parse_args(["--\x1b[31m\n\x9b"])))
    assert left.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        "asr-x: error: unrecognized arguments: --\\u001b[31m\\u000a\\u009b"
    )

"""One thread of linear algebra a process: threads are counted, in processes of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from asr._cores import usable_cores
from asr._threads import asked_threads
from asr.cli import evaluate, transcribe

TASKS = Path("/proc/self/task")
_COUNT = """
import os, sys
sys.argv = sys.argv[1:]
from asr.cli import transcribe
import numpy as np
square = np.ones((600, 600))
square @ square
print(len(os.listdir("/proc/self/task")))
"""
needs_tasks = pytest.mark.skipif(not TASKS.exists(), reason="no /proc to count threads in")
needs_cores = pytest.mark.skipif(usable_cores() < 2, reason="one core has one thread")


def threads(*words: str, **variables: str) -> int:
    """Count the threads of a process that has imported a command and multiplied matrices."""
    clean = {n: v for n, v in os.environ.items() if not n.endswith("_NUM_THREADS")}
    command = [sys.executable, "-c", _COUNT, "asr-transcribe", *words]
    done = subprocess.run(
        command, env=clean | variables, check=True, capture_output=True, text=True, timeout=120
    )
    return int(done.stdout)


@needs_tasks
def test_one_thread_unless_asked():
    assert threads() == 1


@needs_tasks
@needs_cores
@pytest.mark.parametrize("words", [("--threads", "2"), ("a.wav", "--threads=2")])
def test_as_many_as_are_asked_for(words: tuple[str, ...]):
    assert threads(*words) == 2
    assert threads(*words, OMP_NUM_THREADS="1") == 2


@needs_tasks
@needs_cores
def test_the_environment_of_the_user_holds():
    assert threads(OMP_NUM_THREADS="2") == 2
    assert threads(OPENBLAS_NUM_THREADS="2") == 2
    assert threads(OMP_NUM_THREADS="2", OPENBLAS_NUM_THREADS="1") == 1


def test_numbers_in_command_lines():
    assert asked_threads(["a", "--threads", "3"]) == "3"
    assert asked_threads(["--threads=3", "--threads", "4"]) == "4"
    for words in (["--threads"], ["--threads", "no"], ["--threads", "0"], ["--thread", "3"], []):
        assert asked_threads(words) is None


@pytest.mark.parametrize("main", [transcribe.main, evaluate.main])
@pytest.mark.parametrize("count", ["0", "two", "-1"])
def test_no_number_of_threads_is_a_mistake_of_usage(main, count: str, capsys):
    with pytest.raises(SystemExit) as left:
        main(["--threads", count, "a", "b"])
    assert left.value.code == 2
    assert "--threads" in capsys.readouterr().err

"""Completion by a shell: what bash offers after a line that is not finished."""

import shutil
import subprocess

import pytest

COMPLETE = """
eval "$(register-python-argcomplete asr asr-lm asr-transcribe)"
COMP_LINE=$1 COMP_POINT=${#1} COMP_TYPE=9
read -ra COMP_WORDS <<<"$1"
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_python_argcomplete "${COMP_WORDS[0]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


def offered(line: str) -> set[str]:
    bash = shutil.which("bash")
    assert bash
    done = subprocess.run(
        [bash, "-c", COMPLETE, "bash", line], capture_output=True, text=True, check=True
    )
    assert not done.stderr
    return {word.strip() for word in done.stdout.splitlines()}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("asr-transcribe --high", {"--highlight-words"}),
        ("asr-lm tr", {"train", "train-lstm"}),
        ("asr-lm train --ord", {"--order"}),
        ("asr tra", {"transcribe", "train"}),
        ("asr transcribe --high", {"--highlight-words"}),
        ("asr lm train --ord", {"--order"}),
        ("asr-transcribe --decoder gr", {"greedy"}),
    ],
)
def test_bash_offers_what_fits(line: str, expected: set[str]):
    assert offered(line) == expected

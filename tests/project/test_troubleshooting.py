"""docs/troubleshooting.md has a row for each error class, with its exit status.

tests/serve/test_serve_reference.py compares the answers of the server.
"""

import pytest
from described import rows_below
from folders import ROOT

import asr.errors
from asr.cli.run import run
from asr.errors import AsrError

PAGE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
CLASSES = {
    name: found
    for name, found in vars(asr.errors).items()
    if isinstance(found, type) and issubclass(found, AsrError)
}
HEAD = ["class", "exit", "HTTP", "what it means", "commonest cause", "what to do"]
ROWS = rows_below(PAGE, HEAD)


def test_each_class_has_a_row_and_each_row_a_class():
    named = [row[0].strip("`") for row in ROWS]
    assert named == list(CLASSES)  # in the order of asr/errors.py


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0].strip("`"))
def test_a_row_says_the_exit_status(row: list[str]):
    def body() -> int:
        raise CLASSES[row[0].strip("`")]("x.wav: is damaged; copy it again")

    assert run("asr-transcribe", body) == int(row[1])


def test_every_row_has_a_meaning_a_cause_and_a_remedy():
    assert all(len(row) == len(HEAD) and all(row[3:]) for row in ROWS)

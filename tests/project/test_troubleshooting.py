"""docs/troubleshooting.md has a row for each error class, and what it says of statuses is so."""

import re

import pytest
from folders import ROOT

import asr.errors
from asr.cli.run import run
from asr.errors import AsrError
from asr.serve.problems import as_request_error

PAGE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
CLASSES = {
    name: found
    for name, found in vars(asr.errors).items()
    if isinstance(found, type) and issubclass(found, AsrError)
}
HEAD = ["class", "exit", "HTTP", "what it means", "commonest cause", "what to do"]


def rows() -> list[list[str]]:
    """Return the cells of the table of error classes."""
    table = PAGE[PAGE.index(f"| {' | '.join(HEAD)} |") :].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in table]


def test_each_class_has_a_row_and_each_row_a_class():
    named = [row[0].strip("`") for row in rows()]
    assert named == list(CLASSES)  # in the order of asr/errors.py


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0].strip("`"))
def test_a_row_says_the_exit_status_and_the_answer_of_the_server(row: list[str]):
    found = CLASSES[row[0].strip("`")]

    def body() -> int:
        raise found("x.wav: is damaged; copy it again")

    assert run("asr-transcribe", body) == int(row[1])
    answer = as_request_error(found("x.wav: is damaged; copy it again"))
    own = "" if answer.code == "internal_error" else f"{answer.status} `{answer.code}`"
    assert row[2] == own


def test_every_row_has_a_meaning_a_cause_and_a_remedy():
    assert all(len(row) == len(HEAD) and all(row[3:]) for row in rows())


def test_answers_of_the_server_are_those_of_its_reference():
    page = (ROOT / "docs" / "reference" / "http.md").read_text(encoding="utf-8")
    answers = dict.fromkeys(re.findall(r"(\d{3}) (`\w+`)", "".join(row[2] for row in rows())))
    assert len(answers) == 3
    for status, code in (*answers, ("500", "`internal_error`")):
        assert re.search(rf"^\| {status} \|[^|]*{code}", page, re.MULTILINE), code

"""asr-score as a user runs it."""

import json
from pathlib import Path

import pytest

from asr.cli.score import main


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    (tmp_path / "ref.trn").write_text("THE CAT { SAT / SITS } (u1)\nYES (u2)\n")
    (tmp_path / "hyp.jsonl").write_text(
        '{"id": "u2", "text": "yes"}\n{"id": "u1", "text": "the hat sits"}\n'
    )
    return [str(tmp_path / "ref.trn"), str(tmp_path / "hyp.jsonl")]


def test_prints_three_lines(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(files) == 0
    assert capsys.readouterr().out == (
        "%WER 25.00 [ 1 / 4, 0 ins, 0 del, 1 sub ]\n"
        "%CER 6.67 [ 1 / 15, 0 ins, 0 del, 1 sub ]\n"
        "%SER 50.00 [ 1 / 2 ]\n"
    )


def test_prints_json(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*files, "--json"]) == 0
    fields = json.loads(capsys.readouterr().out)
    assert fields["wer"] == 0.25
    assert (fields["errors"], fields["words"], fields["sub"]) == (1, 4, 1)


def test_case_counts_when_asked(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*files, "--case-sensitive"]) == 0
    assert capsys.readouterr().out.startswith("%WER 100.00 [ 4 / 4, ")


def test_a_missing_partner_is_status_1(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "hyp.jsonl").write_text('{"id": "u2", "text": "yes"}\n')
    assert main(files) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("asr-score: error: 1 of 2 references have no hypothesis: u1")
    assert output.err.count("\n") == 1


def test_a_missing_file_is_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["no-such-ref", "no-such-hyp"]) == 1
    assert "no-such-ref: cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["ref"], ["ref", "hyp", "--no-such-option"]])
def test_wrong_usage_is_status_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2

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
        "%WER 25.00 [ 1 / 4, 0 ins, 0 del, 1 sub ] (95 % CI 0.33-139.09)\n"
        "%CER 6.67 [ 1 / 15, 0 ins, 0 del, 1 sub ]\n"
        "%SER 50.00 [ 1 / 2 ]\n"
    )


def test_prints_json(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*files, "--json"]) == 0
    fields = json.loads(capsys.readouterr().out)
    assert fields["wer"] == 0.25
    assert (fields["errors"], fields["words"], fields["sub"]) == (1, 4, 1)
    assert fields["ci_units"] == "utterances"
    assert fields["wer_ci"] == pytest.approx([0.025 / 4, 5.572 / 4], abs=0.01)  # Garwood, 1 error


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


def test_two_systems_get_a_verdict(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "b.trn").write_text("THE CAT SAT (u1)\nYES (u2)\n")
    other = str(tmp_path / "b.trn")
    assert main([*files, other]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == files[1]
    assert lines[4] == other
    assert lines[8] == (
        f"{other} is better than {files[1]}: 0.00 against 25.00 % WER, which may be chance "
        "(MAPSSWE p = 1.000)"
    )
    assert main([*files, other, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert [system["wer"] for system in record["systems"]] == [0.25, 0]
    assert record["comparisons"][0]["better"] is None


def test_several_systems_have_a_mean_and_a_matrix(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = str(tmp_path / "b.trn")
    Path(other).write_text("THE CAT SAT (u1)\nYES (u2)\n")
    assert main([*files, other, files[1]]) == 0
    output = capsys.readouterr().out
    assert "\nmean of 3: %WER 16.67 +- 14.43 (S.D.)\n" in output  # of 25, 0, 25; n - 1 = 2
    assert f"{files[1]} and {files[1]} have the same WER" in output


def test_no_mean_without_reference_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ref").write_text("(u1)\n(u2)\n")
    (tmp_path / "hyp").write_text("A (u1)\n(u2)\n")
    assert main([str(tmp_path / "ref"), *3 * [str(tmp_path / "hyp")]]) == 0
    assert "\nno mean: the references have no words\n" in capsys.readouterr().out


def test_options_show_more(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*files, "--table", "--align"]) == 0
    output = capsys.readouterr().out
    assert "| Sum/Avg |" in output
    assert "HYP:  the hat sits\nEval:     S\n" in output
    assert main([*files, "--json", "--align"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["confused"] == [["cat", "hat", 1]]
    assert record["aligned"]["u2"] == [["cor", "yes", "yes"]]


def test_deletable_words_when_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "ref").write_text("a (uh) b (s-1)\n(uh) c (s-2)\n")
    (tmp_path / "hyp").write_text("a b (s-1)\nuh c (s-2)\n")
    arguments = [str(tmp_path / "ref"), str(tmp_path / "hyp")]
    assert main([*arguments, "--deletable"]) == 0
    assert capsys.readouterr().out.startswith("%WER 0.00 [ 0 / 5, 0 ins, 0 del, 0 sub ]")
    assert main(arguments) == 0
    assert capsys.readouterr().out.startswith("%WER 40.00 [ 2 / 5, 0 ins, 1 del, 1 sub ]")


def test_the_help_can_be_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    assert "%WER with its 95 % confidence" in " ".join(capsys.readouterr().out.split())


def test_normalize_is_said_and_counts_what_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ref, hyp = tmp_path / "ref", tmp_path / "hyp"
    ref.write_text("Don\u2019t co\u00adoperate\nI have 5\n", encoding="utf-8")
    hyp.write_text("don't cooperate\u200b\ni have five.\n", encoding="utf-8")
    assert main([str(ref), str(hyp)]) == 0
    assert capsys.readouterr().out.startswith("%WER 60.00 [ 3 / 5, ")
    assert main([str(ref), str(hyp), "--normalize"]) == 0
    settings = "case='lower', numbers='en', strip_accents=True, keep=\"'\""
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"normalised: {settings}"
    assert lines[1].startswith("%WER 0.00 [ 0 / 5, ")
    assert main([str(ref), str(hyp), "--normalize", "--case-sensitive", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["normalize"]["case"] == "keep"
    assert record["sub"] == 2  # Don't and I


def test_recordings_without_words_and_doubtful_files_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ref, hyp = tmp_path / "ref.stm", tmp_path / "hyp.ctm"
    ref.write_text("a 1 s1 0.00 4.00 hello there\nb 1 s2 0.00 4.00 good morning all\n")
    hyp.write_text("a 1 0.50 0.30 hello 0.9\na 1 1.00 0.30 there 0.9\n")
    assert main([str(ref), str(hyp)]) == 0
    output = capsys.readouterr()
    assert output.out.startswith("%WER 60.00 [ 3 / 5, 0 ins, 3 del, 0 sub ]")
    assert "hyp.ctm: no words of b channel 1; all of theirs count as deleted" in output.err
    ref.write_text("u1;hello\nu2;you\n")
    assert main([str(ref), str(ref)]) == 0
    assert capsys.readouterr().err.count("scored as plain text, ids included") == 2

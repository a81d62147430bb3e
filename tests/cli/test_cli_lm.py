"""asr-lm as a user runs it."""

import io
import json
import lzma
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest
from folders import ROOT

import asr.lm
from asr.cli import lm
from asr.cli.lm import main

TEXT = ["the cat sat on the mat", "the dog sat on the cat", "a cat is a dog", "the dog is a cat"]
ARPA = r"""\data\
ngram 1=4
ngram 2=2

\1-grams:
-2	<unk>
-99	<s>	-0.5
-0.8	</s>
-0.6	a	-0.25

\2-grams:
-0.1	<s> a
-0.4	a </s>

\end\
"""


@pytest.fixture
def text(tmp_path: Path) -> str:
    (tmp_path / "text.xz").write_bytes(lzma.compress("\n".join(TEXT).encode()))
    return str(tmp_path / "text.xz")


@pytest.fixture
def arpa(tmp_path: Path) -> str:
    (tmp_path / "given.arpa").write_text(ARPA)
    return str(tmp_path / "given.arpa")


def counts(path: Path) -> list[int]:
    """What the header says of each order."""
    return [int(count) for count in re.findall(r"^ngram \d=(\d+)$", path.read_text(), re.MULTILINE)]


def vocabulary(path: Path) -> set[str]:
    unigrams = path.read_text().split("\\1-grams:\n")[1].split("\n\n")[0]
    return {line.split()[1] for line in unigrams.splitlines()} - {"<unk>", "<s>", "</s>"}


def perplexity(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, float]:
    capsys.readouterr()
    assert main(["perplexity", *words, "--json"]) == 0
    found: dict[str, float] = json.loads(capsys.readouterr().out)
    return found


def test_a_text_is_not_replaced(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = Path(text).read_bytes()
    assert main(["train", text, "--out", text]) == 2
    assert f"--out {text}: is to be read, not replaced" in capsys.readouterr().err
    assert Path(text).read_bytes() == before


def test_perplexity_worked_out_by_hand(
    arpa: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text").write_text("a\na b\n")  # -0.1 - 0.4 and -0.1 - 0.25 - 2 - 0.8, in log10
    found = perplexity(capsys, arpa, str(tmp_path / "text"))
    assert found["perplexity"] == pytest.approx(10 ** (3.65 / 5))
    assert found["perplexity_without_oov"] == pytest.approx(10 ** (1.4 / 4))
    assert (found["words"], found["oov"], found["sentences"]) == (3, 1, 2)
    assert found["log_prob"] == pytest.approx(-3.65 * math.log(10))
    assert main(["perplexity", arpa, str(tmp_path / "text")]) == 0
    assert capsys.readouterr().out == (
        "perplexity 5.37, without unknown words 2.24 [ 3 words, 1 unknown, 2 sentences ]\n"
    )


def test_perplexity_of_standard_input(
    arpa: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe = io.BufferedReader(io.BytesIO(b"a\n"))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(pipe))
    assert perplexity(capsys, arpa, "-")["perplexity"] == pytest.approx(10 ** (0.5 / 2))


def test_perplexity_of_characters(
    arpa: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text").write_text("ab a\n")
    found = perplexity(capsys, arpa, str(tmp_path / "text"), "--unit", "character")
    assert (found["words"], found["oov"]) == (4, 2)


def test_train_prune_and_convert(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    full, small, binary = (str(tmp_path / name) for name in ("LM.arpa", "SMALL.arpa", "LM.bin"))
    assert main(["train", "--order", "3", text, text, "--out", full]) == 0
    output = capsys.readouterr()
    assert not output.out
    assert "LM.arpa: 11 1-grams, " in output.err
    assert main(["prune", full, "--threshold", "0.01", "--out", small]) == 0
    assert sum(counts(Path(small))) < sum(counts(Path(full)))
    assert main(["convert", full, "--out", binary]) == 0
    expected = perplexity(capsys, full, text)
    assert perplexity(capsys, binary, text) == pytest.approx(expected, rel=1e-6)
    assert 1 < expected["perplexity"] < perplexity(capsys, small, text)["perplexity"] < 11


def test_packed_and_quantised_files(
    arpa: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text").write_text("a b a\n")
    expected = perplexity(capsys, arpa, str(tmp_path / "text"))
    for name, option in [("x.arpa.gz", []), ("x.arpa.xz", []), ("x.bin", ["--quantize"])]:
        assert main(["convert", arpa, "--out", str(tmp_path / name), *option]) == 0
        found = perplexity(capsys, str(tmp_path / name), str(tmp_path / "text"))
        assert found == pytest.approx(expected, rel=1e-6)
    assert main(["convert", arpa, "--out", str(tmp_path / "y.bin")]) == 0
    assert (tmp_path / "y.bin").read_bytes() != (tmp_path / "x.bin").read_bytes()


def test_what_limits_a_model(text: str, tmp_path: Path) -> None:
    out = tmp_path / "LM.arpa"
    assert main(["train", "--order", "2", text, "--out", str(out)]) == 0
    unigrams, bigrams = counts(out)
    assert unigrams == 11
    assert vocabulary(out) == set(" ".join(TEXT).split())
    assert main(["train", text, "--vocab-size", "3", "--out", str(out)]) == 0
    assert len(counts(out)) == 3
    assert vocabulary(out) >= {"the", "cat"} and len(vocabulary(out)) == 3
    assert main(["train", "--prune", "1000", text, "--out", str(out)]) == 0
    assert counts(out) == [11]
    (tmp_path / "words").write_text("cat\ndog\n")
    assert main(["train", text, "--vocab", str(tmp_path / "words"), "--out", str(out)]) == 0
    assert vocabulary(out) == {"cat", "dog"}
    assert main(["train", "--order=2", text, "--min-count", "1", "2", "--out", str(out)]) == 0
    assert counts(out)[1] < bigrams
    assert main(["train", text, "--unit", "character", "--out", str(out)]) == 0
    assert vocabulary(out) == set("".join(TEXT)) - {" "} | {"<space>"}


def test_memory_is_passed_on(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    estimate, given = asr.lm.estimate, []
    monkeypatch.setattr(
        asr.lm,
        "estimate",
        lambda *texts, **options: given.append(options["memory_mb"]) or estimate(*texts, **options),
    )
    assert main(["train", text, "--memory-mb", "77", "--out", str(tmp_path / "LM.bin")]) == 0
    assert given == [77]


def test_lstm_training_gets_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[list[str]] = []
    monkeypatch.setitem(lm.COMMANDS, "train-lstm", lambda words: given.append(words) or 0)
    assert main(["train-lstm", "a.toml", "--out", "b", "lm.layers=1"]) == 0
    assert given == [["a.toml", "--out", "b", "lm.layers=1"]]


def test_a_wrong_name_is_found_before_the_work(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", str(tmp_path / "absent"), "--out", "LM.txt"]) == 2
    assert "asr-lm: error: --out is LM.txt; allowed: a name in .arpa" in capsys.readouterr().err
    assert main(["convert", text, "--out", "LM.arpa", "--quantize"]) == 2
    assert "ARPA cannot be quantised" in capsys.readouterr().err


def test_bad_input_is_status_1_and_one_line(
    text: str, arpa: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "LM.arpa")
    (tmp_path / "empty").touch()
    for words, message in [
        (["train", str(tmp_path / "absent"), "--out", out], "absent: cannot be read"),
        (["train", str(tmp_path / "empty"), "--out", out], "empty: no sentence in it"),
        (["train", text, "--vocab", str(tmp_path / "empty"), "--out", out], "empty: no word in it"),
        (["prune", text, "--threshold", "1", "--out", out], "without a line \\data\\"),
        (["prune", arpa, "--threshold", "-1", "--out", out], "threshold is -1.0"),
        (["convert", str(tmp_path / "absent"), "--out", out], "absent: cannot be read"),
        (["perplexity", arpa, str(tmp_path / "empty")], "empty: no sentence in it"),
    ]:
        assert main(words) == 1, words
        output = capsys.readouterr()
        assert output.err.startswith("asr-lm: error: ") and output.err.count("\n") == 1
        assert message in output.err and not output.out
    assert not Path(out).exists()


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["estimate"],
        ["train", "TEXT"],
        ["train", "TEXT", "--out", "LM.arpa", "--vocab", "V", "--vocab-size", "3"],
        ["train", "TEXT", "--out", "LM.arpa", "--unit", "letter"],
        ["prune", "LM", "--out", "LM.arpa"],
        ["perplexity", "LM"],
    ],
)
def test_wrong_usage_is_status_2(words: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2


def test_it_names_its_commands() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "asr.cli.lm", "--help"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    ).stdout
    assert "train, prune, convert, perplexity, train-lstm" in shown

"""asr-lexicon as a user runs it."""

import json
import lzma
from pathlib import Path

import pytest

from asr.cli.lexicon import main
from asr.lexicon import Lexicon
from asr.manifest import Utterance, read_manifest, write_manifest
from asr.text import BLANK_TOKEN, Vocabulary

DICTIONARY = """cat K AE1 T
cats K AE1 T S
dog D AO1 G
dogs D AO1 G Z
read R EH1 D
read(2) R IY1 D
"""
PHONES = ("AE", "AO", "D", "EH", "G", "IY", "K", "R", "S", "T", "Z")
VOCABULARY = Vocabulary((BLANK_TOKEN, *PHONES), "word")


@pytest.fixture
def dictionary(tmp_path: Path) -> str:
    (tmp_path / "dictionary").write_text(DICTIONARY)
    return str(tmp_path / "dictionary")


@pytest.fixture
def manifest(tmp_path: Path) -> str:
    texts = ["Read, dogs!", "cats", "\u0436"]
    write_manifest(
        tmp_path / "data" / "m.jsonl",
        [
            Utterance(id=str(i), audio=tmp_path / "a.wav", duration=1.0, text=text)
            for i, text in enumerate(texts)
        ],
    )
    return str(tmp_path / "data" / "m.jsonl")


def test_words_of_all_kinds_of_sources(
    dictionary: str, manifest: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.xz").write_bytes(lzma.compress(b"a cat <unk> and,\ncats: dog."))
    (tmp_path / "counts").write_text("CAT 12\nDOGCAT 3\n")
    (tmp_path / "lm.arpa").write_text(
        "\\data\\\nngram 1=4\n\n\\1-grams:\n-1 <unk>\n-99 <s>\n-1 </s>\n-1 read\n\n\\end\\\n"
    )
    out = tmp_path / "new" / "lexicon.txt"
    sources = [str(tmp_path / name) for name in ("text.xz", "counts", "lm.arpa")]
    assert main([dictionary, *sources, manifest, "--out", str(out), "--json"]) == 0
    output = capsys.readouterr()
    lines = out.read_text().splitlines()
    assert lines[lines.index("CAT K AE T") :][:2] == ["CAT K AE T", "CATS K AE T S"]
    assert {"READ R EH D", "READ R IY D", "read R EH D", "read R IY D"} <= set(lines)
    assert json.loads(output.out) == {"words": 8, "guessed": 2, "left_out": ["AND", "\u0416"]}
    assert "8 words, 2 of them guessed" in output.err and "guessed DOGCAT: " in output.err
    assert "2 words cannot be guessed from the dictionary: AND, \u0416" in output.err
    lexicon = Lexicon.load(out, VOCABULARY)
    assert len(lexicon.of("READ")) == 2 and len(lexicon.of("DOGCAT")) == 1


def test_a_manifest_in_phones(
    dictionary: str, manifest: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "phones.jsonl"
    assert main([dictionary, manifest, "--out", str(out)]) == 0
    assert "phones.jsonl: left out: 1 utterance with words" in capsys.readouterr().err
    before, after = read_manifest(manifest), read_manifest(out)
    assert [utterance.text for utterance in after] == ["R EH D D AO G Z", "K AE T S"]
    assert [u.audio for u in after] == [u.audio for u in before[:2]]
    assert VOCABULARY.encode(after[1].text) == [7, 1, 10, 9]


def test_a_lexicon_is_no_manifest(
    dictionary: str, manifest: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for sources in ([manifest, manifest], [dictionary]):
        assert main([dictionary, *sources, "--out", "phones.jsonl"]) == 2
        message = capsys.readouterr().err
        assert message.startswith("asr-lexicon: error: --out is phones.jsonl, a manifest in phones")


def test_bad_input_is_status_1_and_one_line(
    dictionary: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "unspoken").write_text("...\n")
    absent, empty, unspoken = (str(tmp_path / name) for name in ("absent", "empty", "unspoken"))
    for words, message in [
        ([absent, dictionary, "--out", "x"], "absent: cannot be read"),
        ([empty, dictionary, "--out", "x"], "empty: no word in it"),
        ([dictionary, absent, "--out", "x"], "absent: cannot be read"),
        ([dictionary, empty, "--out", "x"], "empty: no sentence in it"),
        ([dictionary, unspoken, "--out", "x"], "unspoken: no word has a pronunciation"),
        ([dictionary, absent + ".jsonl", "--out", "x"], "asr-prepare makes manifests"),
        ([dictionary, absent + ".bin", "--out", "x"], "absent.bin: cannot be read"),
    ]:
        assert main(words) == 1, words
        output = capsys.readouterr()
        lines = [line for line in output.err.splitlines() if "discounts" not in line]
        assert len(lines) == 1 and lines[0].startswith("asr-lexicon: error: ")
        assert message in lines[0] and not output.out


def test_a_file_that_must_not_be_written_is_status_2(
    dictionary: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "words").write_text("a\n")
    words, before = str(tmp_path / "words"), Path(dictionary).read_text()
    for out, message in [
        (str(tmp_path), "cannot be written"),
        (dictionary, "is to be read, not replaced"),
        (words, "is to be read, not replaced"),
    ]:
        assert main([dictionary, words, "--out", out]) == 2
        error = capsys.readouterr().err
        assert error.startswith(f"asr-lexicon: error: --out {out}: {message}")
    assert (Path(dictionary).read_text(), Path(words).read_text()) == (before, "a\n")


def test_wrong_usage_is_status_2() -> None:
    with pytest.raises(SystemExit) as caught:
        main(["dictionary", "words"])
    assert caught.value.code == 2

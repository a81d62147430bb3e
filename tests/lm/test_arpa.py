"""ARPA files of ours and of others."""

import gzip
import lzma
import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import asr.lm.arpa
from asr.errors import LanguageModelError
from asr.lm.arpa import read_arpa, write_arpa
from asr.lm.ngram import Level, NgramModel

MODEL = r"""\data\
ngram 1=5
ngram 2=4
ngram 3=2

\1-grams:
-2	<unk>
-99	<s>	-0.5
-0.8	</s>
-0.6	größe	-0.25
-0.9	b	-0.125

\2-grams:
-0.1	<s> größe	-0.01
-0.2	größe b	-0.02
-0.4	b </s>
-0.3	b b	-0.03

\3-grams:
-0.05	<s> größe b
-0.07	b b </s>

\end\
"""
# of "größe b b </s>" and "b x größe </s>", in log10 and by hand
SCORES = [-0.1, -0.05, -0.02 - 0.3, -0.07], [-0.5 - 0.9, -0.125 - 2, -0.6, -0.25 - 0.8]


def log10_scores(model: NgramModel) -> list[list[float]]:
    sentences = ["größe", "b", "b"], ["b", "x", "größe"]
    return [[score / math.log(10) for score in model.score(words)] for words in sentences]


def read(tmp_path: Path, content: str | bytes) -> NgramModel:
    path = tmp_path / "lm.arpa"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_arpa(path)


def test_scores_of_a_file_worked_out_by_hand(tmp_path: Path) -> None:
    model = read(tmp_path, MODEL)
    assert model.words == ("<unk>", "<s>", "</s>", "größe", "b")
    assert model.counts == [5, 4, 2]
    for found, expected in zip(log10_scores(model), SCORES, strict=True):
        assert found == pytest.approx(expected, abs=1e-6)


VARIANTS: dict[str, Callable[[str], str]] = {
    "spaces for tabs": lambda text: text.replace("\t", " "),
    "tabs for spaces": lambda text: text.replace(" ", "\t"),
    "several spaces": lambda text: text.replace("\t", "   ").replace("ngram 1=", "ngram  1 = "),
    "line ends of Windows": lambda text: text.replace("\n", "\r\n"),
    "remarks before it": lambda text: f"# a model\nngram 1=7\n\n{text}",
    "byte order mark": lambda text: f"\ufeff{text}",
    "no blank lines": lambda text: re.sub("\n+", "\n", text),
    "many blank lines": lambda text: text.replace("\n\n", "\n\n\n \n"),
    "no last line end": lambda text: text.rstrip(),
    "text after it": lambda text: f"{text}\nmade today\n",
    "back-off weights of 0": lambda text: re.sub("(<unk>|</s>)\n", "\\1\t0\n", text),
    "exponents": lambda text: text.replace("-0.05\t", "-5e-2\t"),
    "no sorting": lambda text: re.sub("(-0.1\t.*\n)((?:.*\n){3})", "\\2\\1", text),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_variants_are_the_same_model(tmp_path: Path, name: str) -> None:
    text = VARIANTS[name](MODEL)
    assert text != MODEL
    model = read(tmp_path, text)
    assert model.counts == [5, 4, 2]
    for found, expected in zip(log10_scores(model), SCORES, strict=True):
        assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_packed_files_are_known_by_their_content(
    tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    assert read(tmp_path, pack(MODEL.encode())).counts == [5, 4, 2]


def test_other_names_and_numbers_of_foreign_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = MODEL.replace("<unk>", "<UNK>").replace("-2\t", "-inf\t")
    assert read(tmp_path, text).score(["x"], eos=False) == pytest.approx(
        [-100.5 * math.log(10)], rel=1e-6
    )
    read(tmp_path, MODEL.replace("-2\t<unk>", "-2\tx"))
    assert "has no <unk>" in capsys.readouterr().err


def test_contexts_and_suffixes_may_be_missing(tmp_path: Path) -> None:
    text = MODEL.replace("ngram 2=4", "ngram 2=2").replace("-0.3\tb b\t-0.03\n", "")
    model = read(tmp_path, text.replace("-0.4\tb </s>\n", ""))
    assert model.counts == [5, 3, 2]  # the context "b b" is there again
    sentence = [-0.1, -0.05, -0.02 - 0.125 - 0.9, -0.07]
    assert log10_scores(model)[0] == pytest.approx(sentence, abs=1e-6)


def test_an_order_may_be_empty(tmp_path: Path) -> None:
    text = re.sub("\n-0.0[57]\t.*", "", MODEL).replace("ngram 3=2", "ngram 3=0")
    assert read(tmp_path, text).counts == [5, 4]


MALFORMED = {
    "": "line 0: the file ends without a line \\data\\; give an ARPA file",
    "some text\n": "line 1: the file ends without a line \\data\\",
    "\\data\\\n\\1-grams:\n": "line 2: '\\\\1-grams:' where 'ngram 1=...' is due",
    "\\data\\\nngram 2=4\n": "line 2: 'ngram 2=4' where order 1 is due; give all orders",
    "\\data\\\nngram 1=1\n": "line 2: the file ends where \\1-grams: is due; it is truncated",
    "\\data\\\nngram 1=1\n\\2-grams:\n": "line 3: '\\\\2-grams:' where \\1-grams: is due",
}


@pytest.mark.parametrize("text", MALFORMED)
def test_what_is_no_arpa_file(tmp_path: Path, text: str) -> None:
    with pytest.raises(LanguageModelError) as caught:
        read(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path / 'lm.arpa'}: {MALFORMED[text]}")


MISTAKES = [
    ("\\end\\\n", "", "line 22: the file ends where \\end\\ is due; it is truncated"),
    ("\n\n\\end\\\n", "", "line 21: the file ends where \\end\\ is due; it is truncated"),
    ("-0.07\tb b </s>\n\n\\end\\\n", "", "line 20: the file ends among the 3-grams; get the"),
    ("ngram 2=4", "ngram 2=3", "line 17: '-0.3 b b -0.03' where \\3-grams: is due; give as"),
    ("ngram 2=4", "ngram 2=5", "line 18: the 2-grams end; give as many as said after \\data\\"),
    ("ngram 3=2", "ngram 3=3", "line 22: the 3-grams end; give as many as said after \\data\\"),
    ("-0.07\tb b </s>", "-0.07\tb b", "line 21: '-0.07 b b' is no 3-gram; give a log10 prob"),
    ("b </s>\n", "b </s>\t0 0\n", "line 16: '-0.4 b </s> 0 0' is no 2-gram"),
    ("-0.9\tb", "nan\tb", "line 11: 'nan' is no log10 probability; give a number up to 0"),
    ("-0.9\tb", "0.9\tb", "line 11: '0.9' is no log10 probability; give a number up to 0"),
    ("-0.9\tb", "inf\tb", "line 11: 'inf' is no log10 probability"),
    ("-0.9\tb", "1,5\tb", "line 11: '1,5' is no log10 probability"),
    ("b\t-0.125", "b\tNaN", "line 11: 'NaN' is no log10 back-off weight; give a number up to 99"),
    ("b\t-0.125", "b\t1e99", "line 11: '1e99' is no log10 back-off weight"),
    ("b\t-0.125", "b\t-x", "line 11: '-x' is no log10 back-off weight"),
    ("größe b\t", "größe c\t", "line 15: 'c' is no unigram; add it to them, or remove this line"),
    ("b b\t", "größe b\t", "line 17: 'größe b' is there a second time; remove one of the two"),
    ("-0.9\tb", "-0.9\tgröße", "line 11: 'größe' is there a second time; remove one of the two"),
    ("-99\t<s>", "-99\t<x>", "line 14: '<s>' is no unigram"),
]


@pytest.mark.parametrize(("right", "wrong", "message"), MISTAKES)
def test_each_mistake_is_named_with_its_line(
    tmp_path: Path, right: str, wrong: str, message: str
) -> None:
    assert right in MODEL
    with pytest.raises(LanguageModelError) as caught:
        read(tmp_path, MODEL.replace(right, wrong, 1))
    assert str(caught.value).startswith(f"{tmp_path / 'lm.arpa'}: {message}")


def test_lines_are_numbered_over_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asr.lm.arpa, "_LINES_AT_ONCE", 2)
    assert read(tmp_path, MODEL).counts == [5, 4, 2]
    for right, wrong, message in MISTAKES:
        with pytest.raises(LanguageModelError, match=re.escape(message)):
            read(tmp_path, MODEL.replace(right, wrong, 1))


def test_other_bad_files(tmp_path: Path) -> None:
    with pytest.raises(LanguageModelError, match=r"line 10: 'gr.*' is not UTF-8; convert the file"):
        read(tmp_path, MODEL.encode("latin-1"))
    with pytest.raises(LanguageModelError, match=r"lm\.arpa: the unigram </s> is missing"):
        read(tmp_path, MODEL.replace("</s>", "b</s>"))
    with pytest.raises(LanguageModelError, match=r"cannot be read .*give a whole file"):
        read(tmp_path, gzip.compress(MODEL.encode())[:-20])
    with pytest.raises(LanguageModelError, match="cannot be read"):
        read(tmp_path, lzma.compress(MODEL.encode())[:-40])
    with pytest.raises(LanguageModelError, match="absent: cannot be read"):
        read_arpa(tmp_path / "absent")


@pytest.mark.parametrize("name", ["lm.arpa", "lm.arpa.gz", "lm.arpa.xz"])
def test_what_is_written(tmp_path: Path, name: str) -> None:
    write_arpa(read(tmp_path, MODEL), tmp_path / "new" / name)
    unpack = {".gz": gzip.open, ".xz": lzma.open}.get(Path(name).suffix, open)
    with unpack(tmp_path / "new" / name, "rt", encoding="utf-8") as file:
        lines = file.read().splitlines()
    expected = re.sub(r"(<unk>|-0.8\t</s>|b </s>)\n", r"\1\t0\n", MODEL)
    assert lines == expected.replace("b b </s>\t0", "b b </s>").splitlines()
    assert [path.name for path in (tmp_path / "new").iterdir()] == [name]


def test_seven_digits_and_no_probability_above_one(tmp_path: Path) -> None:
    log_prob = np.array([1e-8, -1 / 3, -0.25, 0.0], np.float32)
    level = Level(np.arange(4, dtype=np.int32)[:, None], log_prob, np.zeros(4, np.float32))
    words = ["<unk>", "<s>", "</s>", "a"]
    write_arpa(NgramModel.from_levels(words, [level]), tmp_path / "lm.arpa")
    lines = (tmp_path / "lm.arpa").read_text().splitlines()[4:8]
    assert lines == ["0\t<unk>", "-0.1447648\t<s>", "-0.1085736\t</s>", "0\ta"]


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    model = read(tmp_path, MODEL)
    with pytest.raises(LanguageModelError, match=r"cannot be written .*give another --out"):
        write_arpa(model, tmp_path / "lm.arpa" / "lm.arpa")
    with pytest.raises(LanguageModelError, match="cannot be written"):
        (tmp_path / "folder").mkdir()
        write_arpa(model, tmp_path / "folder")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "lm.arpa"]


@given(data=st.data())
@settings(max_examples=25)
def test_models_come_back(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    words = [
        "<unk>",
        "<s>",
        "</s>",
        *data.draw(st.lists(st.text("abñ字", min_size=1), unique=True)),
    ]
    ids = st.integers(0, len(words) - 1)
    levels = []
    rows = [(i,) for i in range(len(words))]
    for _ in range(data.draw(st.integers(1, 3))):
        values = [st.floats(-20, 0, width=32), st.floats(-5, 5, width=32)]
        numbers = [[data.draw(of) for _ in rows] for of in values]
        levels.append(Level(np.array(rows, np.int32), *map(np.float32, numbers)))
        longer = st.tuples(st.sampled_from(rows), ids).map(lambda pair: (*pair[0], pair[1]))
        rows = sorted(data.draw(st.sets(longer, min_size=1, max_size=6)))
    model = NgramModel.from_levels(words, levels)
    path = tmp_path_factory.mktemp("arpa") / "lm.arpa"
    write_arpa(model, path)
    again = read_arpa(path)
    assert again.words == model.words
    for array, other in zip(model.arrays, again.arrays, strict=True):
        np.testing.assert_allclose(array, other, rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x" * 2**15, "line 1: longer than 16384 bytes"),
        ("\\data\\\nngram 1=1\n\n\\1-grams:\n-1 " + "a" * 2**15, "line 5: longer than 16384"),
        ("\\data\\\n" + "".join(f"ngram {n}=0\n" for n in range(1, 99)), "line 34: order 33"),
        ("\\data\\\nngram 1=" + "9" * 5000, "is due; give the counts"),
        ("\\data\\\nngram 1=999999999999999\n\\1-grams:\n-1 a\n", "the file ends among"),
    ],
)
def test_files_that_would_flood_the_memory(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "lm.arpa"
    path.write_text(text)
    with pytest.raises(LanguageModelError, match=message):
        read_arpa(path)

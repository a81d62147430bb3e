"""Text for language models: files, packing, standard input, mistakes."""

import bz2
import gzip
import io
import lzma
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from asr.errors import LanguageModelError
from asr.lm.corpus import read_sentences, read_words
from asr.lm.files import LONGEST_LINE

TEXT = "the cat\n\n  größe\tmatters \r\n \n字 a"
SENTENCES = [["the", "cat"], ["größe", "matters"], ["字", "a"]]


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_one_sentence_a_line(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    path = write(tmp_path / "text", pack(TEXT.encode()))
    assert list(read_sentences([path])) == SENTENCES


def test_several_files_one_after_the_other(tmp_path: Path) -> None:
    first = write(tmp_path / "a.txt", "\ufeffone two")  # with a byte order mark
    second = write(tmp_path / "b.xz", lzma.compress(b"three\n"))
    empty = write(tmp_path / "c.txt", "")
    assert list(read_sentences([empty, first, second])) == [["one", "two"], ["three"]]


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_standard_input(monkeypatch: pytest.MonkeyPatch, pack: Callable[[bytes], bytes]) -> None:
    pipe = io.BufferedReader(io.BytesIO(pack(TEXT.encode())))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(pipe))
    assert list(read_sentences(["-"])) == SENTENCES


def test_characters_with_a_token_for_the_space(tmp_path: Path) -> None:
    path = write(tmp_path / "text", " ab  c\n字\n")
    assert list(read_sentences([path], "character")) == [
        ["a", "b", "<space>", "c"],
        ["字"],
    ]


def test_the_unknown_word_is_allowed(tmp_path: Path) -> None:
    assert list(read_sentences([write(tmp_path / "text", "a <unk>\n")])) == [["a", "<unk>"]]


@pytest.mark.parametrize("unit", ["word", "character"])
@pytest.mark.parametrize("word", ["<s>", "</s>"])
def test_marks_of_sentence_ends_are_refused(tmp_path: Path, word: str, unit: str) -> None:
    path = write(tmp_path / "text", f"a b\na {word} b\n")
    with pytest.raises(LanguageModelError, match=r"text: line 2: .*<s> or </s>.*; remove them"):
        list(read_sentences([path], unit))


@pytest.mark.parametrize("content", ["größe".encode("latin-1"), "a".encode("utf-16")])
def test_text_that_is_not_utf_8(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path / "text", b"a b\n\n" + content)
    with pytest.raises(LanguageModelError, match="text: line 3: not UTF-8"):
        list(read_sentences([path]))


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"\x28\xb5\x2f\xfd\x00\x00", "packed by zstd, which is not read; unpack it: zstd -d"),
        (b"PK\x03\x04 and so on", "a zip archive, which is not read; unpack it"),
        ("größe".encode("utf-16"), "in UTF-16, which is not read; convert it: iconv"),
    ],
)
def test_other_ways_to_pack_are_named(tmp_path: Path, content: bytes, cause: str) -> None:
    with pytest.raises(LanguageModelError, match=cause):
        list(read_sentences([write(tmp_path / "text", content)]))


@pytest.mark.parametrize("content", ["", "\n \n\t\n"])
def test_text_without_a_sentence(tmp_path: Path, content: str) -> None:
    path = write(tmp_path / "text", content)
    with pytest.raises(LanguageModelError, match=r"text, .*text: no sentence in it; give text"):
        read_sentences([path, path])


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(LanguageModelError, match=r"absent: cannot be read \(.*No such file"):
        read_sentences([tmp_path / "absent"])
    with pytest.raises(LanguageModelError, match="cannot be read"):
        read_sentences([tmp_path])
    packed = gzip.compress(bytes(1000) + TEXT.encode())
    for name, content in {
        "truncated.gz": packed[:-12],
        "damaged.gz": packed[:-8] + b"12345678",
        "truncated.xz": lzma.compress(TEXT.encode())[:-20],
    }.items():
        with pytest.raises(LanguageModelError, match=rf"{name}: cannot be read .*whole file"):
            list(read_sentences([write(tmp_path / name, content)]))


def test_a_list_of_words(tmp_path: Path) -> None:
    assert read_words(write(tmp_path / "words", "cat\n\n dog \n")) == ["cat", "dog"]
    with pytest.raises(LanguageModelError, match=r"words: line 2: 'dog 2'; give one word a line"):
        read_words(write(tmp_path / "words", "cat\ndog 2\n"))
    with pytest.raises(LanguageModelError, match="words: no word in it"):
        read_words(write(tmp_path / "words", "\n"))


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_line_without_end(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    path = write(tmp_path / "bomb", pack(b"a line\n" + b"word " * 2**22))
    assert path.stat().st_size < 50_000
    with pytest.raises(LanguageModelError, match="bomb: line 2: longer than 16777216 bytes; give"):
        list(read_sentences([path]))


def test_a_line_of_the_longest_length(tmp_path: Path) -> None:
    content = b"a" * (LONGEST_LINE - 2) + b"\n" + b"b c\n"
    assert list(map(len, read_sentences([write(tmp_path / "text", content)]))) == [1, 2]


def test_a_text_of_many_lines_is_not_limited(tmp_path: Path) -> None:
    packed = gzip.compress((b"word " * 99 + b"\n") * 2**16)
    assert sum(1 for _ in read_sentences([write(tmp_path / "text", packed)])) == 2**16


def test_packed_text_that_unpacks_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("asr.lm.files.SMALL_BYTES", 10_000)
    for module, name in ((gzip, "a.gz"), (bz2, "a.bz2"), (lzma, "a.xz")):
        path = tmp_path / name
        path.write_bytes(module.compress(b"a b\n" * 500_000))
        with pytest.raises(LanguageModelError, match="unpacks to more than 100 times its size"):
            list(read_sentences([path]))


def test_xz_that_asks_for_much_memory_is_refused(tmp_path: Path):
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 2**29}]
    (tmp_path / "a.xz").write_bytes(lzma.compress(b"a b\n", filters=filters))
    with pytest.raises(LanguageModelError, match=r"a\.xz: cannot be read \(Memory usage limit"):
        list(read_sentences([tmp_path / "a.xz"]))


def test_several_streams_in_a_packed_file_are_one_text(tmp_path: Path):
    several = {
        "a.xz": lzma.compress(b"a b\nc") + bytes(8) + lzma.compress(b"d\n"),
        "a.bz2": bz2.compress(b"a b\nc") + bz2.compress(b"d\n"),
        "a.gz": gzip.compress(b"a b\nc") + gzip.compress(b"d\n"),
    }
    for name, content in several.items():
        (tmp_path / name).write_bytes(content)
        assert list(read_sentences([tmp_path / name])) == [["a", "b"], ["cd"]]
        (tmp_path / name).write_bytes(content[:-8])
        with pytest.raises(LanguageModelError, match="cannot be read"):
            list(read_sentences([tmp_path / name]))

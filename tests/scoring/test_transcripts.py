"""Files of transcripts: each form recognised by content, each bad one a single error."""

import json
from pathlib import Path

import pytest

from asr.errors import ScoreError, TextError
from asr.scoring.transcripts import match, read_file, read_transcripts


def read(folder: Path, content: str | bytes) -> dict[str, str]:
    path = folder / "file"  # no extension: the content decides
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_transcripts(path)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("one two\n\nthree\n", {"1": "one two", "2": "", "3": "three"}),
        ("one\ntwo", {"1": "one", "2": "two"}),
        ("\ufeffone\r\ntwo\r\n", {"1": "one", "2": "two"}),
        ("one\rtwo\r", {"1": "one", "2": "two"}),
        ("\n", {"1": ""}),
        ("u1 kaldi style\n", {"1": "u1 kaldi style"}),
        ("{ a / b } c\n", {"1": "{ a / b } c"}),
        ("a\u2028b\x0bc\n", {"1": "a\u2028b\x0bc"}),
        (
            "a b (s-1)\n;; a comment\n\n(s-2)\nc (d) (s-3) \n",
            {"s-1": "a b", "s-2": "", "s-3": "c (d)"},
        ),
        (";; first\na (s1)\n", {"s1": "a"}),
        ("{ a / @ } b (s1)\n", {"s1": "{ a / @ } b"}),
        ("a\tb (s1)\n c\t(s2)", {"s1": "a\tb", "s2": "c"}),
        ("x/a.wav\tone (two)\nx/b.wav\tone\n", {"x/a.wav": "one (two)", "x/b.wav": "one"}),
        ("x/a.wav\tone two\nx/b.wav\t\n", {"x/a.wav": "one two", "x/b.wav": ""}),
        ("id,text\nu1,one two\nu2,\n", {"u1": "one two", "u2": ""}),
        ('"text","id"\n"a, ""b""\nc",u1\n', {"u1": 'a, "b"\nc'}),
        ("audio,speaker,text\na.wav,s,one\n\n", {"a.wav": "one"}),
        ("id\ttext\nu1\tone\n", {"u1": "one"}),
        (
            '{"id": "u1", "text": "\\u00e9", "duration": 1}\n\n{"id":"u2","text":""}',
            {"u1": "é", "u2": ""},
        ),
    ],
)
def test_recognises_content(tmp_path: Path, content: str, expected: dict[str, str]) -> None:
    texts = read(tmp_path, content)
    assert texts == expected
    assert list(texts) == list(expected)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"one\ntw\xe9\n", r"line 2 is not UTF-8 \(byte 0xe9\); convert"),
        ("one\n".encode("utf-16"), "line 1 is not UTF-8"),
        ("one\n".encode("utf-16-le"), "NUL"),
        (b"a (s1)\nb\n", r"line 2 does not end in \(id\)"),
        (b"a.wav\tone\nb.wav two\n", "line 2 is not path<TAB>text"),
        (b"a.wav\tone\nb.wav\ttwo\tthree\n", "line 2 is not path<TAB>text"),
        (b"id,text\nu1,one, two\n", "line 2 has 3 columns, the header 2; quote"),
        (b'id,text\nu1,"one\n', "line 2: .*end of data"),
        (b'{"id": "u1", "text": "a"}\n{"id": "u2"\n', "line 2 is not JSON"),
        (b'{"id": "u1", "text": "a"}\n[1]\n', 'line 2 lacks an "id"'),
        (b'{"id": 7, "text": "a"}\n', 'line 1 lacks an "id"'),
        (b'{"id": "u1", "txt": "a"}\n', 'line 1 lacks an "id" or a "text"'),
        (b'{"id": "u1", "text": ' + b"[" * 100_000, "line 1 is not JSON"),
    ],
)
def test_bad_content_is_one_error_with_file_and_line(
    tmp_path: Path, content: bytes, problem: str
) -> None:
    with pytest.raises(TextError, match=problem) as caught:
        read(tmp_path, content)
    assert str(caught.value).startswith(f"{tmp_path / 'file'}: ")


@pytest.mark.parametrize("name", ["none", "."])
def test_unreadable_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(TextError, match="cannot be read"):
        read_transcripts(tmp_path / name)


def test_an_id_that_stands_twice_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScoreError, match=r"2 ids .* u1 in line 3, u1 in line 4"):
        read(tmp_path, "a (u1)\nb (u2)\na (u1)\na (u1)\n")


def test_long_lines_are_read_in_linear_time(tmp_path: Path) -> None:
    text = "(" * 1_000_000 + " " * 1_000_000 + "word"
    assert read(tmp_path, f"{text} (u1)\n") == {"u1": text}
    assert read(tmp_path, text) == {"1": text}
    assert read(tmp_path, json.dumps({"id": "u1", "text": text})) == {"u1": text}


def test_match_pairs_ids_without_their_case() -> None:
    assert match({"B": "1", "a": "2"}, {"A": "3", "b": "4"}) == [("B", "1", "4"), ("a", "2", "3")]


def test_match_names_a_few_without_partner() -> None:
    refs = {f"u{i}": "" for i in range(9)}
    problem = r"5 of 9 references have no hypothesis: u0, u1, u2 \.\.\.; 1 of 5 .* reference: x"
    with pytest.raises(ScoreError, match=problem):
        match(refs, {"u5": "", "u6": "", "u7": "", "u8": "", "x": ""})


def test_match_refuses_ids_that_differ_in_case_only() -> None:
    with pytest.raises(ScoreError, match="u1 and U1 differ"):
        match({"u1": "", "U1": ""}, {"u1": ""})


@pytest.mark.parametrize(
    "content",
    [
        '{"id": "u1", "text": "a", "speaker": "anna"}\n{"id": "u2", "text": "b"}\n',
        "id,speaker,text\nu1,anna,a\nu2,,b\n",
    ],
)
def test_speakers_are_told(tmp_path: Path, content: str) -> None:
    (tmp_path / "file").write_text(content)
    assert read_file(tmp_path / "file").speakers == {"u1": "anna", "u2": None}

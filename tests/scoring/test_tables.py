"""Tables of transcripts in all the forms that people bring, and lists that only look like them."""

from pathlib import Path

import pytest

from asr.errors import TextError
from asr.scoring import normalized
from asr.scoring.transcripts import TranscriptFile, read_file
from asr.text import Normalizer

TEXTS = {"u1": "hello world", "u2": "good, morning"}


def read(folder: Path, content: str) -> TranscriptFile:
    path = folder / "file"
    path.write_bytes(content.encode())
    return read_file(path)


@pytest.mark.parametrize(
    "content",
    [
        'id,text\nu1,hello world\nu2,"good, morning"\n',
        "id;text\nu1;hello world\nu2;good, morning\n",
        'ID,Text\nu1,hello world\nu2,"good, morning"\n',
        'path,sentence\nu1,hello world\nu2,"good, morning"\n',
        "id|text\nu1|hello world\nu2|good, morning\n",
        "id\ttext\nu1\thello world\nu2\tgood, morning\n",
        '"id"\t"text"\n"u1"\t"hello world"\n"u2"\t"good, morning"\n',
        '"id";"text"\n"u1";"hello world"\n"u2";"good, morning"\n',
        "\ufeffid;text\r\nu1;hello world\r\nu2;good, morning\r\n",
        "id;text\ru1;hello world\ru2;good, morning\r",
        "sep=;\nid;text\nu1;hello world\nu2;good, morning\n",
        "\n\ntranscription;age;file\nhello world;7;u1\ngood, morning;8;u2\n",
        "u1|Hello|hello world\nu2|x|good, morning\n",  # LJSpeech
        '[\n{"id": "u1", "text": "hello world"}\n,\n{"id": "u2", "text": "good, morning"}\n]\n',
        '{\n "id": "u1",\n "text": "hello world"\n}\n{\n "id": "u2", "text": "good, morning"}',
        '{"path": "u1", "sentence": "hello world"}\n{"id": "u2", "text": "good, morning"}\n',
    ],
)
def test_tables_and_json(tmp_path: Path, content: str) -> None:
    found = read(tmp_path, content)
    assert found.texts == TEXTS
    assert not found.remarks


def test_tables_of_common_voice(tmp_path: Path) -> None:
    content = 'client_id\tpath\tsentence\ns1\tu1\t"Hallo", sagte er.\ns2\tu2\tJa, "so.\n'
    found = read(tmp_path, content)
    assert found.texts == {"u1": '"Hallo", sagte er.', "u2": 'Ja, "so.'}
    assert found.speakers == {"u1": "s1", "u2": "s2"}


def test_speakers_of_a_table_with_other_names(tmp_path: Path) -> None:
    assert read(tmp_path, "ID;Speaker;Text\nu1;s1;hi\n").speakers == {"u1": "s1"}


def test_a_text_may_be_long(tmp_path: Path) -> None:
    talk = "hello" + " hello" * 30_000
    assert read(tmp_path, f"id,text\nu1,{talk}\n").texts == {"u1": talk}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("text;age\nhello;7\nyou;8\n", "line 1 names a column of texts, but none of ids"),
        ("id;text\nu1;hello;x\n", "line 2 has 3 columns, the header 2"),
        ("id,text,text\nu1,hello,bye\n", "line 1: the column 'text' stands twice; rename one"),
        ('{\n "id": "u1",\n "text": 3\n}\n', 'line 1 lacks an "id" or a "text"'),
    ],
)
def test_bad_tables(tmp_path: Path, content: str, problem: str) -> None:
    with pytest.raises(TextError, match=problem):
        read(tmp_path, content)


@pytest.mark.parametrize(
    ("content", "remark"),
    [
        ("u1;hello world\nu2;good morning\n", "looks like a table with ';'"),
        ("u1,hello world\nu2,good morning\n", "looks like a table with ','"),
        ("utt-1 hello world\nutt-2 good morning\nutt-3\n", "as in Kaldi's text"),
    ],
)
def test_rows_without_names_are_not_scored_in_silence(
    tmp_path: Path, content: str, remark: str
) -> None:
    (found,) = read(tmp_path, content).remarks
    assert remark in found


@pytest.mark.parametrize(
    "content", ["yes, sir\nyes, please\n", "hello\nyou\n", "5 men\n6 men\n", "one two, three\n"]
)
def test_plain_text_has_no_remarks(tmp_path: Path, content: str) -> None:
    found = read(tmp_path, content)
    assert list(found.texts.values()) == content.splitlines()
    assert not found.remarks


@pytest.mark.parametrize(
    ("text", "deletable", "expected"),
    [
        ("Don\u2019t co\u00adoperate\u200b, please!", False, "don't cooperate please"),
        ("{ 5 / Five, / @ } men", False, "{ five / five / @ } men"),
        ("(Uh) yes (Um,)", True, "(uh) yes (um)"),
        ("(Uh) yes", False, "uh yes"),
        ("and/or @ home", False, "and or home"),
    ],
)
def test_normalized_texts_keep_their_marks(text: str, deletable: bool, expected: str) -> None:
    assert normalized(Normalizer(case="lower"), text, deletable=deletable) == expected

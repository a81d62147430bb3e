"""Kaldi data folders that we write keep the rules of Kaldi's utils/validate_data_dir.sh.

The rules are those of https://kaldi-asr.org/doc/data_prep.html and of the script's messages.
"""

import random
import shlex
from pathlib import Path

import pytest
from corpus_files import record

from asr.corpora.kaldi import read_kaldi, write_kaldi
from asr.errors import CorpusError
from asr.manifest import Utterance


def rows_of(folder: Path, name: str, fields: int | None = None) -> list[list[str]]:
    """Read a file of Kaldi; its lines must be whole, sorted bytewise by the first field, unique."""
    content = (folder / name).read_bytes().decode()
    assert content.endswith("\n"), name
    lines = content.removesuffix("\n").split("\n")
    rows = [line.split(" ") for line in lines]
    assert all(field and field.split() == [field] for row in rows for field in row), name
    keys = [row[0].encode() for row in rows]
    assert keys == sorted(set(keys)), f"{name} is not in sorted order or has duplicates"
    assert fields is None or all(len(row) == fields for row in rows), name
    return rows


def validate(folder: Path) -> None:
    """Check a data folder as validate_data_dir.sh does."""
    utt2spk = rows_of(folder, "utt2spk", 2)
    by_speaker = sorted(utt2spk, key=lambda row: (row[1].encode(), row[0].encode()))
    assert by_speaker == utt2spk, "utt2spk is not in sorted order when sorted first on speaker-id"
    spk2utt = {speaker: names for speaker, *names in rows_of(folder, "spk2utt")}
    assert [(name, speaker) for speaker, names in spk2utt.items() for name in names] == [
        (name, speaker) for name, speaker in utt2spk
    ], "spk2utt and utt2spk do not agree"
    names = [row[0] for row in utt2spk]
    text = rows_of(folder, "text")
    assert [row[0] for row in text] == names
    assert all(len(row) > 1 for row in text)
    segments = rows_of(folder, "segments", 4)
    assert [row[0] for row in segments] == names
    assert all(0 <= float(start) < float(end) for _, _, start, end in segments)
    scp = rows_of(folder, "wav.scp")
    assert {row[0] for row in scp} == {row[1] for row in segments}
    for _, *words in scp:
        rxfilename = " ".join(words)
        assert words, "no file"
        assert "~" not in words[0]
        if "|" in rxfilename:  # a command: its output is piped into Kaldi
            assert rxfilename.endswith(" |")
            assert rxfilename.count("|") == 1
            paths = [word for word in shlex.split(rxfilename[:-1]) if Path(word).is_file()]
            assert len(paths) == 1, "a pipe that reads no file"
        else:
            assert Path(rxfilename).read_bytes()[:4] == b"RIFF", "Kaldi reads only WAV by itself"


def manifest(folder: Path, speakers: list[str | None], suffix: str = ".wav") -> list[Utterance]:
    """Make utterances of these speakers whose ids sort another way."""
    rng = random.Random(1)
    made = []
    for number, speaker in enumerate(speakers):
        audio = record(folder / f"{number}{suffix}", 2.0)
        made += [
            Utterance(
                id=f"{rng.randrange(10**6)}-{number}-{start}",
                audio=audio,
                start=float(start),
                duration=1.0,
                text=f"text  {start}",
                speaker=speaker,
            )
            for start in (0, 1)
        ]
    return made


@pytest.mark.parametrize(
    "speakers",
    [
        ["b", "a", "b", "C"],
        ["a", "a-b", "ab", "a", "a.b", "A"],
        ["19", "198", "2", "19"],
        ["é", "z", "ß"],
        [None, "a", None, "b"],
        [None, None],
        ["only"] * 3,
    ],
)
def test_rules_are_kept_whatever_the_names(tmp_path: Path, speakers: list[str | None]) -> None:
    made = manifest(tmp_path, speakers)
    write_kaldi(tmp_path / "data", made)
    validate(tmp_path / "data")
    back = read_kaldi(tmp_path / "data")
    assert sorted((i.audio, i.start, i.duration, " ".join(i.text.split())) for i in made) == sorted(
        (item.audio, item.start, item.duration, item.text) for item in back
    )
    if None not in speakers:
        assert {(i.audio, i.speaker) for i in made} == {(i.audio, i.speaker) for i in back}


def test_ids_that_sort_stay_as_they_are(tmp_path: Path) -> None:
    ids = ("ann-1", "ann-2", "bob-1", "bob-2")
    made = [
        Utterance(id=name, audio=tmp_path / "a.wav", duration=1.0, text="x", speaker=name[:3])
        for name in ids
    ]
    write_kaldi(tmp_path, made)
    assert [row[0] for row in rows_of(tmp_path, "utt2spk")] == [item.id for item in made]


@pytest.mark.parametrize("suffix", [".flac", ".ogg", ".mp3"])
def test_other_formats_are_decoded_by_a_pipe(tmp_path: Path, suffix: str) -> None:
    folder = tmp_path / "it's a folder"
    made = manifest(folder, ["a", "b"], suffix)
    write_kaldi(tmp_path / "data", made)
    validate(tmp_path / "data")
    assert {item.audio for item in read_kaldi(tmp_path / "data")} == {item.audio for item in made}


@pytest.mark.parametrize(
    "command", ["flac -c -d -s {} |", "flac -cd {} |", "flac -d -c {} {} |", "sox {} x.wav |"]
)
def test_only_commands_that_decode_one_file_are_read(tmp_path: Path, command: str) -> None:
    audio = record(tmp_path / "a.flac")
    (tmp_path / "wav.scp").write_text(f"a {command.format(audio, audio)}\n")
    (tmp_path / "text").write_text("a x\n")
    if command == "flac -c -d -s {} |":
        assert read_kaldi(tmp_path)[0].audio == audio
    else:
        with pytest.raises(CorpusError, match="is a command, which is never run"):
            read_kaldi(tmp_path)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"audio": Path("/x/rm -rf |")}, "takes such a path for a command; rename it"),
        ({"audio": Path("/x/a|b.wav")}, "takes such a path for a command"),
        ({"text": " "}, "has an empty text"),
    ],
)
def test_what_kaldi_would_misread_is_refused(
    tmp_path: Path, change: dict[str, object], complaint: str
) -> None:
    values = {"id": "a", "audio": Path("/x/a.wav"), "duration": 1.0, "text": "x", **change}
    with pytest.raises(CorpusError, match=complaint):
        write_kaldi(tmp_path / "data", [Utterance(**values)])  # type: ignore[arg-type]
    assert not (tmp_path / "data").exists()

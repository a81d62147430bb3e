"""Manifests: the format of design.md, what is refused, and atomic writing."""

import json
import os
import string
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from asr._atomic import write_atomically
from asr.errors import ManifestError
from asr.manifest import Utterance, read_manifest, write_manifest

GOOD = {"id": "a", "audio": "x/a.wav", "start": 0.0, "duration": 1.5, "text": "HI", "speaker": "s"}


def write_lines(path: Path, *records: object) -> Path:
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    return path


def test_file_has_one_json_object_a_line_with_fixed_keys_and_relative_paths(tmp_path: Path) -> None:
    path = tmp_path / "data" / "train.jsonl"
    audio = tmp_path / "corpus" / "a.flac"
    write_manifest(path, [Utterance(id="a", audio=audio, duration=1.23456789, text="ÉTÉ")])
    assert path.read_text(encoding="utf-8") == (
        '{"id": "a", "audio": "../corpus/a.flac", "start": 0.0, "duration": 1.234568, '
        '"text": "ÉTÉ", "speaker": null}\n'
    )
    assert read_manifest(path)[0].audio == audio


def test_minimal_line_gets_defaults_and_other_keys_are_ignored(tmp_path: Path) -> None:
    record = {"id": "a", "audio": "a.wav", "duration": 2, "text": "", "gender": "f"}
    path = tmp_path / "m.jsonl"
    path.write_text("\ufeff\n" + json.dumps(record) + "\r\n\n", encoding="utf-8")
    audio = tmp_path.resolve() / "a.wav"
    assert read_manifest(path) == [Utterance(id="a", audio=audio, duration=2.0, text="")]


def test_moving_manifest_and_audio_together_keeps_them_together(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    audio = old / "audio" / "a.wav"
    write_manifest(old / "m.jsonl", [Utterance(id="a", audio=audio, duration=1, text="x")])
    old.rename(new)
    assert read_manifest(new / "m.jsonl")[0].audio == new.resolve() / "audio" / "a.wav"


def test_linked_folders_and_linked_recordings(tmp_path: Path) -> None:
    audio = tmp_path / "deep" / "er" / "corpus" / "a.wav"
    audio.parent.mkdir(parents=True)
    (audio.parent / "blob").write_bytes(b"x")
    audio.symlink_to("blob")
    (tmp_path / "out").mkdir()
    for name, target in (("corpus", audio.parent), ("deep/out", tmp_path / "out")):
        (tmp_path / name).symlink_to(target, target_is_directory=True)
    path = tmp_path / "deep" / "out" / "m.jsonl"
    utterance = Utterance(id="a", audio=tmp_path / "corpus" / "a.wav", duration=1, text="x")
    write_manifest(path, [utterance])
    assert read_manifest(path)[0].audio == audio.parent.resolve() / "a.wav"


names = st.text(string.ascii_letters + "äß漢 .-_", min_size=1).filter(
    lambda name: name.strip(" .") == name
)


@settings(max_examples=40, deadline=None)  # a disk under load may be slow
@given(
    rows=st.lists(
        st.tuples(
            names,
            st.text(st.characters(exclude_categories=["Cs"])),
            st.floats(0, 1e5),
            st.floats(1e-4, 1e5),
            st.none() | names,
        ),
        min_size=1,
        unique_by=lambda row: row[0],
    )
)
def test_what_is_written_is_read(
    rows: list[tuple[str, str, float, float, str | None]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        written = [
            Utterance(
                id=name,
                audio=root / "corpus" / f"{name}.wav",
                text=text,
                start=start,
                duration=duration,
                speaker=speaker,
            )
            for name, text, start, duration, speaker in rows
        ]
        write_manifest(root / "out" / "m.jsonl", written)
        read = read_manifest(root / "out" / "m.jsonl")
    for one, two in zip(written, read, strict=True):
        assert (one.id, one.audio, one.text, one.speaker) == (
            two.id,
            two.audio,
            two.text,
            two.speaker,
        )
        assert abs(one.start - two.start) <= 1e-4
        assert abs(one.duration - two.duration) <= 1e-4


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"id": ""}, "id is ''"),
        ({"id": 7}, "id is 7; it must be a string"),
        ({"audio": None}, "audio is None"),
        ({"audio": "a\0b"}, "audio is"),
        ({"duration": "1.5"}, "duration is '1.5'; it must be a finite number of seconds"),
        ({"duration": True}, "duration is True"),
        ({"duration": 0}, "duration is 0.0; it must be more than 0"),
        ({"duration": float("nan")}, "duration is nan"),
        ({"duration": float("inf")}, "duration is inf"),
        ({"duration": 10**400}, "duration is 1000"),
        ({"start": -0.5}, "start is -0.5; it must be 0 or more"),
        ({"start": None}, "start is None"),
        ({"text": None}, "text is None"),
        ({"text": "\ud800"}, "no valid Unicode"),
        ({"speaker": 3}, "speaker is 3"),
        ({"speaker": " "}, "speaker is ' '"),
    ],
)
def test_bad_value_is_named_with_file_and_line(
    tmp_path: Path, change: dict[str, object], complaint: str
) -> None:
    path = write_lines(tmp_path / "m.jsonl", GOOD, {**GOOD, "id": "b", **change})
    with pytest.raises(ManifestError) as caught:
        read_manifest(path)
    assert str(caught.value).startswith(f"{path}, line 2: ")
    assert complaint in str(caught.value)
    assert len(str(caught.value)) < len(str(path)) + 200


@pytest.mark.parametrize("key", ["id", "audio", "duration", "text"])
def test_missing_key_is_named(tmp_path: Path, key: str) -> None:
    record = {name: value for name, value in GOOD.items() if name != key}
    with pytest.raises(ManifestError, match=f"line 1: has no key '{key}'; found: "):
        read_manifest(write_lines(tmp_path / "m.jsonl", record))


@pytest.mark.parametrize("line", ["{", "[1]", "7", "audio,text", "[" * 100_000])
def test_line_that_is_no_object(tmp_path: Path, line: str) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text(line)
    with pytest.raises(ManifestError, match=r"line 1: .*JSON"):
        read_manifest(path)


def test_repeated_id_names_both_lines(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "m.jsonl", GOOD, {**GOOD, "id": "b"}, GOOD)
    with pytest.raises(ManifestError, match="line 3: id 'a' stands on line 1 already"):
        read_manifest(path)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(b"", "holds no utterance"), (b" \n\n", "holds no utterance"), (b'{"id": "\xff"}', "UTF-8")],
)
def test_file_without_utterances(tmp_path: Path, content: bytes, complaint: str) -> None:
    path = tmp_path / "m.jsonl"
    path.write_bytes(content)
    with pytest.raises(ManifestError, match=complaint):
        read_manifest(path)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"No such file.*asr-prepare"):
        read_manifest(tmp_path / "nope.jsonl")
    with pytest.raises(ManifestError, match="Is a directory"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    ("utterances", "complaint"),
    [
        ([], "no utterances"),
        ([{}, {}], "'a' occurs twice"),
        ([{"duration": 0.0}], "duration is 0.0"),
        ([{"duration": float("nan")}], "duration is nan"),
        ([{"text": "\udcff"}], "Unicode"),
        ([{"audio": Path("\udcff.wav")}], "Unicode"),
    ],
)
def test_writing_refuses_what_reading_would(
    tmp_path: Path, utterances: list[dict[str, object]], complaint: str
) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text("old")
    good = {"id": "a", "audio": tmp_path / "a.wav", "duration": 1.0, "text": "x"}
    with pytest.raises(ManifestError, match=complaint):
        write_manifest(path, [Utterance(**{**good, **change}) for change in utterances])
    assert path.read_text() == "old"


def test_manifest_that_cannot_be_written_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="cannot be written"):
        write_manifest(tmp_path, [Utterance(id="a", audio=tmp_path / "a", duration=1, text="x")])


def test_atomic_write_replaces_and_leaves_no_temporary_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    write_atomically(path, "één\n")
    assert path.read_bytes() == "één\n".encode()
    write_atomically(path, b"\x00\xff")
    assert path.read_bytes() == b"\x00\xff"
    assert list(path.parent.iterdir()) == [path]


def test_interrupted_write_keeps_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(descriptor: int) -> None:
        raise KeyboardInterrupt

    path = tmp_path / "file"
    path.write_text("old")
    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, "new")
    assert [item.name for item in tmp_path.iterdir()] == ["file"]
    assert path.read_text() == "old"


def test_new_file_has_the_permissions_of_any_other(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("x")
    write_atomically(tmp_path / "atomic", "x")
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_line_without_end_is_refused_before_it_is_read(tmp_path: Path):
    with (tmp_path / "m.jsonl").open("wb") as file:
        file.write(b"{}\n")
        file.truncate(2**33)  # zeros that take no room on the disk
    with pytest.raises(ManifestError, match=r"m\.jsonl, line 2: longer than 16777216 bytes"):
        read_manifest(tmp_path / "m.jsonl")

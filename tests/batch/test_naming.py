"""Distinct ids: short where nobody shares them, the same whatever the order, safe for SCTK."""

import json
import random
from pathlib import Path

import fake_model
import pytest
from hypothesis import given, strategies as st

from asr.batch.jobs import list_jobs, run_here
from asr.batch.naming import distinct, recording_ids
from asr.batch.workers import run_in_processes
from asr.formats import FORMATS
from asr.scoring import read_transcripts


def ids(*sources: str) -> list[str]:
    """The ids, checked in three orders."""
    found = dict(zip(sources, recording_ids(sources), strict=True))
    for seed in range(2):
        shuffled = random.Random(seed).sample(sources, len(sources))
        assert dict(zip(shuffled, recording_ids(shuffled), strict=True)) == found
    return list(found.values())


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        (["84/121/84-121-0000.flac", "84/122/84-122-0000.flac"], ["84-121-0000", "84-122-0000"]),
        (["a/rec.flac", "b/rec.flac"], ["a-rec", "b-rec"]),
        (["a/rec.flac", "b/rec.flac", "c/other.wav"], ["a-rec", "b-rec", "other"]),
        (["x/a.wav", "x/a.mp3"], ["a.wav", "a.mp3"]),
        (["a/x/rec.wav", "b/x/rec.wav"], ["a-x-rec", "b-x-rec"]),
        (["a/Rec.wav", "b/rec.wav"], ["a-Rec", "b-rec"]),
        (["one/day 1.wav", "two/day (1).wav"], ["day_1", "day__1_"]),
        (["one/day 1.wav", "two/day_1.wav"], ["one-day_1", "two-day_1"]),
        ([";;a.wav", "-"], ["_;a", "<stdin>"]),
    ],
)
def test_ids_by_hand(sources: list[str], expected: list[str]):
    assert ids(*sources) == expected


def test_a_longer_id_leaves_the_id_of_another_recording_alone():
    first, second, third = ids("a/c.wav", "b/c.wav", "x/a-c.wav")
    assert (second, third) == ("b-c", "x-a-c")
    assert first.endswith("-a-c")


def test_names_that_differ_only_in_case_get_a_digest_of_their_path():
    first, second = ids("x/Rec.wav", "x/rec.wav")
    assert first.startswith("Rec-")
    assert second.startswith("rec-")
    assert first.lower() != second.lower()


def test_undecodable_names_stay_apart():
    """Both bytes print as U+FFFD."""
    found = ids("caf\udce9.wav", "caf\udce8.wav")
    assert len(set(found)) == 2
    assert all("\ufffd" in name for name in found)


@given(
    st.lists(
        st.lists(st.sampled_from(["a", "A", "a-b", "b", "a b"]), min_size=1, max_size=3),
        max_size=12,
    )
)
def test_ids_are_always_distinct_and_safe(paths: list[list[str]]):
    sources = list(dict.fromkeys("/".join(path) + ".wav" for path in paths))
    found = ids(*sources)
    assert len({name.lower() for name in found}) == len(sources)
    assert not any(set(name) & set(" ()\n\t") for name in found)


def test_taken_names_are_left_to_their_owners():
    candidates = [iter(["a", "b", "c"]), iter(["b", "d"])]
    assert distinct(candidates, taken=["A"]) == ["c", "d"]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("name", ["jsonl", "trn", "ctm", "manifest"])
def test_two_folders_recordings_are_two_in_every_format(tmp_path: Path, workers: int, name: str):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "rec.flac").write_text(folder)
    jobs = list_jobs([str(tmp_path)])
    transcriber = fake_model.transcriber(timed=True)
    outcomes = (
        run_here(transcriber, jobs)
        if workers == 1
        else run_in_processes(transcriber, jobs, workers)
    )
    lines = "".join(FORMATS[name].write(outcome.transcript) for outcome in outcomes)
    (tmp_path / "out").write_text(lines)
    found = (
        {json.loads(line)["id"] for line in lines.splitlines()}
        if name == "manifest"
        else read_transcripts(tmp_path / "out").keys()
    )
    expected = {"a-rec", "b-rec"}
    assert found == ({f"{one}-0000" for one in expected} if name == "manifest" else expected)


def test_a_file_named_twice_is_one_recording(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("x.wav").touch()
    (job,) = list_jobs(["x.wav", str(tmp_path / "x.wav")], [Path("x.wav")])
    assert (job.source, job.id) == (Path("x.wav"), "x")

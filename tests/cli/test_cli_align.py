"""asr-align on the recording that comes with the package, in one piece and out of a longer one."""

import json
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
import srt
from folders import ENGLISH, SAMPLES

from asr.cli import align
from asr.inference import open_acoustics
from asr.manifest import Utterance, write_manifest
from asr.scoring import TimedWord, read_ctm

TEXT = (SAMPLES / "quickstart.txt").read_text().strip()
SOUND, RATE_HZ = soundfile.read(SAMPLES / "quickstart.flac", dtype="float32")
DURATION = len(SOUND) / RATE_HZ
FRAME_S = 0.03


def run(manifest: Path, out: Path, *options: str) -> int:
    return align.main([str(ENGLISH), str(manifest), "--out", str(out), *options])


def words_of(out: Path) -> list[TimedWord]:
    return read_ctm(enumerate((out / "alignment.ctm").read_text().splitlines(), 1))


def intervals_of(path: Path) -> tuple[float, list[tuple[float, float, str]]]:
    """Read Praat's long form: its end, and (start, end, text) of the intervals of its one tier."""
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    assert lines[:2] == ['File type = "ooTextFile"', 'Object class = "TextGrid"']
    assert lines.count('class = "IntervalTier"') == lines.count('name = "words"') == 1
    values = [tuple(line.split(" = ")) for line in lines if line.startswith(("xm", "text"))]
    bounds = [float(value) for key, value in values if key != "text"]
    texts = [value for key, value in values if key == "text"]
    assert all(text[0] == text[-1] == '"' for text in texts)
    assert f"intervals: size = {len(texts)}" in lines
    assert [line for line in lines if re.match(r"intervals \[", line)] == [
        f"intervals [{number}]:" for number in range(1, len(texts) + 1)
    ]
    assert bounds[0] == bounds[2] == 0  # of the file, and of the tier
    assert bounds[1] == bounds[3]
    starts, ends = bounds[4::2], bounds[5::2]
    spoken = [text[1:-1].replace('""', '"') for text in texts]
    return bounds[1], list(zip(starts, ends, spoken, strict=True))


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """The sample as a recording, and twice as a part of one, after 2 s of faint noise."""
    noise = 1e-4 * np.random.default_rng(0).standard_normal(2 * RATE_HZ).astype(np.float32)
    soundfile.write(tmp_path / "whole.wav", SOUND, RATE_HZ)
    soundfile.write(tmp_path / "long.wav", np.concatenate([noise, SOUND, SOUND]), RATE_HZ)
    spoken = TEXT.capitalize().replace("that", "that,")  # as people write it
    parts = {"whole": ("whole", 0.0), "one": ("long", 2.0), "two": ("long", 2.0 + DURATION)}
    path = tmp_path / "m.jsonl"
    write_manifest(
        path,
        [
            Utterance(
                id=name, audio=tmp_path / f"{a}.wav", start=start, duration=DURATION, text=spoken
            )
            for name, (a, start) in parts.items()
        ],
    )
    return path


def test_ctm_and_textgrids(manifest: Path, tmp_path: Path, capsys):
    out = tmp_path / "out"
    assert run(manifest, out) == 0
    assert capsys.readouterr() == ("", "3 of 3 utterances aligned\n")
    words = words_of(out)
    assert [word.word for word in words] == TEXT.split() * 3
    assert {word.channel for word in words} == {"1"}
    count = len(TEXT.split())
    whole, one, two = words[:count], words[count : 2 * count], words[2 * count :]
    assert {word.file for word in whole} == {"whole"}
    assert {word.file for word in one + two} == {"long"}
    for shift, part in ((2.0, one), (2.0 + DURATION, two)):
        found = [word.start - shift for word in part]
        np.testing.assert_allclose(found, [word.start for word in whole], atol=2e-3)
    end, intervals = intervals_of(out / "two.TextGrid")
    assert end == pytest.approx(DURATION, abs=1e-5)
    assert intervals[0][0] == 0
    assert intervals[-1][1] == end
    assert all(left[1] == right[0] for left, right in pairwise(intervals))
    assert all(start < end for start, end, _ in intervals)
    spoken = [interval for interval in intervals if interval[2]]
    assert [text for _, _, text in spoken] == TEXT.split()
    np.testing.assert_allclose(
        [(start, end) for start, end, _ in spoken],
        [(word.start, word.start + word.duration) for word in whole],
        atol=2e-3,
    )


@pytest.mark.parametrize(
    ("option", "written"),
    [
        ("ctm", ["alignment.ctm"]),
        ("textgrid", ["one.TextGrid", "two.TextGrid", "whole.TextGrid"]),
        ("srt", ["one.srt", "two.srt", "whole.srt"]),
        ("vtt", ["one.vtt", "two.vtt", "whole.vtt"]),
    ],
)
def test_only_one_format(manifest: Path, tmp_path: Path, option: str, written: list[str]):
    assert run(manifest, tmp_path / "out", "--format", option) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == written


def test_subtitles_show_the_text_as_it_is_written(manifest: Path, tmp_path: Path):
    assert (
        run(manifest, tmp_path / "out") == run(manifest, tmp_path / "out", "--format", "srt") == 0
    )
    words = words_of(tmp_path / "out")[: len(TEXT.split())]
    (cue,) = srt.parse((tmp_path / "out" / "whole.srt").read_text())
    assert cue.content.split() == TEXT.capitalize().replace("that", "that,").split()
    assert cue.start.total_seconds() == pytest.approx(words[0].start, abs=2e-3)
    assert cue.end.total_seconds() >= words[-1].start + words[-1].duration - 2e-3


def test_a_text_of_another_recording_is_doubted(manifest: Path, tmp_path: Path, capsys):
    assert run(manifest, tmp_path / "right") == 0
    assert "hardly fits" not in capsys.readouterr().err
    rows = manifest.read_text().splitlines()
    other = "call me ishmael some years ago never mind how long precisely"
    manifest.write_text(json.dumps(json.loads(rows[0]) | {"text": other}) + "\n")
    assert run(manifest, tmp_path / "wrong") == 0
    assert re.search(r"whole: the text hardly fits .* recording\?", capsys.readouterr().err)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('"text": "', '"text": "' + "word " * 60), r"one: the text needs \d+ frames"),
        (('"text": "', '"text": "\\u00d8rsted '), r"one: '.*' holds '\u00d8' \(U\+00D8\) 1x"),
        (('"audio": "long.wav"', '"audio": "gone.wav"'), "one: .*gone.wav: does not exist"),
        (('"duration": ', '"duration": 10'), r"one: .*long.wav: lasts .* correct the start"),
        (('"id": "one"', '"id": "../one"'), r"\.\./one: the id '\.\./one' is no file name"),
    ],
)
def test_bad_one_among_good_ones(
    manifest: Path, tmp_path: Path, capsys, change: tuple[str, str], message: str
):
    lines = manifest.read_text().splitlines()
    assert lines[1].count(change[0]) == 1
    manifest.write_text("\n".join([lines[0], lines[1].replace(*change), lines[2]]))
    assert run(manifest, tmp_path / "out") == 1
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 2
    assert re.match(f"asr-align: error: {message}", errors[0])
    assert errors[1] == "2 of 3 utterances aligned"
    assert [word.word for word in words_of(tmp_path / "out")] == TEXT.split() * 2
    assert sorted(path.name for path in tmp_path.rglob("*.TextGrid")) == [
        "two.TextGrid",
        "whole.TextGrid",
    ]


def test_empty_text_is_a_pause(manifest: Path, tmp_path: Path):
    manifest.write_text(re.sub('"text": "[^"]*"', '"text": "..."', manifest.read_text()))
    assert run(manifest, tmp_path / "out") == 0
    end, intervals = intervals_of(tmp_path / "out" / "one.TextGrid")
    assert intervals == [(0, end, "")]
    assert words_of(tmp_path / "out") == []


def test_recordings_of_one_name_are_two(manifest: Path, tmp_path: Path):
    (tmp_path / "b").mkdir()
    (tmp_path / "long.wav").rename(tmp_path / "b" / "Whole.wav")
    manifest.write_text(manifest.read_text().replace("long.wav", "b/Whole.wav"))
    assert run(manifest, tmp_path / "out") == 0
    words = words_of(tmp_path / "out")
    count = len(TEXT.split())
    assert {word.file for word in words[:count]} == {f"{tmp_path.name}-whole"}
    assert {word.file for word in words[count:]} == {"b-Whole"}


def test_ids_that_differ_in_case_have_files_of_their_own(manifest: Path, tmp_path: Path):
    manifest.write_text(manifest.read_text().replace('"id": "two"', '"id": "One"'))
    assert run(manifest, tmp_path / "out", "--format", "textgrid") == 0
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert len({name.lower() for name in names}) == 3
    assert [re.sub("-[0-9a-f]{8}", "-*", name) for name in names] == [
        "One-*.TextGrid",
        "one-*.TextGrid",
        "whole.TextGrid",
    ]


@pytest.mark.parametrize("known", [slice(0, 2), slice(4, 6), slice(8, 10)])
def test_words_of_a_text_that_lacks_most_are_where_they_are_in_the_whole(
    manifest: Path, tmp_path: Path, capsys, known: slice
):
    """Ten seconds and two known words: neither may stretch over the speech without text."""
    silence = 1e-4 * np.random.default_rng(1).standard_normal(2 * RATE_HZ).astype(np.float32)
    sound = np.concatenate([silence, SOUND, silence])
    soundfile.write(tmp_path / "ten.wav", sound, RATE_HZ)

    def aligned(words: list[str]) -> list[TimedWord]:
        utterance = Utterance(
            id="ten",
            audio=tmp_path / "ten.wav",
            duration=len(sound) / RATE_HZ,
            text=" ".join(words),
        )
        write_manifest(manifest, [utterance])
        assert run(manifest, tmp_path / "out") == 0
        return words_of(tmp_path / "out")

    whole = aligned(TEXT.split())
    assert capsys.readouterr().err == "1 of 1 utterance aligned\n"
    some = aligned(TEXT.split()[known])
    assert [word.word for word in some] == TEXT.split()[known]
    for found, truth in zip(some, whole[known], strict=True):
        assert found.start == pytest.approx(truth.start, abs=4 * FRAME_S)
        assert found.start + found.duration == pytest.approx(
            truth.start + truth.duration, abs=4 * FRAME_S
        )
    warning, _ = capsys.readouterr().err.splitlines()
    found = re.fullmatch(
        r"asr-align: ten: ([\d.]+) s of speech have no text, at .*; is the text complete\?", warning
    )
    assert found
    assert 1.0 < float(found[1]) < DURATION


def test_long_recording_does_not_drift(tmp_path: Path):
    """Words of a recording that is cut for recognition stand where its parts have them."""
    pause = 1e-4 * np.random.default_rng(0).standard_normal(RATE_HZ + 77).astype(np.float32)
    period_s = (len(SOUND) + len(pause)) / RATE_HZ
    times = int(64 / period_s)
    soundfile.write(tmp_path / "long.wav", np.tile(np.concatenate([SOUND, pause]), times), RATE_HZ)
    utterance = Utterance(
        id="long",
        audio=tmp_path / "long.wav",
        duration=times * period_s,
        text=" ".join([TEXT] * times),
    )
    aligned = align.align_utterance(open_acoustics(ENGLISH), utterance).words
    starts = np.array([word.start for word in aligned]).reshape(times, -1)
    within = starts - period_s * np.arange(times)[:, None]
    assert np.abs(within - np.median(within, axis=0)).max() < 4 * FRAME_S


def test_output_folder_that_is_a_file(manifest: Path, tmp_path: Path, capsys):
    (tmp_path / "out").write_text("")
    assert run(manifest, tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "give another --out" in error


@pytest.mark.parametrize("options", [[], ["--format", "elan"]])
def test_usage_is_status_2(options: list[str]):
    with pytest.raises(SystemExit) as left:
        align.main(["model", "m.jsonl", *options])
    assert left.value.code == 2

"""asr-doctor: every planted fault is named, and nothing else; sound data leaves it calm."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from folders import real_material
from hypothesis import given, strategies as st

from asr.cli.doctor import main
from asr.config import config_from_dict
from asr.corpora import read_librispeech
from asr.doctor.examination import examine
from asr.doctor.finding import KINDS
from asr.doctor.report import histogram
from asr.doctor.texts import rate_bounds
from asr.manifest import Utterance, read_manifest, write_manifest

RATE_HZ = 16_000
CHARACTERS_PER_S = 14


def noise(seconds: float, seed: int, rate_hz: int = RATE_HZ) -> np.ndarray:
    """Wide-band noise that swells four times a second, as syllables do."""
    time = np.arange(round(seconds * rate_hz)) / rate_hz
    swell = 0.6 + 0.4 * np.sin(2 * np.pi * 4 * time)
    return 0.1 * swell * np.random.default_rng(seed).standard_normal(len(time)).clip(-3, 3)


def words(characters: int, seed: int) -> str:
    """Return random words of so many characters, spaces included."""
    rng = np.random.default_rng(seed)
    letters = rng.choice(list("ABCDEFGHIJKLMNOPQRSTUVWXYZ"), characters)
    letters[4:-1:5] = " "
    return "".join(letters)


def utterance(folder: Path, name: str, seed: int, seconds: float | None = None) -> Utterance:
    """Write a recording; its text is as long as speech of that length would have."""
    seconds = seconds or round(float(np.random.default_rng(seed).uniform(1, 4)), 2)
    audio = folder / f"{name}.wav"
    soundfile.write(audio, noise(seconds, seed), RATE_HZ)
    text = words(round(seconds * CHARACTERS_PER_S), seed)
    return Utterance(id=name, audio=audio, duration=seconds, text=text, speaker=name[0])


def utterances(folder: Path, prefix: str, count: int, seed: int) -> list[Utterance]:
    return [utterance(folder, f"{prefix}{i}", seed + i) for i in range(count)]


@pytest.fixture
def train(tmp_path: Path) -> list[Utterance]:
    return utterances(tmp_path, "t", 40, 1000)


@pytest.fixture
def diagnose(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable:
    """Write the sets, run the command on them, return its status and its report."""

    def run(*options: str, **sets: list[Utterance]) -> tuple[int, dict]:
        for name, members in sets.items():
            write_manifest(tmp_path / f"{name}.jsonl", members)
        words = [str(tmp_path / "train.jsonl"), "--json", *options]
        for name in sets.keys() - {"train"}:
            words += [f"--{name}", str(tmp_path / f"{name}.jsonl")]
        status = main(words)
        return status, json.loads(capsys.readouterr().out)

    return run


def kinds(report: dict) -> dict[str, int]:
    return {f"{f['dataset']}: {f['kind']}": f["count"] for f in report["findings"]}


def rewrite(item: Utterance, samples: np.ndarray, rate_hz: int = RATE_HZ) -> None:
    soundfile.write(item.audio, samples, rate_hz)


def silence(item: Utterance) -> None:
    rewrite(item, 1e-3 * soundfile.read(item.audio)[0])


def clip(item: Utterance) -> None:
    rewrite(item, (10 * noise(item.duration, 1)).clip(-1, 1))


def offset(item: Utterance) -> None:
    rewrite(item, noise(item.duration, 2) + 0.1)


def limit_band(item: Utterance) -> None:
    spectrum = np.fft.rfft(noise(item.duration, 3))
    spectrum[len(spectrum) // 2 :] = 0  # nothing above 4 kHz
    rewrite(item, np.fft.irfft(spectrum))


def resample(item: Utterance) -> None:
    rewrite(item, noise(item.duration, 4, 44_100), 44_100)


def spoil(item: Utterance) -> None:
    item.audio.write_bytes(b"no sound at all")


def cut(item: Utterance) -> None:
    """Leave a FLAC whose header is whole; that its frames are not shows only when it is decoded."""
    soundfile.write(item.audio, noise(item.duration, 5), RATE_HZ, format="FLAC")
    content = item.audio.read_bytes()
    item.audio.write_bytes(content[: len(content) // 2])


def empty(item: Utterance) -> None:
    item.audio.write_bytes(b"")


AUDIO_FAULTS = {
    "missing-audio": lambda item: item.audio.unlink(),
    "empty-audio": empty,
    "unreadable-audio": spoil,
    "silent-audio": silence,
    "clipping": clip,
    "dc-offset": offset,
    "band-limited": limit_band,
    "mixed-rates": resample,
}
TEXT_FAULTS = {
    "beyond-end": lambda item: replace(item, duration=item.duration + 1),
    "empty-text": lambda item: replace(item, text=" ... \U0001f600 "),
    "stray-symbols": lambda item: replace(item, text="Ω" + item.text[1:]),
    "too-few-frames": lambda item: replace(item, text=words(round(40 * item.duration), 6)),
}


def with_all_faults(folder: Path, train: list[Utterance]) -> tuple[list[Utterance], dict[str, str]]:
    """Spoil utterances, each in one way; return the set, and which id has which fault."""
    members, faults = list(train), {}
    for place, (kind, spoiled) in enumerate(AUDIO_FAULTS.items()):
        spoiled(members[place])
        faults[members[place].id] = kind
    for place, (kind, changed) in enumerate(TEXT_FAULTS.items(), start=20):
        members[place] = changed(members[place])
        faults[members[place].id] = kind
    slow = replace(utterance(folder, "slow", 1, 5.0), text="ABC")
    long = utterance(folder, "long", 2, 21.0)
    damaged = utterance(folder, "damaged", 3)
    cut(damaged)
    copy = replace(members[30], id="copy", audio=folder / "copy.wav")
    copy.audio.write_bytes(members[30].audio.read_bytes())
    other = replace(members[31], id="other", text=words(len(members[31].text), 7))
    faults |= {"slow": "text-fit", "long": "too-long", "damaged": "damaged-audio"}
    faults |= {"copy": "duplicate-audio", "other": "contradicting-texts"}
    faults[members[31].id] = "contradicting-texts"
    return [*members, slow, long, damaged, copy, other], faults


def test_all_planted_faults_of_a_set_are_named_and_nothing_else(tmp_path, train, capsys):
    members, faults = with_all_faults(tmp_path, train)
    path = tmp_path / "faulty.jsonl"
    write_manifest(path, members)
    twin = path.read_text().splitlines()[35]
    path.write_text(path.read_text() + f"{twin}\nnonsense\n")
    clean = tmp_path / "clean" / "train.jsonl"
    clean.parent.mkdir()

    assert main([str(path), "--json", "--fix", str(clean)]) == 1

    report = json.loads(capsys.readouterr().out)
    expected = {f"train: {kind}": list(faults.values()).count(kind) for kind in faults.values()}
    assert kinds(report) == {**expected, "train: duplicate-id": 1, "train: malformed-line": 1}
    for finding in report["findings"]:
        shown = " ".join(finding["examples"])
        ids = [name for name, kind in faults.items() if kind == finding["kind"]]
        assert finding["remedy"]
        assert all(name in shown for name in ids)
    kept = [m.id for m in members if not KINDS[faults.get(m.id, "clipping")].leave_out]
    assert [item.id for item in read_manifest(clean)] == kept
    assert read_manifest(clean)[0].audio.exists()  # paths are relative to the new folder
    assert sum(report["left_out"].values()) == len(members) + 2 - len(kept)

    assert main([str(clean)]) == 0
    assert "0 errors" in capsys.readouterr().out


def test_faults_between_sets_are_named_and_nothing_else(tmp_path, train, diagnose):
    valid = utterances(tmp_path, "v", 30, 2000)
    valid[0] = replace(valid[0], speaker="t")
    valid[1] = replace(train[1], id="v1", speaker="v")
    valid[2] = replace(valid[2], text=valid[2].text.replace(" ", "Ж", 1))
    shared = utterance(tmp_path, "v3", 2003, train[3].duration)
    valid[3] = replace(shared, text=train[3].text.lower())

    status, report = diagnose(train=train, valid=valid)

    assert status == 1
    assert kinds(report) == {
        "valid: shared-speakers": 1,
        "valid: shared-audio": 1,
        "valid: unknown-symbols": 1,
        "valid: shared-transcripts": 1,
    }
    shown = {f["kind"]: f["examples"][0] for f in report["findings"]}
    assert shown["shared-audio"].startswith("v1: ")
    assert "'Ж' (U+0416)" in shown["unknown-symbols"]
    assert "as t3" in shown["shared-transcripts"]
    remedies = {f["kind"]: f["remedy"] for f in report["findings"]}
    assert "asr-prepare --split-by text" in remedies["shared-transcripts"]


def test_faultless_sets_leave_it_calm(tmp_path, train, diagnose):
    sets = {"valid": utterances(tmp_path, "v", 30, 2000), "test": utterances(tmp_path, "w", 9, 1)}
    status, report = diagnose(train=train, **sets)
    assert (status, report["findings"]) == (0, [])
    assert [s["utterances"] for s in report["sets"]] == [40, 30, 9]
    assert sum(piece["count"] for piece in report["sets"][0]["lengths"]) == 40
    assert report["sets"][0]["sample_rates_hz"] == {"16000": 40}


def test_other_case_is_recognised_as_such(tmp_path, train):
    """Only where the configuration keeps the case: else all texts are brought to one."""
    valid = utterances(tmp_path, "v", 3, 2000)
    valid[1] = replace(valid[1], text=valid[1].text.lower())
    mixed = [*train[:5], replace(train[5], text=train[5].text.lower()), *train[6:]]
    paths = {name: tmp_path / f"{name}.jsonl" for name in ("train", "valid")}
    write_manifest(paths["valid"], valid)

    def cases(members: list[Utterance], case: str) -> list[tuple[str, str, int]]:
        write_manifest(paths["train"], members)
        config = config_from_dict({"text": {"case": case}})
        found = examine(paths, config, everything=False).findings
        return [(f.dataset, f.kind, f.count) for f in found]

    assert cases(mixed, "upper") == []
    assert cases(train, "keep") == [("valid", "case-mismatch", 1)]
    assert ("train", "case-mismatch", 1) in cases(mixed, "keep")


@pytest.mark.parametrize(("shift", "hint"), [(1, "up 1 line"), (-2, "down 2 line"), (0, "")])
def test_texts_of_other_recordings_are_noticed(train, diagnose, shift, hint):
    order = np.roll(np.arange(40), shift) if shift else np.random.default_rng(3).permutation(40)
    texts = [train[i].text for i in order]
    mixed = [replace(item, text=text) for item, text in zip(train, texts, strict=True)]
    status, report = diagnose(train=mixed)
    assert status == 1
    assert kinds(report) == {"train: text-order": 40}
    assert hint in report["findings"][0]["why"]


def test_two_odd_texts_are_not_taken_for_a_shift_of_all(train, diagnose):
    by_length = sorted(train, key=lambda item: item.duration)
    odd = [replace(item, text="A") for item in by_length[-2:]]
    assert kinds(diagnose(train=[*by_length[:-2][::2], *odd])[1]) == {"train: text-fit": 2}


def test_a_set_below_the_models_rate_is_one_finding(tmp_path, train, diagnose):
    for seed, item in enumerate(train):
        rewrite(item, noise(item.duration, seed, 8000), 8000)
    assert kinds(diagnose(train=train)[1]) == {"train: low-rate": 40}


def test_a_band_that_differs_from_the_training_sets(tmp_path, train, diagnose):
    valid = utterances(tmp_path, "v", 3, 2000)
    for item in valid:
        limit_band(item)
    assert kinds(diagnose(train=train, valid=valid)[1]) == {"valid: band-differs": 3}
    assert kinds(diagnose(train=valid)[1]) == {"train: narrow-band": 3}


def test_one_reader_is_no_fault(tmp_path, train, diagnose):
    valid = [replace(item, speaker="t") for item in utterances(tmp_path, "v", 3, 2000)]
    status, report = diagnose(train=train, valid=valid)
    assert (status, kinds(report)) == (0, {"valid: one-speaker": 3})
    assert report["findings"][0]["severity"] == "note"
    valid[0] = replace(valid[0], speaker="v")
    assert kinds(diagnose(train=train, valid=valid)[1]) == {"valid: shared-speakers": 2}


def test_sentences_that_several_people_read_are_a_warning(tmp_path, train, diagnose):
    """They repeat as prompts do, but what will be recognised are other sentences."""
    train = [replace(item, text=train[i % 20].text) for i, item in enumerate(train)]
    valid = [replace(item, text=train[0].text) for item in utterances(tmp_path, "v", 3, 2000)]
    _, report = diagnose(train=train, valid=valid)
    found = next(f for f in report["findings"] if f["kind"] == "shared-transcripts")
    assert (found["severity"], found["count"]) == ("warning", 3)
    assert "--split-by text" in found["remedy"]


def drawing(folder: Path, name: str, array: np.ndarray, **changes: object) -> Utterance:
    """Write frames of 10 ms; the text is as long as the frames."""
    np.save(folder / f"{name}.npy", array)
    fields = {"duration": len(array) * 0.01, "text": "AB" * (len(array) // 20)}
    return Utterance(id=name, audio=folder / f"{name}.npy", **(fields | changes))  # type: ignore[arg-type]


@pytest.fixture
def drawings(tmp_path: Path) -> list[Utterance]:
    rng = np.random.default_rng(1)
    arrays = (rng.standard_normal((int(n), 3), np.float32) for n in rng.integers(40, 90, 20))
    return [drawing(tmp_path, f"d{i}", array) for i, array in enumerate(arrays)]


def test_frames_are_examined_as_frames(drawings, diagnose):
    status, report = diagnose(train=drawings)
    assert (status, kinds(report)) == (0, {})
    assert report["sets"][0]["frame_widths"] == {"3": 20}
    assert report["sets"][0]["sample_rates_hz"] == {}
    assert report["sets"][0]["listened"] == 0


def test_frames_that_cannot_be_used(tmp_path, drawings, diagnose):
    frames = np.zeros((50, 3), np.float32)
    nan = frames.copy()
    nan[7, 1] = np.nan
    faulty = {
        "nan": (nan, "unreadable-frames"),
        "flat": (frames[0], "unreadable-frames"),
        "none": (frames[:0], "unreadable-frames"),
        "whole": (frames.astype(np.int16), "unreadable-frames"),
        "wide": (np.zeros((50, 4), np.float32), "other-frames"),
        "short": (frames + 1, "beyond-end"),
        "gone": (frames + 2, "missing-audio"),
        "few": (frames[:20] + 3, "too-few-frames"),
    }
    usual = {"duration": 0.5, "text": "AB"}
    own = {"short": {"duration": 0.51}, "few": {"duration": 0.2, "text": "ABABABABAB"}}
    train = [
        *drawings,
        *(
            drawing(tmp_path, name, array, **usual | own.get(name, {}))
            for name, (array, _) in faulty.items()
        ),
        utterance(tmp_path, "sound", 5, 1.0),
    ]
    (tmp_path / "gone.npy").unlink()
    status, report = diagnose(train=train)
    assert status == 1
    named = {e.split(":")[0]: f["kind"] for f in report["findings"] for e in f["examples"]}
    counts = kinds(report)
    assert counts["train: unreadable-frames"] == 4
    assert counts["train: other-frames"] == 2  # the recording, too
    for name in ("short", "gone", "few", "wide"):
        assert named[name] == faulty[name][1]
    found = next(f for f in report["findings"] if f["kind"] == "other-frames")
    assert found["why"] == "expected: frames of 3 values"
    assert found["examples"][1].endswith("sound.wav: a recording")
    found = next(f for f in report["findings"] if f["kind"] == "unreadable-frames")
    assert "value 1 of frame 7 is nan" in found["examples"][0]


def test_frames_fit_the_configuration(tmp_path, drawings, diagnose, capsys):
    conf = tmp_path / "pen.toml"
    conf.write_text(
        '[features]\nfilterbank = "none"\nnum_mels = 4\nnum_ceps = 4\ndeltas = 0\n'
        "[model]\nhidden = 16\nlayers = 1\nstack = 2\n"
    )
    status, report = diagnose("--model", str(conf), train=drawings)
    assert status == 1
    assert kinds(report)["train: other-frames"] == 20
    size = ("features.num_mels=3", "features.num_ceps=3")
    _, report = diagnose("--model", str(conf), *size, train=drawings)
    assert not any("frames" in kind for kind in kinds(report))
    assert report["cost"]["batches"] >= 1
    assert main([str(tmp_path / "train.jsonl")]) == 0
    out = capsys.readouterr().out
    assert "20 utterances, 0.00 hours, no speakers named; 20 with frames of 3 values" in out
    assert 'features.filterbank="none" features.num_mels=3 features.num_ceps=3' in out


def test_prompts_that_repeat_by_nature_are_a_note(tmp_path, train, diagnose):
    train = [replace(item, text="YES" if i % 2 else "NO") for i, item in enumerate(train)]
    valid = [replace(item, text="YES") for item in utterances(tmp_path, "v", 3, 2000)]
    status, report = diagnose(train=train, valid=valid)
    assert status == 0
    assert "valid: same-prompts" in kinds(report)


def test_pieces_of_one_recording_are_no_copies(tmp_path, diagnose):
    whole = utterance(tmp_path, "t", 1, 12.0)
    pieces = [
        replace(whole, id=f"p{i}", start=3.0 * i, duration=3.0, text=words(42, i)) for i in range(4)
    ]
    assert kinds(diagnose(train=pieces)[1]) == {}
    within = replace(pieces[0], id="p4", start=1.0, duration=1.5)
    assert kinds(diagnose(train=[*pieces, within])[1]) == {"train: duplicate-audio": 1}
    contradicting = replace(within, text="SOMETHING ELSE")
    assert kinds(diagnose(train=[*pieces, contradicting])[1]) == {"train: contradicting-texts": 2}


def test_nothing_left_to_train_on(train, diagnose):
    for item in train:
        silence(item)
    status, report = diagnose(train=train)
    assert status == 1
    assert kinds(report) == {"train: silent-audio": 40, "train: nothing-to-train": 40}


def test_what_is_no_file_is_named_without_a_hang(tmp_path, train, diagnose):
    train[0] = replace(train[0], audio=tmp_path / ("x" * 300))
    train[1] = replace(train[1], audio=tmp_path)
    for place in (2, 3):
        train[place] = replace(train[place], audio=tmp_path / f"pipe{place}")
        os.mkfifo(train[place].audio)
    status, report = diagnose(train=train)
    assert (status, kinds(report)) == (1, {"train: missing-audio": 4})


def test_text_report_names_severity_example_and_remedy(train, tmp_path, capsys):
    train[7].audio.unlink()
    write_manifest(tmp_path / "m.jsonl", train)
    assert main([str(tmp_path / "m.jsonl")]) == 1
    out = capsys.readouterr().out
    assert "error   train: 1 of 40 recordings are not there" in out
    assert f"t7: {train[7].audio}: does not exist" in out
    assert "remedy: correct the path or copy" in out
    assert out.splitlines()[-1] == "1 error, 0 warnings, 0 notes"


@pytest.mark.parametrize(
    ("content", "said"), [(None, "No such file"), ("", "no utterance"), ("{}\n", "no utterance")]
)
def test_a_manifest_without_utterances_is_one_line(tmp_path, capsys, content, said):
    path = tmp_path / "m.jsonl"
    if content is not None:
        path.write_text(content)
    assert main([str(path)]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert said in err


def test_overrides_without_a_configuration_are_refused(tmp_path, capsys):
    assert main([str(tmp_path / "m.jsonl"), "model.stack=2"]) == 2
    assert "add --model CONF" in capsys.readouterr().err


def librispeech(name: str, every: int) -> list[Utterance]:
    return read_librispeech(real_material("data", "LibriSpeech", name))[::every]


@pytest.mark.parametrize("every", [50, pytest.param(1, marks=pytest.mark.slow)])
def test_librispeech_leaves_it_calm(diagnose, every):
    sets = {"train": librispeech("train-clean-5", every), "valid": librispeech("dev-wide", every)}
    status, report = diagnose(**sets)
    assert (status, report["findings"]) == (0, [])


@given(st.lists(st.floats(5, 30), min_size=20, unique=True), st.floats(1e3, 1e9))
def test_bounds_of_rates_do_not_depend_on_how_far_an_outlier_is(rates, outlier):
    bounds = rate_bounds(np.array([*rates, outlier]))
    assert bounds == rate_bounds(np.array([*rates, 2 * outlier]))
    assert bounds[0] < np.median(rates) < bounds[1]


def test_bounds_of_rates_by_hand():
    """Logarithms -1, 0 and 1 around log 10: median 0, deviations 0 and 1, so their median 1."""
    rates = 10 * np.exp(np.array([-1.0, -1.0, 0.0, 1.0, 1.0]))
    low, high = rate_bounds(rates)
    assert high == pytest.approx(10 * np.exp(6 * 1.4826))
    assert low == pytest.approx(10 / np.exp(6 * 1.4826))
    assert rate_bounds(np.full(5, 10.0)) == pytest.approx((5, 20))


@given(st.lists(st.floats(0.01, 1000), min_size=1))
def test_histogram_counts_each_length_once(durations):
    bins = histogram(durations)
    assert len(bins) <= 13
    assert sum(piece.count for piece in bins) == len(durations)
    assert all(one.end == two.start for one, two in pairwise(bins))
    assert bins[0].start <= min(durations) * (1 + 1e-9)
    assert max(durations) <= bins[-1].end * (1 + 1e-9)

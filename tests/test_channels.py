"""Recordings with a speaker a channel: the words are real speech, said on one channel at a time."""

import io
import json
import re
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import soxr
from folders import ROOT

import asr
from asr import DecodingOptions, Recognizer
from asr.audio import AudioStream, read_audio
from asr.cli import transcribe
from asr.errors import AudioError, DecoderError
from asr.formats import turns_of

SAMPLE = ROOT / "asr" / "samples" / "quickstart.flac"
SAID = SAMPLE.with_suffix(".txt").read_text().strip()
SENTENCE = "He said that he was not in the house that night."
RATE_HZ = 16_000
GAP_S = 1.5


def apart(*channels: int, count: int = 2, seed: int = 0) -> np.ndarray:
    """The sample on each of these channels in turn, counted from 1, above a little noise."""
    speech, rate_hz = soundfile.read(SAMPLE)
    assert rate_hz == RATE_HZ
    step = len(speech) + round(GAP_S * RATE_HZ)
    noise = np.random.default_rng(seed).standard_normal((len(channels) * step, count))
    samples = 1e-4 * noise
    for number, channel in enumerate(channels):
        samples[number * step : number * step + len(speech), channel - 1] += speech
    return samples


def wav(samples: np.ndarray, rate_hz: int = RATE_HZ) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate_hz, format="WAV")
    return file.getvalue()


def load(**options: object) -> Recognizer:
    return asr.load_model(options=DecodingOptions(channels="split", **options))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def model() -> Recognizer:
    return load()


@pytest.fixture
def call(tmp_path: Path) -> Path:
    (tmp_path / "call.wav").write_bytes(wav(apart(1, 2, 1)))
    return tmp_path / "call.wav"


def run(*arguments: object) -> int:
    return transcribe.main([str(argument) for argument in arguments])


def test_each_channel_is_heard_and_turns_are_in_order(model: Recognizer, call: Path):
    found = model.transcribe(call)
    assert found.text == f"Left: {SENTENCE}\nRight: {SENTENCE}\nLeft: {SENTENCE}"
    assert found.spoken == " ".join([SAID] * 3)
    assert found.words == ()
    step = soundfile.info(SAMPLE).duration + GAP_S
    starts = [turn.words[0].start for turn in turns_of(found)]
    assert starts == pytest.approx([0.18, 0.18 + step, 0.18 + 2 * step], abs=0.1)
    assert found.duration == pytest.approx(3 * step, abs=1e-3)


def test_path_bytes_and_stream_give_the_same(model: Recognizer, call: Path):
    content, text = call.read_bytes(), model.transcribe(call).text
    assert model.transcribe(content).text == text
    assert model.transcribe(io.BytesIO(content)).text == text


def test_others_formats_than_libsndfile_s(model: Recognizer):
    av = pytest.importorskip("av", reason="PyAV is not installed")
    file, samples = io.BytesIO(), apart(1, 2).astype(np.float32)
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=RATE_HZ, layout="stereo")
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T), "fltp", "stereo")
        frame.sample_rate = RATE_HZ
        fifo = av.AudioFifo()
        fifo.write(frame)
        while part := fifo.read(1024, partial=True):
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    assert model.transcribe(file.getvalue()).text == f"Left: {SENTENCE}\nRight: {SENTENCE}"


@pytest.mark.parametrize("form", ["WAV", "MP3"])
def test_another_rate_in_processes(form: str, tmp_path: Path, capsys):
    samples = np.stack([soxr.resample(channel, RATE_HZ, 44_100) for channel in apart(1, 2).T], 1)
    for name in ("a", "b"):
        soundfile.write(tmp_path / f"{name}.{form.lower()}", samples, 44_100, format=form)
    assert run("--channels", "split", "--quiet", "--workers", "2", tmp_path) == 0
    path = tmp_path / f"a.{form.lower()}"
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [f"{path}\tLeft\t{SENTENCE}", f"{path}\tRight\t{SENTENCE}"]
    assert len(lines) == 4


def test_three_channels_and_names():
    model, content = load(channel_names=["Anna", "Ben"], plain=True), wav(apart(3, 1, count=3))
    found = model.transcribe(content, words=True)
    assert found.text == f"Channel 3: {SAID}\nAnna: {SAID}"
    assert [(t.channel, t.speaker) for t in turns_of(found)] == [(3, "Channel 3"), (1, "Anna")]
    assert [word.word for word in found.words] == [*SAID.split(), *SAID.split()]


def test_mono_is_as_without_the_option_and_says_so(model: Recognizer):
    found = model.transcribe(SAMPLE, words=True)
    usual = asr.load_model().transcribe(SAMPLE, words=True)
    assert (found.text, found.words, found.channels) == (usual.text, usual.words, ())
    assert found.warnings == (*usual.warnings, "has one channel, so nothing is split")


def test_more_names_than_channels_are_said(call: Path):
    warnings = load(channel_names=("A", "B", "C")).transcribe(call).warnings
    assert warnings[-1] == "has 2 channels; names without one: C"


def test_one_channel_alone(call: Path):
    model = asr.load_model(options=DecodingOptions(channels=2))
    assert model.transcribe(call).text == SENTENCE
    assert [segment.text for segment in model.segments(call)] == [SAID]
    with pytest.raises(AudioError, match="has no channel 2, as its channels"):
        model.transcribe(SAMPLE)


def test_the_mix_stays_the_default_and_says_what_would_help(call: Path, capsys):
    assert run("--plain", call) == 0
    captured = capsys.readouterr()
    assert captured.out == " ".join([SAID] * 3) + "\n"
    (line,) = [line for line in captured.err.splitlines() if "--channels split" in line]
    assert line == (
        f"{call}: its channels seem to hold a speaker each: asr-transcribe --channels split "
        "writes who said what"
    )


def test_findings_tell_two_speakers_from_other_recordings():
    rng, talk = np.random.default_rng(1), apart(1, 2, 1, 2)
    mono = talk.sum(axis=1)
    other = mono[:, None] * [1, 0.2] + 1e-3 * rng.standard_normal(talk.shape)
    shifted = np.stack([mono, 0.6 * np.roll(mono, 40)], axis=1)
    assert read_audio(wav(talk)).quality.speakers_apart
    assert read_audio(wav(talk * [1, 0.05])).quality.speakers_apart  # one is far from his phone
    leaking = talk + 0.1 * talk[:, ::-1]
    assert read_audio(wav(leaking)).quality.speakers_apart
    for samples in (
        np.stack([mono, mono], axis=1),
        np.stack([mono, -mono], axis=1),
        np.stack([mono, 0 * mono], axis=1),
        np.stack([mono, 0.05 * rng.standard_normal(len(mono))], axis=1),
        other,
        shifted,
        mono[:, None],
        apart(1, 2, 1, 2, count=3),
    ):
        assert not read_audio(wav(samples)).quality.speakers_apart


def test_each_quiet_channel_is_raised_on_its_own():
    samples = apart(1, 2) * [1, 0.002]
    stream = AudioStream(wav(samples), channel=2)
    assert np.abs(np.concatenate(list(stream))).max() == pytest.approx(0.5, abs=0.02)
    assert stream.quality.channels == 1
    assert stream.quality.gain_db > 20


def test_channels_of_a_long_recording_are_not_held(tmp_path: Path):
    path = tmp_path / "long.wav"
    with soundfile.SoundFile(path, "w", RATE_HZ, 2) as file:
        for _ in range(20):
            file.write(np.full((60 * RATE_HZ, 2), 0.1))
    tracemalloc.start()
    for number in (1, 2):
        for _ in AudioStream(path, channel=number):
            pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20 * 60 * RATE_HZ * 4 / 4  # a quarter of one channel as float32


@pytest.mark.parametrize(
    ("option", "why"),
    [
        ({"channels": "both"}, "channels is 'both'; allowed: 'mix', 'split'"),
        ({"channels": 0}, "channels is 0; allowed"),
        ({"channels": True}, "channels is True; allowed"),
        ({"channel_names": ["A"]}, "add --channels split"),
        ({"channels": "split", "channel_names": "AB"}, "channel_names is 'AB'"),
        ({"channels": "split", "channel_names": [""]}, "a channel name is ''"),
        ({"channels": "split", "channel_names": ["a\nb"]}, "a channel name is 'a"),
        ({"channels": "split", "channel_names": ["A", "A"]}, "give each channel its own"),
        ({"channels": "split", "channel_names": ["A" * 61]}, "has 61 characters; allowed: 60"),
    ],
)
def test_bad_values_are_one_clear_error(option: dict[str, object], why: str):
    with pytest.raises(DecoderError, match=why):
        DecodingOptions(**option)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ("--channels both a.wav", "allowed: mix, split, or a channel from 1"),
        ("--channels 0 a.wav", "allowed: mix, split, or a channel from 1"),
        ("--channel-names A a.wav", "add --channels split"),
        ("--channels split --live", "--live hears one channel"),
        ("--channels split --format manifest a.wav", "leave --channels or manifest out"),
    ],
)
def test_bad_usage(arguments: str, why: str, capsys):
    try:
        assert run(*arguments.split()) == 2
    except SystemExit as leaving:
        assert leaving.code == 2
    assert why in capsys.readouterr().err


def test_segments_of_channels_told_apart_are_refused(model: Recognizer):
    with pytest.raises(DecoderError, match="use transcribe, or channels=1"):
        model.segments(SAMPLE)


def test_progress_goes_once_through_all_channels(model: Recognizer, call: Path):
    seen = list[tuple[float, float | None]]()
    model.transcribe(call, progress=lambda done, total: seen.append((done, total)))
    duration = soundfile.info(call).duration
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (pytest.approx(duration), pytest.approx(duration))


def test_a_folder_goes_on_and_mixes_no_settings(call: Path, tmp_path: Path, capsys, monkeypatch):
    out = tmp_path / "out"
    usual = ["--plain", "--output-dir", out, "--format", "json,txt", "--skip-existing", call]

    def done(*options: str) -> str:
        assert run(*options, *usual) == 0
        return re.split("[,;]", capsys.readouterr().err.splitlines()[-1])[0]

    assert done("--channels", "split") == "1 recording transcribed"
    assert (out / "call.txt").read_text() == f"Left: {SAID}\nRight: {SAID}\nLeft: {SAID}\n"
    assert len(json.loads((out / "call.json").read_text())["channels"][1]["findings"]) > 5
    assert done("--channels", "split") == "0 recordings transcribed"
    assert done("--channels", "split", "--channel-names", "A,B") == "1 recording transcribed"
    assert (out / "call.txt").read_text().startswith(f"A: {SAID}\nB: ")
    assert done("--channels", "2") == "1 recording transcribed"
    assert (out / "call.txt").read_text() == f"{SAID}\n"
    assert done() == "1 recording transcribed"
    assert done() == "0 recordings transcribed"


def test_standard_input_and_the_quiet(call: Path, capsys, monkeypatch):
    import sys

    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(call.read_bytes())))
    assert run("--plain", "--quiet", "--channels", "split", "--channel-names", "A,B", "-") == 0
    assert capsys.readouterr() == (f"A: {SAID}\nB: {SAID}\nA: {SAID}\n", "")

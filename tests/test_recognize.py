"""Recordings to transcripts, with the model of the smoke recipe."""

import io
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

import asr
from asr.errors import AudioError, CheckpointError, DecoderError
from asr.lm import estimate, write_arpa
from asr.manifest import Utterance, read_manifest
from asr.recognize import Recognizer


@pytest.fixture(scope="module")
def model(smoke: Path) -> Recognizer:
    return asr.load_model(smoke / "exp")


@pytest.fixture(scope="module")
def spoken(smoke: Path) -> list[Utterance]:
    return read_manifest(smoke / "data" / "test.jsonl")


def test_path_bytes_and_stream_give_the_text(model: Recognizer, spoken: list[Utterance]):
    for utterance in spoken[:5]:
        content = utterance.audio.read_bytes()
        for source in (utterance.audio, str(utterance.audio), content, io.BytesIO(content)):
            assert model.transcribe(source).text == utterance.text


@pytest.mark.parametrize(
    ("suffix", "rate_hz", "subtype"),
    [
        ("wav", 44_100, "PCM_24"),
        ("flac", 48_000, "PCM_16"),
        ("ogg", 16_000, "OPUS"),
        ("mp3", 22_050, "MPEG_LAYER_III"),
        ("aiff", 16_000, "FLOAT"),
    ],
)
def test_formats_rates_and_channels(
    smoke: Path, tmp_path: Path, suffix: str, rate_hz: int, subtype: str
):
    model = asr.load_model(smoke / "exp")
    spoken = read_manifest(smoke / "data" / "test.jsonl")[0]
    waveform, _ = soundfile.read(spoken.audio)
    stereo = np.stack([soxr.resample(waveform, 16_000, rate_hz)] * 2, axis=1)
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, stereo, rate_hz, subtype=subtype)
    transcript = model.transcribe(path)
    assert transcript.text == spoken.text
    assert any("channels" in warning for warning in transcript.warnings)
    assert any("resampled" in warning for warning in transcript.warnings) == (rate_hz != 16_000)


def test_long_recording_is_the_sum_of_its_parts(
    model: Recognizer, spoken: list[Utterance], tmp_path: Path
):
    quiet = 0.005 * np.random.default_rng(0).standard_normal(8000)
    sounds = [sound for u in spoken for sound in (soundfile.read(u.audio)[0], quiet)]
    waveform = np.concatenate(sounds)
    assert len(waveform) > 60 * 16_000  # several pieces
    soundfile.write(tmp_path / "long.wav", waveform, 16_000)
    transcript = model.transcribe(tmp_path / "long.wav")
    assert transcript.duration == pytest.approx(len(waveform) / 16_000)
    assert transcript.text.split() == [word for u in spoken for word in u.text.split()]


def test_silence_has_no_text(model: Recognizer, tmp_path: Path):
    noise = 1e-4 * np.random.default_rng(0).uniform(-1, 1, 32_000)
    soundfile.write(tmp_path / "noise.wav", noise, 16_000, subtype="FLOAT")
    soundfile.write(tmp_path / "zeros.wav", np.zeros(16_000 * 70), 16_000)
    for name in ("noise.wav", "zeros.wav"):
        transcript = model.transcribe(tmp_path / name)
        assert transcript.text == ""
        assert any("silence" in warning for warning in transcript.warnings)


def test_log_probs_are_probabilities(model: Recognizer, spoken: list[Utterance]):
    waveform = soundfile.read(spoken[0].audio, dtype="float32")[0]
    log_probs = model.acoustics.log_probs(waveform)
    frames = -(-(1 + len(waveform) // 160) // 3)
    assert log_probs.shape == (frames, len(model.acoustics.vocabulary))
    np.testing.assert_allclose(np.exp(log_probs).sum(1), 1, atol=1e-5)


def test_bad_recording_and_bad_model(model: Recognizer, tmp_path: Path):
    with pytest.raises(AudioError, match="empty"):
        model.transcribe(b"")
    with pytest.raises(CheckpointError, match=r"config\.json"):
        asr.load_model(tmp_path)


def test_words_of_a_long_recording_have_its_times(
    model: Recognizer, spoken: list[Utterance], tmp_path: Path
):
    sounds = [soundfile.read(utterance.audio)[0] for utterance in spoken[:3]]
    silence = np.zeros(40 * 16_000)
    waveform = np.concatenate([s for sound in sounds for s in (sound, silence)])
    soundfile.write(tmp_path / "gaps.wav", waveform, 16_000)
    words = model.transcribe(tmp_path / "gaps.wav", words=True).words
    assert [word.word for word in words] == [w for u in spoken[:3] for w in u.text.split()]
    assert all(a.end <= b.start for a, b in pairwise(words))
    starts = np.cumsum([0, *(len(sound) + len(silence) for sound in sounds)]) / 16_000
    for word, utterance in zip(words, (u for u in spoken[:3] for _ in u.text.split()), strict=True):
        start = starts[spoken.index(utterance)]
        assert start <= word.start < word.end <= start + utterance.duration + 0.1


def test_speech_is_read_after_a_minute_of_noise(
    model: Recognizer, spoken: list[Utterance], tmp_path: Path
):
    noise = 2e-3 * np.random.default_rng(0).standard_normal(60 * 16_000)
    waveform = np.concatenate([noise, soundfile.read(spoken[0].audio)[0], noise])
    soundfile.write(tmp_path / "late.wav", waveform, 16_000)
    assert model.transcribe(tmp_path / "late.wav").text == spoken[0].text


def test_words_end_with_the_recording(model: Recognizer, spoken: list[Utterance], tmp_path: Path):
    sound, _ = soundfile.read(spoken[0].audio)
    end = round(model.transcribe(spoken[0].audio, words=True).words[-1].end * 16_000) - 900
    soundfile.write(tmp_path / "cut.wav", sound[:end], 16_000)
    transcript = model.transcribe(tmp_path / "cut.wav", words=True)
    assert transcript.words[-1].end <= transcript.duration


@pytest.fixture(scope="module")
def gaps(spoken: list[Utterance], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three utterances with pauses of three seconds between them."""
    pause = np.zeros(3 * 16_000)
    sounds = [part for u in spoken[:3] for part in (soundfile.read(u.audio)[0], pause)]
    path = tmp_path_factory.mktemp("gaps") / "gaps.wav"
    soundfile.write(path, np.concatenate(sounds), 16_000)
    return path


def test_segments_come_one_by_one_and_make_the_transcript(
    model: Recognizer, spoken: list[Utterance], gaps: Path
):
    whole = model.transcribe(gaps, words=True)
    segments = list(model.segments(gaps, words=True))
    assert [segment.text for segment in segments] == [u.text for u in spoken[:3]]
    assert tuple(word for segment in segments for word in segment.words) == whole.words
    begin = 0.0
    for segment, utterance in zip(segments, spoken, strict=False):
        assert begin <= segment.start < segment.end <= begin + utterance.duration + 0.1
        assert segment.start <= segment.words[0].start < segment.words[-1].end <= segment.end
        begin += utterance.duration + 3
    assert not any(segment.words for segment in model.segments(gaps))


def test_segments_come_before_the_end_is_read(model: Recognizer, spoken: list[Utterance]):
    sound, _ = soundfile.read(spoken[0].audio)
    content = io.BytesIO()
    talk = np.concatenate([sound, np.zeros(80 * 16_000), sound])
    soundfile.write(content, talk, 16_000, format="FLAC")
    cut = content.getvalue()[: -len(content.getvalue()) // 10]  # it ends within the last word
    found = model.segments(cut)
    assert next(found).text == spoken[0].text
    with pytest.raises(AudioError, match="cut short"):
        list(found)


def test_progress_is_seconds_done_of_seconds_in_all(model: Recognizer, gaps: Path):
    seen: list[tuple[float, float | None]] = []
    duration = model.transcribe(
        gaps, progress=lambda done, total: seen.append((done, total))
    ).duration
    done = [seconds for seconds, _ in seen]
    assert done == sorted(done)
    assert len(done) > 2
    assert done[-1] == duration
    assert all(total == pytest.approx(duration) for _, total in seen)


def test_load_model_reaches_what_the_command_reaches(
    smoke: Path, spoken: list[Utterance], tmp_path: Path
):
    texts = [u.text.split() for u in read_manifest(smoke / "data" / "train.jsonl")]
    write_arpa(estimate(texts, 2), tmp_path / "lm.arpa")
    options = asr.DecodingOptions(
        lm=tmp_path / "lm.arpa", hotwords=texts[0], settings={"beam_size": 7}, words=True
    )
    model = asr.load_model(smoke / "exp", options)
    found = model.transcribe(spoken[0].audio)
    assert found.text == spoken[0].text
    assert [word.word for word in found.words] == spoken[0].text.split()
    assert model.transcribe(spoken[0].audio, words=False).words == ()
    assert model.decoder.config.beam_size == 7
    with pytest.raises(DecoderError, match="did you mean 'beam_size'"):
        asr.load_model(smoke / "exp", asr.DecodingOptions(settings={"bean_size": 7}))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"decoder": "beem"}, "decoder is 'beem'; allowed: 'greedy', 'beam'"),
        ({"decoder": ["beam"]}, r"decoder is \['beam'\]"),
        ({"unit": "phone"}, "unit is 'phone'; allowed: 'tokens', 'phones'"),
        ({"hotwords": "titian"}, "hotwords is 'titian'; allowed: a list"),
        ({"hotwords": None}, "hotwords is None"),
        ({"hotwords": Path("names.txt")}, "hotwords is .*names.txt"),
        ({"hotwords": [1]}, r"hotwords is \[1\]"),
        ({"settings": "beam_size=7"}, "settings is 'beam_size=7'; allowed: a dict"),
        ({"settings": {7: 7}}, "settings is {7: 7}"),
        ({"settings": {"beam_size": "7"}}, "beam_size is '7'; it must be of type int"),
        ({"lm": 3}, "lm is 3; allowed: the path of a file"),
        ({"lm": ""}, "lm is ''"),
        ({"lexicon": "a\0b"}, "lexicon is "),
        ({"words": "no"}, "words is 'no'; allowed: True, False"),
    ],
)
def test_wrong_options_are_one_typed_error(smoke: Path, wrong: dict, message: str):
    with pytest.raises(DecoderError, match=message) as raised:
        asr.load_model(smoke / "exp", asr.DecodingOptions(**wrong))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("folder", ["", 3, b"exp", ["exp"], asr.DecodingOptions()])
def test_a_model_that_is_no_path(folder: object):
    with pytest.raises(CheckpointError, match="give the folder of a model"):
        asr.load_model(folder)


def test_a_folder_that_does_not_exist(tmp_path: Path):
    with pytest.raises(CheckpointError, match=r"none: is no folder that exists"):
        asr.load_model(tmp_path / "none")


@pytest.mark.parametrize("options", [{"words": True}, "beam"])
def test_options_that_are_none(smoke: Path, options: object):
    with pytest.raises(DecoderError, match=r"allowed: asr\.DecodingOptions"):
        asr.load_model(smoke / "exp", options)


@pytest.mark.parametrize("source", [None, 3, ["a.wav"], np.zeros(16_000), io.StringIO("a")])
def test_a_source_that_is_no_recording(model: Recognizer, source: object):
    with pytest.raises(AudioError, match="is no recording that can be read; give a path"):
        model.transcribe(source)


def test_a_closed_file_is_no_recording(model: Recognizer, spoken: list[Utterance]):
    with spoken[0].audio.open("rb") as file:
        pass
    with pytest.raises(AudioError, match="open for reading in binary mode"):
        model.transcribe(file)

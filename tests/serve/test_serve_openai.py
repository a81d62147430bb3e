"""The client of OpenAI, unchanged, against asr-serve with the English model."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import srt
import webvtt
from folders import SAMPLES
from serving import Served, serving

import asr

openai = pytest.importorskip("openai")
SPEECH = SAMPLES / "quickstart.flac"


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with serving("--workers", 1, "--live-workers", 0, "--set", "hotword_boost=5") as served:
        yield served


@pytest.fixture(scope="module")
def client(server: Served) -> "openai.OpenAI":
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0)


@pytest.fixture(scope="module")
def alone() -> asr.Transcript:
    """The transcript without a server."""
    options = asr.DecodingOptions(plain=True)
    return asr.load_model(options=options).transcribe(SPEECH, words=True)


def transcribe(client: "openai.OpenAI", **options: object):
    with SPEECH.open("rb") as file:
        return client.audio.transcriptions.create(model="whisper-1", file=file, **options)


def test_json(client: "openai.OpenAI", alone: asr.Transcript):
    found = transcribe(client)
    assert found.text == alone.text
    assert found.usage.seconds == 4


def test_text(client: "openai.OpenAI", alone: asr.Transcript):
    assert transcribe(client, response_format="text") == f"{alone.text}\n"


def test_srt(client: "openai.OpenAI", alone: asr.Transcript):
    cues = list(srt.parse(transcribe(client, response_format="srt")))
    assert " ".join(" ".join(cue.content.split()) for cue in cues) == alone.text


def test_vtt(client: "openai.OpenAI", alone: asr.Transcript):
    cues = webvtt.from_string(transcribe(client, response_format="vtt"))
    assert " ".join(" ".join(cue.text.split()) for cue in cues) == alone.text


def test_verbose_json(client: "openai.OpenAI", alone: asr.Transcript):
    found = transcribe(
        client, response_format="verbose_json", timestamp_granularities=["word", "segment"]
    )
    assert (found.text, found.language) == (alone.text, "english")
    assert found.duration == pytest.approx(alone.duration, abs=1e-3)
    assert [(w.word, w.start, w.end) for w in found.words] == [
        (w.word, pytest.approx(w.start, abs=1e-3), pytest.approx(w.end, abs=1e-3))
        for w in alone.words
    ]
    assert [w.confidence for w in found.words] == pytest.approx(
        [w.confidence for w in alone.words], abs=1e-3
    )
    assert " ".join(segment.text for segment in found.segments) == alone.text
    type(found).model_validate(found.model_dump())  # every field is there, of the right type


def test_segments_are_the_default_of_verbose_json(client: "openai.OpenAI"):
    found = transcribe(client, response_format="verbose_json")
    assert found.segments
    assert found.words is None


def test_stream(client: "openai.OpenAI", alone: asr.Transcript):
    *deltas, done = transcribe(client, stream=True)
    assert {event.type for event in deltas} == {"transcript.text.delta"}
    assert "".join(event.delta for event in deltas) == alone.text
    assert (done.type, done.text) == ("transcript.text.done", alone.text)


@pytest.mark.parametrize("option", [{"prompt": "Might, right"}, {"keywords": ["might"]}])
def test_prompt_and_keywords_are_hotwords(
    client: "openai.OpenAI", alone: asr.Transcript, option: dict[str, object]
):
    assert alone.text.endswith(" NIGHT")
    assert transcribe(client, **option).text.endswith(" MIGHT")
    assert transcribe(client).text == alone.text  # the next one is without them


def test_readable_text_is_the_same_in_all_answers():
    """The default, where the model has a tagger; the other servers of these tests are plain."""
    with serving("--workers", 1, plain=False) as served:
        client = openai.OpenAI(base_url=f"{served.url}/v1", api_key="none")
        found = transcribe(
            client, response_format="verbose_json", timestamp_granularities=["word", "segment"]
        )
        *deltas, done = transcribe(client, stream=True)
    assert found.text.startswith("He said")
    assert found.text.endswith(" night.")
    assert " ".join(word.word for word in found.words) == found.text
    assert " ".join(segment.text for segment in found.segments) == found.text
    assert "".join(event.delta for event in deltas) == done.text


def test_models(client: "openai.OpenAI"):
    (model,) = client.models.list().data
    assert model.id == "english"
    assert client.models.retrieve("english") == model
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("german")


def test_errors_are_those_of_the_client(client: "openai.OpenAI"):
    with pytest.raises(openai.BadRequestError, match="cannot be read as audio") as caught:
        client.audio.transcriptions.create(model="whisper-1", file=("x.wav", b"no sound"))
    assert caught.value.code == "invalid_audio"
    assert caught.value.param == "file"
    with pytest.raises(openai.NotFoundError, match="english"), SPEECH.open("rb") as file:
        client.audio.transcriptions.create(model="german", file=file)


def test_an_error_within_a_stream_is_raised(client: "openai.OpenAI", tmp_path: Path):
    whole = SPEECH.read_bytes()
    with pytest.raises(openai.APIError):
        list(
            client.audio.transcriptions.create(
                model="whisper-1", file=("cut.flac", whole[: len(whole) // 2]), stream=True
            )
        )

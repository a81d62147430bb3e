"""docs/reference/http.md describes what asr-serve takes and gives: all of it, and nothing else."""

import ast
import json
import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import soundfile
from described import Described, rows_below
from folders import ROOT, SAMPLES
from serving import RATE_HZ, Served, serving

import asr.errors
from asr.serve.live import _CLOSE, _Start
from asr.serve.problems import _TYPES, as_request_error

client = pytest.importorskip("websockets.sync.client")
pytest.importorskip("starlette")
PAGE = (ROOT / "docs" / "reference" / "http.md").read_text(encoding="utf-8")
SOURCES = [path.read_text(encoding="utf-8") for path in (ROOT / "asr" / "serve").glob("*.py")]
SPEECH = SAMPLES / "quickstart.flac"
NOBODY_READS = {"client_gone", "cancelled"}  # status 499: the client has left


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with serving("--workers", 1, plain=False) as served:
        yield served


@pytest.fixture(scope="module")
def described() -> Described:
    return Described("http.md")


def answer(server: Served, status: int = 200, sound: bytes = b"", **fields: str | list[str]) -> str:
    found, _, text = server.post(sound or SPEECH.read_bytes(), "talk.flac", **fields)
    assert found == status, text
    return text


def events(text: str) -> list[dict[str, object]]:
    *lines, last = [line for line in text.split("\n\n") if line]
    assert last == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines]


def late_fault() -> bytes:
    """Return speech, a pause, and then samples that are not numbers, as a WAV file."""
    speech, rate_hz = soundfile.read(SPEECH, dtype="float32")
    sound = np.concatenate([speech, np.zeros(40 * rate_hz, np.float32), speech])
    sound[-100:] = np.nan
    content = BytesIO()
    soundfile.write(content, sound, rate_hz, "FLOAT", format="WAV")
    return content.getvalue()


def test_models(described: Described, server: Served):
    models = json.loads(server.get("/v1/models")[2])
    described.check(models, "ModelList")
    described.check(json.loads(server.get(f"/v1/models/{models['data'][0]['id']}")[2]), "Model")
    assert not described.unseen("ModelList", "Model")


def test_answers(described: Described, server: Served):
    described.check(json.loads(answer(server)), "Answer")
    both = {"timestamp_granularities[]": ["word", "segment"], "response_format": "verbose_json"}
    described.check(json.loads(answer(server, **both)), "VerboseAnswer")
    tables = ("Answer", "Usage", "VerboseAnswer", "AnswerSegment", "AnswerWord")
    assert not described.unseen(*tables)


def test_streams(described: Described, server: Served):
    kinds = {"transcript.text.delta": "TextDelta", "asr.progress": "ProgressEvent"}
    both = {"timestamp_granularities[]": ["word", "segment"], "response_format": "verbose_json"}
    for more, last in (({"progress": "true"}, "TextDone"), (both, "VerboseTextDone")):
        *found, done = events(answer(server, stream="true", **more))
        described.check(done, last)
        for event in found:
            described.check(event, kinds[str(event["type"])])
    assert described.unseen("TextDelta", "ProgressEvent", "TextDone", "VerboseTextDone") == [
        "VerboseTextDone.usage"  # clients expect tokens there
    ]


def test_errors(described: Described, server: Served):
    described.check(json.loads(answer(server, 400, b"no sound")), "ErrorAnswer")
    described.check(json.loads(server.get("/v1/models/other")[2]), "ErrorAnswer")
    *_, last = events(answer(server, sound=late_fault(), stream="true"))
    described.check(last, "ErrorEvent")
    assert not described.unseen("ErrorAnswer", "Error", "ErrorEvent")


def listen(server: Served, *messages: str | bytes) -> list[dict[str, object]]:
    address = f"ws://127.0.0.1:{server.port}/v1/listen"
    with client.connect(address, proxy=None) as socket:
        for message in messages:
            socket.send(message)
        received = []
        while not received or received[-1]["type"] not in ("done", "error"):
            received.append(json.loads(socket.recv(timeout=60)))
        return received


def test_a_live_session(described: Described, server: Served):
    sound, _ = soundfile.read(SPEECH, dtype="int16")
    heard = np.concatenate([sound, np.zeros(2 * RATE_HZ, np.int16)]).tobytes()
    start = {"type": "start", "version": 1, "sample_rate": RATE_HZ, "encoding": "pcm16"}
    start |= {"hotwords": ["night watch"], "token": "none is needed"}
    stop = {"type": "stop"}
    described.check(start, "Start")
    described.check(stop, "Stop")
    tables = {
        "ready": "Ready",
        "words": "Words",
        "end_of_speech": "EndOfSpeech",
        "done": "Done",
        "error": "LiveError",
    }
    pieces = [heard[at : at + 32_000] for at in range(0, len(heard), 32_000)]
    found = listen(server, json.dumps(start), *pieces, json.dumps(stop))
    found += listen(server, json.dumps({"type": "start", "rate": 1}))
    for message in found:
        described.check(message, tables[str(message["type"])])
    assert not described.unseen("Start", "Stop", *tables.values())
    allowed = {"type", "version", "token", *_Start.__dataclass_fields__}
    assert {*described.tables["Start"]} == allowed


def test_every_table_is_compared(described: Described):
    source = Path(__file__).read_text(encoding="utf-8")
    assert not [name for name in described.tables if f'"{name}"' not in source]


def test_fields_of_the_form_are_those_that_are_read():
    rows = PAGE[PAGE.index("| field | what it does |") :].partition("\n\n")[0]
    named = re.findall(
        r"`([a-z_]+)(?:\[\])?`", "".join(re.findall(r"^\|.*?\|", rows, re.MULTILINE))
    )
    read = re.compile(r'form\.texts?\("(\w+)"\)|_flag\(form, "(\w+)"\)|fields\.get\("(\w+)"\)')
    found = {name for source in SOURCES for names in read.findall(source) for name in names if name}
    effectless = {"language", "temperature", "chunking_strategy"}
    assert {*named} == found | effectless


def errors_of_the_code() -> set[tuple[str, str]]:
    """Return the status and code of each error whose status is written out."""
    calls = (node for source in SOURCES for node in ast.walk(ast.parse(source)))
    found = set()
    for call in calls:
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "RequestError":
            status, code = (getattr(word, "value", None) for word in call.args[:2])
            if isinstance(code, str) and code not in NOBODY_READS:
                found.add((str(status) if isinstance(status, int) else "", code))
    return found


def test_each_error_has_a_row_and_each_row_an_error():
    rows = re.findall(r"^\| (\d{3})(?:, \d{3})? \| (`\w+`(?:, `\w+`)*) \|", PAGE, re.MULTILINE)
    named = {(status, code) for status, codes in rows for code in re.findall(r"\w+", codes)}
    assert ("404", "no_such_route") in named
    found = {(status or "404", code) for status, code in errors_of_the_code()}
    assert named == found
    (kinds,) = re.findall(
        r"^\| `type` \| string \| a group of errors.*?: (.*) \|$", PAGE, re.MULTILINE
    )
    assert {*re.findall(r"\w+", kinds)} == {"invalid_request_error", *_TYPES.values()}


def test_answers_to_errors_of_recognition_are_those_of_troubleshooting():
    text = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    head = ("class", "exit", "HTTP", "what it means", "commonest cause", "what to do")
    rows = rows_below(text, head)
    assert sum(bool(row[2]) for row in rows) == 5
    for name, _, http, *_ in rows:
        found = as_request_error(getattr(asr.errors, name.strip("`"))("x.wav: is damaged"))
        own = "" if found.code == "internal_error" else f"{found.status} `{found.code}`"
        assert http == own, name
        assert (str(found.status), found.code) in errors_of_the_code()


def test_an_error_of_the_server_itself_is_for_its_log(capsys):
    found = as_request_error(asr.errors.CheckpointError("best: damaged; copy the folder again"))
    assert (found.status, found.code) == (500, "internal_error")
    assert "damaged" not in str(found)
    assert "asr-serve: error: best: damaged; copy the folder again" in capsys.readouterr().err


def test_closing_codes_are_those_of_the_code():
    named = {int(code) for code in re.findall(r"^\| (\d{4}) \|", PAGE, re.MULTILINE)}
    assert named == {1000, 1009, *_CLOSE.values()}


def test_a_message_that_is_too_long_closes_with_its_code(server: Served):
    exceptions = pytest.importorskip("websockets.exceptions")
    with client.connect(f"ws://127.0.0.1:{server.port}/v1/listen", proxy=None) as socket:
        socket.send("a" * (1 << 20) + "a")
        with pytest.raises(exceptions.ConnectionClosed):
            socket.recv(timeout=60)
        assert socket.protocol.close_code == 1009

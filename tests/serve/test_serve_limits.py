"""Limits, queue, crashes and the end of a server, with a stand-in for the model."""

import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import gettempdir

import pytest
from serving import (
    BRIEF,
    BUG,
    DIE,
    FORM,
    RATE_HZ,
    SLOW,
    STUBBORN,
    Served,
    form,
    head_of,
    serving,
    wait_until,
    wav,
)

pytest.importorskip("starlette")


@contextmanager
def fake(**settings: object) -> Iterator[Served]:
    with serving(json.dumps(settings), fake=True) as served:
        yield served


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with fake(workers=2, audio_s=20, upload_mb=1, idle_s=2, queue=20) as served:
        yield served


def error_of(text: str) -> dict[str, str]:
    record = json.loads(text)
    assert record.keys() == {"error"}
    assert record["error"].keys() == {"message", "type", "param", "code"}
    assert "Traceback" not in text
    return record["error"]


def in_threads(count: int, task: Callable[[int], object]) -> list[Future[object]]:
    pool = ThreadPoolExecutor(count)
    futures = [pool.submit(task, number) for number in range(count)]
    pool.shutdown(wait=False)
    return futures


def test_answers_are_not_mixed_up(server: Served):
    lengths = [RATE_HZ + 100 * number for number in range(16)]
    answers = in_threads(16, lambda n: server.post(wav(BRIEF * (n < 2), lengths[n])))
    texts = [json.loads(future.result()[2])["text"] for future in answers]
    assert texts == [str(length) for length in lengths]


def test_a_recording_that_is_too_long(server: Served):
    status, _, text = server.post(wav(num_samples=21 * RATE_HZ))
    assert status == 413
    assert error_of(text)["code"] == "audio_too_long"
    assert "a.wav: is longer than 20 s" in error_of(text)["message"]


def test_an_upload_that_is_too_large(server: Served):
    status, _, text = server.post(wav(num_samples=600_000))
    assert status == 413
    assert error_of(text)["code"] == "file_too_large"


def test_an_upload_that_is_too_large_and_does_not_say_so(server: Served):
    with server.connect() as connection:
        connection.sendall(
            b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: localhost\r\n"
            b"Transfer-Encoding: chunked\r\nContent-Type: " + FORM.encode() + b"\r\n\r\n"
        )
        body = form(wav(num_samples=600_000))
        connection.sendall(f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n")
        assert b" 413 " in connection.recv(1000)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"response_format": "diarized_json"}, "response_format"),
        ({"stream": "maybe"}, "stream"),
        ({"stream": "true", "response_format": "srt"}, "response_format"),
        ({"timestamp_granularities[]": "word"}, "response_format"),
        (
            {"timestamp_granularities[]": "phone", "response_format": "verbose_json"},
            "timestamp_granularities",
        ),
        ({"include[]": "logprobs"}, "include"),
        ({"prompt": ",".join(map(str, range(1001)))}, "prompt"),
    ],
)
def test_fields_that_are_not_allowed(server: Served, fields: dict[str, str], param: str):
    status, _, text = server.post(wav(), **fields)
    assert (status, error_of(text)["param"]) == (400, param)


def test_what_is_said_without_effect_is_no_error(server: Served):
    status, _, text = server.post(wav(), language="en", temperature="0", chunking_strategy="auto")
    assert (status, json.loads(text)["text"]) == (200, str(RATE_HZ))


def test_a_crash_costs_one_answer(server: Served):
    deaths = server.metric("asr_worker_deaths")
    bad = in_threads(1, lambda _: server.post(wav(DIE)))
    good = in_threads(8, lambda number: server.post(wav(num_samples=RATE_HZ + number)))
    status, _, text = bad[0].result()
    assert (status, error_of(text)["code"]) == (500, "worker_crashed")
    texts = [json.loads(future.result()[2])["text"] for future in good]
    assert texts == [str(RATE_HZ + number) for number in range(8)]
    wait_until(lambda: server.metric("asr_workers_ready") == 2)
    assert server.metric("asr_worker_deaths") == deaths + 1
    assert server.post(wav())[0] == 200


def test_idle_processes_that_are_killed_are_replaced(server: Served):
    wait_until(lambda: server.metric("asr_workers_ready") == 2)
    assert len(server.children()) == 2
    for child in server.children():
        os.kill(int(child.name), signal.SIGKILL)
    assert server.post(wav())[0] == 200
    wait_until(lambda: server.metric("asr_workers_ready") == 2)


def test_a_mistake_of_ours_is_told_to_the_log_alone(server: Served):
    status, _, text = server.post(wav(BUG))
    assert (status, error_of(text)["code"]) == (500, "internal_error")
    assert "secret" not in text
    assert server.post(wav())[0] == 200


def test_a_mistake_of_ours_in_a_stream(server: Served):
    status, _, text = server.post(wav(BUG), stream="true")
    assert (status, error_of(text)["code"]) == (500, "internal_error")


def test_a_stream_has_progress_if_wanted(server: Served):
    kinds = [
        json.loads(line.removeprefix("data: "))["type"]
        for line in server.post(wav(), stream="true", progress="true")[2].split("\n\n")
        if line.startswith("data: {")
    ]
    assert kinds == ["transcript.text.delta", "asr.progress", "transcript.text.done"]


def test_names_are_shown_without_folders_and_never_used(server: Served):
    for name in ("../../etc/passwd", "C:\\\\secret\\\\passwd", "/etc/passwd", "passwd"):
        status, _, text = server.post(b"no sound", name)
        assert status == 400
        assert error_of(text)["message"].startswith("passwd: cannot be read as audio")
    assert server.post(wav(), "\0")[0] == 200


def test_an_upload_that_stalls(server: Served):
    body = form(wav())
    with server.connect() as connection:
        connection.sendall(head_of(body) + body[:1000])
        began = time.monotonic()
        answer = connection.recv(10_000)
        assert 1 < time.monotonic() - began < 10
    assert b" 408 " in answer
    assert server.metric("asr_admitted") == 0


def test_an_upload_that_is_cut_off(server: Served):
    body = form(wav())
    with server.connect() as connection:
        connection.sendall(head_of(body) + body[:1000])
    wait_until(lambda: server.metric("asr_admitted") == 0)
    assert server.post(wav())[0] == 200


def test_a_client_that_leaves_frees_its_process():
    with fake(workers=1, queue=0) as server:
        body = form(wav(SLOW))
        with server.connect() as connection:
            connection.sendall(head_of(body) + body)
            wait_until(lambda: server.metric("asr_admitted") == 1)
        wait_until(lambda: server.metric("asr_admitted") == 0)
        assert server.post(wav())[0] == 200
        assert server.metric("asr_worker_deaths") == 0


@pytest.mark.parametrize("stream", ["false", "true"])
def test_a_client_that_leaves_frees_its_place_in_the_queue(stream: str):
    with fake(workers=1, queue=1) as server, server.connect() as first:
        body = form(wav(SLOW))
        first.sendall(head_of(body) + body)
        wait_until(lambda: server.metric("asr_admitted") == 1)
        body = form(wav(), stream=stream)
        with server.connect() as second:
            second.sendall(head_of(body) + body)
            wait_until(lambda: server.metric("asr_admitted") == 2)
        wait_until(lambda: server.metric("asr_admitted") == 1)


def test_a_full_queue_is_said_with_a_time_and_nothing_is_lost():
    with fake(workers=1, queue=2) as server:
        answers = in_threads(8, lambda n: server.post(wav(BRIEF, RATE_HZ + n)))
        found = [future.result() for future in answers]
        refused = [answer for answer in found if answer[0] == 429]
        done = {json.loads(text)["text"] for status, _, text in found if status == 200}
        assert len(refused) == 5
        assert all(int(headers["retry-after"]) >= 1 for _, headers, _ in refused)
        assert {error_of(text)["code"] for _, _, text in refused} == {"queue_full"}
        expected = {str(RATE_HZ + n) for n, answer in enumerate(found) if answer[0] == 200}
        assert done == expected
        assert server.metric("asr_rejections_total") == 5
        assert server.post(wav())[0] == 200


@pytest.mark.parametrize(("what", "deaths"), [(SLOW, 0), (STUBBORN, 1)])
def test_time_of_a_request(what: int, deaths: int):
    with fake(workers=1, request_s=1) as server:
        status, _, text = server.post(wav(what))
        assert (status, error_of(text)["code"]) == (504, "request_timeout")
        wait_until(lambda: server.metric("asr_worker_deaths") == deaths)
        wait_until(lambda: server.metric("asr_workers_ready") == 1)
        status, _, text = server.post(wav(what), stream="true")
        assert status in (200, 504)  # of an event that came before, if any
        assert "request_timeout" in text
        wait_until(lambda: server.metric("asr_workers_ready") == 1, 30)


def test_a_server_that_is_stopped_finishes_what_runs_and_what_waits():
    with fake(workers=1) as server:
        answers = in_threads(3, lambda n: server.post(wav(BRIEF, RATE_HZ + n)))
        wait_until(lambda: server.metric("asr_admitted") == 3)
        children = server.children()
        for child in children:  # as systemd does to all processes of a service
            os.kill(int(child.name), signal.SIGTERM)
        server.process.terminate()
        texts = {json.loads(future.result()[2])["text"] for future in answers}
        assert texts == {str(RATE_HZ + n) for n in range(3)}
        server.process.wait(30)
        assert len(children) == 1
        wait_until(lambda: not children[0].exists())


def test_ctrl_c_is_no_error():
    with fake(workers=1) as server:
        wait_until(lambda: server.metric("asr_workers_ready") == 1)
        children = server.children()
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(30) == 0
        wait_until(lambda: not children[0].exists())
    assert "error" not in "".join(server.log)


def test_no_process_outlives_a_server_that_is_killed():
    with fake(workers=2) as server:
        wait_until(lambda: server.metric("asr_workers_ready") == 2)
        children = server.children()
        assert len(children) == 2
        server.process.kill()
        server.process.wait(30)
        wait_until(lambda: not any(child.exists() for child in children))


def test_a_model_that_cannot_be_loaded_ends_the_server():
    with pytest.raises(AssertionError, match="exp: is damaged"), fake(damaged=True):
        pass


def test_an_address_that_is_taken():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(AssertionError, match=f"port {port}"), fake(port=port):
            pass


def test_a_large_upload_goes_to_the_disk():
    with fake(upload_mb=100, idle_s=20) as server:
        assert server.post(wav())[0] == 200
        before = _most_memory_mb(server)
        assert server.post(wav(num_samples=40_000_000))[0] == 200
        assert _most_memory_mb(server) < before + 20


def _most_memory_mb(server: Served) -> float:
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def test_nothing_of_a_recording_is_left(server: Served):
    """Uploads have no name in any folder, so a kill leaves none behind."""
    before = set(Path(gettempdir()).iterdir())
    answer = in_threads(1, lambda _: server.post(wav(BRIEF)))
    wait_until(lambda: server.metric("asr_admitted") == 1)
    names = list[str]()
    for file in Path(f"/proc/{server.process.pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # a connection that was closed meanwhile
            names.append(file.readlink().name)
    assert any("(deleted)" in name for name in names)
    assert not [file for file in set(Path(gettempdir()).iterdir()) - before if _is_sound(file)]
    assert answer[0].result()[0] == 200


def _is_sound(file: Path) -> bool:
    return file.is_file() and file.read_bytes()[:4] == b"RIFF"


def test_what_still_runs_after_the_grace_is_ended():
    with fake(workers=1, grace_s=1) as server:
        in_threads(1, lambda _: server.post(wav(SLOW)))
        wait_until(lambda: server.metric("asr_admitted") == 1)
        server.process.terminate()
        server.process.wait(15)  # the default would be 30

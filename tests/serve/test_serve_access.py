"""Who may use a server: tokens, the names it is called by, and the pages that ask."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import FORM, TRANSCRIPTIONS, Served, __file__ as serving_file, form, serving, wav

from asr._install import install
from asr.cli.serve import main
from asr.errors import ConfigError
from asr.serve import ServeSettings, read_token, service

client = pytest.importorskip("websockets.sync.client")
exceptions = pytest.importorskip("websockets.exceptions")
TOKEN = "a-token-of-some-length"


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with serving(json.dumps({}), fake=True) as served:
        yield served


@pytest.fixture(scope="module")
def guarded() -> Iterator[Served]:
    settings = {"token": TOKEN, "origins": ["https://friend.example"], "live_workers": 1}
    with serving(json.dumps(settings), fake=True, token=TOKEN) as served:
        yield served


def post(server: Served, **headers: str) -> tuple[int, dict[str, str], str]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return server.ask("POST", TRANSCRIPTIONS, form(wav()), {"Content-Type": FORM, **named})


@pytest.mark.parametrize("value", ["", "Bearer", "Bearer ", "Bearer a-token", f"Basic {TOKEN}"])
@pytest.mark.parametrize("path", [TRANSCRIPTIONS, "/v1/models", "/metrics", "/v1/nothing"])
def test_a_token_is_needed(guarded: Served, value: str, path: str):
    status, headers, text = guarded.get(path, Authorization=value)
    assert (status, headers["www-authenticate"]) == (401, "Bearer")
    assert json.loads(text)["error"]["code"] == "invalid_api_key"


def test_the_token_opens(guarded: Served):
    assert post(guarded, Authorization=f"Bearer {TOKEN}")[0] == 200
    assert guarded.get("/v1/models", Authorization=f"bearer {TOKEN}")[0] == 200


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz"])
def test_the_page_and_the_probes_need_no_token(guarded: Served, path: str):
    assert guarded.get(path)[0] == 200


@pytest.mark.parametrize("start", [{}, *({"token": token} for token in ("", "wrong", "\ud800", 1))])
def test_a_live_session_needs_the_token(guarded: Served, start: dict[str, object]):
    with client.connect(f"ws://127.0.0.1:{guarded.port}/v1/listen", proxy=None) as socket:
        socket.send(json.dumps({"type": "start", **start}))
        assert json.loads(socket.recv())["error"]["code"] == "invalid_api_key"
        with pytest.raises(exceptions.ConnectionClosed):
            socket.recv()
        assert socket.protocol.close_code == 4401


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
def test_pages_elsewhere_may_not_ask(server: Served, origin: str):
    status, headers, text = post(server, Origin=origin)
    assert status == 403
    assert json.loads(text)["error"]["code"] == "origin_not_allowed"
    assert "access-control-allow-origin" not in headers
    with pytest.raises(exceptions.InvalidStatus) as caught:
        client.connect(f"ws://127.0.0.1:{server.port}/v1/listen", origin=origin, proxy=None)
    assert caught.value.response.status_code == 403


def test_the_page_of_the_server_may(server: Served):
    assert post(server, Origin=server.url)[0] == 200


def test_a_page_that_is_named_may(guarded: Served):
    origin = "https://friend.example"
    ask = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    status, headers, _ = guarded.ask("OPTIONS", TRANSCRIPTIONS, b"", ask)
    assert (status, headers["access-control-allow-origin"]) == (204, origin)
    assert "Authorization" in headers["access-control-allow-headers"]
    status, headers, _ = post(guarded, Origin=origin, Authorization=f"Bearer {TOKEN}")
    assert (status, headers["access-control-allow-origin"]) == (200, origin)
    ask = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    assert guarded.ask("OPTIONS", TRANSCRIPTIONS, b"", ask)[0] == 403


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "", "[::", "localhost.evil"])
def test_a_name_that_was_rebound_is_refused(server: Served, host: str):
    status, _, text = server.get("/v1/models", Host=host)
    assert status == 403
    assert json.loads(text)["error"]["code"] == "unknown_host"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8000", "[::1]:8000"])
def test_names_of_this_machine_are_known(server: Served, host: str):
    assert server.get("/v1/models", Host=host)[0] == 200


def test_answers_carry_their_guards(server: Served):
    for path in ("/", "/v1/models", "/nothing"):
        _, headers, _ = server.get(path)
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert "server" not in headers


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.2", "::", "asr.example"])
def test_other_machines_need_a_token_or_a_word(host: str):
    with pytest.raises(ConfigError, match="--token-file"):
        ServeSettings(host=host)
    ServeSettings(host=host, open=True)
    ServeSettings(host=host, token=TOKEN)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost", "::1"])
def test_this_machine_alone_needs_none(host: str):
    assert ServeSettings(host=host).is_local


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"port": -1}, "port is -1"),
        ({"port": 65_536}, "port is 65536"),
        ({"workers": 0}, "workers is 0; allowed: 1"),
        ({"queue": -1}, "queue is -1; allowed: 0"),
        ({"origins": ("https://a.example/",)}, "https://HOST"),
        ({"origins": ("*",)}, "https://HOST"),
    ],
)
def test_settings_that_are_not_allowed(changes: dict, message: str):
    with pytest.raises(ConfigError, match=message):
        ServeSettings(**changes)


def test_token_files(tmp_path: Path):
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        read_token(path)
    path.chmod(0o600)
    assert read_token(path) == TOKEN
    for bad in ("short", "", "with a space in it", "tök" * 10):
        path.write_text(bad)
        with pytest.raises(ConfigError, match="token"):
            read_token(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_token(tmp_path / "absent")


def test_without_the_extra_there_is_a_remedy():
    code = """
import sys
sys.modules["uvicorn"] = None
from asr.cli.serve import main
sys.exit(main(["--port", "0"]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert install("serve") in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_command_says_what_is_wrong_in_one_line(capsys: pytest.CaptureFixture[str]):
    assert main(["--host", "0.0.0.0"]) == 2
    assert main(["--workers", "0"]) == 2
    assert main(["--model", "absent"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("asr-serve: error: ") for line in lines)


def test_a_port_that_is_used_is_one_line(server: Served):
    """It says why; uvicorn's own line about it is not printed."""
    settings = json.dumps({"port": server.port})
    command = [sys.executable, serving_file, settings]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == (
        f"fake: error: cannot listen on 127.0.0.1, port {server.port} (Address already in use); "
        "give another --host or --port\n"
    )


def test_windows_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(service.sys, "platform", "win32")
    assert main(["--port", "0"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("asr-serve: error: does not run on Windows")
    assert line.endswith("run it in WSL or Docker")

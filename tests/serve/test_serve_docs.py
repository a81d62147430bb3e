"""What docs/serve.md and docs/deploy.md say about the server is so."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import soundfile
from folders import ROOT, SAMPLES
from serving import Served, serving

from asr.serve import ServeSettings

pytest.importorskip("starlette")
GUIDE = (ROOT / "docs" / "serve.md").read_text(encoding="utf-8")
DEPLOY = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
SPEECH = SAMPLES / "quickstart.flac"
TEXT = "HE SAID THAT HE WAS NOT IN THE HOUSE THAT NIGHT"
OPENAI, LIVE = re.findall(r"```py\n(.*?)```", GUIDE, re.DOTALL)


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with serving("--workers", 1) as served:
        yield served


def run(code: str, server: Served, folder: Path, given: bytes = b"") -> str:
    code = code.replace("127.0.0.1:8000", f"127.0.0.1:{server.port}")
    done = subprocess.run(
        [sys.executable, "-c", code], input=given, cwd=folder, capture_output=True, check=True
    )
    return done.stdout.decode()


def test_the_program_for_recordings(server: Served, tmp_path: Path):
    pytest.importorskip("openai")
    shutil.copy(SPEECH, tmp_path / "talk.mp3")
    assert run(OPENAI, server, tmp_path).strip() == TEXT


def test_the_program_for_live_speech(server: Served, tmp_path: Path):
    sound, _ = soundfile.read(SPEECH, dtype="int16")
    given = np.concatenate([sound, np.zeros(32_000, np.int16)]).tobytes()
    found = run(LIVE, server, tmp_path, given)
    assert found.split() == TEXT.split()
    assert found.endswith("\n")
    assert len(LIVE.strip().splitlines()) <= 20


def test_defaults_of_limits():
    rows = dict(re.findall(r"^\| `--([a-z-]+)`.*? \| (\d+) \|", GUIDE, re.MULTILINE))
    defaults = {field.name.replace("_", "-"): field.default for field in fields(ServeSettings)}
    assert len(rows) == 8
    assert {name: int(value) for name, value in rows.items()} == {
        name: defaults[name] for name in rows
    }


def test_metrics_that_are_named_are_counted(server: Served):
    server.post(SPEECH.read_bytes())
    page = server.get("/metrics")[2]
    named = re.findall(r"\b(?:asr|process)_[a-z_]+", GUIDE)
    assert len(named) > 10
    for name in named:
        if name != "asr_rejections_total":  # none was refused
            assert re.search(rf"^{name}", page, re.MULTILINE), name


def test_the_container_is_small_and_without_rights():
    lines = DOCKERFILE.replace("\\\n", " ").splitlines()
    words = [line.split(maxsplit=1) for line in lines if line and not line.startswith("#")]
    last = [word for word, _ in words[::-1]][: [w for w, _ in words[::-1]].index("FROM")]
    assert {word for word, _ in words} <= {
        "FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT",
        "CMD",
    }  # fmt: skip
    assert {"USER", "HEALTHCHECK", "ENTRYPOINT"} <= set(last)
    assert dict(words)["USER"] not in ("root", "0")
    assert all(
        ":" in image and not image.endswith(":latest")
        for word, image in words
        if word == "FROM"
        for image in image.split()[:1]
    )
    for word, rest in words:
        if word == "COPY" and "--from" not in rest:
            assert all((ROOT / name).exists() for name in rest.split()[:-1])
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    copied = next(rest for word, rest in words if word == "COPY").split()[:-1]
    assert {f"!{name}" for name in (*copied, "asr")} <= set(ignored)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
def test_the_unit_is_valid(tmp_path: Path):
    (text,) = re.findall(r"```ini\n(.*?)```", DEPLOY, re.DOTALL)
    unit = tmp_path / "asr.service"
    assert "ExecStart=/srv/asr/bin/asr-serve " in text
    unit.write_text(text.replace("/srv/asr/bin/asr-serve", "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, check=False
    )
    ours = [line for line in done.stderr.splitlines() if "asr.service" in line]
    assert not ours


def test_the_benchmark_has_its_options():
    command = [sys.executable, ROOT / "scripts" / "bench" / "serve.py", "--help"]
    shown = subprocess.run(command, check=True, capture_output=True, text=True)
    written = (ROOT / "scripts" / "bench" / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"scripts/bench/serve\.py MANIFEST (.*)", written)
    assert set(re.findall(r"--[a-z]+", example)) <= set(re.findall(r"--[a-z]+", shown.stdout))

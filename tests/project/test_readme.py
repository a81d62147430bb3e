"""What README.md says one can type works as written."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
from folders import CONF, ROOT, SAMPLES

README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "conf").symlink_to(CONF)
    waveform, rate_hz = soundfile.read(SAMPLES / "quickstart.flac")
    soundfile.write(tmp_path / "talk.mp3", waveform, rate_hz)
    return tmp_path


def test_set_up_commands_are_there_and_ci_runs_them():
    commands = [line.split()[0] for line in blocks("sh")[0].splitlines()]
    assert commands == ["scripts/quickstart", "scripts/check"]
    assert all(os.access(ROOT / command, os.X_OK) for command in commands)
    assert all(command in (ROOT / ".ci" / "run").read_text() for command in commands)


def test_python_snippet_prints_the_text_of_the_sample(folder: Path):
    (snippet,) = blocks("python")
    done = subprocess.run(
        [sys.executable, "-c", snippet], cwd=folder, capture_output=True, text=True, check=True
    )
    spoken = (SAMPLES / "quickstart.txt").read_text().split()
    recognised = done.stdout.lower().split()
    assert len(set(recognised) & {word.lower() for word in spoken}) >= len(spoken) // 2


@pytest.fixture
def three_epochs(folder: Path) -> None:
    """Let conf/smoke.toml say three epochs; that 15 learn it all, the smoke recipe shows."""
    (folder / "conf").unlink()
    shutil.copytree(CONF, folder / "conf")
    smoke = folder / "conf" / "smoke.toml"
    text = smoke.read_text(encoding="utf-8")
    assert "epochs = 15\n" in text
    smoke.write_text(text.replace("epochs = 15\n", "epochs = 3\n"), encoding="utf-8")


@pytest.mark.usefixtures("three_epochs")
def test_training_on_tones_works_as_written(folder: Path):
    commands = str(Path(sys.executable).parent)
    environment = os.environ | {"PATH": f"{commands}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-euc", blocks("sh")[1]],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert '"wer": ' in done.stdout
    assert "%WER " in done.stdout
    assert "data/test/test-000.wav\t" in done.stdout


def test_every_file_that_is_named_exists():
    named = re.findall(r"`((?:asr|conf|scripts|recipes)/[\w./-]+\.\w+)`", README)
    named += re.findall(r"\]\(([\w./-]+)\)", README)
    assert len(named) > 5
    assert not [name for name in named if not (ROOT / name).exists()]

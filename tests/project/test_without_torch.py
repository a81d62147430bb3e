"""What the core install runs, with every package of the other installs out of reach."""

import subprocess
import sys
from pathlib import Path

import pytest
from folders import ROOT, SAMPLES

from asr._install import install

SPEECH = SAMPLES / "quickstart.flac"
START = """
import importlib.abc, sys

NOT_IN_CORE = {"torch", "torchaudio", "safetensors", "tensorboard", "onnx", "librosa", "jiwer"}

class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.split(".")[0] in NOT_IN_CORE:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Finder())
"""


def python(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", START + code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


def asr(command: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    code = f"from asr.cli.{command} import main; sys.exit(main(sys.argv[1:]))"
    return python(code, *arguments)


def test_the_finder_hides_torch():
    assert "ModuleNotFoundError" in python("import torch").stderr


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--decoder", "greedy"),
        ("--format", "jsonl"),
        ("--format", "ctm", "--unit", "tokens", "--set", "open_vocabulary=true"),
    ],
)
def test_transcribe(options: tuple[str, ...]):
    done = asr("transcribe", *options, SPEECH)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) > 5


def test_library():
    code = "import asr; print(asr.load_model().transcribe(sys.argv[1], words=True).words[0].word)"
    done = python(code, SPEECH)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().isupper()


def test_experiment_folder_says_what_is_missing(tmp_path: Path):
    (tmp_path / "config.json").write_text("{}")
    done = asr("transcribe", "--model", tmp_path, SPEECH)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert install("train") in done.stderr


def test_doctor_examines_a_bundle():
    done = asr("doctor", "--model", "english")
    assert done.returncode == 0, done.stderr


def test_score_and_language_model(tmp_path: Path):
    (tmp_path / "text").write_text("one two\ntwo one two\n" * 10)
    assert asr("score", tmp_path / "text", tmp_path / "text").returncode == 0
    done = asr("lm", "train", tmp_path / "text", "--out", tmp_path / "lm.bin")
    assert done.returncode == 0, done.stderr

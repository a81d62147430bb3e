"""The recipes: the smoke recipe learns; all are run as their users run them."""

import json
import os
import subprocess
from pathlib import Path

import pytest

RECIPES = Path(__file__).parents[1] / "recipes"


def test_smoke_recipe_trains_to_no_error(smoke: Path):
    score = json.loads((smoke / "exp" / "test" / "score.json").read_text())
    assert score["words"] > 80
    assert (score["errors"], score["wer"]) == (0, 0.0)


def test_smoke_log_falls_and_is_whole(smoke: Path):
    lines = [json.loads(line) for line in (smoke / "exp" / "log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == list(range(1, 16))
    assert lines[-1]["train_loss"] < 0.1 * lines[0]["train_loss"]
    assert lines[-1]["valid_error"] <= 0.05 < lines[0]["valid_error"]


@pytest.mark.parametrize("recipe", ["smoke", "fsdd", "librispeech"])
def test_stages_can_all_be_left_out(recipe: str, tmp_path: Path):
    environment = os.environ | {"FSDD": str(tmp_path), "LIBRISPEECH": str(tmp_path)}
    command = [RECIPES / recipe / "run.sh", "--stage", "9", "train.epochs=1"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""


def test_unknown_argument_of_a_recipe():
    command = [RECIPES / "smoke" / "run.sh", "--stages", "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "usage:" in done.stderr


def test_fsdd_without_its_corpus_says_what_to_set():
    environment = {name: value for name, value in os.environ.items() if name != "FSDD"}
    command = [RECIPES / "fsdd" / "run.sh"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "set FSDD" in done.stderr

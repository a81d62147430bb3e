"""What all tests share: one thread, untimed properties, the smoke model, and their order."""

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
from folders import ROOT
from hypothesis import settings
from once import made_once

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when numpy and torch are imported

settings.register_profile("asr", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("asr")

# Those of several seconds, mostly starts of processes. The first one makes the smoke model, so that
# it is there before another process of pytest-xdist asks for it.
SLOWEST = (
    "test_smoke_recipe_trains_to_no_error",
    "test_librispeech_from_a_corpus_to_several_networks_as_one",
    "test_english_from_corpora_to_a_bundle",
    "test_training_on_tones_works_as_written",
    "test_kills_lose_nothing_and_nothing_is_done_twice",
    "test_compilation_is_announced_once_and_cached",
    "test_sums_are_over_all_processes",
    "test_two_processes_learn_the_same_as_one",
    "test_two_processes_train_as_one_does",
)


BENCH = Path(__file__).parents[1] / "scripts" / "bench"


@pytest.fixture
def torchaudio(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """torchaudio for golden numbers, also beside a torch for CPUs."""
    monkeypatch.syspath_prepend(BENCH)
    return import_module("cpu_torchaudio").torchaudio


@pytest.fixture
def tones(tmp_path: Path) -> Path:
    """A manifest of 24 utterances in which words are tones."""
    from speech import write_tones

    return write_tones(tmp_path / "tones", 24)


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The folder in which recipes/smoke/run.sh has left data/ and the experiment exp/.

    One process of pytest-xdist makes it, and the others wait; so no test may change it.
    """
    return made_once(tmp_path_factory, worker_id, "smoke", run_smoke_recipe)


def run_smoke_recipe(folder: Path) -> None:
    """Run the recipe in one process: with several, most of its time is that of their starts."""
    commands = Path(sys.executable).parent  # asr-train and its like
    environment = os.environ | {
        "DATA": str(folder / "data"),
        "EXP": str(folder / "exp"),
        "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
    }
    command = [ROOT / "recipes" / "smoke" / "run.sh", "train.processes=1"]
    subprocess.run(command, env=environment, check=True, timeout=600, capture_output=True)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the slowest tests first, so that at the end no process works on one alone."""
    ranks = {name: rank for rank, name in enumerate(SLOWEST)}
    items.sort(key=lambda item: ranks.get(item.name.split("[")[0], len(ranks)))

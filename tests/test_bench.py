import json
import lzma
import math
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from asr.errors import ConfigError

BENCH = Path(__file__).parents[1] / "scripts" / "bench"
TOKENS = ("<blank>", " ", "A", "B")


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(BENCH)


@pytest.fixture
def contest() -> ModuleType:
    import contest

    return contest


@pytest.fixture
def material() -> ModuleType:
    import material

    return material


def test_help_needs_neither_peers_nor_data():
    command = [sys.executable, BENCH / "decoders.py", "--help"]
    shown = subprocess.run(
        command, check=True, capture_output=True, text=True, cwd=BENCH.parents[1]
    )
    assert "--lm" in shown.stdout


def test_columns_are_aligned(contest: ModuleType):
    assert contest.table([["name", "RTF"], ["a", "1.25"], ["longer", "10"]]) == [
        "name     RTF",
        "a       1.25",
        "longer    10",
    ]


def test_decoders_take_turns_and_the_median_round_counts(contest: ModuleType):
    order = []
    seconds = {"a": iter((9.0, 1.0, 2.0)), "b": iter((4.0, 6.0, 5.0))}

    def decoder(name):
        def decode():
            order.append(name)
            return [name.upper()], next(seconds[name])

        return decode

    measured = contest.in_turns({name: decoder(name) for name in "ab"}, 3)
    assert order == list("ababab")
    assert measured["a"] == contest.Measured(["A"], [9.0, 1.0, 2.0])
    assert [measured[name].median_s for name in "ab"] == [2.0, 5.0]


def test_weights_with_fewest_word_errors_win(contest: ModuleType):
    texts = {0.5: "A C", 1.0: "A B", 1.5: "A B"}
    grid = [contest.Weights(weight, 0.0) for weight in texts]
    best = contest.tune(lambda weights: ([texts[weights.lm_weight]], 1.0), ["A B"], grid)
    assert best == contest.Weights(1.0, 0.0)


def test_the_grid_holds_each_pair_once(contest: ModuleType):
    assert len(set(contest.GRID)) == len(contest.GRID)


def test_words_are_those_that_the_tokens_can_write(material: ModuleType, tmp_path: Path):
    arpa = tmp_path / "lm.arpa"
    arpa.write_text(
        "\\data\\\nngram 1=5\nngram 2=1\n\n\\1-grams:\n-1\t<unk>\n-99\t<s>\t-0.3\n-1\tAB\t-0.3\n"
        "-1\tB\n-1\tABC\n\n\\2-grams:\n-1\tA B\n\n\\end\\\n"
    )
    assert material.words_of(arpa, TOKENS) == ["AB", "B"]
    with pytest.raises(ConfigError, match=r"--lm: .*lm\.arpa has no word"):
        material.words_of(arpa, ("<blank>", " ", "a", "b"))


def test_the_default_model_is_estimated_once(
    material: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(material, "DATA", tmp_path / "data")
    monkeypatch.setattr(material, "WORK", tmp_path / "work")
    with pytest.raises(ConfigError, match=r"books\.txt\.xz: not there; give --lm"):
        material._default_lm()
    text = tmp_path / "data" / "text" / "books.txt.xz"
    text.parent.mkdir(parents=True)
    text.write_bytes(lzma.compress(b"A B\nB A B\nA\n" * 9))
    arpa = material._default_lm()
    assert material.words_of(arpa, TOKENS) == ["A", "B"]
    text.unlink()
    assert material._default_lm() == arpa


def test_log_probs_come_back_as_they_were_saved(material: ModuleType, tmp_path: Path):
    parts = [np.log(np.full((count, 4), 0.25, np.float32)) for count in (2, 1)]
    parts[0][0] = -20.0
    path = tmp_path / "folder" / "log_probs.npz"
    material.save(path, TOKENS, ["A B", ""], parts)
    with np.load(path) as stored:
        assert stored["tokens"].tolist() == list(TOKENS)
        assert stored["references"].tolist() == ["A B", ""]
        assert stored["num_frames"].tolist() == [2, 1]
        assert stored["log_probs"].shape == (3, 4)
    assert material.tokens_a_frame(path, -9.0) == math.ceil(8 / 3)


def test_a_frame_is_added_that_holds_a_separator():
    import worker

    longer = worker.with_separator(np.zeros((2, 4), np.float32), 1)
    assert longer.dtype == np.float32
    assert longer[:2].tolist() == [[0.0] * 4] * 2
    assert longer[2].argmax() == 1


def test_our_worker_answers(material: ModuleType, tmp_path: Path):
    from peers import Worker

    log_probs = np.full((3, 4), -20.0, np.float32)
    log_probs[[0, 1, 2], [2, 1, 3]] = 0.0
    material.save(tmp_path / "log_probs.npz", TOKENS, ["A B"], [log_probs])
    setup = {
        "tokens": TOKENS,
        "log_probs": str(tmp_path / "log_probs.npz"),
        "lm": None,
        "beam_size": 4,
        "beam_threshold": 16.0,
        "token_threshold": -9.0,
    }
    (tmp_path / "setup.json").write_text(json.dumps(setup))
    paths = (Path(sys.executable), tmp_path / "setup.json", tmp_path / "log")
    worker = Worker("asr", *paths)
    texts, cpu_s = worker.decode(slice(0, 1))
    worker.close()
    assert worker.not_available is None
    assert worker.versions["numpy"] == np.__version__
    assert texts == ["A B"]
    assert cpu_s > 0


def test_a_worker_tells_why_it_is_not_available_or_where_to_look(tmp_path: Path):
    from peers import Worker, WorkerError

    (tmp_path / "setup.json").write_text("{}")
    paths = (Path(sys.executable), tmp_path / "setup.json", tmp_path / "log")
    absent = Worker("pyctcdecode", *paths)
    absent.close()
    assert absent.not_available == "ModuleNotFoundError: No module named 'pyctcdecode'"
    with pytest.raises(WorkerError, match=r"nobody: its process ended; see .*log"):
        Worker("nobody", *paths)


def test_the_report_names_who_is_missing():
    from decoders import ENTRANTS, lines

    figures = {
        "wer": 0.25,
        "errors": 1,
        "words": 4,
        "real_time_factor": 0.005,
        "times_ours": 1.0,
        "lm_weight": 1.0,
        "word_score": 0.0,
        "versions": {"asr": "1.0", "numpy": "2.0"},
        "hotwords": {"0": 0.004, "100": 0.005},
    }
    report = {name: {"not_available": "no wheel"} for name in ENTRANTS}
    report |= {"asr": figures, "settings": {"beam_size": 100}}
    text = "\n".join(lines(report))
    assert "25.00     1/4  0.00500" in text
    assert "0: 1.00, 100: 1.25" in text
    assert "fast-ctc-decode: not available (no wheel)" in text
    assert text.endswith("beam_size 100")

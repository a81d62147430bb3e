import json
import math
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from folders import ROOT

from asr.config import Config, DataConfig, FeaturesConfig, ModelConfig
from asr.errors import AsrError, ConfigError

BENCH = ROOT / "scripts" / "bench"
TOKENS = ("<blank>", " ", "A", "B")


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(BENCH)


@pytest.fixture
def contest() -> ModuleType:
    import contest

    return contest


@pytest.fixture
def steps() -> ModuleType:
    import steps

    return steps


@pytest.fixture
def training() -> ModuleType:
    import training

    return training


@pytest.fixture
def material() -> ModuleType:
    import material

    return material


@pytest.mark.parametrize(
    ("script", "option"), [("decoders.py", "--lm"), ("training.py", "--threads")]
)
def test_help_needs_neither_peers_nor_data(script: str, option: str):
    command = [sys.executable, BENCH / script, "--help"]
    shown = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    assert option in shown.stdout


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


@pytest.mark.parametrize(
    ("script", "needed"), [("decoders", "--manifest, --lm"), ("ngram", "TEXT")]
)
def test_what_is_measured_has_to_be_given(
    script: str, needed: str, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit) as left:
        import_module(script).main([])
    assert left.value.code == 2
    assert capsys.readouterr().err.endswith(f"the following arguments are required: {needed}\n")


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


TINY = Config(
    features=FeaturesConfig(num_mels=8, num_ceps=4, deltas=0),
    model=ModelConfig(layers=2, hidden=8, stack=3, dropout=0.0),
    data=DataConfig(batch_s=20.0, max_utterance_s=18.0),
)


def test_batches_to_train_on_have_real_lengths(training: ModuleType):
    setup = training.setup_of(Config(), threads=1)
    assert setup == training.setup_of(Config(), threads=1)
    frames = [count for batch in setup["num_frames"] for count in batch]
    assert len(setup["num_frames"]) == training.BATCHES
    assert 1.9 <= min(frames) / 100 < 10 < max(frames) / 100 <= 17.3
    for counts, tokens in zip(setup["num_frames"], setup["num_tokens"], strict=True):
        assert max(counts) * len(counts) / 100 <= Config().data.batch_s * 1.01
        assert counts == sorted(counts, reverse=True)
        assert all(count % 3 == 0 for count in counts)
        assert all(count / 3 > 2 * number for count, number in zip(counts, tokens, strict=True))


def test_operations_of_a_training_step_by_hand(training: ModuleType):
    # each way: 4 gates of 8 cells from 12 stacked values, from 16 outputs, from 8 hidden values
    first, second, recurrent = 2 * 32 * 12, 2 * 32 * 16, 2 * 2 * 32 * 8
    weights = 2 * first + 3 * (second + recurrent + 16 * training.VOCABULARY)
    assert training.flop(TINY, frames=30) == 2 * weights * 10


@pytest.mark.parametrize("name", ["asr", "packed"])
def test_networks_learn_from_the_same_batches(steps: ModuleType, training: ModuleType, name: str):
    setup = training.setup_of(TINY, threads=1)
    found = steps.answer(name, setup)
    assert found["seconds"] > 0
    assert found["versions"]["torch"] == torch.__version__
    network = steps.SYSTEMS[name](setup)
    for features, num_frames, tokens, num_tokens in steps.batches_of(setup)[:1]:
        log_probs = network(features, num_frames)
        assert log_probs.shape == (len(tokens), max(num_frames) // 3, training.VOCABULARY)
        torch.testing.assert_close(log_probs.exp().sum(2), torch.ones(log_probs.shape[:2]))
        assert tokens.shape == (len(num_tokens), max(num_tokens))


def test_both_networks_have_as_many_weights(steps: ModuleType, training: ModuleType):
    setup = training.setup_of(TINY, threads=1)
    ours, packed = (
        sum(parameter.numel() for parameter in steps.SYSTEMS[name](setup).parameters())
        for name in ("asr", "packed")
    )
    assert ours == packed


def test_a_training_peer_that_is_absent_or_fails(training: ModuleType):
    python, setup = Path(sys.executable), training.setup_of(TINY, threads=1)
    assert "No module named" in training.ask("speechbrain", python, setup)["not_available"]
    with pytest.raises(AsrError, match=r"nobody: steps.py ended with status 1: KeyError: 'nobody'"):
        training.ask("nobody", python, setup)


def test_the_training_report_has_ratios(training: ModuleType, contest: ModuleType):
    setup = training.setup_of(TINY, threads=1)
    seconds = {"asr": [2.0, 9.0, 2.0], "packed": [6.0, 6.0, 7.0], "gemm": [1.0] * 3}
    measured = {name: contest.Measured([], rounds) for name, rounds in seconds.items()}
    hello = {name: {"versions": {name: "1.0"}} for name in seconds}
    hello["speechbrain"] = {"not_available": "no wheel"}
    report = training.record(TINY, setup, measured, hello)
    assert report["ratio_to_packed"] == 3.0
    assert report["ratio_to_speechbrain"] is None
    assert report["audio_s_per_s"] == pytest.approx(report["audio_s"] / 2)
    frames = sum(map(sum, setup["num_frames"]))
    gemm_rate = 40 * 2 * 1024**3
    assert report["fraction_of_gemm"] == pytest.approx(training.flop(TINY, frames) / 2 / gemm_rate)
    text = "\n".join(training.lines(report))
    assert "packed     6.00" in text
    assert "speechbrain: not available (no wheel)" in text

"""asr-doctor --model: what training costs, and learning a handful of utterances by heart."""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from folders import ENGLISH
from speech import small_config, write_conf

import asr.doctor.cost
from asr.cli.doctor import main
from asr.config import Config
from asr.data import Batch, Example, make_examples
from asr.doctor.cost import Machine, cached_bytes, measure_cost
from asr.doctor.selftest import SelfTest, choose_handful, learn_by_heart
from asr.doctor.steps import make_batch
from asr.manifest import read_manifest
from asr.text import Normalizer, Vocabulary
from asr.train import Trainer

VOCABULARY = Vocabulary(("<blank>", " ", "A", "B", "C"))
LEARNT = {"utterances": ("u",), "seconds": 1.0, "first_loss": 3.0, "last_loss": 0.1, "steps": 9}


@pytest.fixture
def examples(tones: Path) -> list[Example]:
    return make_examples(read_manifest(tones), Normalizer(), VOCABULARY)


def config(**train: float) -> Config:
    return small_config(train=train)


def weights_of_small_network() -> int:
    """Two bidirectional layers of 16 cells on 3 * 13 inputs, 5 tokens; two biases a gate."""
    first, second = (2 * 4 * 16 * (inputs + 16 + 2) for inputs in (39, 32))
    return first + second + (32 + 1) * 5


def test_cost_counts_weights_and_batches(examples):
    cost = measure_cost(examples, config(epochs=30), VOCABULARY, Machine("cpu", 2, 1))
    assert cost.weights == weights_of_small_network()
    seconds = sum(example.utterance.duration for example in examples)
    assert seconds / 6 <= cost.batches <= len(examples)
    assert cost.run_hours == pytest.approx(cost.epoch_min / 60 * 30)
    low, high = sorted((cost.median_step_s, cost.longest_step_s))
    assert low * cost.batches <= cost.epoch_min * 60 * (1 + 1e-9)
    assert cost.epoch_min * 60 <= high * cost.batches * (1 + 1e-9)
    assert 0.05 < cost.memory_gb / 2 < 20  # a process with torch in it, twice
    assert not cost.findings()


def test_cost_follows_the_objective(examples, monkeypatch: pytest.MonkeyPatch):
    """A minute for a step of CTC, two for MMI, three for MMI of two views; four epochs."""

    def seconds(trainer: Trainer, batch: Batch) -> float:
        trainer.step([batch], 1, False)
        objective = trainer.task.objective
        return 60.0 * (objective.views + bool(objective.mmi and objective.trigram is not None))

    monkeypatch.setattr(asr.doctor.cost, "_seconds", seconds)
    wanted = {"epochs": 4, "mmi": 0.9}
    for more, minutes in (
        ({"mmi": 0.0}, 1),
        ({}, 2),
        ({"consistency": 0.2}, 3),
        ({"consistency": 0.2, "ctc_fraction": 0.5}, 2),
        ({"ctc_fraction": 1.0}, 1),
    ):
        cost = measure_cost(examples[:6], config(**wanted | more), VOCABULARY, Machine("cpu", 1, 1))
        assert cost.epoch_min == pytest.approx(minutes * cost.batches)
        assert cost.run_hours == pytest.approx(4 * minutes * cost.batches / 60)
    letters = Vocabulary((*VOCABULARY.tokens, *map(chr, range(0x4E00, 0x4E00 + 96))))
    many = measure_cost(examples[:6], config(**wanted), letters, Machine("cpu", 1, 1))
    assert many.tokens == 101
    assert many.epoch_min == pytest.approx(many.batches)  # too many for MMI: phones would have it


def test_accumulated_batches_share_an_update(examples, monkeypatch: pytest.MonkeyPatch):
    sizes, real = [], Trainer.step

    def step(trainer: Trainer, batches: list[Batch], epoch_batches: int, stop: bool) -> bool:
        sizes.append(len(batches))
        return real(trainer, batches, epoch_batches, stop)

    monkeypatch.setattr(Trainer, "step", step)
    measure_cost(examples[:6], config(accumulate=3), VOCABULARY, Machine("cpu", 1, 1))
    assert sizes == [1, 3, 3]


def test_a_process_gets_its_share_of_a_batch(examples):
    assert len(make_batch(examples[:7], config()).examples) == 7
    assert len(make_batch(examples[:7], config(), processes=2).examples) == 4


def test_memory_that_is_not_there_is_an_error(examples):
    cost = measure_cost(examples[:4], config(), VOCABULARY, Machine("cpu", 1, 1))
    (finding,) = replace(cost, memory_gb=20.0, available_gb=16.0).findings()
    assert (finding.kind, finding.severity) == ("memory", "error")
    assert "20.0 GB" in finding.lines()[0]


def test_memory_is_not_measured_on_windows(examples, monkeypatch: pytest.MonkeyPatch):
    measured = asr.doctor.cost._memory_bytes
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setitem(sys.modules, "resource", None)  # which an import then does not find
    assert measured("cpu") is None
    monkeypatch.undo()
    monkeypatch.setattr(asr.doctor.cost, "_memory_bytes", lambda _: None)
    cost = measure_cost(examples[:4], config(), VOCABULARY, Machine("cpu", 1, 1))
    assert cost.line().endswith(" hours in all; memory not measured on this system")
    assert not cost.findings()


def test_cache_counts_for_each_speed():
    """A second: 100 frames of 16 bands in two bytes each, at speed 2 half of them."""

    def size(cache: str, speeds: list[float]) -> float:
        return cached_bytes(10.0, small_config(data={"cache": cache}, augment={"speeds": speeds}))

    assert size("none", [1.0]) == 0
    assert size("memory", [1.0]) == 32_000
    assert size("memory", [1.0, 2.0]) == 48_000


def test_handful_is_short_and_of_different_texts(examples):
    handful = choose_handful(examples)
    assert 4 <= len(handful) <= 8
    assert len({example.text for example in handful}) == len(handful)
    longest = max(example.utterance.duration for example in handful)
    left = [e for e in examples if e.text not in {h.text for h in handful}]
    assert all(example.utterance.duration >= longest for example in left)


def test_sound_utterances_are_learnt_by_heart(examples):
    result = learn_by_heart(choose_handful(examples), config(), VOCABULARY, "cpu")
    assert result.cause == ""
    assert result.cer <= 0.05
    assert result.last_loss < result.first_loss
    assert not result.findings()


def test_a_learning_rate_far_too_low_is_named(examples):
    result = learn_by_heart(examples[:4], config(learning_rate=1e-9), VOCABULARY, "cpu", 1.5)
    (finding,) = result.findings()
    assert finding.kind == "self-test"
    assert "train.learning_rate=1e-09" in finding.why


def test_a_learning_rate_far_too_high_is_named(examples):
    # 1e6 is learnt from now and then: layer normalisation takes the scale of weights away
    result = learn_by_heart(examples[:4], config(learning_rate=1e9), VOCABULARY, "cpu", 3.0)
    assert "lower train.learning_rate=1e+09" in result.cause


def test_silent_audio_is_named(examples, tmp_path):
    silent = []
    for example in examples[:4]:
        audio = tmp_path / f"silent-{example.utterance.id}.wav"
        soundfile.write(audio, np.zeros(round(example.utterance.duration * 8000) + 1), 8000)
        silent.append(replace(example, utterance=replace(example.utterance, audio=audio)))
    result = learn_by_heart(silent, config(learning_rate=1e-4), VOCABULARY, "cpu", 1.0)
    assert result.cause == "silent audio: u0, u1, u2, u3"


def test_time_up_is_no_error_while_the_loss_falls():
    slow = SelfTest(**LEARNT, cer=0.5, cause="the loss still fell", falling=True)
    assert [finding.severity for finding in slow.findings()] == ["note"]
    assert [f.severity for f in replace(slow, falling=False).findings()] == ["error"]


def test_a_loss_that_is_no_number_is_null_in_json():
    result = SelfTest(**LEARNT | {"last_loss": float("nan")}, cer=1.0, cause="not finite")
    assert result.as_dict()["last_loss"] is None


def test_command_reports_cost_and_self_test(tones, tmp_path, capsys):
    conf = write_conf(tmp_path)
    assert main([str(tones), "--model", str(conf), "--json", "train.epochs=2"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["cost"]["weights"] == weights_of_small_network()
    assert report["self_test"]["cer"] <= 0.05
    assert not [f for f in report["findings"] if f["dataset"] == "model"]


def test_too_few_frames_leave_nothing_to_learn(tones, tmp_path, capsys):
    conf = write_conf(tmp_path)
    assert main([str(tones), "--model", str(conf), "--json", "model.stack=90"]) == 1
    report = json.loads(capsys.readouterr().out)
    found = {finding["kind"] for finding in report["findings"]}
    assert {"too-few-frames", "nothing-to-train"} <= found
    assert report["self_test"] is None


def test_a_sound_model_has_no_findings(smoke: Path, capsys):
    assert main(["--model", str(smoke / "exp")]) == 0
    assert capsys.readouterr().out == "nothing found\n"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("model.onnx", b"x", "model.onnx: its sha256 is not the one"),
        ("lm.bin", b"x", "lm.bin: not a binary model"),
        ("lstm.npz", b"x", "lstm.npz: not an LSTM"),
        ("lexicon.npz", b"x", "lexicon.npz: "),
        ("tagger.npz", b"x", "tagger.npz: not a tagger"),
        ("trigram.safetensors", b"x", "trigram.safetensors: not the trigram of this model"),
        ("calibration.json", b"[", "calibration.json: cannot be read"),
        ("decoder.json", b"[", "decoder.json: cannot be read"),
    ],
)
def test_a_damaged_file_of_a_model_is_found(
    tmp_path: Path, capsys, name: str, content: bytes, message: str
):
    bundle = tmp_path / "bundle"
    shutil.copytree(ENGLISH, bundle)
    (bundle / name).write_bytes(content)
    assert main(["--model", str(bundle), "--json"]) == 1
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert {finding["kind"] for finding in findings} == {"damaged-model"}
    assert any(message in finding["why"] for finding in findings)


@pytest.mark.parametrize("name", ["digits", "./digits"])
def test_a_folder_is_examined_though_a_preset_has_its_name(
    tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch, name: str
):
    shutil.copytree(ENGLISH, tmp_path / "digits")
    monkeypatch.chdir(tmp_path)
    assert main(["--model", name]) == 0
    assert "nothing found" in capsys.readouterr().out


def test_several_damaged_files_are_all_named(tmp_path: Path, capsys):
    shutil.copytree(ENGLISH, tmp_path / "bundle")
    for name in ("lm.bin", "lexicon.npz"):
        (tmp_path / "bundle" / name).write_bytes(b"x")
    assert main(["--model", str(tmp_path / "bundle")]) == 1
    report = capsys.readouterr().out
    assert "lm.bin: not a binary" in report
    assert "lexicon.npz: " in report


def test_a_model_is_examined_alone(tmp_path: Path, capsys):
    for words, message in (
        (["m.jsonl", "--model", str(ENGLISH)], "is a folder, which is examined alone; leave M.js"),
        (["--model", str(ENGLISH), "--fix", "x"], "leave --fix x out"),
        (["--model", "english", "--language", "de"], "leave --language de out"),
        (["--model", "smoke"], "no M.jsonl to examine"),  # a preset of this name, and no model
        (["--model", str(tmp_path / "none")], "none: does not exist"),
        ([], "no M.jsonl to examine; give a manifest, or --model FOLDER"),
    ):
        assert main(words) == 2
        assert message in capsys.readouterr().err

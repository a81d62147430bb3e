"""A model that begins with another's weights: what is kept, what is fresh, what is refused."""

import shutil
from itertools import accumulate
from pathlib import Path

import pytest
import torch
from folders import CONF, ENGLISH, real_material
from speech import small_config, write_conf
from torch import Tensor

import asr
from asr.checkpoint import Checkpoint, create_experiment, load_acoustic_model, save_checkpoint
from asr.cli import export
from asr.cli.train import main
from asr.config import Config
from asr.corpora import read_librispeech
from asr.errors import CheckpointError, ConfigError
from asr.evaluation import normalised_references, recognise
from asr.manifest import Utterance, write_manifest
from asr.model import AcousticModel
from asr.scoring import score
from asr.text import PHONES, Vocabulary
from asr.training.finetune import extended_vocabulary, freeze, start_from

OLD = Vocabulary(("<blank>", " ", "A", "B", "C"))


SOUNDS = Vocabulary(("<blank>", "AH", "B", "K"), "word")


def model_of(
    vocabulary: Vocabulary, config: Config, seed: int, phones: Vocabulary | None = None
) -> AcousticModel:
    torch.manual_seed(seed)
    return AcousticModel(config, len(vocabulary), len(phones or ()))


@pytest.fixture
def exp(tmp_path: Path) -> Path:
    """An experiment whose best model has random weights."""
    return write_experiment(tmp_path / "exp", OLD, small_config())


def write_experiment(
    folder: Path, vocabulary: Vocabulary, config: Config, phones: Vocabulary | None = None
) -> Path:
    create_experiment(folder, config, vocabulary)
    if phones:
        phones.save(folder / PHONES)
    weights = dict(model_of(vocabulary, config, 1, phones).named_parameters())
    save_checkpoint(folder / "best", Checkpoint({"model": weights}, {}))
    return folder


def weights_of(model: AcousticModel) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def test_all_weights_are_those_of_the_other_model(exp: Path):
    regularised = {"dropout": 0.5, "forget_bias": 3.0}
    model = model_of(OLD, small_config(model=regularised), seed=2)
    told = start_from(exp, model, OLD)
    expected = weights_of(model_of(OLD, small_config(), seed=1))
    for name, weight in weights_of(model).items():
        assert torch.equal(weight, expected[name]), name
    assert told == f"starting from {exp}; output layer: all 5 tokens kept"


def test_a_network_that_heard_echoes_can_be_gone_on_from_without_them(exp: Path):
    config = small_config(features={"dereverberate": True})
    assert extended_vocabulary(exp, ["A"], config) == OLD


def test_rows_of_the_output_layer_go_with_their_tokens(exp: Path):
    new = Vocabulary(("<blank>", "C", "D", " ", "A"))
    fresh = weights_of(model_of(new, small_config(), seed=2))
    model = model_of(new, small_config(), seed=2)
    told = start_from(exp, model, new)
    found, old = weights_of(model), weights_of(model_of(OLD, small_config(), seed=1))
    for name in ("output.weight", "output.bias"):
        assert torch.equal(found[name][[0, 1, 3, 4]], old[name][[0, 4, 1, 2]])
        assert torch.equal(found[name][2], fresh[name][2])
    assert told.endswith("output layer: 4 tokens kept, 1 start fresh: 'D'")


def test_words_take_over_nothing_but_the_blank_from_characters(exp: Path):
    words = Vocabulary(("<blank>", "A", "ZOO"), "word")
    model = model_of(words, small_config(model={"unit": "word"}), seed=2)
    assert start_from(exp, model, words).endswith("1 tokens kept, 2 start fresh: 'A', 'ZOO'")
    old = weights_of(model_of(OLD, small_config(), seed=1))
    assert torch.equal(weights_of(model)["output.weight"][0], old["output.weight"][0])
    assert not torch.equal(weights_of(model)["output.weight"][1], old["output.weight"][2])


def test_many_fresh_tokens_are_counted(exp: Path):
    new = Vocabulary((*OLD.tokens, *"DEFGHIJKLM"))
    told = start_from(exp, model_of(new, small_config(), seed=2), new)
    assert told.endswith("10 start fresh: 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K' and 2 more")


def test_rows_of_the_phones_go_with_their_names(tmp_path: Path):
    exp = write_experiment(tmp_path / "spoken", OLD, small_config(), SOUNDS)
    new = Vocabulary(("<blank>", "AA", "K", "AH"), "word")
    fresh = weights_of(model_of(OLD, small_config(), seed=2, phones=new))
    model = model_of(OLD, small_config(), seed=2, phones=new)
    told = start_from(exp, model, OLD, new)
    found, old = weights_of(model), weights_of(load_acoustic_model(exp)[0])
    for name in found:
        if name.startswith("phone_output."):
            assert torch.equal(found[name][[0, 2, 3]], old[name][[0, 3, 1]])
            assert torch.equal(found[name][1], fresh[name][1])
        else:
            assert torch.equal(found[name], old[name]), name
    assert told.endswith(
        "output layer: all 5 tokens kept; phones: 3 tokens kept, 1 start fresh: 'AA'"
    )


def test_phones_begin_fresh_where_the_other_model_has_none(exp: Path):
    fresh = weights_of(model_of(OLD, small_config(), seed=2, phones=SOUNDS))
    model = model_of(OLD, small_config(), seed=2, phones=SOUNDS)
    told = start_from(exp, model, OLD, SOUNDS)
    found, old = weights_of(model), weights_of(load_acoustic_model(exp)[0])
    assert found.keys() - old.keys() == {"phone_output.weight", "phone_output.bias"}
    for name in found:
        expected = fresh if name.startswith("phone_output.") else old
        assert torch.equal(found[name], expected[name]), name
    assert "; phones: 0 tokens kept, 4 start fresh: " in told


def test_phones_that_are_not_wanted_stay_behind(tmp_path: Path):
    exp = write_experiment(tmp_path / "spoken", OLD, small_config(), SOUNDS)
    model = model_of(OLD, small_config(), seed=2)
    assert start_from(exp, model, OLD).endswith("output layer: all 5 tokens kept")
    found, old = weights_of(model), weights_of(load_acoustic_model(exp)[0])
    assert old.keys() - found.keys() == {"phone_output.weight", "phone_output.bias"}
    assert all(torch.equal(found[name], old[name]) for name in found)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["A B"], OLD.tokens),  # nothing new: C stays
        (["A Ä", "Z"], (*OLD.tokens, "Z", "Ä")),
    ],
)
def test_the_vocabulary_keeps_all_tokens_and_adds_new_ones(
    exp: Path, texts: list[str], expected: tuple[str, ...]
):
    assert extended_vocabulary(exp, texts, small_config()) == Vocabulary(expected)


def test_the_vocabulary_of_another_unit_is_of_the_texts_alone(exp: Path):
    found = extended_vocabulary(exp, ["ONE TWO"], small_config(model={"unit": "word"}))
    assert found == Vocabulary(("<blank>", "ONE", "TWO"), "word")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"model": {"hidden": 17}}, "model.hidden=16, this one 17; give model.hidden=16"),
        ({"model": {"layers": 3}}, "model.layers=2, this one 3; give model.layers=2"),
        ({"model": {"layer_norm": True}}, "model.layer_norm=false, this one true; "),
        ({"model": {"cell": "gru"}}, 'model.cell="lstm", this one "gru"; '),
        ({"features": {"low_hz": 50.0}}, "features.low_hz=20.0, this one 50.0; "),
        ({"features": {"deltas": 1}, "model": {"hidden": 17}}, "features.deltas=0, this one 1; "),
    ],
)
def test_another_network_is_refused_by_its_first_key(
    exp: Path, changed: dict[str, dict[str, object]], message: str
):
    model = model_of(OLD, small_config(**changed), seed=2)
    before = weights_of(model)
    with pytest.raises(ConfigError) as caught:
        start_from(exp, model, OLD)
    assert str(caught.value).startswith(f"--init {exp}: its network has {message}")
    with pytest.raises(ConfigError) as early:
        extended_vocabulary(exp, ["A"], small_config(**changed))
    assert str(early.value) == str(caught.value)
    assert all(torch.equal(before[name], weight) for name, weight in weights_of(model).items())


def test_a_folder_without_a_model_is_refused(tmp_path: Path):
    with pytest.raises(CheckpointError, match=r"none/config\.json: cannot be read"):
        start_from(tmp_path / "none", model_of(OLD, small_config(), seed=2), OLD)
    with pytest.raises(CheckpointError, match=r"none/config\.json: cannot be read"):
        extended_vocabulary(tmp_path / "none", ["A"], small_config())


@pytest.mark.parametrize("layers", [0, 1, 2])
@pytest.mark.parametrize("channels", [0, 4])
def test_frozen_layers_and_what_is_below_get_no_gradient(layers: int, channels: int):
    options = {"layer_norm": True, "conv_channels": channels}
    model = model_of(OLD, small_config(model=options), seed=1)
    freeze(model, layers)
    features, num_frames = torch.randn(2, 12, 13), torch.tensor([12, 9])
    model(features, num_frames)[0].sum().backward()
    frozen = {name for name, parameter in model.named_parameters() if parameter.grad is None}
    lowest = [f"network.layers.{layer}." for layer in range(layers)]
    below = ("front.", *lowest) if layers else ()
    expected = {name for name, _ in model.named_parameters() if name.startswith(below)}
    assert frozen == expected
    convolutions = 6 if layers and channels else 0  # two, and the norm
    assert len(frozen) == layers * 10 + convolutions  # 8 of the LSTM, 2 of the norm


def test_more_layers_than_there_are_cannot_be_frozen():
    with pytest.raises(ConfigError, match=r"train.freeze is 3; allowed: 0..2, as model.layers"):
        freeze(model_of(OLD, small_config(), seed=1), 3)


def asr_train(folder: Path, manifest: Path, *more: str) -> int:
    conf = write_conf(folder)
    words = [str(conf), "--train", str(manifest), "--valid", str(manifest)]
    return main([*words, "--out", str(folder / "new"), "train.epochs=1", *more])


def test_training_begins_with_the_weights(exp: Path, tones: Path, tmp_path: Path, capsys):
    tones.write_text(tones.read_text().replace('"text": "C', '"text": "\u00d8C'))
    init = ("--init", str(exp), "train.freeze=1")
    assert asr_train(tmp_path, tones, *init) == 0
    said = capsys.readouterr().err
    assert f"starting from {exp}; output layer: 5 tokens kept, 1 start fresh: '\u00d8'" in said
    found, vocabulary = load_acoustic_model(tmp_path / "new")
    assert vocabulary.tokens == (*OLD.tokens, "\u00d8")
    theirs, ours = weights_of(load_acoustic_model(exp)[0]), weights_of(found)
    for name, weight in theirs.items():
        if not name.startswith("output."):
            assert torch.equal(weight, ours[name]) == name.startswith("network.layers.0."), name

    assert asr_train(tmp_path, tones, *init, "--resume", "train.epochs=2") == 0
    assert "starting from" not in capsys.readouterr().err


def test_what_cannot_be_begun_with(exp: Path, tones: Path, tmp_path: Path, capsys):
    assert asr_train(tmp_path, tones, "--init", str(exp), "model.hidden=8") == 2
    assert "its network has model.hidden=16, this one 8; " in capsys.readouterr().err
    assert asr_train(tmp_path, tones, "train.freeze=1") == 2
    assert "train.freeze is 1 without --init" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
def test_the_english_model_gets_better_on_a_speaker(tmp_path: Path):
    corpus = real_material("data", "LibriSpeech", "dev-wide")
    utterances = [u for u in read_librispeech(corpus) if u.speaker == "5142"]
    minutes = list(accumulate(u.duration / 60 for u in utterances))
    parts: dict[str, list[Utterance]] = {"train": [], "valid": [], "test": []}
    for utterance, end in zip(utterances, minutes, strict=True):
        parts["train" if end <= 5 else "valid" if end <= 6.2 else "test"].append(utterance)
    manifests = {name: tmp_path / f"{name}.jsonl" for name in parts}
    for name, part in parts.items():
        write_manifest(manifests[name], part)
    # as README.md says
    overrides = ["train.epochs=12", "train.learning_rate=5e-4", "train.warmup_steps=20"]
    overrides += ["train.ema_decay=0.98", "train.ctc_fraction=0", "data.batch_s=30"]
    words = [str(CONF / "english.toml"), *overrides, "--init", str(ENGLISH)]
    words += ["--train", str(manifests["train"]), "--valid", str(manifests["valid"])]
    assert main([*words, "--out", str(tmp_path / "exp")]) == 0
    for name in ("lm.bin", "lstm.npz", "decoder.json"):
        shutil.copy(ENGLISH / name, tmp_path / "exp")
    exp = str(tmp_path / "exp")
    assert export.main([exp, exp, "--int8", "--warps", "0.96", "1.04"]) == 0

    def error_rate(folder: Path) -> float:
        model = asr.load_model(folder)
        references = normalised_references(model.acoustics, parts["test"], spelled_by_lexicon=True)
        outputs = recognise(model.acoustics, parts["test"])
        hypotheses = {name: model.decoder.decode(row)[0].text for name, row in outputs}
        return score(references, hypotheses).word.rate

    assert error_rate(tmp_path / "exp") < 0.95 * error_rate(ENGLISH)

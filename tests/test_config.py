"""Configuration: what is accepted, what is refused, and with which words."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from folders import CONF

from asr.config import Config, FeaturesConfig, config_from_dict, config_to_dict, load_config
from asr.errors import ConfigError


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    path = tmp_path / "empty.toml"
    path.write_text("")
    return path


def model_confs() -> list[Path]:
    return sorted(CONF.glob("*.toml"))


def test_there_are_shipped_confs():
    assert CONF / "blstm_ctc.toml" in model_confs()


@pytest.mark.parametrize("path", model_confs(), ids=lambda path: path.name)
def test_shipped_conf_loads(path: Path):
    assert load_config(path) != Config()


def test_nothing_given_is_the_default(empty: Path):
    assert load_config(empty) == Config()


def test_round_trip_through_json():
    config = config_from_dict(
        {
            "text": {"case": "lower"},
            "model": {"layers": 4, "cell": "gru"},
            "augment": {"speeds": [0.9, 1, 1.1]},
        }
    )
    assert config.model.layers == 4
    assert config.augment.speeds == (0.9, 1.0, 1.1)
    assert config_from_dict(json.loads(json.dumps(config_to_dict(config)))) == config


@pytest.mark.parametrize(
    ("override", "section", "key", "value"),
    [
        ("train.epochs=5", "train", "epochs", 5),
        ("train.learning_rate=2e-3", "train", "learning_rate", 0.002),
        ("train.clip_norm=2", "train", "clip_norm", 2.0),
        ("model.cell=gru", "model", "cell", "gru"),
        ('model.cell="rnn"', "model", "cell", "rnn"),
        ("model.bidirectional=false", "model", "bidirectional", False),
        ("augment.speeds=[0.9,1.1]", "augment", "speeds", (0.9, 1.1)),
        ("text.keep=", "text", "keep", ""),
        (" model.hidden = 7", "model", "hidden", 7),
    ],
)
def test_override(empty: Path, override: str, section: str, key: str, value: object):
    config = load_config(empty, [override])
    found = getattr(getattr(config, section), key)
    assert found == value
    assert type(found) is type(value)


def test_override_wins_over_the_file_and_the_last_over_the_first(tmp_path: Path):
    path = tmp_path / "a.toml"
    path.write_text("[train]\nepochs = 3\nseed = 9\n")
    config = load_config(path, ["train.epochs=4", "train.epochs=5"])
    assert (config.train.epochs, config.train.seed) == (5, 9)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.epoch=5", "did you mean 'epochs'"),
        ("trian.epochs=5", "did you mean 'train'"),
        ("train.zzzzzz=5", "known: accumulate, checkpoint_minutes, clip_norm, consistency"),
        ("epochs=5", "write section.key=value"),
        ("train.epochs", "write section.key=value"),
        ("train.=5", "write section.key=value"),
        ("train.epochs=many", "train.epochs is 'many'; it must be of type int"),
        ("train.epochs=2.5", "train.epochs is 2.5; it must be of type int"),
        ("train.epochs=true", "it must be of type int"),
        ("train.learning_rate=inf", "it must be of type finite float"),
        ("model.forget_bias=nan", "it must be of type finite float"),
        ("data.workers=1" + "0" * 400, "workers is 1000"),
        ("model.forget_bias=1" + "0" * 400, "it must be of type finite float"),
        ("train.learning_rate=true", "it must be of type finite float"),
        ("model.layer_norm=1", "it must be of type bool"),
        ("text.keep=5", "it must be of type str"),
        ("augment.speeds=1.0", "augment.speeds is 1.0; it must be of type list"),
        ('augment.speeds=["x"]', "augment.speeds is 'x'"),
        ("model.cell=transformer", "allowed: 'lstm', 'gru', 'rnn'"),
    ],
)
def test_name_or_type_refused(empty: Path, override: str, message: str):
    with pytest.raises(ConfigError, match=message.replace("(", r"\(")):
        load_config(empty, [override])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("features.num_ceps", 41),
        ("features.num_ceps", 0),
        ("features.deltas", 3),
        ("features.frame_shift_ms", 26.0),
        ("features.low_hz", 9000.0),
        ("features.high_hz", 8001.0),
        ("features.high_hz", 20.5),
        ("features.sample_rate_hz", 0),
        ("model.layers", 0),
        ("model.hidden", -1),
        ("model.stack", 0),
        ("model.conv_channels", -1),
        ("model.dropout", 0.95),
        ("augment.speeds", []),
        ("augment.speeds", [0.4]),
        ("augment.reverb_prob", 1.1),
        ("augment.reverb_s", [0.0, 0.5]),
        ("augment.reverb_s", [0.5, 0.2]),
        ("augment.noise_prob", 1.1),
        ("augment.band_limit_prob", -0.1),
        ("augment.codec_noise", -0.1),
        ("augment.time_mask_fraction", 2.0),
        ("augment.freq_masks", -1),
        ("augment.time_masks", -1),
        ("augment.freq_mask_mels", -1),
        ("augment.time_mask_ms", -1.0),
        ("augment.noise_snr_db", [30.0, 10.0]),
        ("augment.band_limit_hz", [3000.0]),
        ("data.workers", 0),
        ("data.max_utterance_s", 0.0),
        ("data.batch_s", 10.0),
        ("train.seed", -1),
        ("train.epochs", 0),
        ("train.mmi", 1.1),
        ("train.ctc_fraction", -0.1),
        ("train.processes", -1),
        ("train.ema_decay", 1.0),
        ("train.final_lr_fraction", 1.5),
        ("train.learning_rate", 0.0),
        ("train.clip_norm", 0.0),
        ("train.warmup_steps", -1),
        ("train.weight_decay", -0.1),
    ],
)
def test_value_out_of_range_names_the_key_and_what_is_allowed(key: str, value: Any):
    section, name = key.split(".")
    related = "augment.speeds" if key == "augment.speeds" else key
    with pytest.raises(ConfigError, match="allowed: ") as caught:
        config_from_dict({section: {name: value}})
    assert related in str(caught.value) or key == "features.sample_rate_hz"


def test_section_that_is_no_section(empty: Path, tmp_path: Path):
    path = tmp_path / "a.toml"
    path.write_text("train = 5\n")
    with pytest.raises(ConfigError, match="train is 5; it must be a section"):
        load_config(path)
    with pytest.raises(ConfigError, match="train is not a section"):
        load_config(path, ["train.epochs=5"])


def test_unreadable_files(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read"):
        load_config(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path)
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "bytes.toml")
    (tmp_path / "bad.toml").write_text("[train\n")
    with pytest.raises(ConfigError, match=r"bad\.toml: not valid TOML"):
        load_config(tmp_path / "bad.toml")


def test_the_file_is_named_when_a_name_is_unknown(tmp_path: Path):
    path = tmp_path / "typo.toml"
    path.write_text("[model]\nhiden = 5\n")
    with pytest.raises(ConfigError, match=r"typo\.toml: \[model\]: unknown name 'hiden'.*'hidden'"):
        load_config(path)


def test_derived_sizes():
    assert FeaturesConfig(num_ceps=13, deltas=2).num_features == 39


def test_retired_keys_are_taken_where_they_changed_nothing():
    saved = {"layers": 3, "projection": 0, "residual": False, "reduce_after": []}
    assert config_from_dict({"model": saved}).model.layers == 3
    with pytest.raises(ConfigError, match=r"exp: model\.projection is 192; the key was removed"):
        config_from_dict({"model": saved | {"projection": 192}}, "exp")


def test_every_number_has_finite_limits():
    """A configuration comes with a model, which may be a stranger's."""
    for section in fields(Config):
        for key, default in vars(section.default_factory()).items():
            if type(default) in (int, float):
                huge = {section.name: {key: type(default)(1e30)}}
                with pytest.raises(ConfigError, match=rf"{section.name}\.{key} is .*allowed"):
                    config_from_dict(huge)


def test_the_preset_for_five_hours_is_the_recipe():
    assert load_config("five-hours") == load_config("blstm_ctc")

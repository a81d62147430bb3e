"""Whether a training run may go on with the configuration given now."""

from pathlib import Path

import pytest
from speech import small_config

from asr.checkpoint import check_resumed, create_experiment
from asr.errors import ConfigError
from asr.text import Vocabulary

VOCABULARY = Vocabulary.from_texts(["A B"])


def test_a_run_may_go_on_for_longer_with_more_processes_and_saved_more_often(tmp_path: Path):
    create_experiment(tmp_path, small_config(), VOCABULARY)
    changes = {"epochs": 99, "processes": 2, "checkpoint_minutes": 0.5}
    check_resumed(tmp_path, small_config(train=changes))


def test_a_run_goes_on_as_it_began(tmp_path: Path):
    create_experiment(tmp_path, small_config(), VOCABULARY)
    changed = small_config(model={"hidden": 17}, augment={"speeds": [0.5, 1.0]})
    began = r"config\.json differs .*: it has model\.hidden=16, augment\.speeds=\[1\.0\]; give"
    with pytest.raises(ConfigError, match=began):
        check_resumed(tmp_path, changed)

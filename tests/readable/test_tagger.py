"""The tagger in numpy: same scores as torch, same file back, and no damage that crashes."""

import io
import os
from math import nan
from pathlib import Path

import numpy as np
import pytest
from damage import damaged_npz, outcomes

from asr.errors import CheckpointError
from asr.readable import Tagger
from asr.readable.features import PAUSES, pause_kinds, word_rows
from asr.readable.tagger import CONTEXT, WINDOW

WORDS = ["the", "cat", "sat", "on", "mister", "mcfee", "田中", "школа", "i'll"]
SEEDS = 500


def test_numpy_computes_what_torch_computes():
    import torch
    from tiny_tagger import CONFIG, tiny_network, tiny_tagger

    rng = np.random.default_rng(0)
    words = rng.choice(WORDS, 70).tolist()
    pauses = rng.exponential(0.5, 70)
    rows = torch.from_numpy(word_rows(words, CONFIG.rows)[None].astype(np.int64))
    kinds = torch.from_numpy(pause_kinds(pauses)[None])
    cases, marks = tiny_network()(rows, kinds, torch.tensor([70]))
    found = tiny_tagger().tag(words, pauses)
    assert np.abs(found[0] - cases[0].numpy()).max() < 0.05  # the table has 8 bits a weight
    assert np.abs(found[1] - marks[0].numpy()).max() < 0.05


def test_windows_of_a_long_text_agree_with_shorter_texts():
    from tiny_tagger import tiny_tagger

    tagger = tiny_tagger()
    words = np.random.default_rng(1).choice(WORDS, 1000).tolist()
    cases, marks = tagger.tag(words, [nan] * 1000)
    assert cases.shape[0] == marks.shape[0] == 1000
    first = tagger.tag(words[:WINDOW], [nan] * WINDOW)[1]
    assert np.allclose(marks[: WINDOW - CONTEXT], first[: WINDOW - CONTEXT], atol=1e-5)
    last = tagger.tag(words[-WINDOW:], [nan] * WINDOW)[1]
    assert np.allclose(marks[-WINDOW + CONTEXT :], last[CONTEXT:], atol=1e-5)


@pytest.mark.parametrize("count", [0, 1, WINDOW - 1, WINDOW, WINDOW + 1, 2 * WINDOW])
def test_texts_of_any_length(count: int):
    from tiny_tagger import tiny_tagger

    cases, marks = tiny_tagger().tag(["a"] * count, [nan] * count)
    assert len(cases) == len(marks) == count
    assert np.isfinite(cases).all() and np.isfinite(marks).all()


def test_pauses_fall_into_kinds():
    assert pause_kinds([nan, 0.0, 0.05, 0.3, 99.0]).tolist() == [0, 1, 1, 5, PAUSES - 1]


def test_a_file_gives_the_tagger_back(tmp_path: Path):
    from tiny_tagger import tiny_tagger

    tagger = tiny_tagger(("McFee", "\u00c9lan"))
    tagger.save(tmp_path / "tagger.npz")
    again = Tagger.load(tmp_path / "tagger.npz")
    assert again.info == tagger.info
    assert again.forms == {"mcfee": "McFee", "\u00e9lan": "\u00c9lan"}
    for one, other in zip(tagger.tag(WORDS, [0.1] * 9), again.tag(WORDS, [0.1] * 9), strict=True):
        assert np.abs(one - other).max() < 0.05


def stored(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of the tiny tagger, saved as a file."""
    from tiny_tagger import tiny_tagger  # torch, which the child need not import

    tiny_tagger().save(path)
    return dict(np.load(io.BytesIO(path.read_bytes())))


def attempt(seed: int, folder: Path) -> bool:
    """Read a damaged tagger and tag with it, unless it is refused."""
    random = np.random.default_rng(seed)
    path = folder / "tagger.npz"
    path.write_bytes(damaged_npz((folder / "whole.npz").read_bytes(), random))
    try:
        with np.errstate(all="ignore"):
            tagger = Tagger.load(path)
    except CheckpointError:
        return False
    assert all(np.isfinite(scores).all() for scores in tagger.tag(WORDS, [0.2] * len(WORDS)))
    return True


def test_no_damage_crashes_tagging(tmp_path: Path):
    stored(tmp_path / "whole.npz")
    found = outcomes(attempt, tmp_path, SEEDS)
    assert found.total() == SEEDS
    assert found[False] > SEEDS / 4 and found[True] > SEEDS / 20


def test_arrays_that_break_a_rule(tmp_path: Path):
    path = tmp_path / "tagger.npz"
    arrays = stored(path)
    scale, bias = arrays["words.weight.scale"], arrays["marks.bias"]
    rules = [
        ({"words.weight.scale": scale[:-1]}, "no 8 bits a weight"),
        ({"words.weight.scale": scale * np.nan}, "a weight that is not within 10000"),
        ({"marks.bias": bias + 1e9}, "a weight that is not within 10000"),
        ({"marks.bias": bias[:1]}, "do not fit together"),
        ({"more": bias}, "do not fit together"),
        ({"more.scale": bias}, "scales of no weight"),
        ({"info": np.frombuffer(b'{"forms": 3}', np.uint8)}, "forms"),
    ]
    for changed, message in rules:
        np.savez(path, **{**arrays, **changed})
        with pytest.raises(CheckpointError, match=f"not a tagger .*{message}"):
            Tagger.load(path)


def test_what_is_no_file_is_refused(tmp_path: Path):
    with pytest.raises(CheckpointError, match=r"none\.npz: not a tagger"):
        Tagger.load(tmp_path / "none.npz")
    with pytest.raises(CheckpointError, match="Is a directory"):
        Tagger.load(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(CheckpointError, match="is a pipe, socket or device, not a file"):
            Tagger.load(tmp_path / "pipe")

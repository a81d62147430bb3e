"""Binary n-gram models: mapped, quantised, damaged."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asr.errors import ConfigError, LanguageModelError
from asr.lm.arpa import write_arpa
from asr.lm.binary import load_lm, read_binary, saver, write_binary
from asr.lm.ngram import Level, NgramModel
from asr.lm.trie import first_of_equal, lexicographic_order

PREFIX = 16  # bytes: magic number, version, length of the header


def make_model(num_words: int, num_ngrams: int, order: int = 3) -> NgramModel:
    random = np.random.default_rng(0)
    rows = np.arange(num_words, dtype=np.int32)[:, None]
    levels = []
    for _ in range(order):
        log_prob = -random.exponential(2.0, len(rows)).astype(np.float32)
        backoff = -random.exponential(0.5, len(rows)).astype(np.float32)
        backoff[random.random(len(rows)) < 0.5] = 0.0
        levels.append(Level(rows, log_prob, backoff))
        contexts = rows[random.integers(len(rows), size=num_ngrams)]
        last = random.integers(num_words, size=(num_ngrams, 1), dtype=np.int32)
        rows = np.hstack([contexts, last])
        rows = rows[lexicographic_order(rows)]
        rows = rows[first_of_equal(rows)]
    words = ["<unk>", "<s>", "</s>", *(f"wört{i}" for i in range(num_words - 3))]
    return NgramModel.from_levels(words, levels)


@pytest.fixture(scope="module")
def model() -> NgramModel:
    return make_model(num_words=300, num_ngrams=2000)


@pytest.mark.parametrize("order", [1, 2, 3, 6])
def test_a_model_comes_back_as_it_was(tmp_path: Path, order: int) -> None:
    model = make_model(num_words=20, num_ngrams=50, order=order)
    write_binary(model, tmp_path / "lm.bin")
    again = read_binary(tmp_path / "lm.bin")
    assert again.words == model.words
    assert (again.unk, again.bos, again.eos, again.order) == (0, 1, 2, order)
    for array, other in zip(model.arrays, again.arrays, strict=True):
        assert other.dtype == array.dtype
        np.testing.assert_array_equal(array, other)


@pytest.mark.parametrize("quantized", [False, True])
def test_arrays_are_aligned_contiguous_and_read_only(
    tmp_path: Path, model: NgramModel, quantized: bool
) -> None:
    write_binary(model, tmp_path / "lm.bin", quantized)
    for array in read_binary(tmp_path / "lm.bin").arrays:
        assert array.flags.c_contiguous and array.flags.aligned and not array.flags.writeable
        assert quantized or array.ctypes.data % 64 == 0


@pytest.mark.parametrize("order", [1, 2, 3, 6])
def test_few_probabilities_are_quantised_without_loss(tmp_path: Path, order: int) -> None:
    model = make_model(num_words=20, num_ngrams=100, order=order)
    write_binary(model, tmp_path / "lm.bin", quantized=True)
    for array, other in zip(model.arrays, read_binary(tmp_path / "lm.bin").arrays, strict=True):
        assert other.dtype == array.dtype
        np.testing.assert_array_equal(array, other)


def test_many_probabilities_are_quantised_by_256_values_an_order(
    tmp_path: Path, model: NgramModel
) -> None:
    write_binary(model, tmp_path / "lm.bin", quantized=True)
    again = read_binary(tmp_path / "lm.bin")
    for name in ("word", "suffix", "first_child"):
        np.testing.assert_array_equal(getattr(again.arrays, name), getattr(model.arrays, name))
    first, *higher = zip(model.levels(), again.levels(), strict=True)
    np.testing.assert_array_equal(first[0].log_prob, first[1].log_prob)
    np.testing.assert_array_equal(first[0].backoff, first[1].backoff)
    for level, found in higher:
        assert len(np.unique(level.log_prob)) > 256 >= len(np.unique(found.log_prob)) > 200
        np.testing.assert_array_equal(level.backoff == 0, found.backoff == 0)
        for values, coded in ((level.log_prob, found.log_prob), (level.backoff, found.backoff)):
            # few values are far from the mean of their bin: those in the sparse tail
            assert np.abs(values - coded).mean() < 0.01 * max(values.std(), 1e-9)
    assert model.score(["wört7"]) == pytest.approx(again.score(["wört7"]), abs=0.05)


def test_quantised_files_are_smaller(tmp_path: Path) -> None:
    model = make_model(num_words=70_000, num_ngrams=100_000)  # ids need three bytes
    write_binary(model, tmp_path / "lm.bin")
    write_binary(model, tmp_path / "small.bin", quantized=True)
    sizes = [(tmp_path / name).stat().st_size for name in ("lm.bin", "small.bin")]
    assert sizes[1] < 0.8 * sizes[0]
    assert read_binary(tmp_path / "small.bin").arrays.word.tolist() == model.arrays.word.tolist()


@pytest.mark.parametrize("name", ["lm.arpa", "lm.arpa.gz", "lm.arpa.xz", "lm.bin"])
def test_the_name_says_how_it_is_written_and_the_content_how_it_is_read(
    tmp_path: Path, model: NgramModel, name: str
) -> None:
    saver(tmp_path / name)(model)
    (tmp_path / name).rename(tmp_path / "lm")
    again = load_lm(tmp_path / "lm")
    assert again.counts == model.counts
    np.testing.assert_allclose(again.arrays.prob, model.arrays.prob, rtol=1e-6)


def test_a_file_may_be_converted_onto_itself(tmp_path: Path, model: NgramModel) -> None:
    saver(tmp_path / "lm.bin")(model)
    again = load_lm(tmp_path / "lm.bin")
    saver(tmp_path / "lm.bin", quantized=True)(again)
    assert load_lm(tmp_path / "lm.bin").counts == model.counts
    np.testing.assert_array_equal(again.arrays.prob, model.arrays.prob)  # still the old file's


def test_names_that_say_no_format(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"lm\.txt; allowed: a name in \.arpa"):
        saver(tmp_path / "lm.txt")
    with pytest.raises(ConfigError, match=r"ARPA cannot be quantised; give a name in \.bin"):
        saver(tmp_path / "lm.arpa", quantized=True)


def with_header(content: bytes, change: Callable[[dict[str, Any]], None]) -> bytes:
    """The file with another header, of the same length."""
    length = struct.unpack_from("<I", content, 12)[0]
    header = json.loads(content[PREFIX : PREFIX + length])
    change(header)
    return content[:PREFIX] + json.dumps(header).encode().ljust(length) + content[PREFIX + length :]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "it has 10 bytes": lambda content: content[:10],
    "instead of": lambda content: content[:-1],
    "bytes instead of": lambda content: content + b" ",
    "its format is 7, and this asr reads 1": lambda content: (
        content[:8] + struct.pack("<I", 7) + content[12:]
    ),
    "Expecting": lambda content: content[:PREFIX] + b"!" + content[PREFIX + 1 :],
    "invalid character": lambda content: content[:PREFIX] + b"\xff" + content[PREFIX + 1 :],
    "offset must be": lambda content: with_header(
        content, lambda header: header["arrays"]["prob"].update(offset=1 << 20)
    ),
    "`int` >= 0 - at `$.arrays[...].offset`": lambda content: with_header(
        content, lambda header: header["arrays"]["prob"].update(offset=-64)
    ),
    "multiple of 64 - at `$.arrays[...].offset`": lambda content: with_header(
        content, lambda header: header["arrays"]["prob"].update(offset=3)
    ),
    "value '<f8' - at `$.arrays[...].dtype`": lambda content: with_header(
        content, lambda header: header["arrays"]["prob"].update(dtype="<f8")
    ),
    "buffer is smaller": lambda content: with_header(
        content, lambda header: header["arrays"]["prob"].update(shape=[10**6])
    ),
    "do not fit together": lambda content: with_header(
        content, lambda header: header["arrays"]["prob"].update(shape=[10])
    ),
    "its parts do not fit": lambda content: with_header(
        content, lambda header: header["arrays"]["prob"].update(dtype="<i4")
    ),
    "parts do not fit": lambda content: with_header(content, lambda header: header.update(eos=300)),
    "missing required field `bos`": lambda content: with_header(
        content, lambda header: header.pop("bos")
    ),
    "'suffix'": lambda content: with_header(content, lambda header: header["arrays"].pop("suffix")),
    "'words'": lambda content: with_header(content, lambda header: header["arrays"].pop("words")),
    "unknown field `more`": lambda content: with_header(
        content, lambda header: header["arrays"]["prob"].update(more=1)
    ),
}


@pytest.mark.parametrize("message", DAMAGES)
def test_damaged_files(tmp_path: Path, model: NgramModel, message: str) -> None:
    write_binary(model, tmp_path / "lm.bin")
    content = DAMAGES[message]((tmp_path / "lm.bin").read_bytes())
    (tmp_path / "bad.bin").write_bytes(content)
    with pytest.raises(LanguageModelError) as caught:
        load_lm(tmp_path / "bad.bin")
    text = str(caught.value)
    assert text.startswith(f"{tmp_path / 'bad.bin'}: not a binary model that can be used (")
    assert message in text and text.endswith("make it again with asr-lm convert")


def test_other_files(tmp_path: Path, model: NgramModel) -> None:
    write_arpa(model, tmp_path / "lm.arpa")
    with pytest.raises(LanguageModelError, match="begins with other bytes"):
        read_binary(tmp_path / "lm.arpa")
    (tmp_path / "empty").touch()
    with pytest.raises(LanguageModelError, match="empty: not a binary model"):
        read_binary(tmp_path / "empty")
    with pytest.raises(LanguageModelError, match=r"absent: cannot be read .* give a model"):
        load_lm(tmp_path / "absent")
    with pytest.raises(LanguageModelError, match="absent: cannot be read"):
        read_binary(tmp_path / "absent")

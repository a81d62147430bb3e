"""A binary n-gram model is data: no file crashes a query, floods the memory or never ends."""

import json
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from damage import FLOATS, INTEGERS, outcomes, with_other_bytes
from test_lm_binary import PREFIX, make_model, with_header

from asr.errors import LanguageModelError
from asr.lm.binary import load_lm, read_binary, write_binary
from asr.lm.ngram import NgramModel
from asr.lm.pruning import prune

SEEDS = 2500
WORDS = 9  # of the small model; its nodes are 1..9, and those of bigrams follow


def small_model() -> NgramModel:
    return make_model(num_words=WORDS, num_ngrams=14, order=3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the small model: plain, quantised, and quantised but not packed."""
    folder = tmp_path_factory.mktemp("damage")
    for quantized in (False, True):
        write_binary(small_model(), folder / f"{int(quantized)}.bin", quantized)
    (folder / "2.bin").write_bytes(of_format_1((folder / "1.bin").read_bytes()))
    return folder


def parts(content: bytes) -> tuple[dict[str, Any], int]:
    """Return the header and the offset of the arrays."""
    length = struct.unpack_from("<I", content, 12)[0]
    return json.loads(content[PREFIX : PREFIX + length]), PREFIX + length


def of_format_1(content: bytes) -> bytes:
    """Return a quantised file as it was written before arrays were packed."""
    header, start = parts(content)
    arrays = b""
    for array in header["arrays"].values():
        begin = start + array["offset"]
        unpacked = zlib.decompress(content[begin : begin + array.pop("packed")])
        arrays += bytes(-len(arrays) % 64)
        array["offset"] = len(arrays)
        arrays += unpacked
    return file_of(1, {**header, "size": len(arrays)}, arrays)


def file_of(version: int, header: dict[str, Any], arrays: bytes) -> bytes:
    """Return a file with a header of any length."""
    text = json.dumps(header).encode()
    text += b" " * (-(PREFIX + len(text)) % 64)
    return struct.pack("<8sII", b"\x93ASRNGRM", version, len(text)) + text + arrays


def with_value(content: bytes, name: str, index: int, value: float) -> bytes:
    """Return the file with another value at a place of one of its arrays."""
    header, start = parts(content)
    array = header["arrays"][name]
    dtype = np.dtype(array["dtype"])
    place = start + array["offset"] + index % array["shape"][-1] * dtype.itemsize
    changed = bytearray(content)
    changed[place : place + dtype.itemsize] = np.array(value).astype(dtype).tobytes()
    return bytes(changed)


def with_other_header(content: bytes, random: np.random.Generator) -> bytes:
    """Return the file with an extreme number somewhere in its header."""
    number = int(random.choice((-1, 0, 1, 64, 2**31, 2**40, 2**63 - 1)))

    def change(header: dict[str, Any]) -> None:
        array = header["arrays"][random.choice(list(header["arrays"]))]
        which = random.integers(5)
        if which == 0:
            header[str(random.choice(["unk", "bos", "eos", "size"]))] = number
        elif which == 1:
            header["counts"][random.integers(len(header["counts"]))] = number
        elif which == 2:
            array["shape"][random.integers(len(array["shape"]))] = number
        elif which == 3:
            array["shape"] = [0, number]
        else:
            array["offset"] = number

    return with_header(content, change)


def use(model: NgramModel) -> None:
    """Do everything with a model that commands do."""
    words = [*model.words, "another"] * 3
    model.score(words)
    model.score(words[::-1])
    assert model.counts and model.levels()
    prune(model, 1e-3)


def attempt(seed: int, folder: Path) -> bool:
    """Read and use a damaged model, unless it is refused."""
    random = np.random.default_rng(seed)
    content = (folder / f"{seed % 3}.bin").read_bytes()
    kind = random.integers(4)
    if kind == 0:
        content = with_other_bytes(content, random)
    elif kind == 1:
        content = with_other_header(content, random)
    else:
        arrays = parts(content)[0]["arrays"]
        name = str(random.choice(list(arrays)))
        extreme = FLOATS if arrays[name]["dtype"] == "<f4" else (*INTEGERS, *range(60))
        for _ in range(random.integers(1, 3)):
            value = extreme[random.integers(len(extreme))]
            content = with_value(content, name, int(random.integers(2**16)), value)
    (folder / "damaged.bin").write_bytes(content)
    try:
        with np.errstate(all="ignore"):
            model = read_binary(folder / "damaged.bin")
    except LanguageModelError:
        return False
    with np.errstate(all="ignore"):
        use(model)
    return True


def test_no_damage_crashes_a_query(folder: Path) -> None:
    found = outcomes(attempt, folder, SEEDS)
    assert found.total() == SEEDS
    assert found[False] > SEEDS / 2 and found[True] > SEEDS / 50  # so that both are tried


def refusal(folder: Path, content: bytes) -> str:
    (folder / "bad.bin").write_bytes(content)
    with pytest.raises(LanguageModelError) as caught:
        read_binary(folder / "bad.bin")
    return str(caught.value)


NODE = WORDS + 3  # of a bigram


@pytest.mark.parametrize(
    ("name", "index", "value", "message"),
    [
        ("suffix", NODE, 2**30, "suffix has values from"),  # read outside of the arrays
        ("suffix", NODE, NODE, "suffix has values from"),  # looped for ever
        ("first_child", 0, 0, "first_child of nodes 0 to 1"),  # grew without end
        ("suffix", NODE, -1, "suffix has values from -1"),
        ("suffix", 0, 1, "suffix has values from 1 to 1; allowed here: 0 to 0"),
        ("suffix", 3, 1, "suffix has values from 0 to 1; allowed here: 0 to 0"),
        ("first_child", 1, WORDS, "first_child of nodes"),
        ("first_child", 4, 2**31 - 1, "first_child of nodes"),
        ("first_child", -1, 0, "do not fit together|first_child of nodes"),
        ("word", NODE, WORDS, "word has values from 0 to 9; allowed here: 0 to 8"),
        ("word", 2, 2, "the unigrams are not in the order of the words"),
        ("prob", NODE, np.nan, "prob has values from nan to nan"),
        ("prob", NODE, np.inf, "prob has values from .* to inf"),
        ("backoff", 2, -np.inf, "backoff has values from -inf"),
        ("words", 0, ord("\n"), "do not fit together"),
    ],
)
def test_the_rules_that_queries_rely_on(
    folder: Path, name: str, index: int, value: float, message: str
) -> None:
    content = (folder / "0.bin").read_bytes()
    damaged = with_value(content, name, index, value)
    assert damaged != content
    assert re.search(message, refusal(folder, damaged))


def test_children_that_are_not_sorted(folder: Path) -> None:
    first_child, content = small_model().arrays.first_child, (folder / "0.bin").read_bytes()
    parent = 1 + int(np.flatnonzero(np.diff(first_child[1:]) > 1)[0])  # it has several
    damaged = with_value(content, "word", int(first_child[parent]) + 1, 0)
    assert "the children of a node are not sorted by word" in refusal(folder, damaged)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda header: header["arrays"]["prob"].update(shape=[0, 2**30]), "in a file of"),
        (
            lambda header: header["arrays"]["prob"].update(shape=[2**31 - 1, 2**31 - 1]),
            "array is too big",
        ),
        (lambda header: header["arrays"]["prob"].update(shape=[-1]), ">= 0"),
        (lambda header: header.update(counts=[1] * 33), "length <= 32"),
        (lambda header: header.update(bos=header["eos"]), "do not fit together"),
    ],
)
def test_headers_that_claim_too_much(
    folder: Path, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    assert message in refusal(folder, with_header((folder / "0.bin").read_bytes(), change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda array: array.update(shape=[4 * 2**26]), "arrays of 1073745152 bytes, packed in"),
        (lambda array: array.update(shape=[WORDS]), "has not the 36 bytes"),
        (lambda array: array.update(shape=[WORDS + 2]), "has not the 44 bytes"),
        (lambda array: array.update(packed=array["packed"] - 1), "has not the 40 bytes"),
        (lambda array: array.update(packed=0), "has not the 40 bytes"),
        (lambda array: array.update(packed=-1), ">= 0"),
    ],
)
def test_packed_arrays_of_another_size(
    folder: Path, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    packed = (folder / "1.bin").read_bytes()
    changed = with_header(packed, lambda header: change(header["arrays"]["prob_unigrams"]))
    assert message in refusal(folder, changed)


def test_more_arrays_than_a_model_has(folder: Path) -> None:
    content = (folder / "1.bin").read_bytes()
    header, start = parts(content)
    header["arrays"] |= {str(number): header["arrays"]["words"] for number in range(1000)}
    assert "length <= 10" in refusal(folder, file_of(2, header, content[start:]))


def test_a_quantised_file_of_format_1_is_read(folder: Path) -> None:
    one, two = (read_binary(folder / f"{number}.bin") for number in (1, 2))
    assert one.words == two.words
    for array, other in zip(one.arrays, two.arrays, strict=True):
        np.testing.assert_array_equal(array, other)


def test_a_header_without_end(folder: Path) -> None:
    content = (folder / "0.bin").read_bytes()
    longer = content[:12] + struct.pack("<I", 2**31) + content[16:]
    assert "its header has 2147483648 bytes; allowed: 16777216" in refusal(folder, longer)


@pytest.mark.parametrize("log10_backoff", [-100, 99])
@pytest.mark.parametrize("quantized", [False, True])
def test_the_most_extreme_arpa_file_can_be_converted(
    tmp_path: Path, log10_backoff: int, quantized: bool
) -> None:
    """The context a b c a b of the 6-gram is added, with the sum of all back-offs."""
    unigrams = "".join(f"-100 {w} {log10_backoff}\n" for w in ("<unk>", "<s>", "</s>", *"abc"))
    counts = "".join(f"ngram {n}={count}\n" for n, count in enumerate((6, 1, 0, 0, 0, 1), 1))
    bigrams = f"\\2-grams:\n-100 a b {log10_backoff}\n"
    empty = "".join(f"\\{n}-grams:\n" for n in (3, 4, 5))
    (tmp_path / "lm.arpa").write_text(
        f"\\data\\\n{counts}\\1-grams:\n{unigrams}{bigrams}{empty}"
        "\\6-grams:\n-100 a b c a b c\n\\end\\\n"
    )
    model = load_lm(tmp_path / "lm.arpa")
    write_binary(model, tmp_path / "lm.bin", quantized)
    assert read_binary(tmp_path / "lm.bin").arrays.prob.tolist() == model.arrays.prob.tolist()

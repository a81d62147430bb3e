"""The lexicon of a model is data: no file crashes a decoder, or floods the memory."""

import ast
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from damage import damaged_npz, outcomes

from asr.decode import BeamDecoder
from asr.errors import DecoderError
from asr.lexicon import Pronunciations
from asr.lm import NgramModel, estimate
from asr.text import Normalizer

SEEDS = 1000
DICTIONARY = "cat K AE T\nread R EH D\nread R IY D\nred R EH D\na AH\n"


def saved(folder: Path) -> Pronunciations:
    """Return small pronunciations, saved in a folder."""
    (folder / "dictionary").write_text(DICTIONARY)
    pronunciations = Pronunciations.read(folder / "dictionary", Normalizer(case="lower"))
    pronunciations.save(folder)
    return pronunciations


def language_model() -> NgramModel:
    return estimate([["cat", "read", "a", "red", "cat"], ["a", "cat"]], 2)


def npz(arrays: dict[str, np.ndarray]) -> bytes:
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    return content.getvalue()


LM = language_model()


def attempt(seed: int, folder: Path) -> bool:
    """Read a damaged lexicon and decode with it, unless it is refused."""
    random = np.random.default_rng(seed)
    content = damaged_npz((folder / "whole.npz").read_bytes(), random)
    (folder / "lexicon.npz").write_bytes(content)
    try:
        pronunciations = Pronunciations.load(folder)
        decoder = BeamDecoder(pronunciations.phones, lm=LM, lexicon=pronunciations.among(LM))
    except DecoderError:
        return False
    frames = random.dirichlet(np.ones(len(pronunciations.phones)), 8)
    decoder.decode(np.log(frames).astype(np.float32), 5)
    pronunciations.encode("a red cat")
    return True


def test_no_damage_crashes_a_decoder(tmp_path: Path):
    saved(tmp_path)
    (tmp_path / "lexicon.npz").rename(tmp_path / "whole.npz")
    found = outcomes(attempt, tmp_path, SEEDS)
    assert found.total() == SEEDS
    assert found[False] > SEEDS / 4 and found[True] > SEEDS / 20


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    saved(tmp_path)
    return tmp_path


def refusal(folder: Path, content: bytes) -> str:
    (folder / "lexicon.npz").write_bytes(content)
    with pytest.raises(DecoderError, match=r"lexicon\.npz: not a lexicon of a model") as caught:
        Pronunciations.load(folder)
    return str(caught.value)


def test_an_archive_that_unpacks_to_gigabytes(folder: Path):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(129):
            archive.writestr(f"{number}.npy", bytes(2**20))
    message = refusal(folder, content.getvalue())
    assert "it unpacks to 129 arrays of 135266304 bytes; allowed: 1000 of 134217728" in message


def test_an_archive_that_hides_its_size(folder: Path):
    """The directory says 100 bytes; only so many are unpacked."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("words.npy", bytes(2**20))
    size, stated = (number.to_bytes(4, "little") for number in (2**20, 100))
    refusal(folder, content.getvalue().replace(size, stated))


@pytest.mark.parametrize("shape", ["(1000000000000,)", "(-1, -1)", "(0, 1000000000000)"])
def test_an_array_that_claims_to_be_larger(folder: Path, shape: str):
    file = io.BytesIO()
    header = {"descr": "|u1", "fortran_order": False, "shape": ast.literal_eval(shape)}
    np.lib.format.write_array_header_1_0(file, header)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("words.npy", file.getvalue() + b"x")
    assert f"an array of shape {shape} in 1 bytes" in refusal(folder, content.getvalue())


def test_arrays_that_break_a_rule(folder: Path):
    arrays = dict(np.load(io.BytesIO((folder / "lexicon.npz").read_bytes())))
    tokens, words = arrays["tokens"], arrays["words"]
    holed, empty = tokens.copy(), tokens.copy()
    holed[0, 1], empty[0] = 0, 0
    end = np.frombuffer(b"\n", np.uint8)
    rules = [
        ({**arrays, "more": words}, "allowed: words, word and tokens"),
        ({**arrays, "tokens": holed}, "goes on after its end"),
        ({**arrays, "tokens": empty}, "a pronunciation is empty"),
        ({**arrays, "tokens": np.repeat(tokens, 400, 1)}, "more than 1000 letters or phones"),
        ({**arrays, "tokens": tokens.astype(np.float32)}, "not whole numbers"),
        ({**arrays, "words": np.append(words, end)}, "a word is empty"),
        ({**arrays, "words": np.append(words, np.append(end, words))}, "there a second time"),
    ]
    for damaged, message in rules:
        assert message in refusal(folder, npz(damaged))

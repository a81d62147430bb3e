"""Binary n-gram models: files whose arrays are mapped into memory and used where they lie.

    8 bytes    the magic number
    2 x 4      version of the format, length of the header (little-endian)
    ...        the header in JSON: size of the file, ids, and of each array type, shape and offset
    ...        the arrays, each at a multiple of 64 bytes; the words are one, in UTF-8

A quantised file holds smaller arrays (asr/lm/quantize.py), packed by zlib, which are expanded when
it is loaded. That is format 2; a quantised file of format 1 is not packed, and still read.
"""

import json
import math
import mmap
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from asr._json import MOST_BYTES, parse_json
from asr._regular import open_regular
from asr.errors import ConfigError, LanguageModelError
from asr.lm.arpa import read_arpa, write_arpa
from asr.lm.arrays import NgramArrays
from asr.lm.corpus import BOS, EOS
from asr.lm.files import MOST_TIMES, SMALL_BYTES, created
from asr.lm.ngram import UNK_NAMES, NgramModel
from asr.lm.quantize import dequantize, quantize
from asr.lm.soundness import check_arrays

PLAIN, PACKED = 1, 2  # versions of the format
_MAGIC = b"\x93ASRNGRM"  # no text file begins with this first byte
_PREFIX = struct.Struct("<8sII")
_ALIGNMENT = 64
_MOST_ORDERS = 32
_MOST_ARRAYS = 10  # of a quantised model; packed ones take more memory than they have bytes

Length = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]  # nodes and words have indices of 32 bits
Size = Annotated[int, msgspec.Meta(ge=0, le=2**40)]  # bytes


class StoredArray(msgspec.Struct, forbid_unknown_fields=True):
    """The place of an array in a file."""

    dtype: Literal["|u1", "<i4", "<f4"]
    shape: Annotated[list[Length], msgspec.Meta(max_length=2)]
    offset: Annotated[Size, msgspec.Meta(multiple_of=_ALIGNMENT)]
    packed: Size | None = None  # bytes in the file, if they are packed


class BinaryHeader(msgspec.Struct):
    """The header of a file, with bounds on everything that it says."""

    counts: Annotated[list[Length], msgspec.Meta(min_length=1, max_length=_MOST_ORDERS)]
    unk: Length
    bos: Length
    eos: Length
    quantized: bool
    arrays: Annotated[dict[str, StoredArray], msgspec.Meta(max_length=_MOST_ARRAYS)]
    size: Size


def load_lm(path: Path | str) -> NgramModel:
    """Load an n-gram model, binary or ARPA, as the file's first bytes tell.

    Raises:
        LanguageModelError: the file cannot be read, or is neither.
    """
    try:
        with open_regular(Path(path)) as file:  # it is opened twice, which no pipe allows
            start = file.read(len(_MAGIC))
    except OSError as error:
        raise LanguageModelError(
            f"{path}: cannot be read ({error.strerror}); give a model, ARPA or of asr-lm"
        ) from error
    return read_binary(path) if start == _MAGIC else read_arpa(path)


def saver(path: Path | str, quantized: bool = False) -> Callable[[NgramModel], None]:
    """Return a function that writes a model in the format of the file's name.

    The name is checked at once, before the work of making a model.

    Raises:
        ConfigError: the name ends in something else, or ARPA is to be quantised.
    """
    name = str(path)
    if name.endswith(".bin"):
        return lambda model: write_binary(model, path, quantized)
    if not name.endswith((".arpa", ".arpa.gz", ".arpa.xz")):
        raise ConfigError(f"--out is {name}; allowed: a name in .arpa, .arpa.gz, .arpa.xz or .bin")
    if quantized:
        raise ConfigError(f"--out is {name}, and ARPA cannot be quantised; give a name in .bin")
    return lambda model: write_arpa(model, path)


def write_binary(model: NgramModel, path: Path | str, quantized: bool = False) -> None:
    """Write a model as a file for `read_binary`.

    Raises:
        LanguageModelError: the file cannot be written.
    """
    stored = quantize(model.arrays, model.counts) if quantized else model.arrays._asdict()
    stored["words"] = np.frombuffer("\n".join(model.words).encode(), np.uint8)
    entries: dict[str, dict[str, Any]] = {}
    end = 0
    contents = {name: array.tobytes() for name, array in stored.items()}
    if quantized:
        contents = {name: zlib.compress(content, 9) for name, content in contents.items()}
    for name, content in contents.items():
        offset = end + -end % _ALIGNMENT
        entry = {"dtype": stored[name].dtype.str, "shape": stored[name].shape, "offset": offset}
        entries[name] = entry | ({"packed": len(content)} if quantized else {})
        end = offset + len(content)
    ids = {"unk": model.unk, "bos": model.bos, "eos": model.eos}
    header = {"counts": model.counts, **ids, "quantized": quantized, "arrays": entries, "size": end}
    text = json.dumps(header).encode()
    text += b" " * (-(_PREFIX.size + len(text)) % _ALIGNMENT)
    with created(path) as file:
        file.write(_PREFIX.pack(_MAGIC, PACKED if quantized else PLAIN, len(text)) + text)
        written = 0
        for name, content in contents.items():
            padding = entries[name]["offset"] - written
            file.write(bytes(padding) + content)
            written += padding + len(content)


def read_binary(path: Path | str) -> NgramModel:
    """Map a file into memory as a model.

    The size of the file, the fit of its parts and the rules that queries rely on are checked.

    Raises:
        LanguageModelError: the file cannot be read, is of another version, or is damaged.
    """
    try:
        with open_regular(Path(path)) as file:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return _model(content)
    except OSError as error:
        raise LanguageModelError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, TypeError, LookupError, AttributeError, MemoryError, zlib.error) as error:
        raise LanguageModelError(
            f"{path}: not a binary model that can be used ({error}); "
            "make it again with asr-lm convert"
        ) from error


def _model(content: mmap.mmap) -> NgramModel:
    """Return the model in a file.

    A damaged file raises errors of many kinds.
    """
    header, start = _header(content)
    packed = [_bytes(kind) for kind in header.arrays.values() if kind.packed is not None]
    if sum(packed) > max(SMALL_BYTES, MOST_TIMES * len(content)):
        raise ValueError(f"arrays of {sum(packed)} bytes, packed in {len(content)}")
    stored = {name: _array(content, start, kind) for name, kind in header.arrays.items()}
    words = tuple(stored.pop("words").tobytes().decode().split("\n"))
    if header.quantized:
        stored = dequantize(stored, header.counts)
    model = NgramModel(words, NgramArrays(**stored), header.unk, header.bos, header.eos)
    if not _fits(model, header.counts):
        raise ValueError("its parts do not fit together")
    check_arrays(model.arrays, header.counts)
    return model


def _header(content: mmap.mmap) -> tuple[BinaryHeader, int]:
    """Return the header of a file, and the offset at which the arrays begin."""
    if len(content) < _PREFIX.size:
        raise ValueError(f"it has {len(content)} bytes")
    magic, version, length = _PREFIX.unpack_from(content)
    if magic != _MAGIC:
        raise ValueError("it begins with other bytes")
    if version not in (PLAIN, PACKED):
        raise ValueError(f"its format is {version}, and this asr reads {PLAIN} and {PACKED}")
    if length > MOST_BYTES:
        raise ValueError(f"its header has {length} bytes; allowed: {MOST_BYTES}")
    start = _PREFIX.size + length
    header: BinaryHeader = parse_json(content[_PREFIX.size : start], BinaryHeader)
    size = start + header.size
    if len(content) != size:
        raise ValueError(f"it has {len(content)} bytes instead of {size}")
    return header, start


def _array(content: mmap.mmap, start: int, stored: StoredArray) -> NDArray[Any]:
    """Return one array of a file, not copied unless it is packed."""
    offset = start + stored.offset
    if stored.packed is not None:
        packed = content[offset : offset + stored.packed]
        return np.frombuffer(_unpacked(packed, stored), stored.dtype).reshape(stored.shape)
    if 0 in stored.shape and max(stored.shape) > len(content):  # no item says how long it is
        raise ValueError(f"an array of shape {stored.shape} in a file of {len(content)} bytes")
    flat: NDArray[Any] = np.frombuffer(content, stored.dtype, math.prod(stored.shape), offset)
    return flat.reshape(stored.shape)


def _bytes(stored: StoredArray) -> int:
    """Return the bytes of an array in memory."""
    return math.prod(stored.shape) * np.dtype(stored.dtype).itemsize


def _unpacked(packed: bytes, stored: StoredArray) -> bytes:
    """Unpack an array, no more of it than there must be."""
    wanted = _bytes(stored)
    stream = zlib.decompressobj()
    found = stream.decompress(packed, wanted + 1)
    if len(found) != wanted or not stream.eof:
        raise ValueError(f"a packed array has not the {wanted} bytes that it must have")
    return found


def _fits(model: NgramModel, counts: list[int]) -> bool:
    """Return whether types, sizes and ids are those of an n-gram model."""
    word, prob, suffix, first_child, backoff = model.arrays
    num_nodes = 1 + sum(counts)
    kinds = [(array.dtype.str, array.ndim) for array in model.arrays]
    names = [(model.unk, UNK_NAMES), (model.bos, (BOS,)), (model.eos, (EOS,))]
    return (
        kinds == [("<i4", 1), ("<f4", 1), ("<i4", 1), ("<i4", 1), ("<f4", 1)]
        and len(word) == len(prob) == len(suffix) == num_nodes
        and len(first_child) - 1 == len(backoff) == num_nodes - counts[-1]
        and len(set(model.words)) == len(model.words) == counts[0]
        and all(i < counts[0] and model.words[i] in allowed for i, allowed in names)
    )

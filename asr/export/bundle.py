"""A model bundle: a folder of data, without code, for recognition without torch.

    model.onnx        the network: waveforms to log-probabilities (asr/export/graph.py)
    noisy.onnx        the network for recordings with noise, if there is another one for them
    tokens.txt        the tokens of the log-probabilities
    phones.txt        the phones of the second output, if there is one
    lexicon.npz       pronunciations of words in these phones, if any
    lm.bin            n-gram model, if any
    lstm.npz          LSTM language model for rescoring, if any
    tagger.npz        tagger of readable text, if any
    decoder.json      settings of the beam search that differ from the defaults, if any
    calibration.json  calibration of word confidences, if any
    bundle.json       rates, how texts were normalised, and the sha256 of each of these files

The index, bundle.json, is written last. A folder whose files are not those of its index, because it
was cut short, changed or mixed with another, is refused. An experiment folder can be a bundle as
well; as soon as training changes its best checkpoint, the bundle is refused, too.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta

from asr._atomic import created_atomically, write_atomically
from asr._json import read_json, typed
from asr._regular import open_regular
from asr.config import TextConfig, config_from_dict
from asr.decode import LM, LSTM, SETTINGS
from asr.errors import CheckpointError, ConfigError, VocabularyError
from asr.readable import TAGGER
from asr.text import PHONES, SPEAKERS, TOKENS, Vocabulary

INDEX = "bundle.json"
GRAPH, NOISY = GRAPHS = "model.onnx", "noisy.onnx"
CARD = "MODEL_CARD.md"  # not verified, so that people can edit it
NEEDED = (GRAPH, TOKENS)
_DATA = (TOKENS, PHONES, "lexicon.npz", LM, LSTM, TAGGER, SETTINGS, "calibration.json")
FILES = (*GRAPHS, *_DATA)
COPIED = (*_DATA, CARD, SPEAKERS)  # from an experiment folder, where they have the same names
FORMAT = 1
_CHECKPOINT = Path("best", "checkpoint.json")  # of an experiment in the same folder
_MOST_GRAPH = 2**31 - 1  # bytes, of the format of ONNX files
_MOST_LM = 2**33  # bytes, for some 500 million n-grams
_AGAIN = "copy the bundle again, or make it again with asr-export"


@dataclass(frozen=True, kw_only=True)
class BundleInfo:
    """The description of the model in the index."""

    sample_rate_hz: Annotated[int, Meta(ge=1000, le=1_000_000)]
    frame_shift_ms: Annotated[float, Meta(ge=0.1, le=1000)]  # from one log-probability to the next
    unit: Literal["character", "word"]  # of a token
    text: TextConfig  # how transcripts were normalised for training
    precision: Literal["float32", "int8"]  # of the weights
    checkpoint: str  # sha256 of the index of the checkpoint that the graph was made from
    denoise: bool = False  # whether loud, steady noise is turned down
    dereverberate: bool = False  # whether echoes are taken out of recordings from rooms


@dataclass(frozen=True)
class Bundle:
    """A verified bundle: its files are those of its index."""

    info: BundleInfo
    vocabulary: Vocabulary
    graph: bytes  # an ONNX model
    phones: Vocabulary | None = None  # of its second output
    noisy: bytes | None = None  # another graph, for recordings with noise


def is_bundle(folder: Path) -> bool:
    """Return whether a folder has an index, right or wrong; `read_bundle` verifies it."""
    return (folder / INDEX).exists()


def checkpoint_digest(experiment: Path) -> str:
    """Return the sha256 of the index of an experiment's best checkpoint.

    Raises:
        CheckpointError: the index of the checkpoint cannot be read.
    """
    try:
        return _digest(experiment / _CHECKPOINT)
    except OSError as error:
        path = experiment / _CHECKPOINT
        raise CheckpointError(f"{path}: cannot be read ({error.strerror})") from error


def write_bundle(
    folder: Path, info: BundleInfo, graphs: Mapping[str, bytes], copied: Mapping[str, Path]
) -> None:
    """Write a bundle; files of an older bundle in the folder are replaced or removed.

    Args:
        folder: the bundle; it may be the folder of the copied files.
        info: the description of the model, for the index.
        graphs: ONNX models by their name in GRAPHS; model.onnx at least.
        copied: the files to copy, by their name in COPIED; tokens.txt at least.

    Raises:
        CheckpointError: a file cannot be read or written.
    """
    try:
        for name, graph in graphs.items():
            write_atomically(folder / name, graph)
        for name, source in copied.items():
            _copy(source, folder / name)
        for name in {*GRAPHS, *COPIED} - {*graphs, *copied}:
            (folder / name).unlink(missing_ok=True)
        digests = {name: _digest(folder / name) for name in (*graphs, *copied) if name in FILES}
        index = {"format": FORMAT, **asdict(info), "files": digests}
        write_atomically(folder / INDEX, json.dumps(index, indent=1) + "\n")
    except OSError as error:
        raise CheckpointError(
            f"{folder}: cannot be written ({error}); make room, or give another folder"
        ) from error


def reseal(folder: Path, *names: str) -> None:
    """Write the index of a bundle anew after some of its files changed, such as tuned weights.

    It vouches for no other file anew, so damage to one is still found.

    Args:
        folder: the bundle.
        names: the files, in FILES.

    Raises:
        CheckpointError: the index cannot be read or written.
    """
    index = _read_index(folder / INDEX)
    index["files"] |= {name: _digest(folder / name) for name in names}
    try:
        write_atomically(folder / INDEX, json.dumps(index, indent=1) + "\n")
    except OSError as error:
        raise CheckpointError(f"{folder / INDEX}: cannot be written ({error.strerror})") from error


def _copy(source: Path, target: Path) -> None:
    if target.exists() and target.samefile(source):
        return
    with open_regular(source) as file, created_atomically(target) as copy:
        shutil.copyfileobj(file, copy)


def read_bundle(folder: Path) -> Bundle:
    """Read a bundle and verify every file of it.

    Raises:
        CheckpointError: a file is missing, damaged, or not part of this bundle.
    """
    index = _read_index(folder / INDEX)
    info = _parse_info(index, folder / INDEX)
    for name in (INDEX, *FILES, str(_CHECKPOINT)):
        _check_inside(folder, folder / name)
    _check_experiment(folder, info)
    for name in FILES:
        _check_file(folder / name, index["files"].get(name))
    try:
        vocabulary = Vocabulary.load(folder / TOKENS, info.unit)
        phones = Vocabulary.load(folder / PHONES, "word") if PHONES in index["files"] else None
        noisy = _graph(folder / NOISY) if NOISY in index["files"] else None
        return Bundle(info, vocabulary, _graph(folder / GRAPH), phones, noisy)
    except (OSError, ValueError, VocabularyError) as error:
        raise CheckpointError(f"{folder}: not a bundle ({error})") from error


def _read_index(path: Path) -> dict[str, Any]:
    try:
        index: dict[str, Any] = read_json(path)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read ({error}); {_AGAIN}") from error
    if "format" not in index:
        raise CheckpointError(f"{path}: not the index of a bundle; {_AGAIN}")
    if index["format"] != FORMAT:
        raise CheckpointError(
            f"{path}: format is {index['format']!r}, this version of asr reads {FORMAT}; "
            "make the bundle again with its asr-export"
        )
    files = index.get("files")
    if not isinstance(files, dict) or not set(NEEDED) <= files.keys() <= set(FILES):
        raise CheckpointError(f"{path}: files must name {', '.join(NEEDED)}; {_AGAIN}")
    return index


def _parse_info(index: dict[str, Any], path: Path) -> BundleInfo:
    try:
        config_from_dict({"text": index.get("text")}, str(path))  # names it does not know: an error
        return typed(index, BundleInfo)
    except (ValueError, ConfigError) as error:
        raise CheckpointError(f"{path}: not the index of a bundle ({error}); {_AGAIN}") from error


def _check_experiment(folder: Path, info: BundleInfo) -> None:
    """Refuse a bundle in whose folder training has gone on."""
    if (folder / _CHECKPOINT).exists() and checkpoint_digest(folder) != info.checkpoint:
        raise CheckpointError(
            f"{folder / GRAPH}: not made from {_CHECKPOINT} as it is now; "
            f"run: asr-export {folder} {folder}, with the options that it was made with"
        )


def _check_inside(folder: Path, path: Path) -> None:
    """Refuse a link out of the bundle: a model of a stranger could name any file by it."""
    if not path.resolve().is_relative_to(folder.resolve()):
        raise CheckpointError(
            f"{path}: is a link out of the bundle; put the file itself in its place"
        )


def _graph(path: Path) -> bytes:
    with open_regular(path, _MOST_GRAPH) as file:
        return file.read()


def _check_file(path: Path, digest: object) -> None:
    if digest is None:
        if path.exists():
            how = "--noisy to include networks" if path.name == NOISY else "to include it"
            raise CheckpointError(f"{path}: not part of the bundle; run asr-export {how}")
        return
    try:
        found = _digest(path)
    except OSError as error:
        hint = "; or leave it out, and give it with --lm" if path.name == LM else ""
        reason = f"{path}: cannot be read ({error.strerror}); {_AGAIN}{hint}"
        raise CheckpointError(reason) from error
    if found != digest:
        raise CheckpointError(f"{path}: its sha256 is not the one in {INDEX}; {_AGAIN}")


def _digest(path: Path) -> str:
    """Return the sha256 of a file of a bundle, or of an experiment's index.

    Raises:
        OSError: it cannot be read, or is larger than a bundle may hold.
    """
    with open_regular(path, _MOST_LM if path.name == LM else _MOST_GRAPH) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

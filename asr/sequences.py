"""Read frames that others computed: pen strokes, sensors, any series of vectors, as .npy files.

A manifest names such a file as its `audio`. Row t of the array is frame t; frames are
`features.frame_shift_ms` apart, which is how `start` and `duration` choose rows.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr._npz import read_npy
from asr._regular import open_regular
from asr.config import FeaturesConfig
from asr.errors import FramesError
from asr.manifest import Utterance

FRAMES = ".npy"  # the extension of a file of frames
_MOST_BYTES = 2**29
_LARGEST = 10_000.0  # of a value: training keeps frames in float16


def read_frames(utterance: Utterance, features: FeaturesConfig) -> NDArray[np.float32]:
    """Read the frames of an utterance, float32 (T, M), where M is features.num_mels.

    Raises:
        FramesError: the file is no array of frames of this width and length, or the configuration
            is for recordings.
    """
    path = utterance.audio
    if (path.suffix == FRAMES) != (features.filterbank == "none"):
        raise FramesError(
            f"{path}: features.filterbank is {features.filterbank!r}; 'none' is for files of "
            f"frames ({FRAMES}), and for these alone"
        )
    frames = load_frames(path, features.num_mels)
    return _piece(frames, utterance, features.frame_shift_ms)


def load_frames(path: Path, width: int | None = None) -> NDArray[np.float32]:
    """Read all frames of a file, float32 (T, M); `width` is the M that they must have.

    Raises:
        FramesError: the file is no array of frames, or of frames of another width.
    """
    try:
        with open_regular(path, _MOST_BYTES) as file:
            array = read_npy(file.read(), kinds="f", axes=2, may_be_empty=True)
        return _checked(array, width)
    except (OSError, ValueError) as error:
        raise FramesError(f"{path}: {error}; save float32 (frames, width) by numpy.save") from None


def _checked(array: NDArray[np.floating[Any]], width: int | None) -> NDArray[np.float32]:
    """Return frames (T, M) as float32; a ValueError says why they cannot be used."""
    if width is not None and array.shape[1] != width:
        raise ValueError(f"frames have {array.shape[1]} values, features.num_mels is {width}")
    if not len(array):
        raise ValueError("holds no frames")
    fit = np.abs(array) <= _LARGEST  # false for NaN, too
    if not fit.all():
        row, column = (int(index) for index in np.argwhere(~fit)[0])
        raise ValueError(
            f"value {column} of frame {row} is {array[row, column]}; allowed: "
            f"{-_LARGEST:g}..{_LARGEST:g}"
        )
    return array.astype(np.float32)


def _piece(
    frames: NDArray[np.float32], utterance: Utterance, shift_ms: float
) -> NDArray[np.float32]:
    """Return the rows between start and end, which may be misstated by half a frame."""
    first = round(utterance.start * 1000 / shift_ms)
    count = max(1, math.floor(utterance.duration * 1000 / shift_ms + 0.5))
    if first + count > len(frames):
        raise FramesError(
            f"{utterance.audio}: has {len(frames)} frames, and the manifest asks for {count} from "
            f"frame {first} on; duration is frames x features.frame_shift_ms ({shift_ms:g}) / 1000"
        )
    return frames[first : first + count]

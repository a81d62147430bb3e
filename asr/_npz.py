"""Arrays of numpy in files from elsewhere: sizes are known before memory is taken for them."""

import io
import math
import zipfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MOST_ARRAYS = 1000
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # that numpy writes


def read_npz(content: bytes, most_bytes: int) -> dict[str, NDArray[Any]]:
    """Return the arrays of a file that np.savez or np.savez_compressed wrote.

    Args:
        content: the file.
        most_bytes: what all arrays together may have, unpacked.

    Raises:
        Exception: of many kinds, if it is another file, larger, or holds Python objects.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
        size = sum(member.file_size for member in members)
        if len(members) > _MOST_ARRAYS or size > most_bytes:
            raise ValueError(
                f"it unpacks to {len(members)} arrays of {size} bytes; "
                f"allowed: {_MOST_ARRAYS} of {most_bytes}"
            )
        if any(member.compress_type not in _PACKINGS for member in members):
            raise ValueError("it is packed otherwise than numpy packs")
        arrays = {}
        for member in members:
            with archive.open(member) as file:  # read(size) unpacks no more than that
                arrays[member.filename.removesuffix(".npy")] = read_npy(file.read(member.file_size))
        return arrays


def read_npy(
    content: bytes, *, kinds: str = "iufO", axes: int | None = None, may_be_empty: bool = False
) -> NDArray[Any]:
    """Return the array in an .npy file, whose length its header cannot misstate.

    Args:
        content: the file.
        kinds: the kinds of types that are allowed; Python objects (O) are refused in any case.
        axes: how many it must have; None: any number.
        may_be_empty: whether it may have no values, and other axes of any length then.

    Raises:
        ValueError: it is another file, or holds another array.
    """
    file = io.BytesIO(content)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("an array in a format that is not 1.0")
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    if dtype.kind not in kinds or axes not in (None, len(shape)):
        raise ValueError(f"an array of shape {shape} and type {dtype}")
    size, room = math.prod(shape) * dtype.itemsize, len(content) - file.tell()
    fits = all(0 <= side <= room for side in shape) or (may_be_empty and not size)
    if dtype.kind != "O" and (size != room or not fits):
        raise ValueError(f"an array of shape {shape} in {room} bytes")
    file.seek(0)
    array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
    return array

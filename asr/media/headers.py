"""Find where the sound of WAV, AIFF, AU, W64 and CAF files ends when their size fields are wrong.

A recorder that lost power leaves the sizes at 0 or at those of its last save; beyond 4 GiB a 32-bit
size wraps; files are joined with `cat`. In all these cases sound stands behind the end that the
header gives. What follows that end tells: other chunks belong there, a new header begins another
recording, zeros are padding, and anything else is sound. Such a file gets a header with true sizes
in front of its sound. A file whose header is right is left alone.
"""

import math
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from asr._regular import read_at
from asr.media.links import Link

_GIB_4 = 1 << 32
_MOST_BYTES = 1 << 31  # of sound behind one header whose sizes have 32 bits
_STEP_BYTES = 1 << 20
_LEAST_BYTES = 64  # fewer bytes behind the end are a checksum or a line break, not sound
LARGEST_BYTES = 1_000_000_000  # a size from here on, of a much smaller file, is no cut copy's
_MOST_CHUNKS = 100_000
_UNKNOWN = 1 << 63


@dataclass(frozen=True)
class _Sound:
    """Where the sound of a file lies, and how to write a header for it."""

    start: int
    size: int  # as the header says; _UNKNOWN: up to the end of the file
    form: str
    header: Callable[[int], bytes]  # for sound of so many bytes
    pad: int = 2  # chunks begin at multiples of this, counted from the file's start
    big: bool = False  # whether sizes of chunks have their highest byte first
    block: int = 1  # bytes of a frame
    readable: int = _UNKNOWN  # bytes that libsndfile reads where the size is not known


def chunk_links(descriptor: int, size: int) -> list[Link]:
    """Return the links of a file made of chunks; none if its kind is another or cannot be told.

    A link without a replaced header begins at its own.
    """
    links: list[Link] = []
    base = 0
    while base + 16 <= size and len(links) < _MOST_CHUNKS:
        sound = _locate(descriptor, base, size)
        if sound is None:
            break
        found, behind = _bounded(descriptor, base, sound, size)
        if read_at(descriptor, 4, base) == b"BW64" and not found[0].form:  # unknown to libsndfile
            found = [
                replace(link, notes=())
                for link in _rewritten(sound, min(sound.size, behind - sound.start))
            ]
        links += found
        base = behind
    return links


def _locate(descriptor: int, base: int, end: int) -> _Sound | None:
    head = read_at(descriptor, 16, base)
    for magic, locate in _KINDS.items():
        if head.startswith(magic):
            return locate(descriptor, base, end)
    return None


def _bounded(descriptor: int, base: int, sound: _Sound, end: int) -> tuple[list[Link], int]:
    """Return the links at `base`, and where the next file begins: `end` if there is none."""
    left = end - sound.start
    behind = sound.start + min(sound.size, left)
    whole = [Link(((base, end),))]
    if sound.size == _UNKNOWN and left > sound.readable:
        return _rewritten(sound, left), end
    if sound.size >= left:  # too large: libsndfile reads what is there, and says what is not
        return (_shortened(sound, left) or whole), end
    if (joined := _next_header(descriptor, behind, end)) is not None:
        return [Link(((base, behind),))], joined
    if sound.form == "NIST":  # libsndfile reads to the end of the file, whatever its header says
        return whole, end
    if _are_chunks(descriptor, behind, end, sound, base):
        return whole, end
    if (true := _wrapped(descriptor, base, sound, end)) is None:
        true = left if _is_sound(descriptor, behind, end) else None
    return whole if true is None else _rewritten(sound, true), end


def _shortened(sound: _Sound, left: int) -> list[Link]:
    """Return a link with the true size where libsndfile would refuse one that is too large."""
    excess = sound.size - left
    absurd = sound.size >= LARGEST_BYTES and left < sound.size / 2
    if sound.form not in ("CAF", "W64") or not (0 < excess <= _LEAST_BYTES or absurd):
        return []
    note = f"its header promises {sound.size} bytes of sound, but {left} are there"
    return [replace(link, notes=(note,)) for link in _rewritten(sound, left)]


def _rewritten(sound: _Sound, size: int) -> list[Link]:
    """Return links whose headers give the true size: several where one size field is too small."""
    size -= size % sound.block
    told = "no length" if sound.size in (0, _UNKNOWN) else f"{sound.size} bytes"
    notes = (f"its header gives {told}, but {size} bytes of sound are there: read them all",)
    most = size if sound.pad != 2 else _MOST_BYTES - _MOST_BYTES % sound.block
    return [
        Link(
            (sound.header(count), (sound.start + at, sound.start + at + count)),
            form=sound.form,
            notes=notes if at == 0 else (),
            continues=at > 0,
        )
        for at in range(0, size, most)
        for count in [min(most, size - at)]
    ]


def _wrapped(descriptor: int, base: int, sound: _Sound, end: int) -> int | None:
    """Return the size plus the multiple of 4 GiB behind which the file ends or chunks follow."""
    if sound.size >= _GIB_4:
        return None
    for size in range(sound.size + _GIB_4, end - sound.start + 1, _GIB_4):
        if _are_chunks(descriptor, sound.start + size, end, sound, base):
            return size
    return None


def _next_header(descriptor: int, at: int, end: int) -> int | None:
    """Return the place of another file's header, at a place or behind a pad byte."""
    for place in (at, at + 1):
        if place + 16 <= end and _locate(descriptor, place, end) is not None:
            return place
    return None


def _are_chunks(descriptor: int, at: int, end: int, sound: _Sound, base: int) -> bool:
    """Return whether from a place to the end there are chunks, or next to nothing."""
    if sound.form == "AU":  # has no chunks
        return at >= end
    for place in {at, at + -(at - base) % sound.pad}:
        if _are_chunks_from(descriptor, place, end, sound, base):
            return True
    return False


def _are_chunks_from(descriptor: int, at: int, end: int, sound: _Sound, base: int) -> bool:
    for _ in range(_MOST_CHUNKS):
        head = read_at(descriptor, 24, at) if at < end else b""
        if len(head) < 24:
            return end - at < _LEAST_BYTES
        if not all(32 <= byte < 127 for byte in head[:4]):
            return False
        if sound.form == "W64":
            length = int.from_bytes(head[16:], "little")
        elif sound.form == "CAF":
            length = 12 + int.from_bytes(head[4:12], "big")
        else:
            length = 8 + int.from_bytes(head[4:8], "big" if sound.big else "little")
        if length < 8 or at + length > end + 1:
            return head[:4] in (_NAMES[i : i + 4] for i in range(0, len(_NAMES), 5))
        at += length
        at += -(at - base) % sound.pad
    return True


# Chunks whose own size may be wrong.
_NAMES = b"LIST id3  ID3  bext iXML cue  PEAK JUNK FLLR PAD  ANNO COMT INST MARK info free"


def _is_sound(descriptor: int, at: int, end: int) -> bool:
    """Return whether the bytes from a place to the end are more than a few, and not all zero."""
    if end - at < _LEAST_BYTES:
        return False
    zeros = bytes(_STEP_BYTES)
    for place in range(at, end, _STEP_BYTES):
        data = read_at(descriptor, min(_STEP_BYTES, end - place), place)
        if data != zeros[: len(data)]:
            return True
    return False


def _chunks(descriptor: int, at: int, end: int, order: str) -> Iterator[tuple[bytes, int, int]]:
    """Yield the name, the place of the content and the size of the chunks of RIFF or AIFF."""
    for _ in range(_MOST_CHUNKS):
        head = read_at(descriptor, 8, at)
        if len(head) < 8 or at >= end:
            return
        size = struct.unpack(order + "I", head[4:])[0]
        yield head[:4], at + 8, size
        at += 8 + size + (size & 1)


def _riff(descriptor: int, base: int, end: int) -> _Sound | None:
    """Locate the sound of WAV, its big-endian form, and the 64-bit forms."""
    head = read_at(descriptor, 12, base)
    if head[8:] != b"WAVE":
        return None
    order, wide = (">" if head[:4] == b"RIFX" else "<"), head[:4] in (b"RF64", b"BW64")
    kept: dict[bytes, bytes] = {}
    for name, at, size in _chunks(descriptor, base + 12, end, order):
        if name != b"data":
            if name in (b"fmt ", b"fact", b"ds64"):
                kept[name] = read_at(descriptor, min(size, 4096), at)
            continue
        if len(kept.get(b"fmt ", b"")) < 14:
            return None
        true_size = size
        if wide and size == _GIB_4 - 1:
            true_size = int.from_bytes(kept.get(b"ds64", b"")[8:16], "little") or _UNKNOWN
        elif is_placeholder(size):
            true_size = _UNKNOWN
        block = struct.unpack(order + "H", kept[b"fmt "][12:14])[0] or 1
        return _Sound(
            at,
            true_size,
            "RF64" if wide else "WAV",
            partial(_riff_header, kept, order),
            big=order == ">",
            block=block,
            readable=0 if wide else size,
        )
    return None


def is_placeholder(size: int) -> bool:
    """Return whether a 32-bit size is one that programs write to a pipe, where none is known."""
    return 0xFF00_0000 <= size < _GIB_4 or size >= 1 << 62 or 0x7F00_0000 <= size <= 0x8000_0000


def _riff_header(kept: dict[bytes, bytes], order: str, size: int) -> bytes:
    """Return a header of WAV for so many bytes of sound."""
    chunks = b"".join(
        name + struct.pack(order + "I", len(kept[name])) + kept[name] + bytes(len(kept[name]) & 1)
        for name in (b"fmt ", b"fact")
        if name in kept
    )
    whole = struct.pack(order + "I", 4 + len(chunks) + 8 + size)
    magic = b"RIFX" if order == ">" else b"RIFF"
    return magic + whole + b"WAVE" + chunks + b"data" + struct.pack(order + "I", size)


def _aiff(descriptor: int, base: int, end: int) -> _Sound | None:
    """Locate the sound of AIFF and AIFF-C."""
    head = read_at(descriptor, 12, base)
    if head[8:] not in (b"AIFF", b"AIFC"):
        return None
    common = b""
    for name, at, size in _chunks(descriptor, base + 12, end, ">"):
        if name == b"COMM":
            common = read_at(descriptor, min(size, 4096), at)
        if name != b"SSND":
            continue
        if len(common) < 18:
            return None
        channels, _, bits = struct.unpack(">hIh", common[:8])
        block = max(1, channels) * max(1, (bits + 7) // 8)
        offset = int.from_bytes(read_at(descriptor, 4, at), "big")
        header = partial(_aiff_header, head[8:], common, block)
        return _Sound(at + 8 + offset, max(0, size - 8 - offset), "AIFF", header, 2, True, block)
    return None


def _aiff_header(kind: bytes, common: bytes, block: int, size: int) -> bytes:
    """Return a header of AIFF for so many bytes of sound."""
    known = len(common) == 18 or common[18:22] in (b"NONE", b"twos", b"sowt", b"raw ")
    frames = struct.pack(">I", size // block) if known else common[2:6]
    padded = common[:2] + frames + common[6:] + bytes(len(common) & 1)
    chunks = b"COMM" + struct.pack(">I", len(common)) + padded
    chunks += b"SSND" + struct.pack(">I", size + 8) + bytes(8)
    return b"FORM" + struct.pack(">I", 4 + len(chunks) + size) + kind + chunks


def _au(descriptor: int, base: int, end: int) -> _Sound | None:
    """Locate the sound of AU."""
    head = read_at(descriptor, 24, base)
    order = ">" if head[:4] == b".snd" else "<"
    if len(head) < 24:
        return None
    offset, size = struct.unpack(order + "II", head[4:12])
    if not 24 <= offset <= end - base:
        return None
    size = _UNKNOWN if size == _GIB_4 - 1 else size

    def header(true: int) -> bytes:
        stated = true if true < _GIB_4 - 1 else _GIB_4 - 1
        return head[:4] + struct.pack(order + "II", 24, stated) + head[12:24]

    return _Sound(base + offset, size, "AU", header, pad=1)


_W64_RIFF = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
_W64_DATA = b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"


def _w64(descriptor: int, base: int, end: int) -> _Sound | None:
    """Locate the sound of Sony's W64: names are GUIDs, sizes have 64 bits and count their chunk."""
    at = base + 40
    for _ in range(_MOST_CHUNKS):
        head = read_at(descriptor, 24, at)
        if len(head) < 24:
            return None
        size = int.from_bytes(head[16:], "little")
        if head[:16] == _W64_DATA:
            break
        if size < 24:
            return None
        at += size + -size % 8
    else:
        return None
    if at - base > _STEP_BYTES:
        return None
    before = read_at(descriptor, at - base, base)

    def header(true: int) -> bytes:
        whole = struct.pack("<Q", len(before) + 24 + true)
        data = _W64_DATA + struct.pack("<Q", 24 + true)
        return before[:16] + whole + before[24:] + data

    return _Sound(at + 24, max(0, size - 24) if size < _UNKNOWN else _UNKNOWN, "W64", header, 8)


def _caf(descriptor: int, base: int, end: int) -> _Sound | None:
    """Locate the sound of Apple's CAF, where -1 means up to the end."""
    at = base + 8
    for _ in range(_MOST_CHUNKS):
        head = read_at(descriptor, 12, at)
        if len(head) < 12:
            return None
        size = struct.unpack(">q", head[4:])[0]
        if head[:4] == b"data":
            break
        if size < 0:
            return None
        at += 12 + size
    else:
        return None
    if at - base > _STEP_BYTES:
        return None
    before = read_at(descriptor, at - base, base)

    def header(true: int) -> bytes:
        return before + b"data" + struct.pack(">q", true + 4) + bytes(4)

    sound = _Sound(at + 16, max(0, size - 4), "CAF", header, pad=1, readable=0)
    return sound if size >= 0 else replace(sound, size=_UNKNOWN)


def _nist(descriptor: int, base: int, end: int) -> _Sound | None:
    """Locate the sound of SPHERE, whose header is text."""
    head = read_at(descriptor, 1024, base)
    found = {
        key: int(match[1])
        for key in (b"sample_count", b"sample_n_bytes", b"channel_count")
        if (match := re.search(key + rb" -i (\d{1,15})", head))
    }
    if head[8:16] != b"   1024\n" or len(found) < 3:
        return None
    return _Sound(base + 1024, math.prod(found.values()), "NIST", lambda _: head, pad=1)


_KINDS: dict[bytes, Callable[[int, int, int], _Sound | None]] = {
    b"RIFF": _riff,
    b"RIFX": _riff,
    b"RF64": _riff,
    b"BW64": _riff,
    b"FORM": _aiff,
    b".snd": _au,
    b"dns.": _au,
    _W64_RIFF: _w64,
    b"caff": _caf,
    b"NIST_1A\n": _nist,
}

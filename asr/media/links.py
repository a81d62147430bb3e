"""Find the recordings that a file of MP3, Ogg or FLAC holds one after the other, and its holes.

`cat a.mp3 b.mp3`, a podcast with inserted advertisements, a captured stream: such a file is a chain
of links, each with its own header, rate and channels. libsndfile reads the first one only. So the
frames or pages are walked here, and each link is read by itself. The walk also shows where frames
or pages are missing.
"""

import math
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from mmap import mmap

from asr.media.window import Part


@dataclass(frozen=True)
class Hole:
    """A place of a link where sound is missing."""

    at: float  # seconds from the start of the link; infinite: at its end
    seconds: float  # missing; silence stands for them, so that later times are right
    what: str


@dataclass(frozen=True)
class Link:
    """A stretch of a file that is a recording by itself."""

    parts: tuple[Part, ...]
    endless: bool = False  # whether its header gives no length, so that libsndfile would guess one
    holes: tuple[Hole, ...] = ()
    form: str | None = None  # of the file, where `parts` begin with the header of another format
    notes: tuple[str, ...] = ()  # findings about its header
    continues: bool = False  # whether it goes on with the recording of the link before
    torn: bool = False  # whether it is a piece between holes


def mp3_links(data: mmap) -> list[Link]:
    """Return the links of an MP3 file; none if no two frames follow each other at its start."""
    links: list[_Mp3Link] = []
    at = _after_tags(data, 0)
    found = _next_frames(data, at)
    if found is None or found > at + (1 << 16):
        return []
    hole, start = 0, 0  # the first link keeps its tags and what libsndfile may skip
    at = found
    while True:
        link = _Mp3Link(data, start, at, hole)
        links.append(link)
        after = _after_tags(data, link.end)
        if after < len(data) and _next_frames(data, after, within=1) == after:
            hole, start, at = 0, after, after
            continue
        # Another file may begin within a last frame that was cut.
        rest = max(0, link.end - link.last - 1)
        inside = _next_frames(data, link.last + 1, within=rest, to_end=False)
        if inside is not None:
            after = link.end = link.last
            link.count -= 1
        found = _next_frames(data, after + (inside is not None))
        if found is None:
            link.note_tail(len(data) - after)
            return list(_mp3_pieces(links))
        hole, start, at = found - after, found, found


class _Mp3Link:
    """Frames of one kind that follow each other without a gap."""

    def __init__(self, data: mmap, start: int, first: int, hole: int) -> None:
        frame = _frame(data[first : first + 3])
        assert frame is not None
        self.start, self.hole, self.tail = start, hole, 0  # bytes before and behind it
        self.samples, self.rate_hz = frame.samples, frame.rate_hz
        self.kind, mono = frame.kind, data[first + 3] >> 6 == 3
        tag_at = 4 + frame.side_bytes[mono]
        self.promised = _promised(data, first + tag_at)  # None: no tag gives a number of frames
        has_tag = data[first + tag_at : first + tag_at + 4] in _TAGS
        at = first + frame.length * has_tag
        self.sound_at = at  # behind the tag
        self.count = 0
        self.last = at  # the start of the last frame
        self.promised_end = 0
        while (next_ := _frame(data[at : at + 3])) and next_.kind == self.kind:
            if data[at + tag_at : at + tag_at + 4] in _TAGS and at != first:
                break
            if at + next_.length > len(data) or self._changes(data, at, next_.length, mono):
                break
            self.count += 1
            self.last = at
            at += next_.length
            if self.count == self.promised:
                self.promised_end = at
        self.end = at
        self.frame_bytes = (at - self.sound_at) / max(1, self.count)

    @staticmethod
    def _changes(data: mmap, at: int, length: int, mono: bool) -> bool:
        """Return whether this frame and the next have another number of channels."""
        modes = [data[place + 3 : place + 4] for place in (at, at + length)]
        return all(mode and (mode[0] >> 6 == 3) != mono for mode in modes)

    @property
    def continues(self) -> bool:
        """Whether it goes on behind a hole with the recording before."""
        return bool(self.hole) and self.promised is None

    def note_tail(self, num_bytes: int) -> None:
        """Note bytes behind the last frame, if they are more than padding."""
        longest_padding = 4096 if self.promised is None else self.frame_bytes
        if num_bytes > longest_padding:
            self.tail = num_bytes


def _mp3_pieces(links: list[_Mp3Link]) -> Iterator[Link]:
    """Turn walks into links; where a recording is torn, its tag must not be believed any more."""
    begins = [number for number, link in enumerate(links) if not link.continues] + [len(links)]
    for begin, end in pairwise(begins):
        pieces = links[begin:end]
        damaged = len(pieces) > 1 or bool(pieces[-1].tail or (end < len(links) and links[end].hole))
        count = sum(piece.count for piece in pieces)
        if damaged and (pieces[0].promised is None or count < pieces[0].promised):
            yield from _torn_pieces(pieces, count)
        else:
            yield from _whole_pieces(pieces)


def _torn_pieces(pieces: list[_Mp3Link], count: int) -> Iterator[Link]:
    """Yield the links of a recording with holes; what is missing is shared among them."""
    first, last = pieces[0], pieces[-1]
    lost_bytes = sum(piece.hole for piece in pieces[1:]) + last.tail
    frames = lost_bytes / max(1, first.frame_bytes)
    if first.promised is not None:
        frames = first.promised - count
    lost_s = frames * first.samples / first.rate_hz
    for piece in pieces:
        holes = []
        if piece is not first:
            holes.append(_hole(0.0, lost_s * piece.hole / max(1, lost_bytes), piece.hole))
        if piece is last and (piece.tail or not lost_bytes):
            share = piece.tail / lost_bytes if lost_bytes else 1
            holes.append(_hole(math.inf, lost_s * share, piece.tail))
        where = ((piece.sound_at, piece.end),)
        yield Link(where, True, tuple(holes), continues=piece is not first, torn=True)


def _hole(at: float, seconds: float, num_bytes: int) -> Hole:
    what = f"{num_bytes} bytes that are no MP3" if num_bytes else "frames of MP3 missing"
    return Hole(at, seconds, what)


def _whole_pieces(pieces: list[_Mp3Link]) -> Iterator[Link]:
    """Yield the links of a recording from which no sound is missing."""
    first = pieces[0]
    if first.promised and len(pieces) == 1 and first.count > first.promised + 2:
        # A tag that promises fewer frames than there are ends where another file was appended.
        yield Link(((first.start, first.promised_end),))
        yield Link(((first.promised_end, first.end),), endless=True)
        return
    for piece in pieces:
        yield Link(
            ((piece.start, piece.end),), piece.promised is None, continues=piece is not first
        )


@dataclass(frozen=True)
class _Frame:
    length: int  # bytes
    samples: int
    rate_hz: int
    kind: tuple[int, int]  # bits of the header that do not change within a recording
    side_bytes: tuple[int, int]  # of stereo, of mono


_TAGS = (b"Xing", b"Info")
_RATES_HZ = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
_KBPS = {  # by MPEG-1 or not, and layer
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}


@cache
def _frame(head: bytes) -> _Frame | None:
    """Return what the first three bytes of an MPEG audio frame say; None if they are of none."""
    if len(head) < 3 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    bit_rate, rate, padding = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if version == 1 or layer == 4 or bit_rate in (0, 15) or rate == 3:  # 0: of any length
        return None
    rate_hz, first = _RATES_HZ[version][rate], version == 3
    bits = 1000 * _KBPS[first, layer][bit_rate - 1]
    samples = 384 if layer == 1 else 1152 if layer == 2 or first else 576
    length = (
        4 * (12 * bits // rate_hz + padding)
        if layer == 1
        else samples // 8 * bits // rate_hz + padding
    )
    return _Frame(
        length, samples, rate_hz, (head[1] & 0x1E, head[2] & 0x0C), (32, 17) if first else (17, 9)
    )


def _promised(data: mmap, tag_at: int) -> int | None:
    """Return the number of frames that a Xing or Info tag gives, if there is one and it does."""
    tag = data[tag_at : tag_at + 12]
    if tag[:4] not in _TAGS or len(tag) < 12 or not tag[7] & 1:
        return None
    return int.from_bytes(tag[8:12], "big")


def _next_frames(
    data: mmap, at: int, within: int | None = None, *, to_end: bool = True
) -> int | None:
    """Return the next place at which three frames of one kind follow each other.

    Args:
        data: of the file.
        at: where the search begins.
        within: bytes to search; None: all.
        to_end: whether fewer frames are enough where they reach to the end. Within the bytes of a
            frame they are not: what looks like one header is found in them by chance.
    """
    end = len(data) if within is None else min(len(data), at + within)
    while (at := data.find(b"\xff", at, end)) >= 0:
        place, frames = at, 0
        first = _frame(data[at : at + 3])
        frame = first
        while frame and first and frame.kind == first.kind and frames < 3:
            place, frames = place + frame.length, frames + 1
            if place >= len(data):
                break
            frame = _frame(data[place : place + 3])
        at_end = to_end and frames >= 1 and len(data) - 128 <= place <= len(data)
        if frames == 3 or at_end:
            return at
        at += 1
    return None


def _after_tags(data: mmap, at: int) -> int:
    """Return the place behind the ID3 and APE tags that stand at a place."""
    while True:
        head = data[at : at + 32]
        if head[:3] == b"ID3" and len(head) >= 10:  # its length: four bytes of seven bits
            pairs = zip(head[6:10], (21, 14, 7, 0), strict=True)
            at += 10 + sum((byte & 127) << shift for byte, shift in pairs)
        elif head[:3] == b"TAG":
            at += 128
        elif head[:8] == b"APETAGEX" and len(head) == 32:
            at += int.from_bytes(head[12:16], "little") + 32 * (head[23] >> 5 & 1)
        else:
            return min(at, len(data))


def flac_links(data: mmap) -> list[Link]:
    """Return the links of a FLAC file: each begins with its magic and its STREAMINFO."""
    starts = [match.start() for match in re.finditer(b"fLaC[\\x00\\x80]\\x00\\x00\\x22", data)]
    starts[:1] = [0]
    return [
        Link(((start, end),)) for start, end in zip(starts, [*starts[1:], len(data)], strict=True)
    ]


def ogg_links(data: mmap) -> list[Link]:
    """Return the links of an Ogg file, each with the holes that lost or damaged pages leave."""
    links: list[_OggLink] = []
    at, has_sound = 0, False  # whether the current link is behind its first pages
    while (found := data.find(b"OggS", at)) >= 0:
        page = _page(data, found)
        at = found + 4
        if page is None:
            continue
        if not links or (page.begins and has_sound):
            links.append(_OggLink(found))
        has_sound = not page.begins
        links[-1].add(page)
        at = found + page.length
        links[-1].end = at
    return [link.link() for link in links]


@dataclass(frozen=True)
class _Page:
    length: int
    begins: bool
    ends: bool
    granule: int  # samples up to the end of the last packet that ends here; -1: none does
    serial: int
    sequence: int
    body: bytes  # its first bytes


_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def _page(data: mmap, at: int) -> _Page | None:
    """Return the page of Ogg that begins at a place, or None if it is damaged."""
    head = data[at : at + 27]
    if len(head) < 27:
        return None
    _, _, flags, granule, serial, sequence, checksum, count = struct.unpack("<4sBBqIIIB", head)
    sizes = data[at + 27 : at + 27 + count]
    length = 27 + count + sum(sizes)
    page = data[at : at + length]
    if len(page) < length:
        return None
    # Ogg sends the highest bit of a byte first, zlib the lowest, and Ogg's register begins at 0.
    turned = (page[:22] + bytes(4) + page[26:]).translate(_REVERSED)
    found = zlib.crc32(turned, 0xFFFF_FFFF) ^ 0xFFFF_FFFF
    if found.to_bytes(4, "little").translate(_REVERSED)[::-1] != checksum.to_bytes(4, "little"):
        return None
    body = page[27 + count : 27 + count + 64]
    return _Page(length, bool(flags & 2), bool(flags & 4), granule, serial, sequence, body)


@dataclass
class _OggLink:
    """The pages of one link, as they are walked; those of its first stream of sound count."""

    start: int
    end: int = 0
    serial: int | None = None
    rate_hz: int = 0
    skipped: int = 0  # samples before the first that is heard
    expected: int = 0  # number of the next page
    granule: int = 0  # of the last page
    lost: int = 0  # pages since then
    ended: bool = False
    holes: list[Hole] = field(default_factory=list)

    def add(self, page: _Page) -> None:
        if page.begins and self.serial is None and (rate := _rate_of(page.body)):
            self.serial, (self.rate_hz, self.skipped) = page.serial, rate
            self.expected = page.sequence
        if page.serial != self.serial:
            return
        self.lost += max(0, page.sequence - self.expected)
        self.expected = page.sequence + 1
        self.ended = page.ends
        if page.granule < 0:
            return
        if self.lost:
            # The pages that are missing and the one that was found fill this time together.
            seconds = (page.granule - self.granule) / self.rate_hz * self.lost / (self.lost + 1)
            at = max(0.0, (self.granule - self.skipped) / self.rate_hz)
            what = f"{self.lost} page{'s' * (self.lost > 1)} of Ogg missing or damaged"
            self.holes.append(Hole(at, max(0.0, seconds), what))
        self.granule, self.lost = page.granule, 0

    def link(self) -> Link:
        notes = () if self.ended else ("has no end mark: it may have been cut short",)
        return Link(((self.start, self.end),), holes=tuple(self.holes), notes=notes)


def _rate_of(body: bytes) -> tuple[int, int] | None:
    """Return the rate of granules and the samples to skip, from the first page of a stream."""
    if body[:7] == b"\x01vorbis" and len(body) >= 16:
        return int.from_bytes(body[12:16], "little") or 1, 0
    if body[:8] == b"OpusHead" and len(body) >= 12:
        return 48_000, int.from_bytes(body[10:12], "little")
    if body[:8] == b"Speex   " and len(body) >= 40:
        return int.from_bytes(body[36:40], "little") or 1, 0
    if body[:5] == b"\x7fFLAC" and len(body) >= 30:  # STREAMINFO: 20 bits of rate
        return int.from_bytes(body[27:30], "big") >> 4 or 1, 0
    return None

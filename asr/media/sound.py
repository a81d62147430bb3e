"""Read the links of a file one after the other, as one sound of one rate and number of channels."""

import os
import re
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO, Protocol

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from asr.errors import AudioError
from asr.media.complaints import listening
from asr.media.links import Hole, Link
from asr.media.window import FileWindow

Frames = NDArray[np.float32]  # (n, C)

MIN_RATE_HZ = 4_000  # 2 kHz of band: below it, speech is not understood by people either
MAX_RATE_HZ = 768_000  # the fastest converters sold; more is a damaged header
MAX_CHANNELS = 64  # seventh-order ambisonics; more is a damaged header
UNKNOWN_FRAMES = 1 << 44  # lengths from here on mean that the header gives none
_STEP_FRAMES = 1 << 16  # decoded at a time: 16 MB for 64 channels
_LOSSY = ("MP3", "OGG")
_LOUDEST = 8.0  # full scale is 1.0; codecs overshoot it a little
_MP3_FRAMES = 1152 * 8  # decoded at a time, so that the place of a fault is known
_MOST_LOSSES = 8  # lines; a badly damaged file has hundreds of places
LONGEST_SILENCE_S = 60.0  # that stands for a hole: its length may be a wrong estimate or a pause
_FAULT = re.compile(r"error:|Illegal|missing bits", re.IGNORECASE)


class Reader(Protocol):
    """A decoder of one link.

    Attributes:
        frames: the length that the header gives; UNKNOWN_FRAMES or more if it gives none.
        repairs: about a header that is wrong.
        losses: about sound that is missing, each with its place.
    """

    samplerate: int
    channels: int
    frames: int
    format: str
    subtype: str
    repairs: list[str]
    losses: list[str]

    def read(self, count: int) -> Frames:
        """Return the next frames, about `count` at most; none at the end."""

    def seek(self, first: int) -> bool:
        """Go to a frame; return False where that is impossible."""

    def close(self) -> None:
        """Free the decoder; the file stays open."""


class _StraightFile(soundfile.SoundFile):
    """A file read straight through: soundfile would seek after each read.

    Those seeks cost MP3 its exactness and refuse FLAC files with a wrong block size.
    """

    def seekable(self) -> bool:
        """Say no, whatever the file: `seek` works all the same."""
        return False


class LinkReader:
    """A link that libsndfile decodes.

    Attributes:
        log: libsndfile's remarks on the header.
        faults: the frames after which the decoder wanted to print an error on stderr.

    Raises:
        AudioError: libsndfile cannot open it.
    """

    def __init__(self, file: BinaryIO, link: Link, name: str) -> None:
        self.faults: list[int] = []
        self.repairs: list[str] = []
        self.losses: list[str] = []
        self._done = 0
        if link.parts == ((0, os.fstat(file.fileno()).st_size),) and not link.endless:
            # A descriptor, unlike a path, has no suffix that soundfile could trust.
            source: int | FileWindow = file.fileno()
            os.lseek(file.fileno(), 0, os.SEEK_SET)
        else:
            source = FileWindow(file.fileno(), link.parts, endless=link.endless)
        try:
            with self._listening():
                self._sound = _StraightFile(source, closefd=False)
        except soundfile.SoundFileError as error:
            reason = str(getattr(error, "error_string", error)).rstrip(".")
            raise AudioError(
                f"{name}: cannot be read as audio ({reason}); convert it to WAV or FLAC"
            ) from None
        self.samplerate, self.channels = self._sound.samplerate, self._sound.channels
        self.frames, self.log = self._sound.frames, self._sound.extra_info
        self.format, self.subtype = link.form or self._sound.format, self._sound.subtype

    def read(self, count: int) -> Frames:
        """Return the next frames, at most `count`; none at the end.

        Raises:
            soundfile.SoundFileError: the data are damaged.
        """
        step = _MP3_FRAMES if self.format == "MP3" else count
        parts = []
        while count > 0:
            with self._listening():
                parts.append(self._sound.read(min(step, count), "float32", True))
            self._done += len(parts[-1])
            count = count - step if len(parts[-1]) == min(step, count) else 0
        frames: Frames = np.concatenate(parts) if len(parts) > 1 else parts[0]
        if self.format in _LOSSY:  # damaged data decode to any number
            frames = np.clip(frames, -_LOUDEST, _LOUDEST)
        return frames

    def seek(self, first: int) -> bool:
        """Go to a frame."""
        with self._listening():
            self._sound.seek(first)
        self._done = first
        return True

    def close(self) -> None:
        """Close the decoder; the file stays open."""
        self._sound.close()

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """Collect what the decoder prints on stderr, and count the errors in it."""
        lines: list[str] = []
        try:
            with listening(lines):
                yield
        finally:
            self.faults += (self._done for line in lines if _FAULT.search(line))


class Sound:
    """A recording that is read straight through as float32 frames (n, C).

    Links of other rates are resampled to the highest rate, and those of fewer channels are mixed
    and repeated. Silence stands where sound is known to be missing.

    Args:
        links: at least one.
        open_link: returns a decoder of a link.
        name: of the recording, for errors.
        channel: the only one to be read, from 1; None reads all.

    Attributes:
        samplerate, channels: of all links together, as they are read.
        format, subtype: of the first link.
        frames: the length that the headers give; UNKNOWN_FRAMES or more if they give none.
        repairs: about wrong headers, and several recordings in one file.
        losses: about sound that is missing; complete once the recording has been read to its end.

    Raises:
        AudioError: no link can be opened, one has an absurd rate or number of channels, or there
            is no such channel.
    """

    def __init__(
        self,
        links: Sequence[Link],
        open_link: Callable[[Link], Reader],
        name: str,
        channel: int | None = None,
    ) -> None:
        self._open_link, self._name = open_link, name
        self._held: Frames
        self._decoded: Generator[Frames, None, None]
        self._opened: Reader | None = None  # what the next read goes on with
        self._unread: list[str] = []
        self._parts = list(filter(None, map(self._part, links)))
        if not self._parts:
            open_link(links[0])  # raises
        self.format, self.subtype = self._parts[0].coding
        for part in self._parts:
            _check_layout(part.rate_hz, part.channels, name)
        self.samplerate = max(part.rate_hz for part in self._parts)
        self._width = max(part.channels for part in self._parts)
        self.channels = self._width if channel is None else 1
        self._taken = slice(None) if channel is None else slice(channel - 1, channel)
        if channel is not None and not 1 <= channel <= self._width:
            self._close_decoder()
            raise AudioError(
                f"{name}: has no channel {channel}, as its channels are 1..{self._width}; leave "
                "--channels out, or give one of these"
            )
        lengths = [part.length(self.samplerate) for part in self._parts]
        self.frames = UNKNOWN_FRAMES if max(lengths) >= UNKNOWN_FRAMES else sum(lengths)
        self._start(0)

    def _part(self, link: Link) -> "_Part | None":
        """Return a link with the facts in its header; keep the first one open."""
        try:
            reader = self._open_link(link)
        except AudioError:
            start, end = link.parts[-1] if isinstance(link.parts[-1], tuple) else (0, 0)
            self._unread.append(f"{end - start} bytes after byte {start} cannot be read")
            return None
        if self._opened is None:
            self._opened = reader
        else:
            reader.close()
        return _Part(link, reader)

    def rewind(self) -> None:
        """Go back to the first frame, with a fresh decoder: a seek would cost MP3 its exactness."""
        self.close()
        self._start(0)

    def seek(self, first: int) -> None:
        """Go to a frame."""
        self._start(first)

    def read(self, count: int) -> Frames:
        """Return the next frames, at most `count`; none at the end.

        Raises:
            AudioError: the data are damaged.
        """
        if not len(self._held):
            self._held = next(self._decoded, self._held)
        frames, self._held = self._held[:count], self._held[count:]
        return frames[:, self._taken]

    def close(self) -> None:
        """Close the decoder; the file stays open."""
        self._decoded.close()
        self._close_decoder()

    def _close_decoder(self) -> None:
        if self._opened:
            self._opened.close()
        self._opened = None

    def _start(self, first: int) -> None:
        self.losses: list[str] = []
        self._num_more = 0  # losses that are only counted
        for loss in self._unread:
            self._lose(loss)
        self.repairs = [note for part in self._parts for note in part.link.notes]
        recordings = sum(not part.link.continues for part in self._parts)
        if recordings > 1:
            self.repairs.append(f"holds {recordings} recordings, one after the other: read all")
        self._faults: list[float] = []  # in seconds
        self._held = np.empty((0, self._width), np.float32)
        self._made = 0  # frames behind us, those that were skipped included
        self._decoded = self._decode(first)

    def _decode(self, first: int) -> Generator[Frames, None, None]:
        """Yield the frames from `first` on."""
        for number, part in enumerate(self._parts):
            length = part.length(self.samplerate)
            if self._made + length <= first:  # never true of an unknown length
                self._made += length
                continue
            self._opened = self._opened or self._open_link(part.link)
            last = number + 1 == len(self._parts)
            try:
                for frames in self._link_frames(part, self._opened, first, last):
                    self._made += len(frames)
                    if len(frames) and self._made > first:
                        yield frames[max(0, len(frames) - (self._made - first)) :]
            finally:
                self._close_decoder()
        if self._faults:
            count = len(self._faults)
            self._lose(
                f"{count} fault{'s' * (count > 1)} in the data, the first after "
                f"{self._faults[0]:.2f} s: words may be missing there"
            )

    def _link_frames(
        self, part: "_Part", reader: Reader, first: int, last: bool
    ) -> Iterator[Frames]:
        """Yield the frames of a link at the rate of the whole, and silence for its holes."""
        begin, plain = self._made, part.rate_hz == self.samplerate and not part.link.holes
        seekable = first > begin and plain and (last or part.frames < UNKNOWN_FRAMES)
        if seekable and reader.seek(first - begin):
            self._made = first
        holes = deque(part.link.holes)
        heard = 0  # frames of the link, without silence
        for frames in self._fitted(part, reader):
            at = 0
            while holes and holes[0].at * self.samplerate < heard + len(frames):
                cut = max(at, round(holes[0].at * self.samplerate) - heard)
                yield frames[at:cut]
                at = cut
                yield from self._filled(holes.popleft(), first)
            yield frames[at:]
            heard += len(frames)
        for hole in holes:
            yield from self._filled(hole, first)
        self.repairs += reader.repairs
        for loss in reader.losses:
            self._lose(loss)

    def _lose(self, loss: str) -> None:
        """Note a loss; of many, the last line gives the number."""
        if len(self.losses) < _MOST_LOSSES:
            self.losses.append(loss)
            return
        self._num_more += 1
        self.losses[_MOST_LOSSES:] = [f"and {self._num_more} more places like these"]

    def _filled(self, hole: Hole, first: int) -> Iterator[Frames]:
        """Note a hole, and yield silence for it."""
        if self._made >= first:
            at, lost = self._made / self.samplerate, hole.seconds
            about = f", about {lost:.2f} s" if lost >= 0.01 else ""
            self._lose(f"{hole.what} after {at:.2f} s{about}: words may be missing there")
        left = round(min(hole.seconds, LONGEST_SILENCE_S) * self.samplerate)
        while left > 0:
            yield np.zeros((min(left, _STEP_FRAMES), self._width), np.float32)
            left -= _STEP_FRAMES

    def _fitted(self, part: "_Part", reader: Reader) -> Iterator[Frames]:
        """Yield the frames of a link, with the rate and the channels of the whole."""
        resampler = None
        if part.rate_hz != self.samplerate:
            resampler = soxr.ResampleStream(
                part.rate_hz, self.samplerate, part.channels, dtype="float32", quality="HQ"
            )
        begin, ended = self._made, False
        while not ended:
            frames = self._read(part, reader)
            ended = not len(frames)
            self._note_faults(part, reader, begin)
            if resampler:
                frames = resampler.resample_chunk(frames, last=ended)
            frames = with_channels(frames, self._width)
            if len(frames):
                yield frames

    def _note_faults(self, part: "_Part", reader: Reader, begin: int) -> None:
        """Take over the faults of a reader of a link that begins at a frame."""
        if isinstance(reader, LinkReader):
            for done in reader.faults:
                if done or not part.link.holes:  # behind a hole they are no news
                    self._faults.append(begin / self.samplerate + done / part.rate_hz)
            reader.faults.clear()

    def _read(self, part: "_Part", reader: Reader) -> Frames:
        """Read a block of a link; where a torn one has no more that can be read, go on."""
        try:
            return reader.read(_STEP_FRAMES)
        except soundfile.SoundFileError as error:
            at, reason = self._made / self.samplerate, str(error).rstrip(".")
            if not part.link.torn:
                raise AudioError(
                    f"{self._name}: is cut short or damaged after {at:.2f} s ({reason}); "
                    "copy or convert it again"
                ) from None
            self._lose(f"damaged after {at:.2f} s ({reason}): words may be missing there")
            return np.empty((0, part.channels), np.float32)


def with_channels(frames: Frames, channels: int) -> Frames:
    """Return frames with so many channels: as they are, or their mono mix in each channel."""
    if frames.shape[1] == channels:
        return frames
    mixed: Frames = np.tile(frames.mean(axis=1, keepdims=True), (1, channels))
    return mixed


class _Part:
    """A link and the facts in its header."""

    def __init__(self, link: Link, reader: Reader) -> None:
        self.link, self.rate_hz, self.channels = link, reader.samplerate, reader.channels
        self.frames = UNKNOWN_FRAMES if link.holes else reader.frames
        self.coding = reader.format, reader.subtype

    def length(self, rate_hz: int) -> int:
        """Return the number of frames at another rate; UNKNOWN_FRAMES or more if unknown."""
        return self.frames if rate_hz == self.rate_hz else self.frames * rate_hz // self.rate_hz


def _check_layout(rate_hz: int, channels: int, name: str) -> None:
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        raise AudioError(
            f"{name}: has a sample rate of {rate_hz} Hz; "
            f"allowed: {MIN_RATE_HZ}..{MAX_RATE_HZ}; record or convert it again"
        )
    if not 1 <= channels <= MAX_CHANNELS:
        raise AudioError(
            f"{name}: has {channels} channels; allowed: 1..{MAX_CHANNELS}; split it first"
        )

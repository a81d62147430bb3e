"""Read what libsndfile does not, such as M4A, WebM, MP4, AMR and WMA, with FFmpeg through PyAV.

PyAV is the extra `media`. FFmpeg can follow names inside a file to other files and to servers
(playlists, MP4 with external data). Here it reads one open file, by the demultiplexer that the
content calls for, and each request to open anything else is refused.
"""

import re
from collections.abc import Generator, Iterator
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from asr._install import install
from asr.errors import AudioError, MissingReaderError
from asr.media.sound import LONGEST_SILENCE_S, UNKNOWN_FRAMES, with_channels

# What a file of each kind begins with: (offset, bytes, FFmpeg's demultiplexer, name for people).
_KINDS = (
    (4, b"ftyp", "mov", "MPEG-4"),
    (4, b"moov", "mov", "QuickTime"),
    (4, b"mdat", "mov", "QuickTime"),
    (4, b"wide", "mov", "QuickTime"),
    (0, b"\x1a\x45\xdf\xa3", "matroska", "Matroska or WebM"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "asf", "Windows Media"),
    (0, b"#!AMR", "amr", "AMR"),
    (0, b"OggS", "ogg", "Ogg"),
    (0, b"FLV\x01", "flv", "Flash video"),
    (8, b"AVI ", "avi", "AVI"),
    (8, b"WAVE", "wav", "WAV"),
    (8, b"AIFC", "aiff", "AIFF-C"),
    (0, b"caff", "caf", "CAF"),
    (0, b"wvpk", "wv", "WavPack"),
    (0, b"MAC ", "ape", "Monkey's Audio"),
    (0, b"TTA1", "tta", "True Audio"),
    (0, b"MP+", "mpc", "Musepack"),
    (0, b"MPCK", "mpc8", "Musepack"),
    (0, b".RMF", "rm", "RealMedia"),
    (0, b".ra\xfd", "rm", "RealAudio"),
    (0, b"DSD ", "dsf", "DSD"),
    (0, b"ADIF", "aac", "AAC"),
    (0, b"\x0b\x77", "ac3", "AC-3"),
    (0, b"\x7f\xfe\x80\x01", "dts", "DTS"),
    (0, b"\x00\x00\x01\xba", "mpeg", "MPEG program stream"),
)
# libsndfile knows these; FFmpeg gets them for the sake of a coding, not of damage.
_NATIVE = ("wav", "aiff", "caf")
_NOT_DECODED = re.compile(r"unimplemented|unsupported|not supported|unknown|not recognised", re.I)
_JUMP_S = 0.1  # seconds that time stamps may jump without a finding

# Where a folder has them, these are recordings if PyAV is installed.
MEDIA_SUFFIXES = (
    ".m4a", ".m4b", ".mp4", ".m4v", ".mov", ".3gp", ".3g2", ".3gpp", ".webm", ".weba", ".mkv",
    ".mka", ".wma", ".wmv", ".asf", ".amr", ".awb", ".aac", ".adts", ".ac3", ".eac3", ".dts",
    ".wv", ".ape", ".tta", ".mpc", ".spx", ".ogv", ".avi", ".flv", ".f4v", ".f4a", ".ra", ".rm",
    ".mpg", ".mpeg", ".m2ts", ".mts", ".ts", ".vob", ".dsf",
)  # fmt: skip


def has_reader() -> bool:
    """Return whether PyAV is installed."""
    try:
        import av  # noqa: F401
    except ImportError:
        return False
    return True


def kind_of(head: bytes) -> tuple[str, str] | None:
    """Return FFmpeg's demultiplexer for a file that begins so, and the name of its format."""
    for at, magic, demultiplexer, name in _KINDS:
        if head[at : at + len(magic)] == magic:
            return demultiplexer, name
    if head[:1] == b"\x47" and head[188:189] == b"\x47" and head[376:377] == b"\x47":
        return "mpegts", "MPEG transport stream"
    if len(head) > 2 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
        return "aac", "AAC"
    return None


def open_foreign(file: BinaryIO, head: bytes, reason: AudioError, name: str) -> "ForeignReader":
    """Open a file that libsndfile refused for `reason`.

    Raises:
        MissingReaderError: PyAV is needed, and not installed.
        AudioError: the file is of no known kind, or PyAV does not read it either.
    """
    kind = kind_of(head)
    if kind is None or (kind[0] in _NATIVE and not _NOT_DECODED.search(str(reason))):
        raise reason
    try:
        import av
    except ImportError:
        raise MissingReaderError(
            f"{name}: is {kind[1]}, which cannot be read as audio without the package av (PyAV); "
            f"install it: {install('media')}; or convert it to WAV or FLAC"
        ) from None
    try:
        return ForeignReader(av, file, kind, name)
    except (av.FFmpegError, ValueError, IndexError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise AudioError(
            f"{name}: {kind[1]} that cannot be read as audio ({why}); convert it to WAV or FLAC"
        ) from None


def _refuse(url: str, *_: object) -> None:
    raise PermissionError(f"a recording may not open {url}")


class ForeignReader:
    """The best track of sound in a file that FFmpeg reads, block by block.

    Attributes:
        samplerate: in Hz; the track may change it, and is then resampled.
        frames: always unknown: headers of these formats promise times of all tracks together.
        losses: about what was left out or could not be decoded.
    """

    def __init__(self, av: Any, file: BinaryIO, kind: tuple[str, str], name: str) -> None:
        self._av, self._name = av, name
        self._container = av.open(
            file,
            format=kind[0],
            options={"protocol_whitelist": "", "enable_drefs": "0"},
            metadata_errors="ignore",
            io_open=_refuse,
        )
        try:
            tracks = self._container.streams.audio
            if not tracks:
                raise ValueError("it has no track of sound")
            self._track = self._container.streams.best("audio") or tracks[0]
            if self._track.codec_context is None:
                raise ValueError("its sound has an unknown coding")
            self.samplerate = int(self._track.codec_context.sample_rate)
            self.channels = int(self._track.codec_context.channels)
        except BaseException:
            self._container.close()
            raise
        self.format, self.subtype = kind[0].upper(), str(self._track.codec_context.name).upper()
        self.frames = UNKNOWN_FRAMES
        self.repairs: list[str] = []
        self.losses: list[str] = []
        if len(tracks) > 1:
            self.losses.append(
                f"has {len(tracks)} tracks of sound: read track {self._track.index + 1} alone"
            )
        self._blocks = self._decoded()
        self._done = 0  # frames
        self._begin: float | None = None  # the first time stamp, in seconds

    def read(self, count: int) -> NDArray[np.float32]:
        """Return the next frames, float32 (n, C) of any length; none at the end."""
        return next(self._blocks, np.empty((0, self.channels), np.float32))

    def seek(self, first: int) -> bool:
        """Return False: key frames are too far apart to be exact."""
        return False

    def close(self) -> None:
        """Close the container; the file stays open."""
        self._blocks.close()
        self._container.close()

    def _decoded(self) -> Generator[NDArray[np.float32], None, None]:
        undecoded, first_at = 0, 0.0
        setup, resampler = None, None
        for packet in self._container.demux(self._track):
            try:
                decoded = packet.decode()
            except self._av.FFmpegError:
                undecoded, first_at = undecoded + 1, first_at or self._done / self.samplerate
                continue
            for frame in decoded:
                new = (frame.format.name, frame.layout.name, frame.sample_rate)
                if resampler is None or setup != new:
                    setup = new
                    resampler = self._av.AudioResampler("flt", frame.layout, self.samplerate)
                yield from self._after_a_gap(frame)
                for part in resampler.resample(frame):
                    block = self._shaped(part)
                    self._done += len(block)
                    yield block
        if undecoded:
            self.losses.append(
                f"{undecoded} packets could not be decoded, the first after {first_at:.2f} s"
            )
        self._compare_length()

    def _shaped(self, part: Any) -> NDArray[np.float32]:
        """Return frames (n, C), with the channels of the first one."""
        frames = part.to_ndarray().reshape(-1, len(part.layout.channels))
        return np.ascontiguousarray(with_channels(frames, self.channels), np.float32)

    def _after_a_gap(self, frame: Any) -> Iterator[NDArray[np.float32]]:
        """Yield silence for the time that the frame's time stamp shows to be missing."""
        if frame.time is None:
            return
        if self._begin is None:
            self._begin = frame.time
        missing = frame.time - self._begin - self._done / self.samplerate
        if missing <= _JUMP_S:
            return
        at = self._done / self.samplerate
        self.losses.append(f"{missing:.2f} s are missing after {at:.2f} s")
        if missing > LONGEST_SILENCE_S:  # a paused recorder may jump by hours
            self._begin += missing
            return
        silence = np.zeros((round(missing * self.samplerate), self.channels), np.float32)
        self._done += len(silence)
        yield silence

    def _compare_length(self) -> None:
        promised, seconds = self._promised_s(), self._done / self.samplerate
        if seconds < promised - max(0.5, 0.01 * promised):
            self.losses.append(
                f"promises {promised:.2f} s, but ends after {seconds:.2f} s: was it cut short?"
            )

    def _promised_s(self) -> float:
        """Return the length that the header gives for the track, or for a file of one track."""
        if self._track.duration is not None:
            return float(self._track.duration * self._track.time_base)
        alone = len(self._container.streams) == 1 and self.format in ("MATROSKA", "ASF")
        return (self._container.duration or 0) / self._av.time_base if alone else 0.0

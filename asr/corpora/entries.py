"""Turn the entries that a corpus lists into utterances with measured durations."""

import codecs
import contextlib
import unicodedata
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from asr._atomic import write_atomically
from asr._progress import progress
from asr.errors import AudioError, CorpusError
from asr.manifest import Utterance
from asr.media import AUDIO_SUFFIXES, MEDIA_SUFFIXES, UNKNOWN_FRAMES, Sound, open_sound

MAX_OVERSHOOT = 0.5  # seconds a segment may end after its recording, as in Kaldi's extract-segments
RECORDINGS = AUDIO_SUFFIXES + MEDIA_SUFFIXES  # of copies, the first one is taken
PROBLEMS_SHOWN = 5
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_BLOCK_FRAMES = 1 << 16
THREADS = 8  # they wait for the disk, not for the processor


@dataclass(frozen=True, kw_only=True)
class CorpusEntry:
    """An utterance as a corpus lists it, perhaps without its duration."""

    id: str
    audio: Path
    text: str
    speaker: str | None = None
    start: float = 0.0  # seconds into the recording
    duration: float | None = None  # seconds; None: to the end of the recording


def audio_duration(path: Path) -> float:
    """Return the length of a recording in seconds: of its header, or else by decoding it.

    The content of the file decides its format, not its name.

    Raises:
        MissingReaderError: the format needs the extra `media`.
        AudioError: no such file, no audio that can be read, or no samples.
    """
    try:
        path.open("rb").close()
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        raise AudioError(f"{path}: {getattr(error, 'strerror', error)}; check the path") from error
    try:
        with open_sound(path) as sound:
            duration = _num_frames(sound) / sound.samplerate
            if not duration:
                raise AudioError(f"{path}: has a length of 0 s; record or copy it again")
    except AudioError as error:
        raise type(error)(f"{error}, or leave it out") from error
    return float(duration)


def _num_frames(sound: Sound) -> int:
    if sound.frames < UNKNOWN_FRAMES:
        return sound.frames
    # Headers of M4A, WebM and the like give times of all tracks together; some MP3 give none.
    total = 0
    while count := len(sound.read(_BLOCK_FRAMES)):
        total += count
    return total


def to_utterances(
    where: Path, entries: Sequence[CorpusEntry], left_out: list[str] | None = None
) -> list[Utterance]:
    """Measure the recordings, each once, and return the entries as utterances.

    Args:
        where: the table or folder, for messages.
        entries: of the corpus.
        left_out: receives a complaint on each entry that cannot be an utterance; None: refuse all.

    Raises:
        CorpusError: there are no entries, or two have the same id; or, without `left_out`,
            recordings cannot be read, or segments lie outside their recording. With it, nothing
            is left.
    """
    if not entries:
        refuse(where, left_out or [])
        raise CorpusError(f"{where}: holds no utterances; check the path and the layout")
    counts = Counter(entry.id for entry in entries)
    refuse(
        where, [f"id {name!r} occurs {count} times" for name, count in counts.items() if count > 1]
    )
    lengths, unread = _measured(sorted({entry.audio for entry in entries}))
    if left_out is None:
        refuse(where, list(unread.values()))
    several = Counter(entry.audio for entry in entries)
    utterances, problems = [], []
    for entry in entries:
        if why := unread.get(entry.audio):
            problems.append(f"{entry.id}: {why}" if several[entry.audio] > 1 else why)
        try:
            if entry.audio in lengths:
                utterances.append(_utterance(entry, lengths[entry.audio]))
        except ValueError as error:
            problems.append(str(error))
    leave_out(where, problems, left_out)
    if not utterances:
        refuse(where, left_out or [])
    return utterances


def leave_out(where: Path, problems: Sequence[str], left_out: list[str] | None) -> None:
    """Add problems to a list of what is left out; without one, refuse as `refuse` does."""
    if left_out is None:
        refuse(where, problems)
    else:
        left_out += problems


def refuse(where: Path, problems: Sequence[str]) -> None:
    """Raise one CorpusError that names the first few problems, if there are any."""
    if problems:
        more = len(problems) - PROBLEMS_SHOWN
        rest = f"; and {more} more like these" if more > 0 else ""
        raise CorpusError(f"{where}: {'; '.join(problems[:PROBLEMS_SHOWN])}{rest}")


def recordings_by_name(folder: Path) -> dict[str, Path]:
    """Map the names of a folder's recordings, without extension, to their paths.

    Of recordings with the same name, the first suffix in RECORDINGS wins.
    """
    ranked = (
        (RECORDINGS.index(path.suffix.lower()), path)
        for path in folder.iterdir()
        if path.suffix.lower() in RECORDINGS and not path.name.startswith(".")
    )
    return {path.stem: path for _, path in sorted(ranked, reverse=True)}  # the first choice last


class Recordings:
    """A finder of recordings by the paths that a corpus gives, from the folder of its table.

    Paths of Windows, with backslashes, are taken; so are names whose accents are written in
    another of Unicode's two ways than the file's (macOS decomposes them), and names without an
    audio extension. Recordings may lie in one of SUBFOLDERS beside the table.
    """

    SUBFOLDERS = ("", "clips", "wavs", "wav", "audio")

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._names: dict[Path, dict[str, str]] = {}
        self._recordings: dict[Path, dict[str, Path]] = {}

    def find(self, path: str) -> Path:
        """Return the recording at a path.

        Raises:
            ValueError: there is none; the message says what was looked for.
        """
        for written in dict.fromkeys((path, path.replace("\\", "/"))):
            for subfolder in self.SUBFOLDERS:
                with contextlib.suppress(OSError, ValueError):  # a name too long, or a zero byte
                    if found := self._file(self.folder / subfolder, written):
                        return found
        beside = [name for name in self.SUBFOLDERS if name and (self.folder / name).is_dir()]
        also = f", nor in {', '.join(f'{name}/' for name in beside)}" if beside else ""
        raise ValueError(f"no file {self.folder / path}{also}")

    def _file(self, folder: Path, written: str) -> Path | None:
        """Return the file at a path, written in either form of Unicode, or without extension."""
        path = folder / written
        if path.is_file():
            return path
        for part in Path(written).parts:
            name = self._listed(folder).get(unicodedata.normalize("NFC", part))
            folder = folder / (name or part)
        if folder.is_file():
            return folder
        return self._stems(folder.parent).get(unicodedata.normalize("NFC", folder.name))

    def _listed(self, folder: Path) -> dict[str, str]:
        """Map the names in a folder, with composed accents, to the names as they are."""
        if folder not in self._names:
            names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
            self._names[folder] = {unicodedata.normalize("NFC", name): name for name in names}
        return self._names[folder]

    def _stems(self, folder: Path) -> dict[str, Path]:
        """Map the names of a folder's recordings, without extension, to the recordings."""
        if folder not in self._recordings:
            named = recordings_by_name(folder).items() if folder.is_dir() else ()
            found = {unicodedata.normalize("NFC", name): path for name, path in named}
            self._recordings[folder] = found
        return self._recordings[folder]


def one_line(text: str) -> str:
    """Return the text stripped, with each run of white space as one space."""
    return " ".join(text.split())


def read_text(path: Path) -> str:
    """Read a text file of a corpus, in UTF-8 or, as Praat and Excel write, marked UTF-16.

    Raises:
        CorpusError: the file is missing, or in another encoding.
    """
    try:
        content = path.read_bytes()
        return content.decode("utf-16" if content.startswith(_UTF16) else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise CorpusError(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8") from None
    except OSError as error:
        raise CorpusError(f"{path}: {error.strerror}; check the path") from error


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically.

    Raises:
        CorpusError: the file cannot be written.
    """
    try:
        write_atomically(path, text)
    except (OSError, UnicodeEncodeError) as error:
        raise CorpusError(f"{path}: cannot be written: {error}") from error


def _measured(paths: Sequence[Path]) -> tuple[dict[Path, float], dict[Path, str]]:
    """Return the lengths of readable recordings in seconds, and a complaint on each other one."""
    lengths: dict[Path, float] = {}
    problems: dict[Path, str] = {}
    with ThreadPoolExecutor(THREADS) as pool:
        results = pool.map(_duration_or_complaint, paths)
        for path, result in progress(zip(paths, results, strict=True), "durations", len(paths)):
            if isinstance(result, str):
                problems[path] = result
            else:
                lengths[path] = result
    return lengths, problems


def _duration_or_complaint(path: Path) -> float | str:
    try:
        return audio_duration(path)
    except AudioError as error:
        return str(error)


def _utterance(entry: CorpusEntry, length: float) -> Utterance:
    duration = length - entry.start if entry.duration is None else entry.duration
    end = entry.start + duration
    inside = 0 <= entry.start < length and duration > 0 and end <= length + MAX_OVERSHOOT
    if not inside:
        raise ValueError(
            f"{entry.id}: {entry.start:g} to {end:g} s, while {entry.audio} is {length:g} s long"
        )
    return Utterance(
        id=entry.id,
        audio=entry.audio,
        start=entry.start,
        duration=min(duration, length - entry.start),
        text=one_line(entry.text),
        speaker=entry.speaker,
    )

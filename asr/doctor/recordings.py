"""Check the headers of all recordings: existence, length, sample rate, and copies.

Nothing is decoded, so that hours of audio take seconds. Files of the same size are compared by
their content, so that a copy under another name is found. Files of frames (asr/sequences.py) have
no header that tells enough: they are read.
"""

import stat
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from asr._atomic import content_sha256
from asr._cores import usable_cores
from asr._progress import counted, progress
from asr.audio import LATE_S
from asr.doctor.dataset import Dataset
from asr.doctor.finding import Finding
from asr.errors import AudioError, FramesError
from asr.media import UNKNOWN_FRAMES, open_sound
from asr.sequences import FRAMES, load_frames

THREADS = min(8, usable_cores())  # libsndfile works without Python's lock

T = TypeVar("T")
S = TypeVar("S")


@dataclass(frozen=True)
class Header:
    """The length and sample rate of a recording, or the width of frames, or the fault."""

    rate_hz: int = 0  # 0: frames
    width: int = 0  # values of a frame; 0: a recording
    late_s: float = LATE_S  # how far an utterance may reach beyond the end
    duration: float = 0.0  # seconds; infinite where the header does not say
    content: str = ""  # equal for files that are equal byte by byte
    fault: str = ""  # a kind of finding; empty for a sound header
    complaint: str = ""


Headers = dict[Path, Header]


def read_headers(datasets: Sequence[Dataset], frame_shift_ms: float) -> Headers:
    """Return the headers of all recordings and files of frames, each read once."""
    paths = sorted({utterance.audio for dataset in datasets for utterance in dataset.utterances})
    contents = _contents(paths)
    headers = in_threads(
        lambda path: _header(path, contents.get(path, ""), frame_shift_ms), paths, "headers"
    )
    return dict(zip(paths, headers, strict=True))


def in_threads(function: Callable[[S], T], items: Sequence[S], title: str) -> list[T]:
    """Return the results of calling the function on each item in threads, in order."""
    with ThreadPoolExecutor(THREADS) as pool:
        return list(progress(pool.map(function, items), title))


def check_recordings(dataset: Dataset, places: Iterable[int], headers: Headers) -> list[Finding]:
    """Find recordings that are missing, empty, unreadable or shorter than the manifest says."""
    faults: dict[str, dict[int, str]] = defaultdict(dict)  # by kind and place
    for place in places:
        utterance = dataset.utterances[place]
        header = headers[utterance.audio]
        end = utterance.start + utterance.duration
        if header.fault:
            faults[header.fault][place] = header.complaint
        elif end > header.duration + header.late_s:
            faults["beyond-end"][place] = (
                f"{utterance.audio}: lasts {header.duration:.2f} s, wanted to {end:.2f} s"
            )
    return [f for kind, details in faults.items() for f in dataset.finding(kind, details)]


def check_rates(
    dataset: Dataset, places: Iterable[int], headers: Headers, model_rate_hz: int
) -> list[Finding]:
    """Find sample rates that differ within the set, or that are all below the model's."""
    rates = {place: headers[dataset.utterances[place].audio].rate_hz for place in places}
    rates = {place: rate_hz for place, rate_hz in rates.items() if rate_hz}
    counts = Counter(rates.values())
    if not counts:
        return []
    usual = counts.most_common(1)[0][0]
    why = ", ".join(f"{count} at {rate} Hz" for rate, count in counts.most_common())
    if len(counts) > 1:
        kind, odd = "mixed-rates", [place for place, rate in rates.items() if rate != usual]
    else:
        kind, odd = "low-rate", [place for place, rate in rates.items() if rate < model_rate_hz]
        why += f", the model at {model_rate_hz} Hz"
    details = {p: f"{dataset.utterances[p].audio}: {rates[p]} Hz" for p in odd}
    return dataset.finding(kind, details, why, len(rates))


def usual_width(dataset: Dataset, headers: Headers) -> int:
    """Return the width of frames that most files of a set have; 0 if most are recordings."""
    read = (headers[utterance.audio] for utterance in dataset.utterances)
    counts = Counter(header.width for header in read if not header.fault)
    return max(counts, key=counts.__getitem__, default=0)


def check_widths(
    dataset: Dataset, places: Iterable[int], headers: Headers, width: int
) -> list[Finding]:
    """Find frames of another width than the usual one, and recordings among frames.

    Args:
        dataset: the set.
        places: of its utterances that are examined.
        headers: of all files.
        width: of a frame; 0 if all files are to be recordings.
    """
    details = {}
    for place in places:
        audio = dataset.utterances[place].audio
        if headers[audio].width != width:
            details[place] = f"{audio}: {_described(headers[audio].width)}"
    return dataset.finding("other-frames", details, f"expected: {_described(width)}")


def _described(width: int) -> str:
    return f"frames of {counted(width, 'value')}" if width else "a recording"


def check_repeats(dataset: Dataset, places: Iterable[int], headers: Headers) -> list[Finding]:
    """Find utterances whose audio overlaps that of another utterance of the set."""
    same: dict[int, str] = {}
    contradicting: dict[int, str] = {}
    for group in by_content(dataset, places, headers).values():
        for before, place in _overlapping(dataset, group):
            other = dataset.utterances[before]
            if dataset.texts[before] == dataset.texts[place]:
                same[place] = f"{dataset.utterances[place].audio}: as {other.id}, {other.audio}"
            else:
                for one, two in ((before, place), (place, before)):
                    contradicting[one] = (
                        f"{dataset.utterances[one].audio}: {dataset.texts[one][:40]!r}, but "
                        f"{dataset.utterances[two].id} has {dataset.texts[two][:40]!r}"
                    )
    return [
        *dataset.finding("contradicting-texts", contradicting),
        *dataset.finding("duplicate-audio", same),
    ]


def by_content(dataset: Dataset, places: Iterable[int], headers: Headers) -> dict[str, list[int]]:
    """Return the places of utterances by the content of their recording, whatever its name."""
    groups = defaultdict(list)
    for place in places:
        groups[headers[dataset.utterances[place].audio].content].append(place)
    return groups


def overlaps(one: tuple[float, float], two: tuple[float, float]) -> bool:
    """Return whether two pieces (start, duration) share more than half of the shorter one."""
    shared = min(one[0] + one[1], two[0] + two[1]) - max(one[0], two[0])
    return shared > 0.5 * min(one[1], two[1])


def _overlapping(dataset: Dataset, group: list[int]) -> Iterable[tuple[int, int]]:
    """Yield pairs of places, earlier in the manifest and later, that overlap.

    Each piece is compared with the one before it in time that ends last.
    """

    def piece(place: int) -> tuple[float, float]:
        return dataset.utterances[place].start, dataset.utterances[place].duration

    widest, *others = sorted(group, key=piece)
    for place in others:
        if overlaps(piece(widest), piece(place)):
            yield min(widest, place), max(widest, place)
        widest = max(widest, place, key=lambda p: sum(piece(p)))


def _header(path: Path, content: str, frame_shift_ms: float) -> Header:
    """Read the header of a recording; its fault, if it has one, becomes part of the result."""
    if path.suffix == FRAMES:
        return _frames_header(path, content, frame_shift_ms / 1000)
    try:
        with open_sound(path) as sound:
            known = sound.frames < UNKNOWN_FRAMES
            duration = sound.frames / sound.samplerate if known else float("inf")
            rate_hz = sound.samplerate
    except AudioError as error:
        fault = {None: "missing-audio", 0: "empty-audio"}.get(_size(path), "unreadable-audio")
        return Header(fault=fault, complaint=str(error))
    if duration == 0:
        return Header(fault="empty-audio", complaint=f"{path}: no samples")
    return Header(rate_hz, duration=duration, content=content)


def _frames_header(path: Path, content: str, shift_s: float) -> Header:
    """Read a file of frames; what makes it unusable becomes part of the result."""
    try:
        frames = load_frames(path)
    except FramesError as error:
        fault = "missing-audio" if _size(path) is None else "unreadable-frames"
        return Header(fault=fault, complaint=str(error))
    return Header(
        width=frames.shape[1],
        late_s=0.49 * shift_s,  # as asr.sequences rounds times to frames
        duration=len(frames) * shift_s,
        content=content,
    )


def _size(path: Path) -> int | None:
    """Return the size of a file in bytes; None if it is missing, a folder or a pipe."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _contents(paths: Sequence[Path]) -> dict[Path, str]:
    """Name the content of each file: a digest, or the path if no other file has its size."""
    sizes = {path: size for path in paths if (size := _size(path)) is not None}
    counts = Counter(sizes.values())
    alike = [path for path, size in sizes.items() if counts[size] > 1]
    digests = dict(zip(alike, in_threads(_digest, alike, "copies"), strict=True))
    return {path: str(path) for path in sizes} | digests


def _digest(path: Path) -> str:
    return content_sha256(path) or str(
        path
    )  # None for an unreadable file: reading its header tells why

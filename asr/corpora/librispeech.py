"""Read and download LibriSpeech and Mini LibriSpeech.

A subset holds SPEAKER/CHAPTER/SPEAKER-CHAPTER-NNNN.flac and SPEAKER-CHAPTER.trans.txt.

V. Panayotov et al., "Librispeech: an ASR corpus based on public domain audio books", ICASSP 2015.
Any folder of that layout is a subset, with any audio extension. OpenSLR 12 and 31 publish the
archives and their MD5 sums (resources/12/md5sum.txt, resources/31/md5sum.txt).
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from asr._progress import waiting
from asr.corpora.archives import unpack
from asr.corpora.download import download
from asr.corpora.entries import (
    CorpusEntry,
    leave_out,
    read_text,
    recordings_by_name,
    to_utterances,
)
from asr.errors import CorpusError
from asr.manifest import Utterance

URL_BASE = "https://www.openslr.org/resources"
TOP = "LibriSpeech"  # the folder that all the archives unpack to


@dataclass(frozen=True)
class Archive:
    """A published subset: the number of its OpenSLR resource and its checksum."""

    resource: int
    md5: str


ARCHIVES = {
    "dev-clean": Archive(12, "42e2234ba48799c1f50f24a7926300a1"),
    "dev-other": Archive(12, "c8d0bcc9cca99d4f8b62fcc847357931"),
    "test-clean": Archive(12, "32fa31d27d2e1cad72775fee3f4849a9"),
    "test-other": Archive(12, "fb5a50374b501bb3bac4815ee91d3135"),
    "train-clean-100": Archive(12, "2a93770f6d5c6c964bc36631d331a522"),
    "train-clean-360": Archive(12, "c0e676e450a7ff2f54aeade5171606fa"),
    "train-other-500": Archive(12, "d1a0fd59409feb2c614ce4d30c387708"),
    "dev-clean-2": Archive(31, "6d7ab67ac6a1d2c993d050e16d61080d"),
    "train-clean-5": Archive(31, "5df7d4e78065366204ca6845bb08f490"),
}


def read_librispeech(subset: Path, left_out: list[str] | None = None) -> list[Utterance]:
    """Read one subset folder, in the order of the utterance ids.

    Args:
        subset: its folder.
        left_out: receives a complaint on each utterance that cannot be used; None: one refuses
            all.

    Raises:
        CorpusError: no chapters; or, without `left_out`, a transcript without audio, audio without
            a transcript, a malformed or repeated line, or recordings that cannot be read.
    """
    entries: list[CorpusEntry] = []
    problems: list[str] = []
    for transcripts in sorted(subset.glob("*/*/*.trans.txt")):
        _read_chapter(transcripts, entries, problems)
    leave_out(subset, problems, left_out)
    if not (entries or problems):
        raise CorpusError(
            f"{subset}: no SPEAKER/CHAPTER/*.trans.txt in it; a LibriSpeech subset has them"
        )
    return to_utterances(subset, entries, left_out)


def subset_names(root: Path) -> list[str]:
    """Return the names of the subsets in a LibriSpeech folder or its parent, sorted."""
    home = _home(root)
    if not home.is_dir():
        raise CorpusError(f"{root}: no such folder; give the LibriSpeech folder or its parent")
    return sorted(path.name for path in home.iterdir() if any(path.glob("*/*/*.trans.txt")))


def find_subset(root: Path, name: str) -> Path:
    """Return the folder of a subset.

    Raises:
        CorpusError: there is no such subset; the message names the subsets that are there.
    """
    folder = _home(root) / name
    if folder.is_dir():
        return folder
    found = ", ".join(subset_names(root)) or "none"
    remedy = "; --download fetches it" if name in ARCHIVES else ""
    raise CorpusError(f"{root}: no subset {name!r} in it; found: {found}{remedy}")


def fetch_subset(root: Path, name: str, url_base: str = URL_BASE) -> None:
    """Download and unpack a published subset into the LibriSpeech folder, if it is not there.

    The archive is deleted once unpacked; after a cut the next call goes on where this one ended.

    Raises:
        CorpusError: OpenSLR publishes no subset of that name, or the archive holds another.
        DownloadError: see asr.corpora.download and asr.corpora.archives.
    """
    home = _home(root)
    if (home / name).is_dir():
        return
    if name not in ARCHIVES:
        raise CorpusError(
            f"{root}: no subset {name!r} in it, nor on OpenSLR; published: {', '.join(ARCHIVES)}"
        )
    archive = ARCHIVES[name]
    file = home / f"{name}.tar.gz"
    download(f"{url_base.rstrip('/')}/{archive.resource}/{file.name}", file, md5=archive.md5)
    with tempfile.TemporaryDirectory(prefix=f".{name}.", dir=home) as scratch:
        content = Path(scratch) / "content"
        with waiting(f"unpacking {file.name}"):
            unpack(file, content)
        if not (content / TOP / name).is_dir():
            raise CorpusError(f"{file}: no folder {TOP}/{name} in it; delete it, try again")
        for path in (content / TOP).iterdir():  # the subset, and the corpus' README and licence
            if not (home / path.name).exists():
                path.rename(home / path.name)
    file.unlink()


def _home(root: Path) -> Path:
    """Return the folder of the subsets: the root, or LibriSpeech in it."""
    return root / TOP if (root / TOP).is_dir() else root


def _read_chapter(transcripts: Path, entries: list[CorpusEntry], problems: list[str]) -> None:
    chapter = transcripts.parent
    recordings = recordings_by_name(chapter)
    unread = dict(recordings)
    for number, line in enumerate(read_text(transcripts).splitlines(), start=1):
        name, _, text = line.strip().partition(" ")
        if not text.strip():
            problems.append(f"{transcripts}, line {number}: {line!r} is not 'ID TEXT'")
        elif name not in recordings:
            problems.append(f"{name}: a transcript without audio in {chapter}")
        elif unread.pop(name, None) is None:
            problems.append(f"{transcripts}, line {number}: {name} has a transcript already")
        else:
            speaker = chapter.parent.name
            entry = CorpusEntry(id=name, audio=recordings[name], text=text, speaker=speaker)
            entries.append(entry)
    problems += [f"{path}: audio without a transcript" for path in sorted(unread.values())]

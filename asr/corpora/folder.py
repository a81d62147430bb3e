"""Read a folder of recordings, each with what was said in a file of the same name beside it.

`.txt` and `.lab` hold the text of the recording, or labels that Audacity exported; `.TextGrid`
holds intervals with texts. Recordings in folders of their own are of speakers named as the folders,
as aligners want it.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from asr.corpora.entries import (
    RECORDINGS,
    CorpusEntry,
    leave_out,
    one_line,
    read_text,
    to_utterances,
)
from asr.corpora.labels import Label, parse_audacity, read_textgrid
from asr.errors import CorpusError
from asr.manifest import Utterance

TEXT_SUFFIXES = (".textgrid", ".txt", ".lab")  # the first that is there counts


def read_folder(folder: Path, left_out: list[str] | None = None) -> list[Utterance]:
    """Read all recordings below a folder that have a text; ids are their paths in the folder.

    Args:
        folder: the corpus.
        left_out: receives a complaint on each recording that cannot be used; None: one refuses
            all.

    Raises:
        CorpusError: there is no such folder, or nothing in it can be used; or, without
            `left_out`, a recording or its text cannot be used.
    """
    if not folder.is_dir():
        raise CorpusError(f"{folder}: no such folder; give the folder of the recordings")
    entries: list[CorpusEntry] = []
    problems: list[str] = []
    for audio, files in _recordings(folder):
        try:
            entries += _entries(folder, audio, files)
        except CorpusError as error:
            problems.append(str(error))
    leave_out(folder, problems, left_out)
    return to_utterances(folder, entries, left_out)


def read_labelled(labels: Path, audio: Path, left_out: list[str] | None = None) -> list[Utterance]:
    """Read the labels of one recording: of Audacity, or a TextGrid.

    Raises:
        CorpusError: the file holds no labels; or as `read_folder` does.
    """
    found = _labels(labels)
    if found is None:
        raise CorpusError(
            f"{labels}: not labels of Audacity (START, END and TEXT between tabs); export them by "
            "File > Export Other > Export Labels"
        )
    return to_utterances(labels, list(_named(audio, audio.stem, None, found)), left_out)


def _recordings(folder: Path) -> Iterator[tuple[Path, dict[str, Path]]]:
    """Yield the recordings below a folder, sorted, with all files of the same name by suffix.

    Of copies, the lossless one is the recording.
    """
    named: dict[Path, dict[str, Path]] = {}
    for path in folder.rglob("*"):
        if not any(part.startswith(".") for part in path.relative_to(folder).parts):
            named.setdefault(path.with_suffix(""), {})[path.suffix.lower()] = path
    for _, files in sorted(named.items(), key=lambda item: str(item[0])):
        if audio := next((files[suffix] for suffix in RECORDINGS if suffix in files), None):
            yield audio, files


def _entries(folder: Path, audio: Path, files: dict[str, Path]) -> list[CorpusEntry]:
    """Return the utterances of a recording, of whose name there are these files by suffix.

    Raises:
        CorpusError: it has no text.
    """
    texts = [files[suffix] for suffix in TEXT_SUFFIXES if suffix in files]
    if not texts:
        raise CorpusError(f"{audio}: no text beside it; write {audio.stem}.txt")
    inside = audio.relative_to(folder)
    name = "-".join(inside.with_suffix("").parts).replace(" ", "_")
    speaker = inside.parts[0].replace(" ", "_") if len(inside.parts) > 1 else None
    labels = _labels(texts[0])
    if labels is not None:
        return list(_named(audio, name, speaker, labels))
    text = one_line(read_text(texts[0]))
    if not text:
        raise CorpusError(f"{texts[0]}: the text is empty")
    return [CorpusEntry(id=name, audio=audio, text=text, speaker=speaker)]


def _labels(path: Path) -> list[Label] | None:
    """Return the labels in a file; None if it is a text."""
    if path.suffix.lower() == ".textgrid":
        return read_textgrid(path)
    labels = parse_audacity(read_text(path))
    if labels == []:
        raise CorpusError(f"{path}: no label has a text")
    return labels


def _named(
    audio: Path, name: str, speaker: str | None, labels: list[Label]
) -> Iterator[CorpusEntry]:
    """Yield the entries of a recording's labels, numbered if there are several."""
    for number, label in enumerate(labels, 1):
        entry = CorpusEntry(
            id=name,
            audio=audio,
            start=label.start,
            duration=label.end - label.start,
            text=label.text,
            speaker=speaker,
        )
        yield replace(entry, id=f"{name}-{number:04d}") if len(labels) > 1 else entry

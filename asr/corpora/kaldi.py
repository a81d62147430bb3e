"""Read and write Kaldi data folders: wav.scp and text, and utt2spk and segments if present.

https://kaldi-asr.org/doc/data_prep.html. Entries of wav.scp that are commands are refused.
"""

from collections.abc import Iterable
from pathlib import Path

from asr.corpora.entries import CorpusEntry, one_line, read_text, refuse, to_utterances, write_text
from asr.errors import CorpusError
from asr.manifest import Utterance


def read_kaldi(folder: Path) -> list[Utterance]:
    """Read a Kaldi data folder, in the order of its `text`.

    Relative paths of wav.scp are looked up from the folder, then, as Kaldi does, from the
    current directory.

    Raises:
        CorpusError: a file is missing or malformed, wav.scp holds commands, the files do not
            list the same utterances, or recordings cannot be read.
    """
    recordings = _recordings(folder)
    texts = _read_table(folder / "text")
    segments = _segments(folder, recordings)
    speakers = _read_table(folder / "utt2spk") if (folder / "utt2spk").exists() else None
    problems = [f"{name} has a text, but no audio" for name in texts if name not in segments]
    problems += [f"{name} has audio, but no text" for name in segments if name not in texts]
    problems += [f"{name} has an empty text" for name, text in texts.items() if not text]
    if speakers is not None:
        problems += [f"{name} is not in utt2spk" for name in texts if not speakers.get(name)]
    refuse(folder, problems)
    return to_utterances(
        folder,
        [
            CorpusEntry(
                id=name,
                audio=recordings[segments[name][0]],
                start=segments[name][1],
                duration=segments[name][2],
                text=text,
                speaker=speakers[name] if speakers else None,
            )
            for name, text in texts.items()
        ],
    )


def write_kaldi(folder: Path, utterances: Iterable[Utterance]) -> None:
    """Write wav.scp, segments, text and utt2spk, sorted as Kaldi wants them.

    Raises:
        CorpusError: an id or speaker with white space, or a path with a line break, which the
            format cannot hold; or a file cannot be written.
    """
    listed = sorted(utterances, key=lambda utterance: utterance.id.encode())
    tables: dict[str, list[str]] = {"wav.scp": [], "segments": [], "text": [], "utt2spk": []}
    names: dict[Path, str] = {}  # a recording is named after its first utterance
    for utterance in listed:
        speaker = utterance.speaker or utterance.id  # Kaldi's convention for an unknown speaker
        audio = utterance.audio.resolve()
        if len(f"{utterance.id}\0{speaker}".split()) > 1 or "\n" in str(audio):
            raise CorpusError(f"{folder}: {utterance.id!r} of {speaker!r}: white space in a name")
        if audio not in names:
            names[audio] = utterance.id
            tables["wav.scp"].append(f"{utterance.id} {audio}")
        end = utterance.start + utterance.duration
        span = f"{utterance.start:.6f} {end:.6f}"
        tables["segments"].append(f"{utterance.id} {names[audio]} {span}")
        tables["text"].append(f"{utterance.id} {one_line(utterance.text)}")
        tables["utt2spk"].append(f"{utterance.id} {speaker}")
    for name, lines in tables.items():
        write_text(folder / name, "".join(f"{line}\n" for line in lines))


def _read_table(path: Path) -> dict[str, str]:
    """Read lines of `KEY VALUE`: the value is the rest of the line, stripped."""
    table: dict[str, str] = {}
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        key, *rest = line.split(maxsplit=1) or [""]
        if key in table:
            raise CorpusError(f"{path}, line {number}: {key!r} is there twice")
        if key:
            table[key] = rest[0].strip() if rest else ""
    return table


def _recordings(folder: Path) -> dict[str, Path]:
    table = _read_table(folder / "wav.scp")
    problems = [
        f"wav.scp: {name}: {value!r} is a command, which is never run; write its output to files"
        for name, value in table.items()
        if value.startswith("|") or value.endswith("|")
    ]
    problems += [f"wav.scp: {name} has no path" for name, value in table.items() if not value]
    refuse(folder, problems)
    paths = {name: (folder / value, Path(value)) for name, value in table.items()}
    return {name: a if a.exists() else b for name, (a, b) in paths.items()}


def _segments(
    folder: Path, recordings: dict[str, Path]
) -> dict[str, tuple[str, float, float | None]]:
    """Map utterances to recording, start and duration in seconds (None: to the end)."""
    if not (folder / "segments").exists():
        return {name: (name, 0.0, None) for name in recordings}
    segments, problems = {}, []
    for name, value in _read_table(folder / "segments").items():
        try:
            recording, start, end = value.split()
            duration = float(end) - float(start) if float(end) >= 0 else None  # -1: to the end
            segments[name] = (recording, float(start), duration)
        except ValueError:
            problems.append(f"segments: {name} {value!r} is not 'UTTERANCE RECORDING START END'")
            continue
        if recording not in recordings:
            problems.append(f"segments: {name}: recording {recording!r} is not in wav.scp")
    refuse(folder, problems)
    return segments

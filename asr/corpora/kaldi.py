"""Read and write Kaldi data folders: wav.scp and text, and utt2spk and segments if present.

https://kaldi-asr.org/doc/data_prep.html. No command in wav.scp is run. The file of one that only
decodes a file, as `flac -c -d -s a.flac |` does, is read; all others are refused.
"""

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from asr.corpora.entries import (
    CorpusEntry,
    Recordings,
    leave_out,
    one_line,
    read_text,
    refuse,
    to_utterances,
    write_text,
)
from asr.errors import CorpusError
from asr.manifest import Utterance

_FLAC = "flac -c -d -s"


def read_kaldi(folder: Path, left_out: list[str] | None = None) -> list[Utterance]:
    """Read a Kaldi data folder, in the order of its `text`.

    Relative paths of wav.scp are looked up from the folder, then, as Kaldi does, from the
    current directory.

    Args:
        folder: the data folder.
        left_out: receives a complaint on each utterance that cannot be used; None: one refuses
            all.

    Raises:
        CorpusError: a file is missing or malformed; or, without `left_out`, wav.scp holds
            commands, the files do not list the same utterances, or recordings cannot be read.
    """
    recordings, faulty = _recordings(folder)
    if left_out is None:
        refuse(folder, list(faulty.values()))
    texts = _read_table(folder / "text")
    segments, broken = _segments(folder, recordings, faulty)
    leave_out(folder, list(broken.values()), left_out)
    speakers = _read_table(folder / "utt2spk") if (folder / "utt2spk").exists() else None
    problems = {name: f"{name} has an empty text" for name, text in texts.items() if not text}
    for name in texts:
        if speakers is not None and not speakers.get(name):
            problems.setdefault(name, f"{name} is not in utt2spk")
        if name not in segments and name not in broken:
            problems.setdefault(name, f"{name} has a text, but no audio")
    problems |= {name: f"{name} has audio, but no text" for name in segments if name not in texts}
    unnamed = {name: why for name, why in problems.items() if name not in broken}
    leave_out(folder, list(unnamed.values()), left_out)
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
            if text and name in segments and (speakers is None or speakers.get(name))
        ],
        left_out,
    )


def write_kaldi(folder: Path, utterances: Iterable[Utterance]) -> None:
    """Write wav.scp, segments, text, utt2spk and spk2utt as Kaldi's validate_data_dir.sh wants.

    All are sorted bytewise, by utterance and by speaker at once. Where the ids do not sort as the
    speakers do, the speakers become prefixes of the ids. Recordings other than WAV, which alone
    Kaldi reads, become commands that decode them.

    Raises:
        CorpusError: an id or speaker with white space, a path with a line break or a pipe, or an
            empty text, which the format cannot hold; no names that sort; or a file cannot be
            written.
    """
    listed = _sorted_alike(folder, list(utterances))
    tables: dict[str, list[str]] = {"wav.scp": [], "segments": [], "text": [], "utt2spk": []}
    names: dict[Path, str] = {}  # a recording is named after its first utterance
    of_speaker: dict[str, list[str]] = {}
    for name, speaker, utterance in listed:
        audio = utterance.audio.parent.resolve() / utterance.audio.name
        text = one_line(utterance.text)
        _check_holds(folder, name, speaker, audio, text)
        if audio not in names:
            names[audio] = name
            tables["wav.scp"].append(f"{name} {_extended_filename(audio)}")
        end = utterance.start + utterance.duration
        span = f"{utterance.start:.6f} {end:.6f}"
        tables["segments"].append(f"{name} {names[audio]} {span}")
        tables["text"].append(f"{name} {text}")
        tables["utt2spk"].append(f"{name} {speaker}")
        of_speaker.setdefault(speaker, []).append(name)
    tables["spk2utt"] = [f"{speaker} {' '.join(own)}" for speaker, own in of_speaker.items()]
    for file, lines in tables.items():
        write_text(folder / file, "".join(f"{line}\n" for line in lines))


def _sorted_alike(
    folder: Path, utterances: Sequence[Utterance]
) -> list[tuple[str, str, Utterance]]:
    """Return utterances with names and speakers; by both they are in the same order, bytewise.

    An utterance without a speaker is its own speaker, as Kaldi's convention has it.
    """
    for mark in ("", "-", "!"):  # ! sorts before all that a speaker's name can go on with
        named = [
            (f"{item.speaker}{mark}{item.id}" if mark and item.speaker else item.id, item)
            for item in utterances
        ]
        listed = [(name, item.speaker or name, item) for name, item in named]
        listed.sort(key=lambda row: row[0].encode())
        speakers = [speaker.encode() for _, speaker, _ in listed]
        if speakers == sorted(speakers) and len({name for name, *_ in listed}) == len(listed):
            return listed
    raise CorpusError(
        f"{folder}: the ids and the speakers cannot be sorted alike, as Kaldi wants; give speakers "
        "names of letters and digits"
    )


def _check_holds(folder: Path, name: str, speaker: str, audio: Path, text: str) -> None:
    """Refuse what the format cannot hold."""
    if len(f"{name}\0{speaker}".split()) > 1 or "\n" in str(audio):
        raise CorpusError(f"{folder}: {name!r} of {speaker!r}: white space in a name")
    if "|" in str(audio) or str(audio) != str(audio).strip():
        raise CorpusError(f"{folder}: {audio}: Kaldi takes such a path for a command; rename it")
    if not text:
        raise CorpusError(
            f"{folder}: {name!r} has an empty text, which Kaldi refuses; leave it out"
        )


def _extended_filename(audio: Path) -> str:
    """Return what wav.scp has for a recording: its path, or a command that writes it as WAV."""
    if audio.suffix.lower() in (".wav", ".wave"):
        return str(audio)
    decode = f"{_FLAC} {{}} |" if audio.suffix.lower() == ".flac" else "sox {} -t wav - |"
    return decode.format(shlex.quote(str(audio)))


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


def _recordings(folder: Path) -> tuple[dict[str, Path], dict[str, str]]:
    """Return the recordings of wav.scp by name, and complaints on those that cannot be used."""
    table = {name: _decoded_path(value) for name, value in _read_table(folder / "wav.scp").items()}
    problems = {
        name: f"wav.scp: {name}: {value!r} is a command, which is never run; write its output to "
        "files"
        for name, value in table.items()
        if value.startswith("|") or value.endswith("|")
    }
    problems |= {name: f"wav.scp: {name} has no path" for name, value in table.items() if not value}
    finder = Recordings(folder)
    found = {}
    for name, value in table.items():
        if name not in problems:
            try:
                found[name] = finder.find(value)
            except ValueError:
                found[name] = Path(value)  # from the current directory, or reading it complains
    return found, problems


def _decoded_path(value: str) -> str:
    """Return the file of a command that only decodes a file, as recipes write; other values as is.

    No command is run: the file is read as it is.
    """
    try:
        words = shlex.split(value.removesuffix("|")) if value.endswith("|") else []
    except ValueError:
        return value
    flags = {word for word in words[1:] if word.startswith("-")}
    paths = [word for word in words[1:] if not word.startswith("-")]
    if words[:1] == ["flac"] and {"-c", "-d"} <= flags <= {"-c", "-d", "-s"} and len(paths) == 1:
        return paths[0]
    if words[:1] == ["sox"] and words[2:] == ["-t", "wav", "-"]:
        return words[1]
    return value


def _segments(
    folder: Path, recordings: dict[str, Path], faulty: dict[str, str]
) -> tuple[dict[str, tuple[str, float, float | None]], dict[str, str]]:
    """Map utterances to recording, start and duration in seconds (None: to the end).

    Also return the complaints, by utterance, on those that cannot be used: `faulty` has the ones
    on recordings.
    """
    if not (folder / "segments").exists():
        return {name: (name, 0.0, None) for name in recordings}, faulty
    segments, problems = {}, {}
    for name, value in _read_table(folder / "segments").items():
        try:
            recording, start, end = value.split()
            duration = float(end) - float(start) if float(end) >= 0 else None  # -1: to the end
            segment = (recording, float(start), duration)
        except ValueError:
            problems[name] = f"segments: {name} {value!r} is not 'UTTERANCE RECORDING START END'"
            continue
        if recording in recordings:
            segments[name] = segment
        else:
            missing = f"recording {recording!r} is not in wav.scp"
            problems[name] = f"segments: {name}: {faulty.get(recording, missing)}"
    return segments, problems

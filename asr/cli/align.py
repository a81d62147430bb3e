"""asr-align: when each word of a known text is spoken."""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from asr._atomic import write_atomically
from asr._folders import find_model
from asr._progress import progress, say
from asr.cli.run import complain, run
from asr.errors import AudioError, ConfigError, ManifestError, TextError
from asr.formats import Transcript, ctm, textgrid
from asr.manifest import Utterance, read_manifest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from asr.audio import Waveform
    from asr.inference import Acoustics

FORMATS = ("ctm", "textgrid")


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(
        "asr-align",
        description="Align the texts of a manifest with its recordings. OUT/alignment.ctm has a "
        "line for each word, with times from the start of the recording; OUT/<utterance>.TextGrid, "
        "with times from the start of the utterance, is for Praat.",
    )
    parser.add_argument("model", type=Path, help="bundle or experiment folder")
    parser.add_argument("manifest", type=Path, help="JSONL manifest of asr-prepare")
    parser.add_argument("--out", type=Path, required=True, help="folder for the files")
    parser.add_argument("--format", choices=FORMATS, help="write only this; default: both")
    arguments = parser.parse_args(argv)
    return run("asr-align", lambda: align(arguments))


def align(arguments: argparse.Namespace) -> int:
    """Align all utterances; return 1 if any failed, after the others are done."""
    utterances = read_manifest(arguments.manifest)
    formats = (arguments.format,) if arguments.format else FORMATS
    if "ctm" in formats:
        _check_names(utterances)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

    from asr.inference import open_acoustics

    acoustics = open_acoustics(find_model(arguments.model))
    lines = []
    failed = 0
    for utterance in progress(utterances, "aligning"):
        try:
            aligned = align_utterance(acoustics, utterance)
            if "textgrid" in formats:
                _write(_textgrid_path(arguments.out, utterance), textgrid(aligned))
        except (AudioError, ManifestError, TextError) as error:
            complain("asr-align", f"{utterance.id}: {error}")
            failed += 1
            continue
        words = tuple(
            replace(word, start=utterance.start + word.start, end=utterance.start + word.end)
            for word in aligned.words
        )
        lines += ctm(replace(aligned, words=words)).splitlines()
    if "ctm" in formats:
        _write(arguments.out / "alignment.ctm", "".join(f"{line}\n" for line in lines))
    say(f"{len(utterances) - failed} of {len(utterances)} utterances aligned")
    return 1 if failed else 0


def align_utterance(acoustics: "Acoustics", utterance: Utterance) -> Transcript:
    """Return the normalised text, and its words with times from the start of the utterance.

    Raises:
        AudioError: the recording cannot be read.
        TextError: the recording is too short for the text, or the model cannot write it.
    """
    from asr.audio import read_utterance
    from asr.decode import align_words
    from asr.text import Normalizer

    rate_hz = acoustics.sample_rate_hz
    text = Normalizer(**vars(acoustics.text))(utterance.text)
    tokens = acoustics.vocabulary.encode(text)
    waveform = read_utterance(utterance, rate_hz).waveform
    log_probs = _log_probs(acoustics, waveform)
    frame_s = acoustics.frame_shift_ms / 1000
    words = align_words(log_probs, tokens, acoustics.vocabulary, frame_s)
    duration = len(waveform) / rate_hz
    # The last frame may reach beyond the recording.
    in_time = (replace(word, end=min(word.end, duration)) for word in words)
    return Transcript(str(utterance.audio), text, duration, tuple(in_time))


def _log_probs(acoustics: "Acoustics", waveform: "Waveform") -> "NDArray[np.float32]":
    """Return the log-probabilities (T, V) of a waveform (L,) of any length."""
    import numpy as np

    from asr.segmentation import windows

    parts = (
        window.part(acoustics.log_probs(window.waveform))
        for window in windows(acoustics, [waveform])
    )
    return np.concatenate(list(parts))


def _textgrid_path(folder: Path, utterance: Utterance) -> Path:
    name = f"{utterance.id}.TextGrid"
    if Path(name).name != name:
        raise ManifestError(f"the id {utterance.id!r} is no file name; take / and \\ out of it")
    return folder / name


def _write(path: Path, content: str) -> None:
    try:
        write_atomically(path, content)
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be written ({error.strerror}); give another --out"
        ) from error


def _check_names(utterances: Sequence[Utterance]) -> None:
    """Refuse two recordings of one name: a .ctm could not tell their words apart."""
    named: dict[str, Path] = {}
    for audio in dict.fromkeys(utterance.audio for utterance in utterances):
        name = Transcript(str(audio), "", 0.0).utterance
        other = named.setdefault(name.lower(), audio)
        if other != audio:
            raise ManifestError(
                f"{other} and {audio} are both {name} in a .ctm; align them with a manifest each, "
                "or with --format textgrid"
            )


if __name__ == "__main__":
    sys.exit(main())

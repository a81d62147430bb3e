"""asr-align: when each word of a known text is spoken."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from asr._atomic import write_atomically
from asr._lock import locked_folder
from asr._progress import counted, say, seconds_bar
from asr.batch import distinct, recording_ids, with_digests
from asr.cli.run import CommandParser, complain, given_model, run
from asr.errors import AudioError, ConfigError, ManifestError, TextError
from asr.formats import FORMATS, Transcript, ctm, written_words
from asr.manifest import Utterance, read_manifest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from asr.audio import Waveform
    from asr.inference import Acoustics

USUAL = ("ctm", "textgrid")
SUBTITLES = ("srt", "vtt")
DOUBTFUL = 0.35  # mean confidence; clear speech has 0.45 or more, with another text 0.2 to 0.4
MUCH_S = (
    1.0  # of speech without text; of 88 utterances of LibriSpeech with their texts, none has it
)
STRETCHES_SHOWN = 3  # the longest ones


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = CommandParser(
        "asr-align",
        description="Align the texts of a manifest with its recordings. OUT/alignment.ctm has a "
        "line for each word, with times from the start of the recording; OUT/<utterance>.TextGrid, "
        "with times from the start of the utterance, is for Praat. Subtitles, OUT/<utterance>.srt "
        "or .vtt, show the text as it is written. Speech without text is left out, with a "
        "warning.",
    )
    parser.add_argument("model", type=Path, help="bundle or experiment, a folder or a name")
    parser.add_argument("manifest", type=Path, help="JSONL manifest of asr-prepare")
    parser.add_argument("--out", type=Path, required=True, help="folder for the files")
    parser.add_argument(
        "--format",
        choices=(*USUAL, *SUBTITLES),
        help="write only this; default: ctm and textgrid",
    )
    return run("asr-align", lambda: align(parser.parse_args(argv)))


def align(arguments: argparse.Namespace) -> int:
    """Align all utterances; return 1 if any failed, after the others are done."""
    arguments.model = given_model("MODEL", arguments.model)
    utterances = read_manifest(arguments.manifest)
    formats = (arguments.format,) if arguments.format else USUAL
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with locked_folder(arguments.out, "--out"):
        return _align(arguments, utterances, formats)


def _align(
    arguments: argparse.Namespace, utterances: Sequence[Utterance], formats: Sequence[str]
) -> int:
    from asr.inference import open_acoustics

    recordings = list(dict.fromkeys(utterance.audio for utterance in utterances))
    id_of = dict(zip(recordings, recording_ids(recordings), strict=True))
    own = [FORMATS[name] for name in formats if name != "ctm"]  # a file for each utterance
    name_of = _file_names(utterances)
    acoustics = open_acoustics(arguments.model)
    lines = []
    failed = 0
    with seconds_bar("aligning", sum(utterance.duration for utterance in utterances)) as done:
        for utterance in utterances:
            try:
                aligned = align_utterance(acoustics, utterance, done)
                for form in own:
                    _write(arguments.out / name_of(utterance, form.suffix), form.write(aligned))
            except (AudioError, ManifestError, TextError) as error:
                complain("asr-align", f"{utterance.id}: {error}")
                failed += 1
                continue
            for warning in aligned.warnings:
                say(f"asr-align: {utterance.id}: {warning}")
            words = tuple(
                replace(word, start=utterance.start + word.start, end=utterance.start + word.end)
                for word in aligned.words
            )
            lines += ctm(replace(aligned, words=words, id=id_of[utterance.audio])).splitlines()
    if "ctm" in formats:
        _write(arguments.out / "alignment.ctm", "".join(f"{line}\n" for line in lines))
    say(f"{len(utterances) - failed} of {counted(len(utterances), 'utterance')} aligned")
    return 1 if failed else 0


def align_utterance(
    acoustics: "Acoustics", utterance: Utterance, done: Callable[[float], None] = lambda _: None
) -> Transcript:
    """Return the normalised text, and its words with times from the start of the utterance.

    Its words as they are written have times, too, where they add up to the normalised text. A
    warning says where much speech has no text. `done` is called with the seconds that the network
    has heard, window by window.

    Raises:
        AudioError: the recording cannot be read.
        TextError: the recording is too short for the text, or the model cannot write it.
    """
    from asr.audio import read_utterance
    from asr.decode import align_words, unwritten_speech
    from asr.text import Normalizer

    rate_hz = acoustics.sample_rate_hz
    normalise = Normalizer(**vars(acoustics.text))
    text = normalise(utterance.text)
    tokens = acoustics.vocabulary.encode(text)
    waveform = read_utterance(utterance, rate_hz).waveform
    log_probs = _log_probs(acoustics, waveform, done)
    frame_s = acoustics.frame_shift_ms / 1000
    words = align_words(log_probs, tokens, acoustics.vocabulary, frame_s)
    duration = len(waveform) / rate_hz
    # The last frame may reach beyond the recording.
    in_time = (replace(word, end=min(word.end, duration)) for word in words)
    warnings = _warnings(unwritten_speech(log_probs, words, frame_s))
    warnings += _doubt([word.confidence for word in words])
    aligned = Transcript(str(utterance.audio), text, duration, tuple(in_time), warnings)
    written = written_words(utterance.text, normalise)
    return replace(aligned, written=written, spoken_text=text) if written else aligned


def _doubt(confidences: Sequence[float]) -> tuple[str, ...]:
    """Return a warning if the words of a text are hardly heard where they were placed."""
    confidence = sum(confidences) / max(1, len(confidences))
    if not confidences or confidence >= DOUBTFUL:
        return ()
    return (
        f"the text hardly fits the sound (confidence {confidence:.2f}, usually 0.5 or more); is it "
        "the text of this recording?",
    )


def _warnings(stretches: Sequence[tuple[float, float]]) -> tuple[str, ...]:
    """Return a warning if speech in these stretches, (start, end) in seconds, lacks much text."""
    seconds = sum(end - start for start, end in stretches)
    if seconds < MUCH_S:
        return ()
    longest = sorted(sorted(stretches, key=lambda s: s[0] - s[1])[:STRETCHES_SHOWN])
    places = ", ".join(f"{start:.1f}-{end:.1f}" for start, end in longest)
    more = " and elsewhere" if len(stretches) > STRETCHES_SHOWN else ""
    return (f"{seconds:.1f} s of speech have no text, at {places} s{more}; is the text complete?",)


def _log_probs(
    acoustics: "Acoustics", waveform: "Waveform", done: Callable[[float], None]
) -> "NDArray[np.float32]":
    """Return the log-probabilities (T, V) of a waveform (L,) of any length."""
    import numpy as np

    from asr.segmentation import windows

    parts = []
    for window in windows(acoustics, [waveform]):
        parts.append(window.part(acoustics.log_probs(window.waveform)))
        done(len(parts[-1]) * acoustics.frame_shift_ms / 1000)
    return np.concatenate(parts)


def _file_names(utterances: Sequence[Utterance]) -> Callable[[Utterance, str], str]:
    """Return a function that names the file of an utterance; it raises ManifestError.

    Names of two utterances differ in more than case, because some disks ignore it.
    """
    ids = [utterance.id for utterance in utterances]
    names = dict(zip(ids, distinct([with_digests(name) for name in ids]), strict=True))

    def name_of(utterance: Utterance, suffix: str) -> str:
        name = f"{names[utterance.id]}{suffix}"
        if Path(name).name != name:
            raise ManifestError(f"the id {utterance.id!r} is no file name; take / and \\ out of it")
        return name

    return name_of


def _write(path: Path, content: str) -> None:
    try:
        write_atomically(path, content)
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be written ({error.strerror}); give another --out"
        ) from error


if __name__ == "__main__":
    sys.exit(main())

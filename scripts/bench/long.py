"""What recognition in windows, and live, costs against one pass over the whole recording.

python scripts/bench/long.py MANIFEST            # windows: a talk of 3 minutes from each speaker
python scripts/bench/long.py MANIFEST --live 20  # live: as many utterances in one stream

Talks are made by joining utterances of one speaker, in the order of the manifest.
"""

import argparse
import io
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from contest import table

from asr._progress import say
from asr.audio import Waveform, read_utterance
from asr.cli.run import run
from asr.decode import align_words
from asr.inference import Acoustics
from asr.manifest import Utterance, read_manifest
from asr.options import ENGLISH
from asr.recognize import Recognizer, load_model
from asr.scoring import ErrorCounts, score
from asr.segmentation import CONTEXT_S, WINDOW_S, windows
from asr.streaming import run_live

WAYS = ((30.0, 0.0), (30.0, 2.0), (15.0, 5.0), (WINDOW_S, CONTEXT_S), (60.0, 5.0))  # seconds
Talk = list[Waveform]  # an utterance each


def main() -> int:
    """Run the comparison; return the exit status."""
    parser = argparse.ArgumentParser("long.py", description=__doc__.splitlines()[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--model", type=Path, default=ENGLISH)
    parser.add_argument("--greedy", action="store_true", help="without the model's lm.bin")
    parser.add_argument("--speakers", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=180.0, help="of each talk, at least")
    parser.add_argument("--live", type=int, metavar="N", help="the first N utterances, as a stream")
    arguments = parser.parse_args()
    return run("long.py", lambda: compare(arguments))


def compare(arguments: argparse.Namespace) -> int:
    """Print a table."""
    recognizer = load_model(arguments.model)
    if arguments.greedy:
        recognizer = Recognizer(recognizer.acoustics)
    utterances = read_manifest(arguments.manifest)
    if arguments.live:
        live(recognizer, utterances[: arguments.live])
    else:
        chosen = talks(utterances, arguments.seconds)[: arguments.speakers]
        print("\n".join(table(windowed(recognizer, chosen))))
    return 0


def talks(utterances: Sequence[Utterance], seconds: float) -> list[list[Utterance]]:
    """The first utterances of each speaker, until they last so long."""
    chosen: dict[str | None, list[Utterance]] = {}
    for utterance in utterances:
        talk = chosen.setdefault(utterance.speaker, [])
        if sum(u.duration or 0.0 for u in talk) < seconds:
            talk.append(utterance)
    return list(chosen.values())


def windowed(recognizer: Recognizer, chosen: list[list[Utterance]]) -> list[list[str]]:
    """A row for each way to recognise the talks: errors, and words that differ from one pass's."""
    references = [" ".join(u.text for u in talk) for talk in chosen]
    sounds = [[waveform_of(u, recognizer.acoustics) for u in talk] for talk in chosen]
    found = {"one pass": [whole(recognizer, talk) for talk in sounds]}
    say("one pass is done")
    found["by utterance"] = [" ".join(whole(recognizer, [u]) for u in talk) for talk in sounds]
    for way in WAYS:
        found["window {:g} s, context {:g} s".format(*way)] = [
            decoded(recognizer, in_windows(recognizer.acoustics, talk, *way)) for talk in sounds
        ]
        say(f"{way} is done")
    found["as asr-transcribe does"] = [in_segments(recognizer, talk) for talk in sounds]
    rows = [["way", "WER %", "errors", "words", "differ from one pass %"]]
    for name, texts in found.items():
        errors = score(references, texts).word
        differ = score(found["one pass"], texts).word
        rows.append([name, *_figures(errors), f"{100 * differ.rate:.2f}"])
    return rows


def waveform_of(utterance: Utterance, acoustics: Acoustics) -> Waveform:
    """Its samples at the model's rate."""
    return read_utterance(utterance, acoustics.sample_rate_hz).waveform


def whole(recognizer: Recognizer, talk: Talk) -> str:
    """The text of one pass over all."""
    return decoded(recognizer, [recognizer.acoustics.log_probs(np.concatenate(talk))])


def in_windows(
    acoustics: Acoustics, talk: Talk, window_s: float, context_s: float
) -> Iterator[np.ndarray]:
    """Parts of log-probabilities."""
    for window in windows(acoustics, talk, window_s=window_s, context_s=context_s):
        yield window.part(acoustics.log_probs(window.waveform))


def in_segments(recognizer: Recognizer, talk: Talk) -> str:
    """The text of what is speech, in windows, decoded from pause to pause."""
    return " ".join(recognizer.decoder.decode(s)[0].text for s in recognizer.log_probs(talk))


def decoded(recognizer: Recognizer, parts: Iterator[np.ndarray] | list[np.ndarray]) -> str:
    """The text of log-probabilities, joined."""
    return recognizer.decoder.decode(np.concatenate(list(parts)))[0].text


class Microphone(io.BytesIO):
    """A stream that knows how much of it was heard, and when."""

    heard_s = 0.0
    cpu_s = 0.0
    rate_hz = 16_000

    def read(self, size: int | None = -1, /) -> bytes:
        """As a recorder's pipe gives it: so many bytes, as soon as they have been said."""
        content = super().read(size)
        self.heard_s += len(content) / 2 / self.rate_hz
        self.cpu_s = time.process_time()
        return content


def live(recognizer: Recognizer, utterances: Sequence[Utterance]) -> None:
    """Print the errors and the latency of a stream."""
    acoustics, reference = recognizer.acoustics, " ".join(u.text for u in utterances)
    stream = np.concatenate([waveform_of(u, acoustics) for u in utterances])
    microphone = Microphone((stream * 32767).astype("<i2").tobytes())
    microphone.rate_hz = acoustics.sample_rate_hz
    written: list[str] = []
    appeared: list[tuple[float, float]] = []  # seconds of sound heard, and of computing since

    def write(text: str) -> None:
        if text.strip():
            written.append(text.strip())
            appeared.append((microphone.heard_s, time.process_time() - microphone.cpu_s))

    began = time.process_time()
    run_live(recognizer, microphone, write, acoustics.sample_rate_hz)
    spent = time.process_time() - began
    one_pass = whole(recognizer, [stream])
    rows = [["way", "WER %", "errors", "words", "differ from one pass %"]]
    for name, text in (("one pass", one_pass), ("live", " ".join(written))):
        differ = score([one_pass], [text]).word
        rows.append([name, *_figures(score([reference], [text]).word), f"{100 * differ.rate:.2f}"])
    print("\n".join(table(rows)))
    delays = _delays(acoustics, stream, written, appeared)
    middle, late = np.quantile(delays, [0.5, 0.95])
    print(f"latency of {len(delays)} words: median {middle:.2f} s, 95 % within {late:.2f} s")
    print(f"{len(stream) / acoustics.sample_rate_hz / spent:.1f} times as fast as real time")


def _delays(
    acoustics: Acoustics, stream: Waveform, words: list[str], appeared: list[tuple[float, float]]
) -> list[float]:
    """Seconds from the end of each word, by forced alignment, to its appearance."""
    tokens = acoustics.vocabulary.encode(" ".join(words))
    frame_s = acoustics.frame_shift_ms / 1000
    aligned = align_words(acoustics.log_probs(stream), tokens, acoustics.vocabulary, frame_s)
    pairs = zip(aligned, appeared, strict=True)
    return [heard + computed - word.end for word, (heard, computed) in pairs]


def _figures(errors: ErrorCounts) -> list[str]:
    return [f"{100 * errors.rate:.2f}", str(errors.errors), str(errors.words)]


if __name__ == "__main__":
    sys.exit(main())

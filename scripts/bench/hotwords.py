#!/usr/bin/env python3
"""Measure what hotwords gain and cost: recall of rare words, false alarms, WER.

usage: scripts/bench/hotwords.py CORPUS COUNTS [--boosts 0 0.5 1 ...] [--part tuning|others]

CORPUS has the layout of LibriSpeech; COUNTS has a word and its count a line, most frequent first.
Every fourth utterance is for tuning, the others are for the report. Sets of hotwords, with a seed:

- said: the rare words (fewer than MOST_RARE of COUNTS) of the references;
- short: 18 words of three or four letters that nobody says;
- unsaid: 1,000 words of COUNTS that nobody says;
- mixed: said and unsaid together.

Log-probabilities are computed once and kept in --cache. The decoder is that of the model, without
the LSTM, and with it as --rescore.
"""

import argparse
import json
import lzma
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import numpy as np
import soundfile
from numpy.typing import NDArray

from asr.config import TextConfig
from asr.options import DecodingOptions
from asr.scoring import align

MOST_RARE = 20  # times in COUNTS
NUM_SHORT, NUM_UNSAID = 18, 1000


def utterances(corpus: Path) -> Iterator[tuple[Path, str]]:
    """Yield the recordings of a corpus and their texts."""
    for transcripts in sorted(corpus.rglob("*.trans.txt")):
        for line in transcripts.read_text().splitlines():
            name, text = line.split(" ", 1)
            yield next(transcripts.parent.glob(f"{name}.*")), text


def sets_of_hotwords(counts: dict[str, int], texts: Sequence[str]) -> dict[str, list[str]]:
    """Return the sets of hotwords by name."""
    said = {word for text in texts for word in text.split()}
    letters = [word for word in counts if word.isalpha() and word not in said]
    rng = Random(0)
    rare = sorted(word for word in said if counts.get(word, 0) < MOST_RARE and len(word) > 2)
    short = rng.sample([word for word in letters if len(word) in (3, 4)], NUM_SHORT)
    unsaid = rng.sample(letters, NUM_UNSAID)
    return {"none": [], "said": rare, "short": short, "unsaid": unsaid, "mixed": rare + unsaid}


def measure(refs: Sequence[str], hyps: Sequence[str], hotwords: Sequence[str]) -> dict[str, float]:
    """Return WER in percent, and how many hotwords were said, found and falsely found."""
    steps = (align(ref.split(), hyp.split()) for ref, hyp in zip(refs, hyps, strict=True))
    errors = sum(operation != "cor" for utterance in steps for operation, _, _ in utterance)
    hot, said, found, false = set(hotwords), 0, 0, 0
    for ref, hyp in zip(refs, hyps, strict=True):
        there, heard = (Counter(w for w in text.split() if w in hot) for text in (ref, hyp))
        said += there.total()
        found += (there & heard).total()
        false += (heard - there).total()
    words = sum(len(ref.split()) for ref in refs)
    return {"wer": 100 * errors / words, "said": said, "found": found, "false": false}


def log_probs_of(recordings: Sequence[Path], cache: Path) -> dict[str, NDArray[np.float32]]:
    """Return the log-probabilities of recordings, and keep them."""
    if not cache.exists():
        acoustics = DecodingOptions().resolve().open_output()
        samples = ((path.name, soundfile.read(path, dtype="float32")[0]) for path in recordings)
        np.savez(cache, **{name: acoustics.log_probs(waveform) for name, waveform in samples})
    return dict(np.load(cache))


def main() -> None:
    """Print a line of JSON for each boost and set of hotwords."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("corpus", type=Path)
    parser.add_argument("counts", type=Path, help="words and counts, may be packed by xz")
    parser.add_argument("--boosts", type=float, nargs="+", default=[0.5, 1.0, 1.5, 2.0])
    parser.add_argument("--sets", nargs="+", default=["none", "said", "short", "unsaid", "mixed"])
    parser.add_argument("--part", choices=["tuning", "others"], default="tuning")
    parser.add_argument("--cache", type=Path, required=True, help="an .npz file to keep")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rescore", action="store_true", help="with the LSTM of the model")
    arguments = parser.parse_args()
    opened = lzma.open if arguments.counts.suffix == ".xz" else open
    with opened(arguments.counts, "rt") as file:
        counts = {word: int(count) for word, count in map(str.split, file)}
    every = list(utterances(arguments.corpus))
    log_probs = log_probs_of([path for path, _ in every], arguments.cache)
    hotwords = sets_of_hotwords(counts, [text for _, text in every])
    chosen = [one for n, one in enumerate(every, 1) if (n % 4 == 0) == (arguments.part == "tuning")]
    vocabulary = DecodingOptions().resolve().open_output().vocabulary
    for name in arguments.sets:
        for boost in arguments.boosts if name != "none" else [0.0]:
            options = DecodingOptions(hotwords=hotwords[name], settings={"hotword_boost": boost})
            decoding = options.resolve()
            make = decoding.make_decoder if arguments.rescore else decoding.make_beam
            decoder = make(vocabulary, TextConfig())
            with ThreadPoolExecutor(arguments.threads) as pool:
                found = pool.map(decoder.decode, (log_probs[path.name] for path, _ in chosen))
                hyps = [hypotheses[0].text for hypotheses in found]
            scores = measure([text for _, text in chosen], hyps, hotwords[name])
            print(json.dumps({"set": name, "boost": boost, **scores}), flush=True)


if __name__ == "__main__":
    main()

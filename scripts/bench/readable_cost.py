#!/usr/bin/env python3
"""Print what share of the CPU time of recognition readable text takes.

usage: scripts/bench/readable_cost.py AUDIO

One recognition in one process: what differs from run to run on a busy machine is the same for both.
Readable text needs the times of words, which --plain does without, and the tagger and its writer.
"""

import sys
from collections import Counter
from collections.abc import Callable
from time import process_time, thread_time
from typing import Any

import asr
from asr import decode
from asr.readable import Writer

spent = Counter[str]()


def timed(owner: Any, name: str) -> None:
    """Replace a function by one that adds its CPU seconds to `spent`."""
    function: Callable[..., Any] = getattr(owner, name)

    def measured(*arguments: Any, **options: Any) -> Any:
        began = thread_time()
        try:
            return function(*arguments, **options)
        finally:
            spent[name] += thread_time() - began

    setattr(owner, name, measured)


if __name__ == "__main__":
    timed(decode, "spoken_words")
    timed(Writer, "rewrite")
    began = process_time()
    model = asr.load_model()
    loaded = process_time()
    words = model.transcribe(sys.argv[1]).text.split()
    seconds = process_time() - loaded
    print(f"asr {asr.__version__}: {len(words)} words; load {loaded - began:.2f} s of CPU")
    print(f"recognition {seconds:.2f} s, of them:")
    for name, part in spent.items():
        print(f"  {name} {part:.2f} s, {100 * part / seconds:.2f} %")

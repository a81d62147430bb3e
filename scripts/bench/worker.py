"""One decoder in a process of its own: asked in lines of JSON on stdin, it answers on stdout.

    python worker.py NAME SETUP        started by decoders.py; NAME is one of SYSTEMS

It imports numpy and its decoder only, for most of them live in another environment than ours. The
first answer tells the versions, or why the decoder is not available. Then every request

    {"first": 0, "last": 100, "lm_weight": 1.0, "word_score": 1.0, "hotwords": []}

is answered by the texts of these utterances, and the seconds of CPU that decoding them took. A
system weighs and prunes in natural logarithms, and converts where its decoder wants other units.
"""

import json
import math
import os
import sys
import time
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np

BLANK = 0
LOG_10 = math.log(10.0)


class System(Protocol):
    """A decoder with its language model, if it has one."""

    versions: dict[str, str]

    def prepare(self, log_probs: np.ndarray) -> Any:
        """What decode takes of an utterance, float32 (T, V); this is not timed."""

    def configure(self, lm_weight: float, word_score: float, hotwords: list[str]) -> None:
        """Set what the next utterances are decoded with; this is not timed."""

    def decode(self, prepared: Any) -> str:
        """The best text."""


class _Asr:
    """This toolkit."""

    def __init__(self, setup: dict[str, Any]) -> None:
        from asr import __version__
        from asr.lm import load_lm
        from asr.text import Vocabulary

        self.versions = {"asr": __version__} | {name: version(name) for name in ("numba", "numpy")}
        self.setup = setup
        self.vocabulary = Vocabulary(tuple(setup["tokens"]))
        self.lm = load_lm(setup["lm"]) if setup["lm"] else None

    def prepare(self, log_probs: np.ndarray) -> np.ndarray:
        return log_probs

    def configure(self, lm_weight: float, word_score: float, hotwords: list[str]) -> None:
        from asr.decode import BeamDecoder, DecoderConfig

        config = DecoderConfig(
            lm_weight=lm_weight,
            word_score=word_score,
            beam_size=self.setup["beam_size"],
            beam_threshold=self.setup["beam_threshold"],
            token_threshold=self.setup["token_threshold"],
        )
        self.decoder = BeamDecoder(self.vocabulary, config, lm=self.lm, hotwords=hotwords)

    def decode(self, prepared: np.ndarray) -> str:
        return self.decoder.decode(prepared)[0].text


class _PyCtcDecode:
    """pyctcdecode with KenLM: its alpha is on natural logarithms, its beta for each word."""

    def __init__(self, setup: dict[str, Any]) -> None:
        library = import_module("pyctcdecode")

        self.versions = {name: version(name) for name in ("pyctcdecode", "kenlm", "numpy")}
        self.options = {
            "beam_width": setup["beam_size"],
            "beam_prune_logp": -setup["beam_threshold"],
            "token_min_logp": setup["token_threshold"],
        }
        labels = ["", *setup["tokens"][1:]]
        self.decoder = library.build_ctcdecoder(labels, setup["lm"], setup["words"])

    def prepare(self, log_probs: np.ndarray) -> np.ndarray:
        return log_probs

    def configure(self, lm_weight: float, word_score: float, hotwords: list[str]) -> None:
        self.decoder.reset_params(alpha=lm_weight, beta=word_score)
        self.hotwords = hotwords or None

    def decode(self, prepared: np.ndarray) -> str:
        return str(self.decoder.decode(prepared, hotwords=self.hotwords, **self.options))


class _Flashlight:
    """flashlight-text with lexicon and KenLM: its lm_weight multiplies logarithms to base 10.

    Words end in a separator, which the acoustic model does not write after the last one. A frame
    that holds nothing else is added for it. Tokens are limited by their number, not by their
    probability: to as many as the others try in a frame on average. Paths are summed, as the others
    do.
    """

    def __init__(self, setup: dict[str, Any]) -> None:
        library = import_module("flashlight.lib.text.decoder")
        kenlm = import_module("flashlight.lib.text.decoder.kenlm")
        dictionary = import_module("flashlight.lib.text.dictionary")

        self.versions = {"flashlight-text": version("flashlight-text")}
        self.library, self.setup = library, setup
        self.separator = setup["tokens"].index(" ")
        self.dictionary = dictionary.Dictionary([*setup["words"], "<unk>"])
        self.lm = kenlm.KenLM(setup["lm"], self.dictionary)
        self.trie = library.Trie(len(setup["tokens"]), self.separator)
        ids = {token: index for index, token in enumerate(setup["tokens"])}
        start = self.lm.start(False)
        for index, word in enumerate(setup["words"]):
            _, look_ahead = self.lm.score(start, index)
            spelled = [ids[token] for token in word]
            self.trie.insert([*spelled, self.separator], index, look_ahead)
        self.trie.smear(library.SmearingMode.MAX)

    def prepare(self, log_probs: np.ndarray) -> np.ndarray:
        return with_separator(log_probs, self.separator)

    def configure(self, lm_weight: float, word_score: float, hotwords: list[str]) -> None:
        options = self.library.LexiconDecoderOptions(
            beam_size=self.setup["beam_size"],
            beam_size_token=self.setup["tokens_a_frame"],
            beam_threshold=self.setup["beam_threshold"],
            lm_weight=lm_weight * LOG_10,
            word_score=word_score,
            unk_score=-math.inf,
            sil_score=0.0,
            log_add=True,
            criterion_type=self.library.CriterionType.CTC,
        )
        self.decoder = self.library.LexiconDecoder(
            options,
            self.trie,
            self.lm,
            self.separator,
            BLANK,
            self.dictionary.get_index("<unk>"),
            [],
            False,
        )

    def decode(self, prepared: np.ndarray) -> str:
        best = self.decoder.decode(prepared.ctypes.data, *prepared.shape)[0]
        return " ".join(self.dictionary.get_entry(word) for word in best.words if word >= 0)


class _Torchaudio:
    """torchaudio's ctc_decoder, a wrapper of flashlight-text; in our environment, beside torch."""

    def __init__(self, setup: dict[str, Any]) -> None:
        sys.path.append(setup["peers"])  # flashlight-text; our own packages come first
        from cpu_torchaudio import torchaudio  # first: it may need help to be imported

        self.versions = {name: version(name) for name in ("torchaudio", "flashlight-text")}
        self.library = import_module(f"{torchaudio.__name__}.models.decoder")
        self.setup = setup
        self.tokens = ["|" if token == " " else token for token in setup["tokens"]]

    def prepare(self, log_probs: np.ndarray) -> Any:
        import torch

        return torch.from_numpy(with_separator(log_probs, self.tokens.index("|")))[None]

    def configure(self, lm_weight: float, word_score: float, hotwords: list[str]) -> None:
        self.decoder = self.library.ctc_decoder(
            lexicon=self.setup["lexicon"],
            tokens=self.tokens,
            lm=self.setup["lm"],
            beam_size=self.setup["beam_size"],
            beam_size_token=self.setup["tokens_a_frame"],
            beam_threshold=self.setup["beam_threshold"],
            lm_weight=lm_weight * LOG_10,
            word_score=word_score,
            log_add=True,
            blank_token=self.tokens[BLANK],
            sil_token="|",
        )

    def decode(self, prepared: Any) -> str:
        return " ".join(self.decoder(prepared)[0][0].words)


class _FastCtcDecode:
    """fast-ctc-decode, which has no language model and wants probabilities."""

    def __init__(self, setup: dict[str, Any]) -> None:
        self.versions = {name: version(name) for name in ("fast-ctc-decode", "numpy")}
        self.search = import_module("fast_ctc_decode").beam_search
        self.tokens = setup["tokens"]
        self.beam_size = setup["beam_size"]
        self.cut = math.exp(setup["token_threshold"])

    def prepare(self, log_probs: np.ndarray) -> Any:
        return np.exp(log_probs)

    def configure(self, lm_weight: float, word_score: float, hotwords: list[str]) -> None:
        """Nothing can be set."""

    def decode(self, prepared: np.ndarray) -> str:
        return str(self.search(prepared, self.tokens, self.beam_size, self.cut)[0])


SYSTEMS: dict[str, Callable[[dict[str, Any]], System]] = {
    "asr": _Asr,
    "pyctcdecode": _PyCtcDecode,
    "flashlight-text": _Flashlight,
    "torchaudio": _Torchaudio,
    "fast-ctc-decode": _FastCtcDecode,
}


def with_separator(log_probs: np.ndarray, separator: int) -> np.ndarray:
    """Log-probabilities, float32 (T, V), and one frame more that holds a separator."""
    last = np.full((1, log_probs.shape[1]), -100.0, np.float32)
    last[0, separator] = 0.0
    return np.concatenate((log_probs, last))


def answer(system: System, utterances: list[Any], request: dict[str, Any]) -> dict[str, Any]:
    """Decode what is asked for, and time it."""
    system.configure(request["lm_weight"], request["word_score"], request["hotwords"])
    wanted = utterances[request["first"] : request["last"]]
    # CPU time: what the wall clock shows on an idle machine, and on a busy one still true.
    # It counts all threads, so that none comes for free.
    started = time.process_time()
    texts = [system.decode(prepared) for prepared in wanted]
    return {"texts": texts, "cpu_s": time.process_time() - started}


def main(name: str, setup: dict[str, Any]) -> None:
    """Answer until stdin ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print is no answer
    try:
        system = SYSTEMS[name](setup)
    except (ImportError, RuntimeError, OSError) as error:
        answers.write(json.dumps({"not_available": f"{type(error).__name__}: {error}"}) + "\n")
        return
    with np.load(setup["log_probs"]) as stored:
        parts = np.split(stored["log_probs"], np.cumsum(stored["num_frames"])[:-1])
    utterances = [system.prepare(np.ascontiguousarray(part)) for part in parts]
    answers.write(json.dumps({"versions": system.versions}) + "\n")
    for line in sys.stdin:
        answers.write(json.dumps(answer(system, utterances, json.loads(line))) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], json.loads(Path(sys.argv[2]).read_text(encoding="utf-8")))

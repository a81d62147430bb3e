"""The input of all decoders: log-probabilities, language model, words; kept between runs."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asr._progress import progress
from asr.errors import ConfigError
from asr.manifest import Utterance, read_manifest

WORK = Path(__file__).parent / "build"  # not in git


@dataclass(frozen=True)
class Material:
    """The utterances, in one order everywhere."""

    utterances: Sequence[Utterance]
    references: Sequence[str]  # normalised
    tokens: Sequence[str]
    log_probs: Path  # .npz: log_probs float32 (all T, V), num_frames int64 (N,) and what is above
    lm: Path  # ARPA
    words: Sequence[str]  # of the language model, as far as the tokens can write them


def gather(model: Path, manifest: Path, lm: Path) -> Material:
    """Read manifest and language model; compute log-probabilities unless an earlier run did.

    Raises:
        AsrError: a model, manifest or language model cannot be read.
    """
    utterances = read_manifest(manifest)
    log_probs = _log_probs(model, manifest, utterances)
    with np.load(log_probs) as stored:
        references, tokens = stored["references"].tolist(), stored["tokens"].tolist()
    return Material(utterances, references, tokens, log_probs, lm, words_of(lm, tokens))


def words_of(arpa: Path, tokens: Sequence[str]) -> list[str]:
    """Return the unigrams of an ARPA model that the tokens can write.

    Raises:
        LanguageModelError: the file cannot be read.
        ConfigError: there is none; the file is not ARPA, or in another case than the tokens.
    """
    from asr.lm import opened

    characters = set(tokens) - {" "}
    words = []
    with opened(arpa) as file:
        for line in file:
            if line.startswith(b"\\2-grams:"):
                break
            fields = line.split(b"\t")
            if len(fields) > 1:
                word = fields[1].strip().decode(errors="replace")
                words += [word] if characters.issuperset(word) else []
    if not words:
        raise ConfigError(f"--lm: {arpa} has no word that the model can write; give another ARPA")
    return words


def tokens_a_frame(log_probs: Path, token_threshold: float) -> int:
    """Return the mean number of tokens of a frame above a log-probability, rounded up."""
    with np.load(log_probs) as stored:
        tried = stored["log_probs"] >= token_threshold  # (all T, V)
    return math.ceil(np.count_nonzero(tried) / len(tried))


def _log_probs(model: Path, manifest: Path, utterances: Sequence[Utterance]) -> Path:
    """Return the file with the log-probabilities of a manifest, made unless an earlier run did."""
    from asr.evaluation import normalised_references, recognise
    from asr.inference import open_acoustics

    acoustics = open_acoustics(model)
    index = next(filter(Path.exists, (model / "bundle.json", model / "best" / "checkpoint.json")))
    content = index.read_bytes() + manifest.read_bytes()
    path = WORK / f"log_probs-{hashlib.sha256(content).hexdigest()[:12]}.npz"
    if path.exists():
        return path
    texts = normalised_references(acoustics, utterances, spelled_by_lexicon=False)
    found = dict(recognise(acoustics, progress(utterances, "log-probabilities")))
    save(path, acoustics.vocabulary.tokens, list(texts.values()), list(found.values()))
    return path


def save(
    path: Path, tokens: Sequence[str], references: Sequence[str], log_probs: Sequence[np.ndarray]
) -> None:
    """Write the file that `Material.log_probs` describes, from float32 (T, V) of each utterance."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp.npz")
    np.savez(
        temporary,
        tokens=np.array(tokens),
        references=np.array(references),
        num_frames=np.array([len(part) for part in log_probs]),
        log_probs=np.concatenate(log_probs),
    )
    temporary.replace(path)

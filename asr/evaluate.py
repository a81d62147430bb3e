"""Recognise utterances with a model, and score the texts against their references."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from asr.atomic import write_atomically
from asr.ctc import ctc_loss
from asr.data import Example, Frames, Loader, make_examples
from asr.decode.greedy import GreedyDecoder
from asr.decode.hypothesis import Decoder
from asr.formats import trn_line
from asr.manifest import Utterance
from asr.model import AcousticModel
from asr.parallel import Group
from asr.score import Score, score
from asr.text import Normalizer, Vocabulary


@dataclass(frozen=True)
class Evaluation:
    """Normalised references and hypotheses by utterance id, and the CTC loss."""

    references: dict[str, str]
    hypotheses: dict[str, str]
    loss_sum: float  # nats, over the utterances that have frames enough
    loss_tokens: int

    @property
    def score(self) -> Score:
        """The errors of all; asr-evaluate counts them itself, by speaker."""
        return score(self.references, self.hypotheses)

    def save(self, folder: Path) -> None:
        """Write ref.trn and hyp.trn, which asr-score reads."""
        for name, texts in (("ref", self.references), ("hyp", self.hypotheses)):
            lines = (trn_line(utterance, text) for utterance, text in texts.items())
            write_atomically(folder / f"{name}.trn", "".join(f"{line}\n" for line in lines))


def evaluate_manifest(
    model: AcousticModel,
    vocabulary: Vocabulary,
    utterances: Sequence[Utterance],
    decoder: Decoder | None = None,
) -> Evaluation:
    """Recognise all utterances on the CPU, in the order of the manifest; greedily, if no decoder.

    Raises:
        AudioError: a recording cannot be read; there is no score of a smaller set.
        VocabularyError: the references hold symbols that the model cannot write.
    """
    return evaluate(
        model, manifest_loader(model, vocabulary, utterances), decoder or GreedyDecoder(vocabulary)
    )


def manifest_loader(
    model: AcousticModel, vocabulary: Vocabulary, utterances: Sequence[Utterance]
) -> Loader:
    """A loader of utterances as a trained model wants them.

    Raises:
        VocabularyError: the references hold symbols that the model cannot write.
    """
    config = replace(model.config, data=replace(model.config.data, cache="none"))
    examples = make_examples(utterances, Normalizer(**vars(config.text)), vocabulary)
    return Loader(examples, Frames(config), config, Group())


def evaluate(model: AcousticModel, loader: Loader, decoder: Decoder) -> Evaluation:
    """Recognise this process's share of the utterances of a loader."""
    found: dict[str, str] = {}
    loss_sum, loss_tokens = 0.0, 0
    for example, log_probs, loss in recognise(model, loader):
        found[example.utterance.id] = decoder.decode(log_probs)[0].text
        if math.isfinite(loss):
            loss_sum += loss
            loss_tokens += len(example.tokens)
    references = {e.utterance.id: e.text for e in loader.examples if e.utterance.id in found}
    hypotheses = {name: found[name] for name in references}
    return Evaluation(references, hypotheses, loss_sum, loss_tokens)


@torch.inference_mode()
def recognise(
    model: AcousticModel, loader: Loader
) -> Iterator[tuple[Example, NDArray[np.float32], float]]:
    """Log-probabilities (T, V) and CTC loss of this process's share, shortest first.

    The loss is infinite where an utterance has fewer frames than its text needs.
    """
    device = next(model.parameters()).device
    for batch in filter(None, loader.in_order()):
        moved = batch.to(device)
        features = model.frontend.from_log_mel(moved.log_mel, moved.num_frames)
        log_probs, num_frames = model(features, moved.num_frames)
        losses = ctc_loss(log_probs, num_frames, moved.tokens, moved.num_tokens).tolist()
        rows = zip(log_probs.cpu().numpy(), num_frames.tolist(), strict=True)
        for example, (row, count), loss in zip(batch.examples, rows, losses, strict=True):
            yield example, row[:count], loss

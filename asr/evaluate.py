"""Recognise utterances with a model, and score the texts against their references."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from asr.atomic import write_atomically
from asr.ctc import ctc_loss
from asr.data import Frames, Loader, make_examples
from asr.decode.greedy import best_path
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
    model: AcousticModel, vocabulary: Vocabulary, utterances: Sequence[Utterance]
) -> Evaluation:
    """Greedy decoding of all utterances on the CPU, in the order of the manifest.

    Raises:
        AudioError: a recording cannot be read; there is no score of a smaller set.
        VocabularyError: the references hold symbols that the model cannot write.
    """
    config = replace(model.config, data=replace(model.config.data, cache="none"))
    examples = make_examples(utterances, Normalizer(**vars(config.text)), vocabulary)
    return evaluate(model, vocabulary, Loader(examples, Frames(config), config, Group()))


@torch.inference_mode()
def evaluate(model: AcousticModel, vocabulary: Vocabulary, loader: Loader) -> Evaluation:
    """Greedy decoding of this process's share of the utterances of a loader."""
    device = next(model.parameters()).device
    found: dict[str, str] = {}
    loss_sum, loss_tokens = 0.0, 0
    for batch in filter(None, loader.in_order()):
        moved = batch.to(device)
        features = model.frontend.from_log_mel(moved.log_mel, moved.num_frames)
        log_probs, num_frames = model(features, moved.num_frames)
        losses = ctc_loss(log_probs, num_frames, moved.tokens, moved.num_tokens)
        possible = torch.isfinite(losses)
        loss_sum += float(losses[possible].sum())
        loss_tokens += int(moved.num_tokens[possible].sum())
        rows = zip(batch.examples, log_probs.cpu().numpy(), num_frames.tolist(), strict=True)
        for example, row, count in rows:
            found[example.utterance.id] = vocabulary.decode(best_path(row[:count])).strip()
    references = {e.utterance.id: e.text for e in loader.examples if e.utterance.id in found}
    hypotheses = {name: found[name] for name in references}
    return Evaluation(references, hypotheses, loss_sum, loss_tokens)

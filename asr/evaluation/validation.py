"""Judge a network while it is trained: its losses, and the errors of a decoder."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from asr.ctc import ctc_loss
from asr.data import Batch, Loader
from asr.decode import Decoder, best_path
from asr.mmi import mmi_loss
from asr.model import AcousticModel
from asr.scoring import ErrorCounts, Score, score


@dataclass
class LossSum:
    """A loss in nats, summed over the utterances that have a text and enough frames for it."""

    nats: float = 0.0
    tokens: int = 0

    def add(self, losses: Tensor, num_tokens: Tensor) -> None:
        """Add utterances: their losses (N,) and numbers of tokens (N,)."""
        counted = losses.isfinite() & (num_tokens > 0)
        self.nats += float(losses[counted].sum())
        self.tokens += int(num_tokens[counted].sum())


@dataclass(frozen=True)
class Validation:
    """The result on this process's share of the utterances."""

    score: Score
    ctc: LossSum
    mmi: LossSum  # of the phone output, or else of the tokens; 0 without a trigram
    phones: ErrorCounts  # of best paths; 0 without phone output or pronunciations


def validate(
    model: AcousticModel, loader: Loader, decoder: Decoder, trigram: Tensor | None = None
) -> Validation:
    """Recognise this process's share of the utterances of a loader, and sum up its losses."""
    references, hypotheses = dict[str, str](), dict[str, str]()
    phones, phones_found = dict[str, str](), dict[str, str]()
    ctc, mmi = LossSum(), LossSum()
    for batch, outputs, num_frames in _outputs(model, loader):
        log_probs, *of_phones = outputs
        ctc.add(ctc_loss(log_probs, num_frames, *batch.texts[0]), batch.num_tokens)
        if trigram is not None:
            text = batch.texts[len(of_phones)]
            mmi.add(mmi_loss(outputs[-1], num_frames, *text, trigram), text[1])
        rows = zip(batch.examples, log_probs.cpu().numpy(), num_frames.tolist(), strict=True)
        for example, row, count in rows:
            references[example.utterance.id] = example.text
            hypotheses[example.utterance.id] = decoder.decode(row[:count])[0].text
        for output in of_phones:
            rows = zip(batch.examples, output.cpu().numpy(), num_frames.tolist(), strict=True)
            for example, row, count in rows:
                if example.phones:
                    phones[example.utterance.id] = _joined(example.phones)
                    phones_found[example.utterance.id] = _joined(best_path(row[:count]))
    counts = score(phones, phones_found).word
    return Validation(score(references, hypotheses), ctc, mmi, counts)


def decoded_errors(
    model: AcousticModel, loader: Loader, decoder: Decoder, *, phones: bool
) -> ErrorCounts:
    """Return the word errors of a decoder of the network's tokens, or of its phones."""
    references, hypotheses = dict[str, str](), dict[str, str]()
    for batch, outputs, num_frames in _outputs(model, loader):
        log_probs = outputs[1 if phones else 0].cpu().numpy()
        for example, row, count in zip(batch.examples, log_probs, num_frames.tolist(), strict=True):
            references[example.utterance.id] = example.text
            hypotheses[example.utterance.id] = decoder.decode(row[:count])[0].text
    return score(references, hypotheses).word


def _joined(ids: Sequence[int]) -> str:
    return " ".join(map(str, ids))


@torch.inference_mode()
def _outputs(model: AcousticModel, loader: Loader) -> Iterator[tuple[Batch, list[Tensor], Tensor]]:
    """Yield batches on the model's device, its outputs (N, T, V), and the (N,) frames."""
    device = next(model.parameters()).device
    for batch in filter(None, loader.in_order()):
        moved = batch.to(device)
        yield moved, *model.from_log_mel(moved.log_mel, moved.num_frames)

"""Can the model learn a handful of the user's own utterances by heart? In a minute or two.

A network that cannot, has a fault; one that can, may still have texts of other recordings, for it
learns these by heart as well. So texts in the wrong order are told by lengths, over the whole
manifest (asr.doctor.texts), silence by listening and lack of frames by counting; this test is for
what is left: learning rate, size, and audio in which nothing tells utterances apart.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor

from asr.audio import read_utterance
from asr.config import Config
from asr.data import Batch, Example
from asr.decode import GreedyDecoder
from asr.distributed import threads
from asr.doctor.cost import make_batch
from asr.doctor.finding import Finding
from asr.doctor.steps import Stepper
from asr.scoring import score
from asr.text import Vocabulary

FEWEST, MOST = 4, 8  # utterances
MOST_AUDIO_S = 16.0  # of them together, so that steps are quick
TIME_S = 90.0
LOOK_STEPS = 5  # steps between two looks at the errors
LEARNT_CER = 0.05
FALLING = 0.9  # the loss still falls if it lost a tenth over the last quarter of the steps


@dataclass(frozen=True, kw_only=True)
class SelfTest:
    """How learning by heart went; `cause` is empty where it succeeded."""

    utterances: tuple[str, ...]
    steps: int
    seconds: float
    first_loss: float  # nats a token
    last_loss: float
    cer: float  # 0..
    cause: str = ""
    falling: bool = False  # time was up, and the loss still fell

    def line(self) -> str:
        """Return the outcome as text."""
        outcome = "could not learn" if self.cause else "learnt"
        return (
            f"{outcome} {len(self.utterances)} utterances by heart: loss {self.first_loss:.3g} to "
            f"{self.last_loss:.3g} nats a token, CER {self.cer:.0%}, in {self.steps} steps and "
            f"{self.seconds:.0f} s"
        )

    def as_dict(self) -> dict[str, object]:
        """Return the figures; a loss that is no number becomes null."""
        record = asdict(self)
        losses = {n: record[n] for n in ("first_loss", "last_loss")}
        return record | {n: v if math.isfinite(v) else None for n, v in losses.items()}

    def findings(self) -> list[Finding]:
        """Return what is wrong, or none."""
        if not self.cause:
            return []
        kind = "slow-self-test" if self.falling else "self-test"
        return [
            Finding(
                kind=kind, dataset="model", count=len(self.utterances), total=0, why=self.cause,
                examples=(", ".join(self.utterances),),
            )
        ]  # fmt: skip


def choose_handful(examples: Sequence[Example]) -> list[Example]:
    """Return the shortest few with different texts, up to MOST_AUDIO_S and at least FEWEST."""
    handful: list[Example] = []
    texts: set[str] = set()
    seconds = 0.0
    for example in sorted(examples, key=lambda e: e.utterance.duration):
        seconds += example.utterance.duration
        if len(handful) == MOST or (len(handful) >= FEWEST and seconds > MOST_AUDIO_S):
            break
        if example.text not in texts:
            handful.append(example)
            texts.add(example.text)
    return handful


def learn_by_heart(
    examples: Sequence[Example],
    config: Config,
    vocabulary: Vocabulary,
    device: str,
    time_s: float = TIME_S,
) -> SelfTest:
    """Train the model of the configuration, without dropout and augmentation, on these alone.

    Raises:
        AudioError: one of the recordings cannot be read.
    """
    config = replace(config, model=replace(config.model, dropout=0.0))
    started = time.perf_counter()
    with threads(1):  # the steps are too small to be split
        losses, cer, blank = _train(examples, config, vocabulary, device, started + time_s)
    learnt = cer <= LEARNT_CER
    return SelfTest(
        utterances=tuple(example.utterance.id for example in examples),
        steps=len(losses),
        seconds=time.perf_counter() - started,
        first_loss=losses[0],
        last_loss=losses[-1],
        cer=min(cer, 1.0),
        cause="" if learnt else _cause(examples, losses, blank, config),
        falling=not learnt and _falling(losses),
    )


def _train(
    examples: Sequence[Example],
    config: Config,
    vocabulary: Vocabulary,
    device: str,
    deadline: float,
) -> tuple[list[float], float, bool]:
    """Train until learnt, diverged or late; the losses, the last error rate, and whether blank."""
    stepper = Stepper(config, len(vocabulary), device, augmented=False)
    batch = make_batch(examples, config)
    losses: list[float] = []
    cer, blank = math.inf, False
    while not losses or (cer > LEARNT_CER and time.perf_counter() < deadline):
        loss, log_probs, num_frames = stepper.step(batch)
        losses.append(loss)
        if not math.isfinite(loss):
            break
        if len(losses) % LOOK_STEPS == 0:
            cer, blank = _error_rate(batch, log_probs, num_frames, vocabulary)
    return losses, cer, blank


def _error_rate(
    batch: Batch, log_probs: Tensor, num_frames: Tensor, vocabulary: Vocabulary
) -> tuple[float, bool]:
    """Return the character error rate of the best paths, and whether they are all empty."""
    decoder = GreedyDecoder(vocabulary)
    rows = zip(log_probs.numpy(), num_frames.tolist(), strict=True)
    texts = [decoder.decode(row[:count])[0].text for row, count in rows]
    names = [str(place) for place in range(len(texts))]
    references = dict(zip(names, (example.text for example in batch.examples), strict=True))
    errors = score(references, dict(zip(names, texts, strict=True))).char
    return errors.errors / max(errors.words, 1), not any(texts)


def _cause(
    examples: Sequence[Example], losses: Sequence[float], blank: bool, config: Config
) -> str:
    """Name the likeliest cause, the provable ones first."""
    silent = [example.utterance.id for example in examples if _is_silent(example, config)]
    if silent:
        return f"silent audio: {', '.join(silent)}"
    rate = f"train.learning_rate={config.train.learning_rate:g}"
    if not math.isfinite(losses[-1]):
        return f"the loss is not finite after {len(losses)} steps: lower {rate}"
    if losses[-1] > losses[0]:
        return f"the loss grew: lower {rate}"
    if _falling(losses):
        return f"the loss still fell after {len(losses)} steps; time was up"
    if blank:
        return f"only blanks after {len(losses)} steps: {rate} is too low or too high"
    return f"the loss no longer falls: the model is too small, or {rate} does not suit it"


def _falling(losses: Sequence[float]) -> bool:
    quarter = torch.tensor(losses)[-(len(losses) // 2) :].chunk(2)
    return len(quarter) == 2 and bool(quarter[1].mean() < FALLING * quarter[0].mean())


def _is_silent(example: Example, config: Config) -> bool:
    return read_utterance(example.utterance, config.features.sample_rate_hz).quality.is_silent

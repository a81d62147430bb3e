"""Test whether the model can learn a handful of the user's own utterances by heart.

The test takes a minute or two. A model that fails has a fault: an unsuitable learning rate, too few
weights, or audio in which nothing tells utterances apart. A model that succeeds proves less, since
it also learns texts that belong to other recordings. Other checks find those: texts in the wrong
order by their lengths (asr.doctor.texts), silence by listening, lack of frames by counting.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import torch

from asr._progress import counted
from asr.audio import read_utterance
from asr.config import AugmentConfig, Config
from asr.data import Batch, Example
from asr.decode import GreedyDecoder
from asr.distributed import threads
from asr.doctor.finding import Finding
from asr.doctor.steps import make_batch, make_trainer
from asr.model import AcousticModel
from asr.scoring import score
from asr.text import Vocabulary
from asr.training import Tally

FEWEST, MOST = 4, 8  # utterances
MOST_AUDIO_S = 16.0  # of them together, so that steps are quick
TIME_S = 90.0
WARMUP_STEPS = 20
LOOK_STEPS = 5  # steps between two looks at the errors
LEARNT_CER = 0.05
FALLING = (
    0.9  # the loss still falls if its mean over the last quarter of the steps is a tenth lower
)


@dataclass(frozen=True, kw_only=True)
class SelfTest:
    """The outcome of learning by heart."""

    utterances: tuple[str, ...]
    steps: int
    seconds: float
    first_loss: float  # nats a token
    last_loss: float
    cer: float  # 0..
    cause: str = ""  # of the failure; empty if the test succeeded
    falling: bool = False  # whether the loss still fell when time was up

    def line(self) -> str:
        """Return the outcome as text."""
        outcome = "could not learn" if self.cause else "learnt"
        return (
            f"{outcome} {counted(len(self.utterances), 'utterance')} by heart: "
            f"loss {self.first_loss:.3g} to {self.last_loss:.3g} nats a token, "
            f"CER {self.cer:.0%}, in {self.steps} steps and "
            f"{self.seconds:.0f} s"
        )

    def as_dict(self) -> dict[str, object]:
        """Return the figures, fit for JSON: a loss that is not finite becomes null."""
        record = asdict(self)
        losses = {n: record[n] for n in ("first_loss", "last_loss")}
        return record | {n: v if math.isfinite(v) else None for n, v in losses.items()}

    def findings(self) -> list[Finding]:
        """Return a finding if the test failed; else an empty list."""
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
    """Return the shortest utterances with different texts.

    They are at most MOST, and at least FEWEST where there are so many texts; between the two they
    stop at MOST_AUDIO_S of audio.
    """
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
    """Train a fresh model on these utterances alone, by CTC, without dropout and augmentation.

    Raises:
        AudioError: one of the recordings cannot be read.
    """
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
    """Train until the texts are learnt, the loss is not finite, or time is up.

    Returns:
        The loss before each step, in nats a token; the last character error rate; and whether
        the decoded texts were all empty.
    """
    trainer, task = make_trainer(examples, _plain(config), vocabulary, device)
    batch = make_batch(examples, config)
    losses: list[float] = []
    cer, blank = math.inf, False
    while not losses or (cer > LEARNT_CER and time.perf_counter() < deadline):
        trainer.tally = Tally()
        trainer.step([batch], 1, False)
        if trainer.tally.skipped:
            losses.append(math.nan)
            break
        losses.append(trainer.tally.loss / trainer.tally.tokens)
        if len(losses) % LOOK_STEPS == 0:
            cer, blank = _error_rate(task.model, batch, vocabulary)
    return losses, cer, blank


def _plain(config: Config) -> Config:
    """Return the configuration without anything that makes learning by heart harder."""
    train = replace(
        config.train, warmup_steps=WARMUP_STEPS, weight_decay=0.0, mmi=0.0, consistency=0.0,
        accumulate=1, freeze=0,
    )  # fmt: skip
    model = replace(config.model, dropout=0.0)
    return replace(config, model=model, augment=AugmentConfig(), train=train)


@torch.no_grad()
def _error_rate(model: AcousticModel, batch: Batch, vocabulary: Vocabulary) -> tuple[float, bool]:
    """Return the character error rate of the best paths, and whether they are all empty."""
    moved = batch.to(next(model.parameters()).device)
    outputs, num_frames = model.from_log_mel(moved.log_mel, moved.num_frames)
    decoder = GreedyDecoder(vocabulary)
    rows = zip(outputs[0].cpu().numpy(), num_frames.tolist(), strict=True)
    texts = [decoder.decode(row[:count])[0].text for row, count in rows]
    names = [str(place) for place in range(len(texts))]
    references = dict(zip(names, (example.text for example in batch.examples), strict=True))
    errors = score(references, dict(zip(names, texts, strict=True))).char
    return errors.errors / max(errors.words, 1), not any(texts)


def _cause(
    examples: Sequence[Example], losses: Sequence[float], blank: bool, config: Config
) -> str:
    """Return the likeliest cause of a failure; causes that can be proved come first."""
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
    """Return whether the mean loss fell between the last two quarters of the steps."""
    quarter = torch.tensor(losses)[-(len(losses) // 2) :].chunk(2)
    return len(quarter) == 2 and bool(quarter[1].mean() < FALLING * quarter[0].mean())


def _is_silent(example: Example, config: Config) -> bool:
    return read_utterance(example.utterance, config.features.sample_rate_hz).quality.is_silent

"""Likely causes why a CTC model does not start to listen, each with its signs and its remedy.

The size of the steps is judged by how far the weights move, not by the norm of the gradient,
because Adam's steps do not depend on that.
"""

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from asr.config import Config
from asr.ctc import frames_needed
from asr.data import Example

SAMPLE = 2000  # about so many utterances give the facts of a training set

# Limits beyond which a cause is named.
SILENT = 0.2  # share of silent utterances
FULL = 0.75  # share of frames that labels need
DIVERGED = 1.5  # loss over the lowest loss
FAST, SLOW = 0.5, 0.01  # movement of the weights; 0.1 to 0.3 in runs that learned well
LONG_S = 20.0  # median duration of an utterance


class Cause(Enum):
    """The causes why a model does not listen, the most certain first, with advice."""

    SILENCE = (
        "{constant:.0%} of the utterances are silence, every frame is the same; look at their "
        "audio, and at channels and start times in the manifest"
    )
    FULL = (
        "half of the utterances need {fill:.0%} of their frames or more for their labels; lower "
        "model.stack"
    )
    HIGH_RATE = (
        "the learning rate is too high, the weights move by {movement:.0%} in {look} steps and "
        "the loss was {lowest_loss:.2f} before; divide train.learning_rate by 5"
    )
    FEW_STEPS = (
        "the run is too short, {planned} steps in all; raise train.epochs, or lower data.batch_s "
        "and train.warmup_steps"
    )
    LOW_RATE = (
        "the learning rate is too low, the weights move by {movement:.2%} in {look} steps; "
        "multiply train.learning_rate by 5, or lower train.warmup_steps"
    )
    LONG = (
        "the utterances are too long to begin with, half of them {duration_s:.0f} s or more; cut "
        "them at pauses, or lower data.max_utterance_s"
    )
    TEXT = (
        "the text does not fit the audio, as the loss is that of the tokens' frequencies alone; "
        "listen to a few utterances with their text, or run asr-doctor"
    )


@dataclass(frozen=True)
class Facts:
    """The properties of a training set that decide how hard it is to start."""

    entropy: float  # of the tokens by their frequencies, in nats
    fill: float  # share of an utterance's frames that its labels need; the median
    duration_s: float  # of an utterance; the median

    @classmethod
    def of(cls, examples: Sequence[Example], config: Config) -> "Facts":
        """Compute the facts from a sample of the utterances."""
        some = examples[:: math.ceil(len(examples) / SAMPLE)]
        counts = Counter(token for example in some for token in example.tokens)
        total = counts.total()
        entropy = -sum(n / total * math.log(n / total) for n in counts.values())
        shift_s = config.features.frame_shift_ms / 1000 * config.model.stack
        fills = (frames_needed(e.tokens) * shift_s / e.utterance.duration for e in some)
        durations = (example.utterance.duration for example in some)
        return cls(entropy, statistics.median(fills), statistics.median(durations))


@dataclass(frozen=True, kw_only=True)
class Signs:
    """The signs by which a cause is recognised."""

    look: int  # steps between two looks
    loss: float  # nats per token, since the last look
    lowest_loss: float  # lowest of all looks
    movement: float  # norm of the weights' change over their norm, largest of all looks
    constant: float  # share of utterances whose frames are all the same, since the last look
    fill: float  # as in Facts
    duration_s: float
    planned: int  # steps of the whole run
    enough: int  # steps by which a run listens


def likely_cause(signs: Signs) -> Cause:
    """Return the most certain cause why a model does not listen after so many steps."""
    causes = {
        Cause.SILENCE: signs.constant > SILENT,
        Cause.FULL: signs.fill > FULL,
        Cause.HIGH_RATE: signs.loss > DIVERGED * signs.lowest_loss or signs.movement > FAST,
        Cause.FEW_STEPS: signs.planned < signs.enough,
        Cause.LOW_RATE: signs.movement < SLOW,
        Cause.LONG: signs.duration_s > LONG_S,
        Cause.TEXT: True,
    }
    return next(cause for cause, found in causes.items() if found)

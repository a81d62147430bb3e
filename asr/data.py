"""Make batches of utterances: plan an epoch, compute and keep log-mel frames, pad them to tensors.

The contents of a batch depend on (seed, epoch) alone, never on the order of threads, so an epoch
can be made again exactly. Shapes: N utterances, T frames, M mel bands, U tokens, P phones.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields
from fractions import Fraction
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import soxr
import torch
from torch import Tensor

from asr.audio import read_utterance
from asr.cleaning import cleaned
from asr.config import Config
from asr.ctc import frames_needed
from asr.distributed import ProcessGroup
from asr.errors import TrainingError
from asr.features import Mfcc
from asr.lexicon import Pronunciations
from asr.manifest import Utterance
from asr.sequences import FRAMES, read_frames
from asr.text import Normalizer, Vocabulary

B = TypeVar("B")

LENGTH_JITTER = 0.05  # lengths are jittered by up to this share, so that batches differ by epoch
LOOKAHEAD = 4  # batches prepared ahead for each worker


def plan_batches(
    durations: np.ndarray, batch_s: float, order: np.random.Generator | None
) -> list[list[int]]:
    """Group indices into batches of at most batch_s seconds, padding included.

    Args:
        durations: float (count,), seconds.
        batch_s: longest batch; a longer utterance is a batch of its own.
        order: jitters the lengths and shuffles the batches; None: shortest first.

    Returns:
        Lists of indices; each index once.
    """
    jitter = order.uniform(1, 1 + LENGTH_JITTER, len(durations)) if order else 1.0
    batches: list[list[int]] = []
    longest = 0.0
    for index in np.argsort(durations * jitter, kind="stable").tolist():
        longest = max(longest, durations[index])
        if batches and longest * (len(batches[-1]) + 1) <= batch_s:
            batches[-1].append(index)
        else:
            batches.append([index])
            longest = durations[index]
    if order:
        order.shuffle(batches)
    return batches


class Epoch(Generic[B]):
    """The batches of one epoch, or of a slice of it; each is made while iterating.

    Args:
        plan: the indices of each batch.
        lengths: the length of each item that an index can name, in any unit.
        make: returns the batch of some indices; None: an empty share of it.
        workers: threads that make batches ahead.
    """

    def __init__(
        self,
        plan: list[list[int]],
        lengths: np.ndarray,
        make: Callable[[Sequence[int]], B | None],
        workers: int = 1,
    ) -> None:
        self.plan = plan
        self.lengths = lengths
        self.make = make
        self.workers = workers

    @property
    def padding(self) -> float:
        """The share of the batches that is padding."""
        padded = sum(len(indices) * self.lengths[indices].max() for indices in self.plan)
        used = sum(self.lengths[indices].sum() for indices in self.plan)
        return float(1 - used / padded)

    def __len__(self) -> int:
        return len(self.plan)

    def __getitem__(self, part: slice) -> "Epoch[B]":
        """Return a slice of the epoch."""
        return Epoch(self.plan[part], self.lengths, self.make, self.workers)

    def __iter__(self) -> Iterator[B | None]:
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="batches")
        pending: deque[Future[B | None]] = deque()
        try:
            for indices in self.plan:
                pending.append(pool.submit(self.make, indices))
                if len(pending) > LOOKAHEAD * self.workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


NAMED = 3  # utterances that a message names as examples


@dataclass(frozen=True)
class Example:
    """An utterance with its normalised transcript, and that as tokens and as phones."""

    utterance: Utterance
    text: str
    tokens: tuple[int, ...]
    phones: tuple[int, ...] = ()  # none if phones are not learned, or a word's are not known


@dataclass(frozen=True)
class Batch:
    """Padded utterances; an utterance without phones adds nothing to the phones' loss.

    log_mel (N, T, M), num_frames (N,), tokens (N, U), num_tokens (N,), phones (N, P), num_phones
    (N,).
    """

    examples: tuple[Example, ...]
    log_mel: Tensor
    num_frames: Tensor
    tokens: Tensor
    num_tokens: Tensor
    phones: Tensor
    num_phones: Tensor

    @property
    def texts(self) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """For each output its labels: tokens (N, U) or phones (N, P), and their numbers (N,)."""
        return (self.tokens, self.num_tokens), (self.phones, self.num_phones)

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on a device."""
        tensors = [getattr(self, field.name) for field in fields(self)[1:]]
        return Batch(self.examples, *(tensor.to(device, non_blocking=True) for tensor in tensors))


@dataclass(frozen=True)
class LeftOut:
    """Ids of the utterances that cannot be trained on, by reason."""

    too_long: tuple[str, ...]
    too_short: tuple[str, ...]
    empty: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"{_counted(self.too_long)} longer than data.max_utterance_s, "
            f"{_counted(self.too_short)} with more labels than frames, "
            f"{_counted(self.empty)} without text"
        )


def _counted(ids: Sequence[str]) -> str:
    """Return the number of utterances, and the first of them: `5 (u1, u2, u3 ...)`."""
    more = " ..." if len(ids) > NAMED else ""
    return f"{len(ids)} ({', '.join(ids[:NAMED])}{more})" if ids else "0"


def make_examples(
    utterances: Sequence[Utterance],
    normalizer: Normalizer,
    vocabulary: Vocabulary,
    pronunciations: Pronunciations | None = None,
) -> list[Example]:
    """Normalise and encode transcripts, also in phones if there are pronunciations.

    Raises:
        VocabularyError: transcripts hold symbols that the vocabulary lacks; names examples.
    """
    texts = [normalizer(utterance.text) for utterance in utterances]
    vocabulary.check_texts((u.id, text) for u, text in zip(utterances, texts, strict=True))
    in_phones = pronunciations.encode if pronunciations else lambda text: ()
    return [
        Example(utterance, text, tuple(vocabulary.encode(text)), in_phones(text))
        for utterance, text in zip(utterances, texts, strict=True)
    ]


def trainable(examples: Sequence[Example], config: Config) -> tuple[list[Example], LeftOut]:
    """Keep the utterances that CTC can learn from at every speed: with text, and enough frames.

    Raises:
        TrainingError: nothing is left.
    """
    shift_s = config.features.frame_shift_ms / 1000 * config.model.stack
    fastest = max(config.augment.speeds)
    long = [e for e in examples if e.utterance.duration > config.data.max_utterance_s]
    empty = [e for e in examples if not e.tokens]
    short = [
        e
        for e in examples
        if e.utterance.duration / fastest / shift_s
        < max(frames_needed(e.tokens), frames_needed(e.phones))
    ]
    dropped = {id(example) for example in (*long, *empty, *short)}
    kept = [example for example in examples if id(example) not in dropped]
    left_out = LeftOut(*(tuple(e.utterance.id for e in part) for part in (long, short, empty)))
    if not kept:
        raise TrainingError(f"no utterance can be trained on: {left_out}; see the manifest")
    return kept, left_out


class Frames:
    """The log-mel frames of utterances at a speed, float32 (T, M), or frames from files.

    The cache holds float16.
    """

    def __init__(self, config: Config) -> None:
        self.features = config.features
        self.frontend = Mfcc(config.features)
        # An id names an utterance in one manifest only; the frames are of any.
        self.cache: dict[tuple[Path, float, float, float], Tensor] | None = (
            {} if config.data.cache == "memory" else None
        )

    def __call__(self, utterance: Utterance, speed: float) -> Tensor:
        """Compute the frames, or look them up.

        Raises:
            AudioError: the recording, or the file of frames, cannot be read.
        """
        if self.cache is None:
            return self._compute(utterance, speed)
        key = (utterance.audio, utterance.start, utterance.duration, speed)
        if key not in self.cache:
            self.cache[key] = self._compute(utterance, speed).half()
        return self.cache[key].float()

    @torch.no_grad()
    def _compute(self, utterance: Utterance, speed: float) -> Tensor:
        if utterance.audio.suffix == FRAMES or self.features.filterbank == "none":
            return torch.from_numpy(read_frames(utterance, self.features))
        heard = read_utterance(utterance, self.features.sample_rate_hz).waveform
        heard = cleaned(heard, self.features)
        waveform = torch.from_numpy(change_speed(heard, speed))
        log_mel, _ = self.frontend.log_mel(waveform[None], torch.tensor([len(waveform)]))
        return log_mel[0]


def change_speed(waveform: np.ndarray, speed: float) -> np.ndarray:
    """Resample float32 (L,) to about (L / speed,) samples: speed and pitch change together.

    Source: Ko et al. 2015, 'Audio augmentation for speech recognition'.
    """
    if speed == 1.0:
        return waveform
    ratio = Fraction(speed).limit_denominator(1000)
    faster: np.ndarray = soxr.resample(waveform, ratio.numerator, ratio.denominator)
    return faster


class Loader:
    """A loader that makes the batches of an epoch ahead of their use, in threads.

    Each process of a group makes its share of each batch; an empty share is None.
    """

    def __init__(
        self, examples: Sequence[Example], frames: Frames, config: Config, group: ProcessGroup
    ) -> None:
        self.examples = examples
        self.frames = frames
        self.config = config
        self.group = group
        self.durations = np.array([example.utterance.duration for example in examples])

    def training_epoch(self, epoch: int) -> Epoch[Batch]:
        """Draw speeds and shuffle batches; the first epoch goes from short to long utterances."""
        rng = np.random.default_rng([self.config.train.seed, epoch])
        speeds = rng.choice(self.config.augment.speeds, len(self.examples))
        return self._epoch(speeds, rng if epoch else None)

    def in_order(self) -> Epoch[Batch]:
        """Return every utterance once, unchanged, shortest first."""
        return self._epoch(np.ones(len(self.examples)), None)

    def _epoch(self, speeds: np.ndarray, order: np.random.Generator | None) -> Epoch[Batch]:
        durations = self.durations / speeds
        plan = plan_batches(durations, self.config.data.batch_s, order)
        workers = self.config.data.workers
        return Epoch(plan, durations, lambda indices: self._batch(indices, speeds), workers)

    def _batch(self, indices: Sequence[int], speeds: np.ndarray) -> Batch | None:
        indices = indices[self.group.rank :: self.group.size]
        if not indices:
            return None
        examples = tuple(self.examples[i] for i in indices)
        log_mels = [self.frames(self.examples[i].utterance, float(speeds[i])) for i in indices]
        tokens = [torch.tensor(example.tokens, dtype=torch.int64) for example in examples]
        phones = [torch.tensor(example.phones, dtype=torch.int64) for example in examples]
        return Batch(examples, *_padded(log_mels), *_padded(tokens), *_padded(phones))


def _padded(sequences: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Stack sequences, padded with 0, and return their lengths: (N, longest ...), int64 (N,)."""
    padded = torch.nn.utils.rnn.pad_sequence(sequences, batch_first=True)
    return padded, torch.tensor([len(sequence) for sequence in sequences])

"""The training task of the tagger: windows of written text, as a recogniser would hand them over.

An epoch is a part of the text, so that one pass over a long text has several validations. Windows
begin at other words in each pass, and errors and pauses are drawn anew.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor
from torch.nn.functional import cross_entropy

from asr._progress import counted
from asr.config import Config
from asr.data import Epoch
from asr.distributed import ProcessGroup
from asr.errors import ConfigError, TrainingError
from asr.readable import (
    MAIN,
    PERIOD,
    Alike,
    TagBatch,
    TagCounts,
    Tagged,
    TaggerNetwork,
    WrittenText,
    capitals,
    count_tags,
    draw_pauses,
    mean_f1,
    misheard,
    row_statistics,
    word_rows,
)

NOTHING = -100  # a target that cross_entropy ignores


class TaggerTask:
    """The task of the tagger; see asr.train.Task."""

    def __init__(
        self,
        config: Config,
        train: WrittenText,
        valid: WrittenText,
        *,
        group: ProcessGroup,
        device: str,
    ) -> None:
        self.config = config.tagger
        self.device = torch.device(device)
        if self.config.bfloat16 and not _has_16_bits(self.device):
            raise ConfigError(
                "tagger.bfloat16 is true, and this processor has no products in 16 bits (AVX-512); "
                "set it to false"
            )
        self.seed = config.train.seed
        self.train, self.valid = (
            _TagWords(train, self.config.rows),
            _TagWords(valid, self.config.rows),
        )
        self.group = group
        self.model = TaggerNetwork(self.config).to(self.device)
        self.model.start_from(row_statistics(train, self.train.rows, self.config.rows))
        self.alike = Alike(train.words, np.bincount(train.ids, minlength=len(train.words)))
        if len(train) < 2 * self.config.window or len(valid) < self.config.window:
            raise TrainingError(
                f"the texts have {len(train)} and {len(valid)} words; "
                f"tagger.window={self.config.window} needs {2 * self.config.window} to train on"
            )

    def batches(self, epoch: int) -> Epoch[TagBatch]:
        """Return the batches of one part of the text; each pass over all parts is shuffled anew."""
        words, window = len(self.train.text), self.config.window
        shares = max(1, round(words / self.config.epoch_words))
        number = epoch // shares  # of the pass
        rng = np.random.default_rng([self.seed, number])
        starts = np.arange(rng.integers(window), words - window + 1, window)
        chosen = np.array_split(rng.permutation(starts), min(shares, len(starts)))
        own = chosen[epoch % len(chosen)]
        size = max(1, self.config.batch_words // window)
        plan = [list(range(i, min(i + size, len(own)))) for i in range(0, len(own), size)]
        return Epoch(
            plan, np.full(len(own), window), lambda at: self._batch(own[self._own(at)], number)
        )

    def _own(self, indices: Sequence[int]) -> Sequence[int]:
        return indices[self.group.rank :: self.group.size]

    def _batch(self, starts: NDArray[np.int64], number: int) -> TagBatch | None:
        windows = []
        for start in starts.tolist():
            rng = np.random.default_rng([self.seed, number, start])
            tagged = self.train.window(start, self.config.window, rng)
            # Half of the windows are without errors: some recordings are easy.
            rate = max(0.0, rng.uniform(-1, 1)) * self.config.most_errors
            windows.append(misheard(tagged, rate, self.alike, rng))
        return self.train.batch(windows) if windows else None

    def loss(self, batch: TagBatch, generator: Generator) -> tuple[Tensor, int]:
        """Return the negative log-probability of the tags in nats, and the number of words."""
        batch = batch.to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.bfloat16):
            cases, marks = self.model(batch.rows, batch.pauses, batch.num_words)
        return _loss(cases, marks, batch), int(batch.num_words.sum())

    def describe(self, batch: TagBatch) -> str:
        """Name the number of windows."""
        return f"{counted(len(batch.rows), 'window')} of {batch.rows.shape[1]} words"

    def seconds(self, batch: TagBatch) -> float:
        """Return the number of words."""
        return float(batch.num_words.sum())

    def report(self) -> dict[str, float]:
        """Return nothing: there are no figures beside the loss."""
        return {}

    @torch.inference_mode()
    def validate(self, model: TaggerNetwork) -> dict[str, float]:
        """Return the loss per word; F1 of some tags; as 'error', 1 less their mean F1.

        Words are without errors, and half of the windows have pauses, the same ones each time.
        """
        window, text = self.config.window, self.valid.text
        starts = np.arange(0, len(text) - window + 1, window)
        own = starts[self._own(range(len(starts)))]
        total = torch.zeros(2, dtype=torch.float64, device=self.device)
        none = np.zeros(0, np.int64)
        counts = count_tags((none, none), (none, none))  # a process may have no window
        for at in range(0, len(own), 64):
            windows = [
                self.valid.window(start, window, np.random.default_rng([start]), mode)
                for start, mode in zip(
                    own[at : at + 64].tolist(), ("all", "none") * 32, strict=False
                )
            ]
            batch = self.valid.batch(windows).to(self.device)
            cases, marks = model(batch.rows, batch.pauses, batch.num_words)
            total[0] += _loss(cases, marks, batch)
            total[1] += batch.num_words.sum()
            given = (cases.argmax(2).cpu().numpy(), marks.argmax(2).cpu().numpy())
            for row, tagged in enumerate(windows):
                found = count_tags(
                    (tagged.cases, tagged.marks),
                    (capitals(given[0][row], given[1][row]), given[1][row]),
                )
                counts = {name: counts[name] + found[name] for name in found}
        return self._figures(total, counts)

    def _figures(self, total: Tensor, counts: dict[str, TagCounts]) -> dict[str, float]:
        """Return the figures of all processes."""
        table = torch.tensor(
            [(c.reference, c.given, c.right) for c in counts.values()],
            dtype=torch.float64,
            device=self.device,
        )
        self.group.sum([total, table])
        summed = {
            name: TagCounts(*map(int, row))
            for name, row in zip(counts, table.tolist(), strict=True)
        }
        return {
            "loss": float(total[0] / total[1]),
            "error": 1 - mean_f1(summed),
            **{name: summed[name].f1 for name in MAIN},
        }


class _TagWords:
    """A written text whose words have rows of the embedding table."""

    def __init__(self, text: WrittenText, num_rows: int) -> None:
        self.text = text
        self.rows = word_rows(text.words, num_rows)

    def window(
        self, start: int, length: int, rng: np.random.Generator, mode: str | None = None
    ) -> Tagged:
        """Return some words with pauses; `mode` is that of `draw_pauses`."""
        part = slice(start, start + length)
        marks = self.text.marks[part].astype(np.int64)
        return Tagged(
            ids=self.text.ids[part].astype(np.int64),
            pauses=draw_pauses(marks, rng, mode),
            cases=self.text.cases[part].astype(np.int64),
            marks=marks,
        )

    def batch(self, windows: Sequence[Tagged]) -> TagBatch:
        """Pad windows to a batch."""

        def padded(arrays: list[NDArray[np.int64]], value: int) -> Tensor:
            rows = [torch.from_numpy(array) for array in arrays]
            return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=value)

        ids = padded([window.ids for window in windows], 0)
        return TagBatch(
            rows=torch.from_numpy(self.rows[ids.numpy()].astype(np.int64)),
            pauses=padded([window.pauses for window in windows], 0),
            cases=padded([_learnable(window) for window in windows], NOTHING),
            marks=padded([window.marks for window in windows], NOTHING),
            num_words=torch.tensor([len(window.ids) for window in windows]),
        )


def _learnable(window: Tagged) -> NDArray[np.int64]:
    """Return the capital forms, but NOTHING where they follow from the mark before.

    After a period there is a capital anyway. The mark before the first word is not known.
    """
    after = np.concatenate(([True], window.marks[:-1] == PERIOD))
    return np.where(after, NOTHING, window.cases)


def _loss(cases: Tensor, marks: Tensor, batch: TagBatch) -> Tensor:
    """Return the summed cross-entropy of both tags."""
    return _summed(cases, batch.cases) + _summed(marks, batch.marks)


def _summed(scores: Tensor, targets: Tensor) -> Tensor:
    """Return the summed cross-entropy of scores (N, T, tags), given targets (N, T)."""
    return cross_entropy(
        scores.flatten(0, 1).float(), targets.flatten(), ignore_index=NOTHING, reduction="sum"
    )


def _has_16_bits(device: torch.device) -> bool:
    """Return whether a device can run an LSTM in bfloat16."""
    return device.type != "cpu" or torch.backends.cpu.get_cpu_capability() != "AVX2"

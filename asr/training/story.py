"""Tell what happens in training: two lines an epoch, and at the end what the figures mean."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from asr._progress import counted
from asr.config import TrainConfig

Figures = Mapping[str, float]

GREEDY = "greedy"
WITH_LM = "with the language model"
STILL_FALLING = 0.03  # share by which the error fell in the last quarter of the epochs
DEAF = 0.9  # word error rate
OVERFITTED = 1.3  # loss of held-out speech over that of the training speech


def word_error(figures: Figures) -> tuple[float, str] | None:
    """Return the word error rate by the decoder that will be used, and the decoder's name."""
    if "valid_decoded_wer" in figures:
        return figures["valid_decoded_wer"], WITH_LM
    if "valid_cer" in figures:
        return figures.get("valid_wer", figures["valid_error"]), GREEDY
    return None


def epoch_lines(
    epoch: int, config: TrainConfig, figures: Figures, spent_s: float, best: int
) -> list[str]:
    """Return two lines about an epoch, each of at most 100 columns; log.jsonl has all figures.

    A third line says when training ends because train.patience is at its end.

    Args:
        epoch: from 1 on.
        config: of the run.
        figures: of the epoch.
        spent_s: seconds that all epochs so far have taken.
        best: the best epoch so far, from 1.
    """
    epochs, patience = config.epochs, config.patience
    found = word_error(figures)
    error = f"WER {found[0]:.1%} {found[1]}" if found else f"error {figures['valid_error']:.4g}"
    so_far = ", the best so far" if best == epoch else ""
    first = (
        f"epoch {epoch}/{epochs}  loss {figures['train_loss']:.3f}, held out "
        f"{figures['valid_loss']:.3f}  {error}{so_far}"
    )
    left = _duration(spent_s / epoch * (epochs - epoch) / 60)
    parts = [f"{figures['seconds'] / 60:.1f} min, {'at most ' * bool(patience)}{left} left"]
    names = (("valid_cer", "characters"), ("valid_per", "phones"))
    if wrong := [f"{what} {figures[name]:.1%}" for name, what in names if name in figures]:
        parts.append(f"{', '.join(wrong)} wrong")
    if rate := figures.get("audio_s_per_s"):
        parts.append(f"{rate:.0f} x real time")
    lines = [first, f"{'':<{len(f'epoch {epoch}/{epochs}')}}  {'; '.join(parts)}"]
    if epoch < epochs and 0 < patience <= epoch - best:
        lines.append(
            f"training ends after epoch {epoch} of {epochs}: none was better than epoch {best} for "
            f"{counted(patience, 'epoch')} (train.patience)"
        )
    return lines


def _duration(minutes: float) -> str:
    return f"{minutes / 60:.1f} hours" if minutes >= 90 else f"{minutes:.0f} min"


def stop_line(step: int, batch: int, batches: int, epoch: int) -> str:
    """Return what is said when a signal has stopped a run, after a batch of an epoch, from 1."""
    return (
        f"stopped after step {step} (batch {batch} of {batches} of epoch {epoch}), saved; "
        "--resume goes on from here"
    )


def processes_lines(before: int, now: int) -> list[str]:
    """Return a line if a run is resumed with another number of processes, else none."""
    if before == now:
        return []
    return [
        f"{counted(before, 'process', 'processes')} before, {now} now: the result will be as good "
        "as without the stop, but not the same to the bit"
    ]


def amount_of_speech(hours: float) -> str:
    """Return an amount of speech for people: in minutes below an hour."""
    return f"{hours:.1f} hours" if hours >= 0.95 else counted(max(1, round(60 * hours)), "minute")


def closing_lines(folder: Path, *, with_lm: bool, with_phones: bool, hours: float) -> list[str]:
    """Return what a finished run has reached, how it is used, and what would help most next."""
    epochs = [
        json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    best = min(range(len(epochs)), key=lambda i: _judged(epochs[i]))
    found = word_error(epochs[best])
    meaning = "errors per word of the transcripts that chose the epoch, so a little flattering"
    reached = f"WER {found[0]:.1%} {found[1]}: {meaning}" if found else "see log.jsonl"
    if found and min(filter(None, map(word_error, epochs))) < found:
        reached += "; it was chosen by a loss or the phones, which tell more than WER of few words"
    return [
        f"done: best epoch {best + 1} of {len(epochs)}, {reached}",
        f"use it:     asr-transcribe --model {folder} talk.wav",
        f"measure it: asr-evaluate {folder} test.jsonl --out {folder / 'test'}",
        f"what would help most next: {advice(epochs, best, with_lm, with_phones, hours)}",
    ]


def _judged(figures: Figures) -> tuple[float, float]:
    return figures["valid_error"], figures["valid_loss"]


def advice(
    epochs: Sequence[Figures], best: int, with_lm: bool, with_phones: bool, hours: float
) -> str:
    """Return what would lower the error most, by the curve and by what was at hand."""
    errors = [_judged(figures)[0] for figures in epochs]
    before = min(errors[: max(1, len(errors) * 3 // 4)])
    falling = best >= len(errors) - 2 and errors[best] < (1 - STILL_FALLING) * before
    last, found = epochs[-1], word_error(epochs[best])
    if found and found[0] > DEAF:
        return (
            "the network hardly listens yet: look at the data (asr-doctor), or train for longer "
            f"(--resume train.epochs={2 * len(epochs)})"
        )
    if not with_lm:
        return (
            "a language model: asr-lm train on text like yours (--model takes this folder), then "
            "train with --lm (docs/language-models.md)"
        )
    if falling:
        return f"more epochs, the error still falls: --resume train.epochs={2 * len(epochs)}"
    if not with_phones and hours < 20:
        return "a pronouncing dictionary: asr-lexicon, then train with --lexicon (docs/train.md)"
    if last["valid_loss"] > OVERFITTED * last["train_loss"] or hours < 20:
        return f"more speech than {amount_of_speech(hours)}, of more speakers"
    return "a larger network (model.hidden), or weights of the search: asr-evaluate --tune"

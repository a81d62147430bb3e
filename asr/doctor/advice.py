"""Recommend the settings that fit the amount of speech, and say what error to expect."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from asr._progress import counted

if TYPE_CHECKING:  # so that a model is examined without torch
    from asr.doctor.cost import Cost

# Word error rates of clear reading by speakers who were not heard in training, with and without a
# language model and phones: measured at one, five and ten hours (recipes/librispeech/RESULTS.md,
# recipes/english/RESULTS.md, docs/train.md), guessed beyond.
EXPECTED = {
    "half-hour": ("25 to 60", "70 to 100"),
    "five-hours": ("14 to 25", "50 to 70"),
    "fifty-hours": ("8 to 15", "20 to 45"),
    "five-hundred-hours": ("5 to 10", "10 to 20"),
}
MINUTES_A_HOUR = 1.2  # of one core, an epoch: 0.7 of five hours, 1.6 of one (recipes/librispeech)

LITTLE_HOURS = 0.25  # training from nothing with less was not measured on real speech


def recommendation(hours: float, cost: "Cost | None") -> list[str]:
    """Return lines that recommend a preset for so many hours of speech.

    Args:
        hours: of the training set.
        cost: measured for the configuration that was given, if one was.
    """
    from asr.training import plan_training, preset_for  # late: torch

    name = preset_for(hours)
    with_lm, greedy = EXPECTED[name]
    if cost:
        time = f"the configuration given takes about {_duration(60 * cost.run_hours)} here"
    else:
        plan = plan_training(conf=None, overrides=(), hours=hours, decoded=True)
        minutes = MINUTES_A_HOUR * plan.config.train.epochs * hours
        time = f"about {_duration(minutes)} of one core with --lm, thrice that without"
    lines = [
        f"recommended: asr-train --preset {name}, with --lm and --lexicon if you have them; {time}",
        f"to expect of clear reading, as measured in English: WER {with_lm} % with a language "
        f"model and phones, {greedy} % without; less for speakers heard in training, and with "
        "--init from a model of the language",
    ]
    if hours < LITTLE_HOURS:
        lines.append(
            f"{_duration(60 * hours)} of speech will give more errors than that: record half an "
            "hour, or begin with a model of the language (asr-adapt)"
        )
    return lines


def for_frames(widths: Mapping[int, int]) -> list[str]:
    """Return a line with the settings that frames need, of which there are files by width."""
    width = max(widths, key=widths.__getitem__)
    return [
        f'recommended: features.filterbank="none" features.num_mels={width} '
        f"features.num_ceps={width} in the configuration (docs/sequences.md); the presets are for "
        "recordings"
    ]


def _duration(minutes: float) -> str:
    return (
        f"{minutes / 60:.1f} hours" if minutes >= 90 else counted(max(1, round(minutes)), "minute")
    )

"""Split a corpus at random into sets to train on, to choose the best epoch by, and to test on.

Nobody is heard in two sets where there are speakers enough, and no recording is in two sets where
there are recordings enough. The same corpus, shares and seed give the same sets.
"""

import random
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from asr.errors import ConfigError
from asr.manifest import Utterance

PARTS = ("train", "valid", "test")


@dataclass(frozen=True)
class Split:
    """The sets of a corpus by name, and how they were made."""

    parts: dict[str, list[Utterance]]  # of PARTS, without the ones whose share is 0
    by: str  # "speaker", "recording" or "utterance"

    def __str__(self) -> str:
        reasons = {
            "speaker": "by speaker: nobody is heard in two sets",
            "recording": "by recording, as there are too few speakers: figures will be of voices "
            "that training has heard",
            "utterance": "by utterance, as there are too few recordings: figures will be of "
            "recordings that training has heard in part",
        }
        return f"split {reasons[self.by]}"


def parse_shares(text: str) -> tuple[float, ...]:
    """Return the shares that `80/10/10` names, as parts of 1, in the order of PARTS.

    Raises:
        ConfigError: it is no list of two or three numbers, or training gets nothing.
    """
    try:
        numbers = [float(word) for word in text.split("/")]
        fine = len(numbers) in (2, 3) and numbers[0] > 0 and min(numbers) >= 0 and numbers[1] > 0
    except ValueError:
        fine = False
    if not fine or not 0 < sum(numbers) < float("inf"):
        raise ConfigError(
            f"--split {text}: write the shares of train, valid and test, such as 80/10/10; "
            "90/10 leaves test out"
        )
    return tuple(number / sum(numbers) for number in numbers)


def split(
    utterances: Sequence[Utterance],
    shares: Sequence[float],
    seed: int = 1,
    *,
    by_speaker: bool = True,
) -> Split:
    """Split utterances by speaker, or else by recording, or else by utterance.

    Args:
        utterances: the corpus.
        shares: of train, valid and perhaps test, in seconds of speech, as parts of 1.
        seed: of the random choice.
        by_speaker: whether speakers are kept apart, where there are enough.

    Raises:
        ConfigError: there are fewer utterances than sets.
    """
    wanted = {name: share for name, share in zip(PARTS, shares, strict=False) if share}
    ways: dict[str, Callable[[Utterance], Hashable]] = {
        "speaker": lambda item: item.speaker or "",
        "recording": lambda item: item.audio,
        "utterance": lambda item: item.id,
    }
    for by, key in ways.items():
        groups: dict[Hashable, list[Utterance]] = {}
        for utterance in utterances:
            groups.setdefault(key(utterance), []).append(utterance)
        named = by != "speaker" or (by_speaker and "" not in groups)
        if len(groups) >= len(wanted) and named:
            role = _roles({key: _seconds(group) for key, group in groups.items()}, wanted, seed)
            parts = {
                name: [item for item in utterances if role[key(item)] == name] for name in wanted
            }
            return Split(parts, by)
    raise ConfigError(f"--split: {len(utterances)} utterances are too few for {len(wanted)} sets")


def _seconds(utterances: Sequence[Utterance]) -> float:
    return sum(utterance.duration for utterance in utterances)


def _roles(
    seconds: dict[Hashable, float], shares: dict[str, float], seed: int
) -> dict[Hashable, str]:
    """Give each group to a set, so that the sets have about their shares of all seconds.

    The smaller sets take groups in random order until another one would be further from their
    share than none; each takes one at least. Training gets the others.
    """
    total = sum(seconds.values())
    order = sorted(seconds, key=str)  # whatever the order of the corpus was
    random.Random(seed).shuffle(order)
    role: dict[Hashable, str] = {}
    held_out = [name for name in shares if name != "train"]
    for done, name in enumerate(held_out):
        target, got = shares[name] * total, 0.0
        others = len(held_out) - done  # sets that need a group, too; there are as many groups
        free = [group for group in order if group not in role][:-others]
        for group in free:
            if abs(got + seconds[group] - target) < abs(got - target):
                role[group] = name
                got += seconds[group]
        if not got:  # every group is much larger than the share
            role[min(free, key=seconds.__getitem__)] = name
    return {group: role.get(group, "train") for group in seconds}

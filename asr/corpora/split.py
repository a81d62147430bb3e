"""Split a corpus at random into sets to train on, to choose the best epoch by, and to test on.

Nobody is heard in two sets where there are speakers enough, and no recording is in two sets where
there are recordings enough. Where several people read the same sentences, the sentences can be kept
apart instead. The same corpus, shares and seed give the same sets.
"""

import random
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from asr._progress import counted
from asr.errors import ConfigError
from asr.manifest import Utterance
from asr.text import Normalizer, language_settings

PARTS = ("train", "valid", "test")
SPLIT_WAYS = ("speaker", "recording", "utterance")  # by default: the first that there are enough of
SPLIT_CHOICES = ("speaker", "recording", "text")  # of --split-by
NO_SPEAKER = "no speaker is named"
LEAST_SHARE = 0.9  # of what training was to have, below which it is said
SHARED_TEXTS = 0.05  # share of the test set's utterances, above which figures flatter


@dataclass(frozen=True)
class Split:
    """The sets of a corpus by name, and how they were made."""

    parts: dict[str, list[Utterance]]  # of PARTS, without the ones whose share is 0
    by: str  # "speaker", "recording", "utterance" or "text"
    why_not: str = ""  # why it was not the way that comes first

    def __str__(self) -> str:
        why = f", as {self.why_not}" if self.why_not else ""
        meaning = {
            "speaker": "nobody is heard in two sets",
            "recording": "figures will be of voices that training has heard",
            "utterance": "figures will be of recordings that training has heard in part",
            "text": "no text is in two sets; figures will be of voices that training has heard",
        }
        text = f"split by {self.by}{why}: {meaning[self.by]}"
        return text.replace("will", "may") if self.why_not == NO_SPEAKER else text

    def coarseness(self, shares: Sequence[float]) -> str:
        """Return a message if training got much less than its share, else an empty string."""
        seconds = {name: _seconds(part) for name, part in self.parts.items()}
        got = seconds["train"] / sum(seconds.values())
        if self.by != "speaker" or got > LEAST_SHARE * shares[0]:
            return ""
        return (
            f"with so few speakers the shares are coarse: training has {got:.0%} of the speech "
            f"instead of {shares[0]:.0%}; --split-by recording keeps the shares, and every voice "
            "is in training then"
        )

    def flattery(self) -> str:
        """Return a warning if many texts to test on stand in training too, else an empty string."""
        *_, name = self.parts
        known = {_text(utterance) for utterance in self.parts["train"]}
        shared = sum(_text(utterance) in known for utterance in self.parts[name])
        if shared <= SHARED_TEXTS * len(self.parts[name]):
            return ""
        return (
            f"{shared} of {counted(len(self.parts[name]), 'utterance')} in {name}.jsonl have texts "
            "that training has, too, so that figures will be too good, unless what will be "
            "recognised is a fixed set of words; --split-by text keeps texts apart"
        )


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
    ways: Sequence[str] = SPLIT_WAYS,
) -> Split:
    """Split utterances by speaker, or else by recording, or else by utterance.

    Args:
        utterances: the corpus.
        shares: of train, valid and perhaps test, in seconds of speech, as parts of 1.
        seed: of the random choice.
        ways: of SPLIT_WAYS, or "text", the best one first; the first that is possible is taken.
            By text, utterances that say the same stay in one set.

    Raises:
        ConfigError: no way is possible.
    """
    wanted = {name: share for name, share in zip(PARTS, shares, strict=False) if share}
    obstacles = []
    for by in ways:
        key = _KEYS[by]
        groups: dict[Hashable, list[Utterance]] = {}
        for utterance in utterances:
            groups.setdefault(key(utterance), []).append(utterance)
        if obstacle := _obstacle(by, groups, len(wanted)):
            obstacles.append(obstacle)
            continue
        role = _roles({key: _seconds(group) for key, group in groups.items()}, wanted, seed)
        parts = {name: [item for item in utterances if role[key(item)] == name] for name in wanted}
        return Split(parts, by, "".join(obstacles[:1]))
    if len(ways) == 1:
        raise ConfigError(f"--split-by {ways[0]}: {obstacles[0]}; leave it out, or choose another")
    few = "1 utterance is" if len(utterances) == 1 else f"{len(utterances)} utterances are"
    raise ConfigError(f"--split: {few} too few for {counted(len(wanted), 'set')}")


_normalise = Normalizer(**language_settings("any"))


def _text(utterance: Utterance) -> str:
    """Return the words of an utterance, without capitals and punctuation."""
    return _normalise(utterance.text)


_KEYS: dict[str, Callable[[Utterance], Hashable]] = {
    "speaker": lambda item: item.speaker or "",
    "recording": lambda item: item.audio,
    "utterance": lambda item: item.id,
    "text": _text,
}


def _obstacle(by: str, groups: dict[Hashable, list[Utterance]], num_sets: int) -> str:
    """Return why these groups cannot be split into so many sets; an empty string if they can."""
    if by == "speaker" and "" in groups:
        return NO_SPEAKER if len(groups) == 1 else "some utterances name no speaker"
    if len(groups) < num_sets:
        return f"there are too few {'different texts' if by == 'text' else f'{by}s'}"
    return ""


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

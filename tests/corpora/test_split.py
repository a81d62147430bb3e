"""Splits of a corpus: nobody in two sets, the shares, the same sets for the same seed."""

from dataclasses import replace
from pathlib import Path

import pytest

from asr.corpora.split import parse_shares, split
from asr.errors import ConfigError
from asr.manifest import Utterance

SHARES = parse_shares("80/10/10")


def corpus(speakers: int, recordings: int, utterances: int = 1) -> list[Utterance]:
    """Make a corpus of so many speakers (0: not known), recordings each, utterances each."""
    return [
        Utterance(
            id=f"{s}-{r}-{u}",
            audio=Path(f"/{s}/{r}.wav"),
            start=float(u),
            duration=1.0,
            text="x",
            speaker=f"s{s}" if speakers else None,
        )
        for s in range(max(speakers, 1))
        for r in range(recordings)
        for u in range(utterances)
    ]


@pytest.mark.parametrize(
    ("made", "by", "key"),
    [
        (corpus(10, 20), "speaker", "speaker"),
        (corpus(3, 20), "speaker", "speaker"),
        (corpus(2, 50), "recording", "audio"),
        (corpus(0, 50, 2), "recording", "audio"),
        (corpus(0, 2, 50), "utterance", "id"),
    ],
)
def test_no_group_is_in_two_sets(made: list[Utterance], by: str, key: str) -> None:
    found = split(made, SHARES)
    assert found.by == by
    assert by in str(found)
    assert list(found.parts) == ["train", "valid", "test"]
    groups = [{getattr(item, key) for item in part} for part in found.parts.values()]
    assert all(groups)
    assert sum(map(len, groups)) == len(set().union(*groups))
    assert sorted(item.id for part in found.parts.values() for item in part) == sorted(
        item.id for item in made
    )


def test_speakers_may_be_in_several_sets() -> None:
    made = corpus(10, 20)
    found = split(made, SHARES, by_speaker=False)
    unnamed = split([replace(item, speaker=None) for item in made], SHARES)
    assert found.by == unnamed.by == "recording"
    ids = [[[i.id for i in part] for part in way.parts.values()] for way in (found, unnamed)]
    assert ids[0] == ids[1]


def test_shares_are_of_the_seconds() -> None:
    parts = split(corpus(0, 200), SHARES).parts
    assert {name: len(part) for name, part in parts.items()} == {
        "train": 160,
        "valid": 20,
        "test": 20,
    }
    assert set(split(corpus(0, 10), parse_shares("90/10")).parts) == {"train", "valid"}
    assert set(split(corpus(0, 10), parse_shares("9/1/0")).parts) == {"train", "valid"}


def test_one_speaker_with_most_of_the_speech_is_trained_on() -> None:
    made = [*corpus(4, 2), *(item for item in corpus(5, 500) if item.speaker == "s4")]
    parts = split(made, SHARES).parts
    assert "s4" in {item.speaker for item in parts["train"]}
    assert all(parts.values())


def test_the_seed_alone_decides() -> None:
    made = corpus(0, 100)
    first = split(made, SHARES, 1).parts["test"]
    again = split(list(reversed(made)), SHARES, 1).parts["test"]
    assert {item.id for item in first} == {item.id for item in again}
    assert first != split(made, SHARES, 2).parts["test"]


def test_a_speaker_without_a_name_is_nobody() -> None:
    made = [*corpus(9, 5), *corpus(0, 5)]
    made = [*made[:-5], *(Utterance(**{**vars(i), "id": f"x{i.id}"}) for i in made[-5:])]
    assert split(made, SHARES).by == "recording"


@pytest.mark.parametrize("text", ["80", "80/", "a/b", "0/1/1", "1/0/1", "-1/2", "nan/1", "1/2/3/4"])
def test_shares_that_make_no_sense(text: str) -> None:
    with pytest.raises(ConfigError, match=f"--split {text}: write the shares"):
        parse_shares(text)


def test_too_few_utterances() -> None:
    with pytest.raises(ConfigError, match="2 utterances are too few for 3 sets"):
        split(corpus(0, 2), SHARES)

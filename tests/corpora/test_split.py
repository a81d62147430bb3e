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
    found = split(made, SHARES, ways=("recording", "utterance"))
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


def said(made: list[Utterance], texts: int) -> list[Utterance]:
    """Let each of the utterances in turn say one of so many texts, written in different ways."""
    words = [f"Sentence {'abcdefghijklmnopqrstuvwxyz'[number]}" for number in range(texts)]
    marked = [words, [f"{word.upper()}!" for word in words]]
    return [
        replace(item, text=marked[place // texts % 2][place % texts])
        for place, item in enumerate(made)
    ]


def test_by_text_no_sentence_is_in_two_sets() -> None:
    made = said(corpus(10, 20), 20)  # ten people read the same sentences
    found = split(made, SHARES, ways=("text",))
    assert str(found).startswith("split by text: no text is in two sets; figures will be of voices")
    texts = [{item.text.lower().rstrip("!") for item in part} for part in found.parts.values()]
    assert [len(part) for part in texts] == [16, 2, 2]
    assert len(set().union(*texts)) == 20
    assert not found.flattery()
    again = split(list(reversed(made)), SHARES, ways=("text",))
    assert {item.id for item in again.parts["test"]} == {item.id for item in found.parts["test"]}


def test_texts_that_training_has_are_told() -> None:
    found = split(said(corpus(10, 20), 20), SHARES)
    assert found.by == "speaker"
    assert found.flattery().startswith("20 of 20 utterances in test.jsonl have texts that training")
    assert "--split-by text" in found.flattery()
    two = split(said(corpus(0, 40), 20), parse_shares("90/10"))
    assert "4 of 4 utterances in valid.jsonl" in two.flattery()
    apart = [replace(item, text=str(number)) for number, item in enumerate(corpus(10, 20))]
    assert not split(apart, SHARES).flattery()
    first, *_ = split(apart, SHARES).parts["train"]
    test = split(apart, SHARES).parts["test"]
    few = [replace(i, text=first.text) if i.id == test[0].id else i for i in apart]
    assert not split(few, SHARES).flattery()  # one of twenty


def test_coarse_shares_are_told() -> None:
    coarse = split(corpus(4, 25), SHARES)
    assert coarse.coarseness(SHARES).startswith(
        "with so few speakers the shares are coarse: training has 50% of the speech instead of 80%"
    )
    assert not split(corpus(20, 5), SHARES).coarseness(SHARES)
    assert not split(corpus(4, 25), SHARES, ways=("recording",)).coarseness(SHARES)


def test_why_it_is_not_by_speaker() -> None:
    unnamed = corpus(0, 50)
    assert str(split(unnamed, SHARES)).startswith(
        "split by recording, as no speaker is named: figures may be of"
    )
    assert "as there are too few speakers: " in str(split(corpus(2, 50), SHARES))
    some = [replace(item, speaker="anna") for item in unnamed[:9]] + unnamed[9:]
    assert "by recording, as some utterances name no speaker: " in str(split(some, SHARES))
    asked = split(corpus(9, 9), SHARES, ways=("recording",))
    assert str(asked) == ("split by recording: figures will be of voices that training has heard")


@pytest.mark.parametrize(
    ("made", "way", "complaint"),
    [
        (corpus(0, 50), "speaker", "no speaker is named; leave it out, or choose another"),
        (corpus(2, 50), "speaker", "there are too few speakers; leave"),
        (corpus(9, 9), "text", "there are too few different texts; leave"),
        (corpus(0, 2, 50), "recording", "there are too few recordings; leave"),
    ],
)
def test_a_way_that_was_asked_for_and_is_not_possible(
    made: list[Utterance], way: str, complaint: str
) -> None:
    with pytest.raises(ConfigError, match=f"--split-by {way}: {complaint}"):
        split(made, SHARES, ways=(way,))


@pytest.mark.parametrize("text", ["80", "80/", "a/b", "0/1/1", "1/0/1", "-1/2", "nan/1", "1/2/3/4"])
def test_shares_that_make_no_sense(text: str) -> None:
    with pytest.raises(ConfigError, match=f"--split {text}: write the shares"):
        parse_shares(text)


def test_too_few_utterances() -> None:
    with pytest.raises(ConfigError, match="2 utterances are too few for 3 sets"):
        split(corpus(0, 2), SHARES)

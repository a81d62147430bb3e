"""Read the Free Spoken Digit Dataset: recordings/DIGIT_SPEAKER_TAKE.wav, spoken in English.

Z. Jackson et al., https://github.com/Jakobovski/free-spoken-digit-dataset
"""

import re
from collections.abc import Sequence
from pathlib import Path

from asr.corpora.entries import CorpusEntry, recordings_by_name, refuse, to_utterances
from asr.errors import ConfigError, CorpusError
from asr.manifest import Utterance

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
NAME = re.compile(r"(?P<digit>[0-9])_(?P<speaker>.+)_(?P<take>[0-9]+)")
TEST_SPEAKER = "theo"
TEST_TAKES = range(5)  # the corpus' own README: takes 0 to 4 are the test set
VALID_TAKES = range(5, 10)


def read_fsdd(root: Path) -> list[Utterance]:
    """Read the corpus from its folder or from its recordings folder.

    Raises:
        CorpusError: no recordings, or names other than DIGIT_SPEAKER_TAKE.
    """
    folder = root / "recordings" if (root / "recordings").is_dir() else root
    if not folder.is_dir():
        raise CorpusError(f"{root}: no such folder; give the folder that holds recordings/")
    recordings = sorted(recordings_by_name(folder).items())
    matches = [(path, NAME.fullmatch(name)) for name, path in recordings]
    refuse(folder, [f"{path.name}: not DIGIT_SPEAKER_TAKE" for path, match in matches if not match])
    entries = [
        CorpusEntry(
            id=path.stem, audio=path, text=WORDS[int(match["digit"])], speaker=match["speaker"]
        )
        for path, match in matches
        if match
    ]
    return to_utterances(folder, entries)


def splits(
    utterances: Sequence[Utterance],
    test_speaker: str = TEST_SPEAKER,
    valid_speaker: str | None = None,
) -> dict[str, list[Utterance]]:
    """Split the corpus twice: by speaker (train, valid, test) and by take (all-train, ...).

    Args:
        utterances: the whole corpus.
        test_speaker: the speaker of the test set.
        valid_speaker: the speaker of the validation set; None takes the first other one by name.

    Raises:
        ConfigError: a speaker is not in the corpus or given twice, or nobody is left to train on.
    """
    speakers = sorted({utterance.speaker or "" for utterance in utterances})
    others = [speaker for speaker in speakers if speaker != test_speaker]
    if test_speaker not in speakers:
        raise ConfigError(f"test speaker {test_speaker!r}: the speakers are {', '.join(speakers)}")
    if valid_speaker is not None and valid_speaker not in others:
        raise ConfigError(f"valid speaker {valid_speaker!r}: allowed are {', '.join(others)}")
    if len(speakers) < 3:
        raise ConfigError(f"speakers {', '.join(speakers)}: three are needed to split by speaker")
    roles = {test_speaker: "test", valid_speaker or others[0]: "valid"}
    names = ("train", "valid", "test", "all-train", "all-valid", "all-test")
    parts: dict[str, list[Utterance]] = {name: [] for name in names}
    for utterance in utterances:
        parts[roles.get(utterance.speaker or "", "train")].append(utterance)
        parts[f"all-{_role_of_take(int(utterance.id.rpartition('_')[2]))}"].append(utterance)
    return parts


def _role_of_take(take: int) -> str:
    if take in TEST_TAKES:
        return "test"
    return "valid" if take in VALID_TAKES else "train"

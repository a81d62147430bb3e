"""Who spoke an utterance, by what is told and by NIST's ids."""

import pytest

from asr.scoring.speakers import speakers_of


@pytest.mark.parametrize(
    ("ids", "speakers"),
    [
        (["4T0C0201", "4t0c020a", "4t1c0201"], ["4t0", "4t0", "4t1"]),  # Wall Street Journal
        (["1089-134686-0000", "121-121726-0000"], ["1089", "121"]),  # LibriSpeech
        (["cmh_sa01", "jws_sa01"], ["cmh", "jws"]),
        (["f01_a-b"], ["f01_a"]),  # a hyphen goes first, as in sclite
        (["a-1", "b_1"], ["a", "b"]),
        (["a-1", "u2"], [None, None]),  # not all follow the rule
        (["4t0c0201", "4t0c02011"], [None, None]),
        (["1", "2"], [None, None]),
        (["x/a-1.wav", "x/b-1.wav"], [None, None]),
        ([], []),
    ],
)
def test_ids_tell_speakers(ids: list[str], speakers: list[str | None]) -> None:
    assert speakers_of(ids, {}) == speakers
    assert speakers_of(ids, dict.fromkeys(ids)) == speakers


def test_what_is_told_goes_before_ids() -> None:
    assert speakers_of(["7_theo_3", "7_jo_3"], {"7_theo_3": "theo", "7_jo_3": "jo"}) == [
        "theo",
        "jo",
    ]
    assert speakers_of(["a-1", "b-1"], {"a-1": "x"}) == ["x", None]

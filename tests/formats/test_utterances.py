"""What was heard, as utterances to learn from."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from test_subtitles import said, speech

from asr.formats import FORMATS, Transcript, Word
from asr.formats.utterances import EDGE_S, LONGEST_S, PAUSE_S
from asr.manifest import Utterance, read_manifest


def heard(folder: Path, words: list[Word], duration: float) -> list[Utterance]:
    """What asr-train reads of a recording with these words."""
    path = folder / "manifest.jsonl"
    path.write_text(
        FORMATS["manifest"].write(Transcript("talk.wav", "", duration, tuple(words))),
        encoding="utf-8",
    )
    return read_manifest(path) if path.stat().st_size else []


def test_nothing_said_is_no_utterance(tmp_path: Path):
    assert heard(tmp_path, [], 10.0) == []


def test_cut_at_long_pauses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    words = said("A B", start=0.1) + said("C", start=3.0) + said("D", start=4.4)
    found = heard(tmp_path / "..", words, 4.8)
    one, two, three = found
    assert [u.text for u in found] == ["A B", "C", "D"]
    assert [u.id for u in found] == ["talk-0000", "talk-0001", "talk-0002"]
    assert {u.audio for u in found} == {tmp_path / "talk.wav"}
    assert (one.start, one.start + one.duration) == pytest.approx((0.0, 0.85 + EDGE_S))
    assert (two.start, two.start + two.duration) == pytest.approx((3 - EDGE_S, 3.35 + EDGE_S))
    assert (three.start, three.start + three.duration) == pytest.approx((4.4 - EDGE_S, 4.8))


def test_what_is_too_long_is_cut_at_its_longest_pauses(tmp_path: Path):
    words = said("A " * 30) + said("B " * 30, start=12.2) + said("C " * 4, start=24.3)
    assert [u.text[0] for u in heard(tmp_path, words, 30.0)] == ["A", "B"]
    assert heard(tmp_path, words, 30.0)[1].text == "B " * 30 + "C C C C"


def test_speech_without_a_pause_is_halved(tmp_path: Path):
    words = said("A " * 100, gap_s=0.0)  # 35 s
    assert [len(u.text.split()) for u in heard(tmp_path, words, 35.0)] == [25] * 4


@given(speech())
def test_every_word_is_in_one_utterance(
    tmp_path_factory: pytest.TempPathFactory, spoken: tuple[list[Word], float]
):
    words, duration = spoken
    found = heard(tmp_path_factory.mktemp("heard"), words, duration)
    assert [w for u in found for w in u.text.split()] == [word.word for word in words]
    at, rest = 0.0, iter(words)
    for utterance in found:
        end = utterance.start + utterance.duration
        inside = [next(rest) for _ in utterance.text.split()]
        assert at - 0.002 <= utterance.start <= inside[0].start + 0.001
        assert inside[-1].end - 0.001 <= end <= duration + 0.002
        if len(inside) > 1:
            assert utterance.duration <= LONGEST_S + 2 * EDGE_S + 0.001
            pauses = (b.start - a.end for a, b in pairwise(inside))
            assert max(pauses) <= PAUSE_S
        at = end


def test_a_path_that_is_no_unicode_stays_a_line(tmp_path: Path):
    transcript = Transcript(
        b"caf\xe9\n.wav".decode("utf-8", "surrogateescape"), "", 1.0, tuple(said("A"))
    )
    line = FORMATS["manifest"].write(transcript)
    assert line.count("\n") == 1
    path = tmp_path / "m.jsonl"
    path.write_text(line, encoding="utf-8")
    assert read_manifest(path)[0].text == "A"

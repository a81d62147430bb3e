"""Score a system on a test set: each utterance, the total, and the interval of the WER."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from asr._progress import progress
from asr.scoring.alignment import AlignedPair, align
from asr.scoring.interval import Interval, wer_interval
from asr.scoring.speakers import speakers_of
from asr.scoring.wer import Score, pair, score_words, split_words


@dataclass(frozen=True)
class ScoredUtterance:
    """An utterance with its texts and its score.

    Words and alignment are made when they are wanted: kept for each utterance, they would take
    most of the memory.
    """

    id: str
    speaker: str | None
    ref_text: str
    hyp_text: str
    score: Score
    deletable: bool = False  # whether a `(word)` of the reference may be left out

    @property
    def ref(self) -> list[str]:
        """The words of the reference, perhaps with alternatives."""
        return split_words(self.ref_text, self.deletable)

    @property
    def hyp(self) -> list[str]:
        """The words of the hypothesis."""
        return split_words(self.hyp_text)

    @cached_property
    def steps(self) -> list[AlignedPair]:
        """The alignment that the score counts."""
        ref, hyp = self.ref, self.hyp
        if ref == hyp:
            return [("cor", word, word) for word in hyp]
        return align(ref, hyp)


@dataclass(frozen=True)
class System:
    """A system with its scored utterances, in the order of the references."""

    name: str
    utterances: tuple[ScoredUtterance, ...]

    @cached_property
    def total(self) -> Score:
        """The score of all utterances."""
        return sum((utterance.score for utterance in self.utterances), Score())

    @cached_property
    def interval(self) -> Interval | None:
        """The 95 % confidence interval of the WER; None for one utterance or without words."""
        words = [utterance.score.word for utterance in self.utterances]
        return wer_interval(
            [counts.errors for counts in words], [counts.words for counts in words], self.speakers
        )

    @cached_property
    def speakers(self) -> list[str | None]:
        """The speaker of each utterance."""
        return [utterance.speaker for utterance in self.utterances]

    def as_dict(self) -> dict[str, object]:
        """Return the total and its interval, ready for JSON."""
        return self.total.as_dict(self.interval)

    def nist_lines(self) -> list[str]:
        """Return the %WER line with its interval, and the %CER and %SER lines."""
        return self.total.nist_lines(self.interval)

    def remark(self) -> str | None:
        """Return one line on the limits of the interval; None if it is over speakers."""
        if self.interval is None:
            return "no confidence interval: it takes two utterances, and words in the references"
        if self.interval.units == "speakers":
            return None
        known = len(set(self.speakers) - {None})
        return (
            f"{'one speaker' if known == 1 and None not in self.speakers else 'unknown speakers'}: "
            "the confidence interval is over utterances, and says nothing about other speakers"
        )


def score_system(
    name: str,
    refs: Mapping[str, str],
    hyps: Mapping[str, str],
    speakers: Mapping[str, str | None] | None = None,
    *,
    deletable: bool = False,
) -> System:
    """Score hypotheses against references by utterance id.

    Args:
        name: of the system, for tables.
        refs, hyps: texts by utterance id.
        speakers: by the references' ids; if none is given, they are read from the ids.
        deletable: whether `(word)` in a reference may be left out.

    Raises:
        ScoreError: an utterance lacks its partner, an alternative is not closed, or texts are too
            long to compare.
    """
    pairs = pair(refs, hyps)
    found = speakers_of([name for name, _, _ in pairs], speakers or {})
    scored = []
    for (utterance, ref, hyp), speaker in progress([*zip(pairs, found, strict=True)], "scoring"):
        score = score_words(split_words(ref, deletable), split_words(hyp))
        scored.append(ScoredUtterance(utterance, speaker, ref, hyp, score, deletable))
    return System(name, tuple(scored))

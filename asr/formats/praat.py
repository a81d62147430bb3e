"""Write words and pauses as a TextGrid for Praat."""

from collections.abc import Iterator

from asr.formats.transcript import Transcript, Word, one_line

_TEXTGRID = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = {end}
tiers? <exists>
size = {size}
item []:
"""
_TIER = """    item [{number}]:
        class = "IntervalTier"
        name = "{name}"
        xmin = 0
        xmax = {end}
        intervals: size = {size}
"""
_INTERVAL = """        intervals [{number}]:
            xmin = {start}
            xmax = {end}
            text = "{text}"
"""


def textgrid(transcript: Transcript) -> str:
    """Return a TextGrid in its long form; pauses are empty intervals.

    It has one tier, `words`, or a tier for each channel, called after its speaker. The words must
    be in order, without overlaps, and within the recording.
    """
    heard = transcript.channels or (transcript,)
    end = round(transcript.duration, 6)
    tiers = (_tier(number, one, end) for number, one in enumerate(heard, 1))
    return _TEXTGRID.format(end=end, size=len(heard)) + "".join(tiers)


def _tier(number: int, transcript: Transcript, end: float) -> str:
    intervals = list(_intervals(transcript))
    name = _quoted(transcript.speaker or "words")
    return _TIER.format(number=number, name=name, end=end, size=len(intervals)) + "".join(
        _INTERVAL.format(number=place, start=start, end=stop, text=_quoted(text))
        for place, (start, stop, text) in enumerate(intervals, 1)
    )


def _quoted(text: str) -> str:
    return text.replace('"', '""')


def _intervals(transcript: Transcript) -> Iterator[tuple[float, float, str]]:
    """Yield (start, end, text) of words and pauses, which follow each other without gaps."""
    at = 0.0
    for word in (*transcript.words, Word("", transcript.duration, transcript.duration, 1.0)):
        start, end = round(word.start, 6), round(word.end, 6)
        for interval in ((at, start, ""), (start, end, one_line(word.word))):
            if interval[0] < interval[1]:  # Praat has no intervals without length
                yield interval
        at = end

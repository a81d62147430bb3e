"""Write words and pauses as a TextGrid for Praat."""

from collections.abc import Iterator

from asr.formats.transcript import Transcript, Word, one_line

_TEXTGRID = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = {end}
tiers? <exists>
size = 1
item []:
    item [1]:
        class = "IntervalTier"
        name = "words"
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
    """Return a TextGrid in its long form, with one tier, `words`; pauses are empty intervals.

    The words must be in order, without overlaps, and within the recording.
    """
    intervals = list(_intervals(transcript))
    return _TEXTGRID.format(end=round(transcript.duration, 6), size=len(intervals)) + "".join(
        _INTERVAL.format(number=number, start=start, end=end, text=text.replace('"', '""'))
        for number, (start, end, text) in enumerate(intervals, 1)
    )


def _intervals(transcript: Transcript) -> Iterator[tuple[float, float, str]]:
    """Yield (start, end, text) of words and pauses, which follow each other without gaps."""
    at = 0.0
    for word in (*transcript.words, Word("", transcript.duration, transcript.duration, 1.0)):
        start, end = round(word.start, 6), round(word.end, 6)
        for interval in ((at, start, ""), (start, end, one_line(word.word))):
            if interval[0] < interval[1]:  # Praat has no intervals without length
                yield interval
        at = end

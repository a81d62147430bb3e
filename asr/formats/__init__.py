"""Write transcripts as text, JSON, NIST's files, subtitles, Praat's TextGrid or a manifest."""

from asr.formats.known import written_words
from asr.formats.lines import ctm, trn_line
from asr.formats.praat import textgrid
from asr.formats.registry import FORMATS, Format, parse_formats
from asr.formats.transcript import Segment, Transcript, Word, WrittenWord, safe_id
from asr.formats.turns import joined_channels, turns_of

__all__ = [
    "FORMATS",
    "Format",
    "Segment",
    "Transcript",
    "Word",
    "WrittenWord",
    "ctm",
    "joined_channels",
    "parse_formats",
    "safe_id",
    "textgrid",
    "trn_line",
    "turns_of",
    "written_words",
]

"""List the formats by name."""

from collections.abc import Callable
from dataclasses import dataclass

from asr.errors import ConfigError
from asr.formats.lines import ctm, json_object, jsonl, trn, tsv, txt
from asr.formats.praat import textgrid
from asr.formats.subtitles import srt, vtt, vtt_highlighted
from asr.formats.transcript import Transcript
from asr.formats.utterances import manifest


@dataclass(frozen=True)
class Format:
    """A format of transcripts: the function that writes whole lines, and the suffix of files."""

    write: Callable[[Transcript], str]
    suffix: str
    timed: bool = False  # whether it needs the times of words
    joins: bool = True  # whether one file can hold several recordings


FORMATS = {
    "txt": Format(txt, ".txt"),
    "tsv": Format(tsv, ".tsv"),
    "json": Format(json_object, ".json", timed=True),
    "jsonl": Format(jsonl, ".jsonl", timed=True),
    "srt": Format(srt, ".srt", timed=True, joins=False),
    "vtt": Format(vtt, ".vtt", timed=True, joins=False),
    "ctm": Format(ctm, ".ctm", timed=True),
    "trn": Format(trn, ".trn"),
    "textgrid": Format(textgrid, ".TextGrid", timed=True, joins=False),
    "manifest": Format(manifest, ".manifest.jsonl", timed=True),
}


_HIGHLIGHTED = {"vtt": Format(vtt_highlighted, ".vtt", timed=True, joins=False)}


def parse_formats(names: str, *, highlight_words: bool = False) -> tuple[Format, ...]:
    """Return the formats that a list such as "srt,json" names, each once.

    Args:
        names: the list.
        highlight_words: whether subtitles underline each word while it is spoken.

    Raises:
        ConfigError: there is no format of that name, or none of them can highlight words.
    """
    wanted = dict.fromkeys(names.split(","))
    for name in wanted:
        if name not in FORMATS:
            raise ConfigError(f"format is {name!r}; allowed: {', '.join(FORMATS)}")
    if highlight_words and not wanted.keys() & _HIGHLIGHTED.keys():
        raise ConfigError(
            f"highlighted words are for vtt, not for {names}; add --format vtt, or leave "
            "--highlight-words out"
        )
    special = _HIGHLIGHTED if highlight_words else {}
    return tuple(special.get(name, FORMATS[name]) for name in wanted)

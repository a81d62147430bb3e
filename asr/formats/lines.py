"""Write transcripts as text, TSV, JSON, and NIST's .trn and .ctm; functions return whole lines.

A line never holds a line break of its own: tabs and line breaks inside paths and texts become
spaces, and bytes of a path that are not UTF-8 become U+FFFD.
"""

import json
from typing import Any

from asr.formats.transcript import Transcript, Word, one_line, printable
from asr.formats.turns import turns_of


def txt(transcript: Transcript) -> str:
    """Return the text alone; a readable text has an empty line between paragraphs.

    Where channels were told apart, there is a line for each turn, `speaker: text`.
    """
    if transcript.channels:
        return "".join(f"{one_line(line)}\n" for line in transcript.text.split("\n"))
    paragraphs = transcript.text.split("\n\n") if transcript.is_readable else [transcript.text]
    return "\n\n".join(map(one_line, paragraphs)) + "\n"


def tsv(transcript: Transcript) -> str:
    """Return path<TAB>text; where channels were told apart, path<TAB>speaker<TAB>text a turn."""
    if transcript.channels:
        rows = ((transcript.path, turn.speaker, turn.text) for turn in turns_of(transcript))
        return "".join("\t".join(map(one_line, row)) + "\n" for row in rows)
    return f"{one_line(transcript.path)}\t{one_line(transcript.text)}\n"


def jsonl(transcript: Transcript) -> str:
    """Return the transcript as a JSON object on one line."""
    return _json(transcript, indent=None)


def json_object(transcript: Transcript) -> str:
    """Return the JSON object of `jsonl` on several lines, for people to read."""
    return _json(transcript, indent=1)


def trn(transcript: Transcript) -> str:
    """Return NIST's `text (id)`, with the words as they were recognised."""
    return f"{trn_line(transcript.utterance, transcript.spoken)}\n"


def trn_line(utterance: str, text: str) -> str:
    """Return the text of one utterance with its id, which holds no white space or parentheses."""
    return f"{one_line(text)} ({utterance})".lstrip()


def ctm(transcript: Transcript) -> str:
    """Return NIST's `id channel start duration word confidence` for each word; "" without words.

    Where channels were told apart, they follow each other, as NIST's programs want them sorted.
    """
    lines = []
    for heard in transcript.channels or (transcript,):
        for word in heard.words:
            start, end = round(word.start, 3), round(word.end, 3)
            times = f"{start:.3f} {end - start:.3f}"
            place = f"{transcript.utterance} {heard.channel} {times}"
            lines.append(f"{place} {one_line(word.word)} {word.confidence:.3f}\n")
    return "".join(lines)


def _json(transcript: Transcript, indent: int | None) -> str:
    record: dict[str, Any] = {
        "id": transcript.utterance,
        "path": transcript.path,
        "text": transcript.text,
        **({"spoken": transcript.spoken} if transcript.spoken_text is not None else {}),
        "duration": round(transcript.duration, 3),
        **({"channel": transcript.channel} if transcript.channel > 1 else {}),
    }
    if transcript.channels:
        record |= _channel_records(transcript)
    elif transcript.words:
        record["words"] = [_word_record(word) for word in transcript.words]
    if transcript.warnings:
        record["warnings"] = list(transcript.warnings)
    if transcript.quality:
        record["findings"] = transcript.quality.as_dict()
    record |= transcript.system
    return printable(json.dumps(record, ensure_ascii=False, allow_nan=False, indent=indent)) + "\n"


def _channel_records(transcript: Transcript) -> dict[str, Any]:
    """Return the turns, their words, and the findings about each channel."""
    turns, words = list[dict[str, Any]](), list[dict[str, Any]]()
    for turn in turns_of(transcript):
        who = {"channel": turn.channel, "speaker": turn.speaker}
        begin, end = turn.words[0].start, turn.words[-1].end
        times = {"start": round(begin, 3), "end": round(end, 3)}
        turns.append({**who, **times, "text": turn.text, "spoken": turn.spoken})
        words += (_word_record(word) | who for word in turn.words)
    channels = [
        {"channel": heard.channel, "speaker": heard.speaker}
        | ({"findings": heard.quality.as_dict()} if heard.quality else {})
        for heard in transcript.channels
    ]
    return {"turns": turns, "words": words, "channels": channels}


def _word_record(word: Word) -> dict[str, Any]:
    return {
        "word": word.word,
        "start": round(word.start, 3),
        "end": round(word.end, 3),
        "confidence": round(word.confidence, 3),
    }

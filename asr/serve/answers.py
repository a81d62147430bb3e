"""Transcripts as the API of OpenAI gives them: JSON, text, subtitles, server-sent events."""

import json
import math
import zlib
from collections.abc import Sequence
from statistics import fmean
from typing import Any

from asr.formats import FORMATS, Segment, Transcript, Word
from asr.serve.messages import Finished

RESPONSE_FORMATS = ("json", "text", "srt", "vtt", "verbose_json")
GRANULARITIES = ("word", "segment")
_MEDIA_TYPES = {"text": "text/plain", "srt": "application/x-subrip", "vtt": "text/vtt"}
_LEAST_CONFIDENCE = 1e-3  # so that its logarithm is finite


def media_type(response_format: str) -> str:
    """Return the media type of a response format."""
    return _MEDIA_TYPES.get(response_format, "application/json")


def needs_words(response_format: str) -> bool:
    """Return whether a format needs the times of words."""
    return response_format in ("srt", "vtt", "verbose_json")


def write_answer(
    response_format: str,
    granularities: Sequence[str],
    finished: Finished,
) -> str:
    """Return the body of an answer.

    Args:
        response_format: one of RESPONSE_FORMATS.
        granularities: of GRANULARITIES, the lists that verbose_json has.
        finished: what came of the recording.
    """
    transcript = finished.transcript
    if response_format == "json":
        record = {"text": transcript.text, "usage": _usage(transcript)}
    elif response_format == "verbose_json":
        record = verbose(granularities, finished)
    else:
        name = "txt" if response_format == "text" else response_format
        return FORMATS[name].write(transcript)
    return as_json(record)


def verbose(granularities: Sequence[str], finished: Finished) -> dict[str, Any]:
    """Return the record of verbose_json; words have a confidence, which OpenAI's have not."""
    transcript = finished.transcript
    record: dict[str, Any] = {
        "task": "transcribe",
        "language": finished.language,
        "duration": round(transcript.duration, 3),
        "text": transcript.text,
        "usage": _usage(transcript),
    }
    if "segment" in granularities:
        record["segments"] = [_segment(*numbered) for numbered in enumerate(finished.segments)]
    if "word" in granularities:
        record["words"] = [word_record(word) for word in transcript.timed()]
    return record


def word_record(word: Word) -> dict[str, Any]:
    """Return a word with its times, in seconds, and its confidence."""
    return {
        "word": word.word,
        "start": round(word.start, 3),
        "end": round(word.end, 3),
        "confidence": round(word.confidence, 3),
    }


def _segment(number: int, segment: Segment) -> dict[str, Any]:
    """Return a segment with all the fields that strict clients of Whisper's API want."""
    logs = [math.log(max(word.confidence, _LEAST_CONFIDENCE)) for word in segment.words]
    text = segment.text.encode()
    return {
        "id": number,
        "seek": round(100 * segment.start),  # hundredths of a second, as Whisper counts
        "start": round(segment.start, 3),
        "end": round(segment.end, 3),
        "text": segment.text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": round(fmean(logs), 4) if logs else 0.0,  # of the words' confidences
        "compression_ratio": round(len(text) / len(zlib.compress(text)), 3),
        "no_speech_prob": 0.0,
    }


def _usage(transcript: Transcript) -> dict[str, Any]:
    return {"type": "duration", "seconds": math.ceil(transcript.duration)}


def event(record: dict[str, Any]) -> str:
    """Return a server-sent event that carries a record."""
    return f"data: {as_json(record)}\n\n"


def as_json(record: dict[str, Any]) -> str:
    """Return a record as JSON on one line."""
    return json.dumps(record, ensure_ascii=False, allow_nan=False)

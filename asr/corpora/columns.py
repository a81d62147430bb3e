"""How tables are written: delimiters, quotes, and the names that people give their columns.

Tables of recordings (table.py) and of transcripts (asr.scoring) are read alike by these.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence

NAMES = {  # column -> other names that people give it, the likeliest first
    "id": ("utterance_id", "utt_id", "uttid", "utt", "segment_id", "key"),
    "audio": (
        "path", "file", "filename", "file_name", "filepath", "file_path", "wav", "audio_path",
        "audio_file", "audio_filename", "audio_filepath", "wav_filename", "wav_path", "wav_file",
        "recording", "clip", "sound",
    ),
    "text": (
        "sentence", "transcript", "transcription", "transcripts", "utterance", "raw_text",
        "normalized_text", "normalised_text", "target_text", "label", "words", "prompt",
    ),
    "speaker": (
        "speaker_id", "speaker_name", "client_id", "spk", "spk_id", "spkid", "reader",
        "reader_id", "voice", "user_id",
    ),
    "start": ("start_time", "begin", "offset", "start_s", "onset"),
    "duration": ("duration_s", "length", "dur", "duration_seconds"),
    "end": ("end_time", "stop", "end_s"),
}  # fmt: skip
DELIMITERS = ",;\t|"
SEPARATOR_LINE = re.compile(r"\s*\"?sep=(.)\"?\s*", re.IGNORECASE)  # Excel's
QUOTED = ",;"
_LONGEST_CELL = 1 << 24  # characters: a long talk; more is a quote that nothing ends
_QUOTED_CELL = re.compile(r'"((?:[^"]|"")*)"')


def is_quoted(header: str, delimiter: str) -> bool:
    """Return whether quotes surround cells; between tabs or | they are plain characters, mostly."""
    return delimiter in QUOTED or all(map(_QUOTED_CELL.fullmatch, header.split(delimiter)))


def unquoted(cell: str) -> str:
    """Return a cell without the quotes that Excel puts around some cells between tabs."""
    quoted = _QUOTED_CELL.fullmatch(cell.strip())
    return quoted[1].replace('""', '"') if quoted else cell


def our_columns(header: str, delimiter: str) -> list[str]:
    """Return the columns by our names. A name of ours wins over another name of the column."""
    given = [field.strip(' "\r').lower() for field in header.split(delimiter)]
    columns = list(given)
    for column, names in NAMES.items():
        spelled = [re.sub(r"[ -]", "_", name) for name in given]
        other = next((name for name in names if name in spelled), None)
        if column not in given and other:
            columns[spelled.index(other)] = column
    return columns


def repeated_column(columns: Sequence[str]) -> str | None:
    """Return a column of ours that stands twice, if any."""
    return next((column for column in NAMES if columns.count(column) > 1), None)


def rows_of(text: str, delimiter: str, quoted: bool) -> Iterator[tuple[int, list[str]]]:
    """Yield the cells of each row of a table, with the number of the line on which it ends.

    Raises:
        ValueError: a quote is wrong, or a cell is too long; the message names the line.
    """
    csv.field_size_limit(_LONGEST_CELL)
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=delimiter,
        quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
        strict=True,
    )
    try:
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        raise ValueError(
            f'line {reader.line_num}: {error}; quote fields as in "he said ""no"""'
        ) from None

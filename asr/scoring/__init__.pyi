from . import breakdown as breakdown, report as report
from .alignment import align as align
from .distance import errors_and_substitutions as errors_and_substitutions
from .normalize import normalized as normalized
from .significance import Comparison as Comparison, compare as compare
from .system import (
    ScoredUtterance as ScoredUtterance,
    System as System,
    score_system as score_system,
)
from .timed import TimedWord as TimedWord, read_ctm as read_ctm
from .transcripts import (
    TranscriptFile as TranscriptFile,
    read_file as read_file,
    read_transcripts as read_transcripts,
)
from .wer import ErrorCounts as ErrorCounts, Score as Score, score as score

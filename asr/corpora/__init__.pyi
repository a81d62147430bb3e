from . import common_voice as common_voice, fsdd as fsdd, librispeech as librispeech
from .archives import unpack as unpack
from .columns import (
    DELIMITERS as DELIMITERS,
    NAMES as NAMES,
    SEPARATOR_LINE as SEPARATOR_LINE,
    is_quoted as is_quoted,
    our_columns as our_columns,
    repeated_column as repeated_column,
    rows_of as rows_of,
    unquoted as unquoted,
)
from .folder import read_folder as read_folder, read_labelled as read_labelled
from .kaldi import read_kaldi as read_kaldi, write_kaldi as write_kaldi
from .librispeech import (
    ARCHIVES as ARCHIVES,
    Archive as Archive,
    read_librispeech as read_librispeech,
)
from .split import (
    SPLIT_CHOICES as SPLIT_CHOICES,
    SPLIT_WAYS as SPLIT_WAYS,
    Split as Split,
    parse_shares as parse_shares,
    split as split,
)
from .table import read_csv as read_csv, write_csv as write_csv
from .tones import make_tones as make_tones

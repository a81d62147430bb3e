from .coach import Coach as Coach
from .diagnosis import Facts as Facts
from .finetune import (
    extended_vocabulary as extended_vocabulary,
    freeze as freeze,
    known_trigram as known_trigram,
    start_from as start_from,
)
from .lm_task import (
    EncodedText as EncodedText,
    LanguageTask as LanguageTask,
    encode_texts as encode_texts,
    make_vocabulary as make_vocabulary,
    with_frequent_units as with_frequent_units,
)
from .log import Tally as Tally, TrainLog as TrainLog
from .plan import (
    check_preset as check_preset,
    hands_on as hands_on,
    plan_training as plan_training,
    preset_for as preset_for,
)
from .sources import Source as Source, check_sources as check_sources
from .speakers import (
    join_speakers as join_speakers,
    known_speakers as known_speakers,
    save_speakers as save_speakers,
)
from .stopping import StopRequest as StopRequest
from .story import (
    closing_lines as closing_lines,
    epoch_lines as epoch_lines,
    processes_lines as processes_lines,
    stop_line as stop_line,
)
from .tagger_task import TaggerTask as TaggerTask

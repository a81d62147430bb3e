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
)
from .log import Tally as Tally, TrainLog as TrainLog
from .stopping import StopRequest as StopRequest
from .tagger_task import TaggerTask as TaggerTask

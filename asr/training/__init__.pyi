from .coach import Coach as Coach
from .diagnosis import Facts as Facts
from .finetune import (
    adapted_vocabulary as adapted_vocabulary,
    freeze as freeze,
    known_trigram as known_trigram,
    start_from as start_from,
)
from .lm_task import (
    Corpus as Corpus,
    LanguageTask as LanguageTask,
    make_vocabulary as make_vocabulary,
    read_corpus as read_corpus,
)
from .log import Tally as Tally, TrainLog as TrainLog
from .stopping import StopRequest as StopRequest

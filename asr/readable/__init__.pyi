from .counts import row_statistics as row_statistics
from .features import word_rows as word_rows
from .judgement import (
    MAIN as MAIN,
    TagCounts as TagCounts,
    count_tags as count_tags,
    judged as judged,
    judged_by_rule as judged_by_rule,
    mean_f1 as mean_f1,
    rule_tags as rule_tags,
    tuned as tuned,
)
from .network import (
    TagBatch as TagBatch,
    TaggerNetwork as TaggerNetwork,
    load_tagger as load_tagger,
)
from .numbers import numerals as numerals
from .simulation import (
    Alike as Alike,
    Tagged as Tagged,
    draw_lengths as draw_lengths,
    draw_pauses as draw_pauses,
    misheard as misheard,
)
from .tagger import TAGGER as TAGGER, Tagger as Tagger, TaggerInfo as TaggerInfo
from .writer import (
    LiveWriter as LiveWriter,
    Writer as Writer,
    pauses_of as pauses_of,
    text_of as text_of,
)
from .written import (
    PERIOD as PERIOD,
    WrittenForms as WrittenForms,
    WrittenText as WrittenText,
    capitals as capitals,
)

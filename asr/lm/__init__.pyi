from .arpa import write_arpa as write_arpa
from .arrays import EMPTY_CONTEXT as EMPTY_CONTEXT, NgramArrays as NgramArrays, query as query
from .binary import load_lm as load_lm, read_binary as read_binary, saver as saver
from .corpus import (
    EOS as EOS,
    UNITS as UNITS,
    UNK as UNK,
    read_sentences as read_sentences,
    read_words as read_words,
    text_lines as text_lines,
    units_of as units_of,
)
from .files import created as created, opened as opened
from .kneser_ney import MAX_ORDER as MAX_ORDER, estimate as estimate
from .lstm_arrays import LstmArrays as LstmArrays
from .lstm_scorer import LstmScorer as LstmScorer
from .neural import (
    LstmLanguageModel as LstmLanguageModel,
    SentenceBatch as SentenceBatch,
    load_lstm as load_lstm,
    lstm_perplexity as lstm_perplexity,
    token_log_probs as token_log_probs,
)
from .ngram import (
    NgramModel as NgramModel,
    Perplexity as Perplexity,
    perplexity as perplexity,
    score_ids as score_ids,
)
from .pruning import prune as prune
from .trie import Level as Level
from .vocabulary import BOUNDARY as BOUNDARY, UNKNOWN as UNKNOWN, LmVocabulary as LmVocabulary
from .weights import (
    PackedRows as PackedRows,
    cell_step as cell_step,
    check_weights as check_weights,
    packed_weights as packed_weights,
    unpacked_weights as unpacked_weights,
)

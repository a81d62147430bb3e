from .beam import BeamDecoder as BeamDecoder, compile_search as compile_search
from .confidence import (
    Calibration as Calibration,
    expected_calibration_error as expected_calibration_error,
    load_calibration as load_calibration,
    save_calibration as save_calibration,
    spoken_words as spoken_words,
    word_correctness as word_correctness,
    word_features as word_features,
)
from .forced import (
    align_words as align_words,
    forced_alignment as forced_alignment,
    timed_words as timed_words,
    unwritten_speech as unwritten_speech,
)
from .greedy import GreedyDecoder as GreedyDecoder, best_path as best_path
from .hypothesis import NBEST as NBEST, Decoder as Decoder, Hypothesis as Hypothesis
from .rescore import Rescorer as Rescorer, Scorer as Scorer, rescored as rescored
from .settings import (
    CALIBRATION as CALIBRATION,
    LM as LM,
    LSTM as LSTM,
    SETTINGS as SETTINGS,
    DecoderConfig as DecoderConfig,
    has_phones as has_phones,
    included_lm as included_lm,
    included_lstm as included_lstm,
    load_settings as load_settings,
    parse_hotword as parse_hotword,
    parse_settings as parse_settings,
    save_settings as save_settings,
)

"""Speech recognition that can be read in an afternoon: MFCC, deep bidirectional LSTM, CTC."""

__version__ = "0.1.0"

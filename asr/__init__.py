"""Speech recognition that can be read in an afternoon: MFCC, deep bidirectional LSTM, CTC.

import asr
model = asr.load_model()
print(model.transcribe("talk.wav").text)
"""

import lazy_loader

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

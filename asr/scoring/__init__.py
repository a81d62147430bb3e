"""Compare transcripts: alignment, WER and CER, intervals, significance, files of texts."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

"""Helpers of the training loop: fine-tuning, the blank plateau, the log, the LSTM's task."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

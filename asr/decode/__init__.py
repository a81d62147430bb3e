"""Decoders: from log-probabilities to words, alternatives, times and confidences."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

"""Readable text: capitals, punctuation, digits and paragraphs for recognised words."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

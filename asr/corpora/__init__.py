"""Turn corpus folders and tables into utterances; download and unpack corpora safely."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

"""Corpus folders and tables to manifests; downloads and safe unpacking."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

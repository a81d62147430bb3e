"""Pronunciations: dictionaries, guesses for other words, and the trie that the search walks."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

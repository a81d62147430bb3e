"""Sound files: what kind a file is by its content, and what is wrong with its sound."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

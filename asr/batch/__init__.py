"""Many recordings: jobs, worker processes, a journal that survives a kill, outputs, Ray."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

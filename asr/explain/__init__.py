"""Pictures of a network at work on one recording: what it hears, keeps, forgets and writes.

`explain` computes the arrays; `write_explanation` and `save_arrays` write a page and a file.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

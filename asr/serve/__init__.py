"""Recognition behind an address: HTTP as OpenAI's clients speak it, a WebSocket, a page."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

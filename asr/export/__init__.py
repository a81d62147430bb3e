"""Model bundles: a network as one ONNX graph, in a folder of plain data."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

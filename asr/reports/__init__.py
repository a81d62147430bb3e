"""Pages for people: self-contained HTML files that open from the disk, without a network.

`write_page` fills a template with data; each page is built on it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

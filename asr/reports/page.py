"""One HTML file that carries its styles, scripts and data, and asks the network for nothing."""

import base64
import html
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from asr._atomic import write_atomically

PAGES = Path(__file__).parent / "page"  # the templates, and what they share
_KINDS = {"f": "<f4", "i": "<i4", "u": "<i4", "b": "|u1"}  # what page.js can unpack


def write_page(path: Path | str, template: Path, title: str, data: Mapping[str, Any]) -> None:
    """Write a page atomically, from `template` and the CSS and JS files of the same name beside it.

    The template is the content of <body>. Its scripts get `data` by `pageData()`: JSON, in which
    arrays are {shape, values}. page.js in this folder has what all pages share. uPlot is there.

    Args:
        path: the HTML file to write.
        template: an HTML file of this package.
        title: plain text for <title>.
        data: JSON values and numpy arrays. Floats become float32, integers int32, booleans and
            uint8 stay bytes, int16 stays int16. A number in it must be finite, outside of arrays.

    Raises:
        OSError: the file cannot be written.
        ValueError: a number is not finite.
    """
    shared = ("base.css", "page.css", "uplot.css")
    styles = [*(PAGES / name for name in shared), template.with_suffix(".css")]
    scripts = [PAGES / "uplot.js", PAGES / "page.js", template.with_suffix(".js")]
    text = json.dumps(data, default=_packed, allow_nan=False, ensure_ascii=False)
    text = text.replace("<", "\\u003c")  # "</script>" in the data would end the element
    parts = [
        _read(PAGES / "head.html"),
        f"<title>{html.escape(title)}</title>\n",
        *(f"<style>\n{_read(style)}</style>\n" for style in styles),
        f"</head>\n<body>\n{_read(template)}",
        f'<script type="application/json" id="data">{text}</script>\n',
        *(f"<script>\n{_read(script)}</script>\n" for script in scripts),
        "</body>\n</html>\n",
    ]
    write_atomically(path, "".join(parts).encode("utf-8", "replace"))


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _packed(value: Any) -> Any:
    """Return an array as base64 with its type and shape, or a number of numpy as Python's own."""
    if isinstance(value, np.generic):
        return value.item()
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{type(value).__name__} is no JSON value and no array")
    small = value.dtype in (np.uint8, np.int16)
    array = np.ascontiguousarray(value if small else value.astype(_KINDS[value.dtype.kind]))
    return {
        "dtype": array.dtype.name,
        "shape": value.shape,
        "base64": base64.b64encode(array.tobytes()).decode(),
    }

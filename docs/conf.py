"""Sphinx settings of the documentation; scripts/docs builds it.

Reference pages are made from the code while the pages are built, so that they cannot go stale.
"""

import ast
import importlib
import re
import sys
import tokenize
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import asr  # noqa: E402
from asr.config import Config  # noqa: E402
from asr.decode import DecoderConfig  # noqa: E402

project, author, copyright = "asr", "the authors of asr", "the authors of asr"
release = asr.__version__
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinxcontrib.programoutput",
]
html_theme = "furo"
html_title = "asr"
html_show_search_summary = False  # browsers fetch no pages for it from the disk
templates_path: list[str] = []
# The source is the repository, so that links from docs/ to the recipes work as they do there.
root_doc = "docs/index"
include_patterns = ["docs/**", "*.md", "recipes/*/*.md", "scripts/bench/*.md"]
exclude_patterns = ["docs/_build", "docs/images"]
myst_heading_anchors = 3  # so that links to headings work as they do on a code host
autodoc_member_order = "bysource"
autodoc_typehints = "description"
GENERATED = ROOT / "docs" / "reference" / "generated"


def setup(app: Sphinx) -> None:
    """Write the generated pages before Sphinx reads any."""
    app.connect("builder-inited", lambda _: write_generated())


def write_generated() -> None:
    """Write the fragments that reference pages include."""
    GENERATED.mkdir(exist_ok=True)
    (GENERATED / "commands.txt").write_text(commands())
    (GENERATED / "configuration.txt").write_text(configuration())


def commands() -> str:
    """Return the help of every command and subcommand, as MyST."""
    from asr.cli.umbrella import COMMANDS

    parts = ["## asr\n", _program("asr --help")]
    for name, what in COMMANDS.items():
        parts += [f"## asr-{name}\n", f"{what}.\n", _program(f"asr-{name} --help")]
        module = importlib.import_module(f"asr.cli.{name}")
        for subcommand in getattr(module, "COMMANDS", {}):
            parts += [f"### asr-{name} {subcommand}\n", _program(f"asr-{name} {subcommand} --help")]
    return "\n".join(parts)


def _program(command: str) -> str:
    return f"```{{program-output}} {command}\n```\n"


def configuration() -> str:
    """Return a table of the keys for each section of the configuration, as MyST."""
    sections = {name: type(section) for name, section in vars(Config()).items()}
    parts = []
    for name, section in {**sections, "decoder": DecoderConfig}.items():
        rows = ["| key | default | meaning |", "|---|---|---|", *map(_row, keys(section))]
        parts += [f"## {name}", section.__doc__ or "", "\n".join(rows)]
    return "\n\n".join(parts)


def _row(key: tuple[str, str, str]) -> str:
    name, default, meaning = (cell.replace("|", "\\|") for cell in key)
    return f"| `{name}` | `{default}` | {meaning} |"


def keys(section: type) -> list[tuple[str, str, str]]:
    """Return name, default and comment of each field of a dataclass, from its source."""
    path = Path(importlib.import_module(section.__module__).__file__ or "")
    with tokenize.open(path) as file:
        tokens = [token for token in tokenize.generate_tokens(file.readline)]
    comments = {t.start[0]: t.string.lstrip("# ") for t in tokens if t.type == tokenize.COMMENT}
    (body,) = (
        node.body
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and node.name == section.__name__
    )
    rows = []
    for node in body:
        if isinstance(node, ast.AnnAssign) and node.value:
            allowed = re.sub(r"Literal\[(.*?)\]", r"\1", ast.unparse(node.annotation))
            lines = range(node.lineno, (node.end_lineno or 0) + 1)
            meaning = " ".join(comments[line] for line in lines if line in comments)
            rows.append(
                (ast.unparse(node.target), ast.unparse(node.value), f"{meaning} ({allowed})")
            )
    return rows

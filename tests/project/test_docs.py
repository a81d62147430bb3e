"""The documentation: built without a warning, complete, and searched from the disk."""

import re
import subprocess
import sys
from dataclasses import fields
from html import unescape
from pathlib import Path

import pytest
from browser import browsing, find_chromium
from folders import ROOT

import asr
from asr.cli.umbrella import COMMANDS
from asr.config import Config
from asr.decode import DecoderConfig


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The documentation, built as scripts/docs builds it."""
    folder = tmp_path_factory.mktemp("site")
    options = re.search(r"sphinx-build (.*) docs/_build", (ROOT / "scripts/docs").read_text())
    assert options
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *options[1].split(), folder],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    return folder


def text_of(page: Path) -> str:
    return unescape(re.sub(r"<[^>]*>", "", page.read_text(encoding="utf-8")))


def test_reference_has_each_command_with_its_help(site: Path):
    text = text_of(site / "docs/reference/commands.html")
    for name in COMMANDS:
        assert f"usage: asr-{name}" in text
    assert "usage: asr-lm perplexity" in text


def test_reference_has_each_key_with_its_default_and_meaning(site: Path):
    text = text_of(site / "docs/reference/configuration.html")
    for section in (*vars(Config()).values(), DecoderConfig()):
        assert section.__doc__.replace("`", "").split("\n")[0] in text
        assert all(re.search(rf"^{key.name}$", text, re.MULTILINE) for key in fields(section))
    row = text[text.index("\nlow_hz\n") :][:200].split()
    assert row[:2] == ["low_hz", "20.0"]
    assert "of a hotword that has no boost of its own" in text


def test_reference_has_each_public_name(site: Path):
    page = (site / "docs/reference/python.html").read_text(encoding="utf-8")
    assert all(f'id="asr.{name}"' in page for name in asr.__all__ if name != "AsrError")
    assert 'id="asr.errors.AsrError"' in page


@pytest.mark.skipif(not find_chromium(), reason="there is no Chromium")
def test_search_works_from_the_disk(site: Path, tmp_path: Path):
    with browsing(tmp_path) as page:
        page.open(f"{(site / 'search.html').as_uri()}?q=hotwords")
        found = "[...document.querySelectorAll('#search-results li a')].map(a => a.href)"
        page.wait(f"{found}.some(link => link.includes('docs/language-models.html'))")
        assert not page.errors

"""Pages: one file, data that comes back as it was, no word to the network."""

import re
from pathlib import Path

import numpy as np
import pytest
from browser import browsing, find_chromium
from folders import ROOT

from asr.reports import write_page

SHARED_SCRIPT = ROOT / "asr/reports/page/page.js"
PAGE_SCRIPTS = [
    path
    for path in sorted(ROOT.glob("asr/*/page/*.js"))
    if path.with_suffix(".html").exists()  # a template of write_page
]

DATA = {
    "title": "</script><b>Größe & 日本",
    "floats": np.arange(6, dtype=np.float64).reshape(2, 3) / 4,
    "counts": np.array([7, -7], np.int64),
    "bytes": np.array([0, 255], np.uint8),
    "number": np.float32(0.5),
}


def written(tmp_path: Path) -> Path:
    template = tmp_path / "shown.html"
    template.write_text("<h1 id=title></h1>\n")
    template.with_suffix(".css").write_text("h1 { margin: 0; }\n")
    template.with_suffix(".js").write_text(
        'document.getElementById("title").textContent = pageData().title;\n'
    )
    write_page(tmp_path / "page.html", template, "a <b>", DATA)
    return tmp_path / "page.html"


def test_a_page_holds_its_data_and_names_no_other_file(tmp_path: Path):
    text = written(tmp_path).read_text()
    assert "<title>a &lt;b&gt;</title>" in text
    assert text.count("</script>") == 4  # the data, uPlot, and two scripts: none from the data
    assert "src=" not in text.replace("default-src=", "")
    assert "default-src 'none'" in text


@pytest.mark.skipif(not find_chromium(), reason="there is no Chromium")
def test_a_page_gives_its_scripts_the_data(tmp_path: Path):
    with browsing(tmp_path, microphone=None) as page:
        page.open(written(tmp_path).as_uri())
        assert page.run("document.getElementById('title').textContent") == DATA["title"]
        assert page.run("pageData().floats.shape") == [2, 3]
        assert page.run("[...pageData().floats.values]") == [0, 0.25, 0.5, 0.75, 1, 1.25]
        assert page.run("[...pageData().counts.values]") == [7, -7]
        assert page.run("[...pageData().bytes.values]") == [0, 255]
        assert page.run("pageData().number") == 0.5
        assert not page.errors


def test_numbers_that_are_not_finite_are_refused(tmp_path: Path):
    template = tmp_path / "shown.html"
    for kind in (".html", ".css", ".js"):
        template.with_suffix(kind).touch()
    with pytest.raises(ValueError, match="JSON compliant"):
        write_page(tmp_path / "page.html", template, "", {"loss": float("nan")})
    assert not (tmp_path / "page.html").exists()


@pytest.mark.parametrize("script", PAGE_SCRIPTS, ids=lambda path: path.name)
def test_no_page_declares_a_name_that_pages_share(script: Path):
    def names(path: Path) -> set[str]:
        declared = r"^(?:const|let|function|class)\s+(\w+)"
        return set(re.findall(declared, path.read_text(encoding="utf-8"), re.MULTILINE))

    assert not names(script) & names(SHARED_SCRIPT)

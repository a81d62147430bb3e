"""recipes/english/modern.py: sentences from pages, textbooks, lists of sentences and dialogues."""

import json
import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).parents[2] / "recipes" / "english" / "modern.py"

PAGE = """---
title: "No sentence of the header. None."
---
# A heading without an end

Dr. Lee wrote [the page](https://example.org/page) again. It&rsquo;s *short*, e.g. this sentence!

- The first item of a list is a sentence.
- no end here

```
A program. It is left out.
```

{{< image alt="A template. It is left out." >}} Read https://example.org for the rest.
"""
BOOK = """<document><metadata><title>Of a book. It is left out.</title></metadata>
<para id="1">A market has <term>buyers</term> and sellers. Prices change <m:math><m:mi>p</m:mi>
</m:math> often.</para><table><para id="2">A cell. It is left out.</para></table>
<list><item>Goods &amp; services are traded.</item></list></document>"""
DIALOGUE = [{"utterances": [{"text": "one large tea please"}, {"text": "Is that all?"}]}]


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def with_what_is_missing(folder: Path) -> str:
    """Make the folders of clones that the program says are missing; return what it says."""
    command = [sys.executable, str(PROGRAM), str(folder)]
    lacking = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert lacking.returncode == 1
    for name in lacking.stderr.split("lacks ")[1].split(";")[0].split(", "):
        (folder / name).mkdir()
    return lacking.stderr


def test_sentences_without_their_markup(tmp_path: Path):
    write(tmp_path / "digitalgov.gov/content/a/page.md", PAGE)
    write(tmp_path / "osbooks-introduction-business/modules/m1/index.cnxml", BOOK)
    lists = tmp_path / "voice-web" / "server" / "data" / "en"
    write(lists / "list.txt", "What changed?\nWhat changed?\n1/2 = 5 %.\n")
    write(lists / "large.txt", "A sentence of a large file.\n" * 150_000)
    write(tmp_path / "Taskmaster/TM-4-2024/data/data_00.json", json.dumps(DIALOGUE))
    command = [sys.executable, str(PROGRAM), str(tmp_path)]
    assert "lacks 18f.gsa.gov, osbooks-college-success-bundle" in with_what_is_missing(tmp_path)
    found = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    assert found.stdout.splitlines() == [
        "A market has buyers and sellers.",
        "Dr. Lee wrote the page again.",
        "Goods & services are traded.",
        "Is that all?",
        "It\N{RIGHT SINGLE QUOTATION MARK}s short, e.g. this sentence!",
        "One large tea please.",
        "Prices change often.",
        "The first item of a list is a sentence.",
        "What changed?",
    ]


def test_a_damaged_dialogue_is_named(tmp_path: Path):
    write(tmp_path / "Taskmaster/TM-4-2024/data/data_00.json", '[{"utterances": [{"text": 3}]}]')
    with_what_is_missing(tmp_path)
    command = [sys.executable, str(PROGRAM), str(tmp_path)]
    damaged = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert damaged.returncode == 1
    assert "data_00.json: no list of dialogues" in damaged.stderr
    assert damaged.stdout == ""

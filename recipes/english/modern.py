"""Sentences of modern English from public repositories, one a line, with capitals and punctuation.

usage: python modern.py FOLDER > modern.txt     FOLDER: holds clones, each named as in SOURCES

The books of the other texts are a hundred years old: they have no website, no email and no okay.
Texts are pages of two US agencies (public domain), textbooks of OpenStax (CC BY 4.0), sentences of
Common Voice (CC0), dialogues of Taskmaster (CC BY 4.0), and what people asked assistants: STAR
(MIT), SLURP (CC BY 4.0), CLINC (CC BY 3.0). Files of more than 4 MB are left out.
"""

import html
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

LARGEST = 4_000_000  # bytes
TEXTBOOKS = (
    "college-success-bundle",
    "introduction-anthropology",
    "introduction-business",
    "introduction-intellectual-property",
    "principles-economics-bundle",
)
SOURCES = {  # folder: files in it
    "digitalgov.gov": "content/**/*.md",
    "18f.gsa.gov": "**/*.md",
    **{f"osbooks-{name}": "modules/**/*.cnxml" for name in TEXTBOOKS},
    "voice-web": "server/data/en/*.txt",
    "Taskmaster": "TM-4-2024/data/*.json",
    "STAR": "dialogues/*.json",
    "slurp": "dataset/lm/lm.txt",
    "oos-eval": "data/data_full.json",
}
LEFT_OUT = re.compile(  # of pages and textbooks: headers, programs, templates, tables, formulas
    r"\A---\n.*?\n---\n|```.*?```|\{\{.*?\}\}|\{%.*?%\}|!\[[^\]]*\]\([^)]*\)"
    r"|<(script|style|table|pre|code|metadata|m:math|equation|figure|exercise|glossary)\b.*?</\1>",
    re.DOTALL,
)
LINK = re.compile(r"\[([^\]]*)\](\([^)]*\)|\[[^\]]*\])")
MARKUP = re.compile(r"<[^>]+>|^ {0,3}(#+|[-*+]|\d+\.|>)\s+|[*_`]", re.MULTILINE)
END = re.compile(
    r"(?<=[.!?])(?<!\b[MDS][rst]\.)(?<!e\.g\.)(?<!i\.e\.)(?<!U\.S\.)[\"')]*\s+(?=[\"'(]*[A-Z])"
)
UNSPOKEN = re.compile(r"https?:|[{}<>\\|=_@#]|--")


def main() -> None:
    """Write the sentences of all sources, each once."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder, seen = Path(sys.argv[1]), set()
    if missing := [name for name in SOURCES if not (folder / name).is_dir()]:
        sys.exit(f"{folder}: lacks {', '.join(missing)}; clone what is missing")
    sys.stdout.reconfigure(encoding="utf-8")
    for name, pattern in SOURCES.items():
        for path in sorted((folder / name).glob(pattern)):
            if path.stat().st_size <= LARGEST:
                for paragraph in paragraphs(path):
                    seen.update(filter(is_sentence, sentences(paragraph)))
    sys.stdout.writelines(f"{sentence}\n" for sentence in sorted(seen))


def paragraphs(path: Path) -> Iterator[str]:
    """Yield the paragraphs of a file without their markup."""
    text = path.read_text(encoding="utf-8", errors="replace")
    if path.suffix == ".json" or path.name == "lm.txt":
        try:
            turns = [said.strip() for said in said_in(path, text)]
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            sys.exit(f"{path}: no list of dialogues ({error}); clone the repository again")
        for said in turns:
            yield said[:1].upper() + said[1:] + ("" if said.endswith((".", "?", "!")) else ".")
    elif path.suffix == ".txt":
        yield from text.splitlines()
    else:
        text = LEFT_OUT.sub(" ", text)
        within = re.findall(r"<(?:para|item)\b[^>]*>(.*?)</(?:para|item)>", text, re.DOTALL)
        for paragraph in (
            within if path.suffix == ".cnxml" else re.split(r"\n\s*(?:\n|[-*+] |\d+\. )", text)
        ):
            yield html.unescape(MARKUP.sub("", LINK.sub(r"\1", paragraph)))


def said_in(path: Path, text: str) -> Iterator[str]:
    """Yield what is said in a file of SLURP, Taskmaster, STAR or, less its test part, of CLINC."""
    if path.suffix == ".txt":
        yield from text.splitlines()
        return
    dialogues = json.loads(text)
    if isinstance(dialogues, list):
        yield from (turn["text"] for one in dialogues for turn in one["utterances"])
    elif "Events" in dialogues:
        yield from (
            e["Text"] for e in dialogues["Events"] if e["Action"] in ("utter", "pick_suggestion")
        )
    else:
        yield from (said for part in ("train", "val", "oos_train") for said, _ in dialogues[part])


def sentences(paragraph: str) -> list[str]:
    """Split a paragraph where a sentence ends."""
    return END.split(" ".join(paragraph.split()))


def is_sentence(text: str) -> bool:
    """Return whether a text is a sentence that can be said."""
    letters, capitals = sum(map(str.isalpha, text)), sum(map(str.isupper, text))
    return (
        8 <= len(text) <= 600
        and letters >= 0.7 * len(text)
        and capitals <= 0.3 * letters
        and re.search(r"[.!?]\W?$", text) is not None
        and not UNSPOKEN.search(text)
    )


if __name__ == "__main__":
    main()

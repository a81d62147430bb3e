"""Manifests of speech that lies in public repositories: voices.tsv says which file, who, and what.

usage: python voices.py CLONES OUT     CLONES: holds clones, each named as its repository

Writes OUT/SET/metadata.csv for each set: voices, to train on; orders, numbers and an4, to judge on.
Columns of voices.tsv: repository (OWNER/NAME), file in it, speaker, set, words. LOG.md says where
the words are from ("More voices"). Those of AN4 are read from its clone: they hold addresses.
"""

import csv
import re
import sys
from pathlib import Path

TABLE = Path(__file__).with_suffix(".tsv")
SAID = re.compile(r"(?:<s> )?(.*?)(?: </s>)? \((.*)\)$")  # a line of AN4: words, recording


def main() -> None:
    """Write the lists of all sets, or say which recordings are missing."""
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    clones, out = (Path(given).resolve() for given in sys.argv[1:])
    lists: dict[str, list[tuple[str, str, str]]] = {}
    missing: dict[str, int] = {}
    an4 = words_of_an4(clones / "an4")
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        repository, name, speaker, part, words = line.split("\t")
        path = clones / repository.split("/")[1] / name
        words = words or an4.get(path.stem, "")
        if not (path.is_file() and words):
            missing[repository] = missing.get(repository, 0) + 1
        lists.setdefault(part, []).append((str(path), speaker, words))
    if missing:
        counts = ", ".join(f"{count} files of {name}" for name, count in missing.items())
        sys.exit(f"{clones}: lacks {counts}; clone what is missing")
    for part, rows in lists.items():
        (out / part).mkdir(parents=True, exist_ok=True)
        with (out / part / "metadata.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("audio", "speaker", "text"), *rows])


def words_of_an4(clone: Path) -> dict[str, str]:
    """Return the words of each recording of AN4, or nothing where there is no clone of it."""
    files = clone.glob("etc/an4_*.transcription")
    lines = (line for file in files for line in file.read_text("utf-8").splitlines())
    return {said[2]: said[1] for said in map(SAID.match, lines) if said}


if __name__ == "__main__":
    main()

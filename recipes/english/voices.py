"""Manifests of speech that lies in public repositories: voices.tsv says which file, who, and what.

usage: python voices.py CLONES OUT     CLONES: holds clones, each named as its repository

Writes OUT/SET/metadata.csv for each set: voices, to train on; orders and numbers, to judge on.
Columns of voices.tsv: repository (OWNER/NAME), file in it, speaker, set, words. LOG.md says where
the words are from ("More voices").
"""

import csv
import sys
from pathlib import Path

TABLE = Path(__file__).with_suffix(".tsv")


def main() -> None:
    """Write the lists of all sets, or say which recordings are missing."""
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    clones, out = (Path(given).resolve() for given in sys.argv[1:])
    lists: dict[str, list[tuple[str, str, str]]] = {}
    missing: dict[str, int] = {}
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        repository, name, speaker, part, words = line.split("\t")
        path = clones / repository.split("/")[1] / name
        if not path.is_file():
            missing[repository] = missing.get(repository, 0) + 1
        lists.setdefault(part, []).append((str(path), speaker, words))
    if missing:
        counts = ", ".join(f"{count} files of {name}" for name, count in missing.items())
        sys.exit(f"{clones}: lacks {counts}; clone what is missing")
    for part, rows in lists.items():
        (out / part).mkdir(parents=True, exist_ok=True)
        with (out / part / "metadata.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("audio", "speaker", "text"), *rows])


if __name__ == "__main__":
    main()

"""Read Common Voice as it is downloaded: a folder of one language with clips/ and tables.

R. Ardila et al., "Common Voice: A massively-multilingual speech corpus", LREC 2020.
"""

from pathlib import Path

from asr.corpora.table import read_csv
from asr.errors import CorpusError
from asr.manifest import Utterance

OFFICIAL = {"train": "train", "dev": "valid", "test": "test"}  # its tables -> our sets
VALIDATED = "validated"


def find_language(root: Path) -> Path:
    """Return the folder that holds clips/: the root, or a folder of one language in it.

    Raises:
        CorpusError: there is none, or several.
    """
    if not root.is_dir():
        raise CorpusError(f"{root}: no such folder; unpack the archive of Common Voice")
    found = [root] if (root / "clips").is_dir() else []
    found = found or sorted(
        path.parent for path in (*root.glob("*/clips"), *root.glob("*/*/clips"))
    )
    if len(found) != 1:
        names = ", ".join(str(path) for path in found) or "none"
        raise CorpusError(
            f"{root}: give the folder of one language, with clips/ in it; here: {names}"
        )
    return found[0]


def read_table(folder: Path, table: str, left_out: list[str] | None = None) -> list[Utterance]:
    """Read one table of a language, such as "validated"; speakers are its client ids.

    Raises:
        CorpusError: as `read_csv` does.
    """
    path = folder / f"{table}.tsv"
    if left_out is None:
        return read_csv(path)
    problems: list[str] = []
    utterances = read_csv(path, problems)
    left_out += [f"{path}: {problem}" for problem in problems]  # of several tables
    return utterances

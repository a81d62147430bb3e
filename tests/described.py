"""Tables of the documentation, and what programs write, compared with them.

In docs/reference/json.md and http.md a table describes a kind of object: `### Name`, then a row
for each field with its type and meaning. A field is always there unless its meaning says otherwise.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from itertools import takewhile
from pathlib import Path

from folders import ROOT

SIMPLE: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
    "null": (type(None),),
}
TABLE = re.compile(r"^### (\w+)\n(.*?)(?=^##|\Z)", re.DOTALL | re.MULTILINE)
ROW = re.compile(r"^\| `([^`|]+)` \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
MAY_LACK = re.compile(r"\bonly (with|where)\b|may be left out|left out (with|in)\b")


def rows_below(text: str, head: Sequence[str]) -> list[list[str]]:
    """Return the cells of each row of the table with this head."""
    lines = text[text.index(f"| {' | '.join(head)} |") :].splitlines()[2:]
    rows = takewhile(lambda line: line.startswith("|"), lines)
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


class Described:
    """The tables of a page, and the fields of them that have been seen in real objects.

    Args:
        page: its name in docs/reference.
        more: fields that a table leaves to another page, by the name of the table.
    """

    def __init__(self, page: str, more: Mapping[str, Collection[str]] | None = None) -> None:
        text = Path(ROOT / "docs" / "reference" / page).read_text(encoding="utf-8")
        self.tables = dict[str, dict[str, tuple[str, str]]]()
        for name, section in TABLE.findall(text):
            rows = {field: (kind, meaning) for field, kind, meaning in ROW.findall(section)}
            inherited = re.findall(r"(?:All fields|and) of (\w+)", section)
            if rows or inherited:
                self.tables[name] = {}
                for base in inherited:
                    self.tables[name] |= self.tables[base]
                self.tables[name] |= rows
        self._more = more or {}
        self._seen = set[tuple[str, str]]()

    def check(self, record: object, name: str) -> None:
        """Fail where an object has a field that is not described, or lacks one that must be there.

        Args:
            record: a value that was read from JSON.
            name: of the table.
        """
        assert isinstance(record, dict), (name, record)
        table, more = self.tables[name], self._more.get(name, ())
        must = {field for field, (_, meaning) in table.items() if not MAY_LACK.search(meaning)}
        foreign, missing = record.keys() - {*table, *more}, must - record.keys()
        assert not foreign and not missing, (name, foreign, missing)
        for field, value in record.items():
            if field in table:
                self._check_type(value, table[field][0], f"{name}.{field}")
                self._seen.add((name, field))

    def _check_type(self, value: object, kind: str, where: str) -> None:
        """Fail if a value is not of a type such as `array of Word or null`."""
        kind, _, null = kind.partition(" or ")
        assert null in ("", "null"), where
        if value is None:
            assert null, where
            return
        outer, _, inner = kind.partition(" of ")
        if inner:
            assert isinstance(value, list if outer == "array" else dict), where
            for each in value.values() if isinstance(value, dict) else value:
                self._check_type(each, inner, where)
        elif kind in SIMPLE:
            assert isinstance(value, SIMPLE[kind]), (where, value)
            assert isinstance(value, bool) == (kind == "boolean"), (where, value)
        else:
            self.check(value, kind)

    def unseen(self, *names: str) -> list[str]:
        """Return the fields of these tables that no object had."""
        return [
            f"{name}.{field}"
            for name in names
            for field in self.tables[name]
            if (name, field) not in self._seen
        ]

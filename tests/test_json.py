"""The one reader of JSON: a value of the type asked for, or one ValueError of one line."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from asr._json import MOST_BYTES, parse_json, read_json

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), VALUES))
def test_reads_what_json_writes(value: dict[str, Any]):
    assert parse_json(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "truncated"),
        (b"[1]", "Expected `object`, got `array`"),
        (b'{"a": NaN}', "malformed"),
        (b'{"a": Infinity}', "malformed"),
        (b'{"a": 1e999}', "out of range"),
        (b'{"a": 1} {', "malformed"),
        (b'{"a": "\xff"}', "malformed|UTF-8"),
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deep"),
    ],
)
def test_all_else_is_one_line(content: bytes, message: str, tmp_path: Path):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(ValueError, match=message) as raised:
        read_json(tmp_path / "x.json")
    assert "\n" not in str(raised.value)


def test_numbers_are_of_the_type_asked_for():
    assert parse_json(b'{"a": 1}', dict[str, float]) == {"a": 1.0}
    with pytest.raises(ValueError, match=r"Expected `float`, got `str`"):
        parse_json(b'{"a": "1"}', dict[str, float])
    with pytest.raises(ValueError, match="out of range"):
        parse_json(b'{"a": ' + b"9" * 400 + b"}", dict[str, float])


def test_a_file_without_end_is_not_read_to_its_end(tmp_path: Path):
    (tmp_path / "x.json").write_bytes(b'{"a": "' + b"x" * MOST_BYTES + b'"}')
    with pytest.raises(ValueError, match=f"more than {MOST_BYTES} bytes"):
        read_json(tmp_path / "x.json")


def test_damage_is_a_value_error_or_a_value():
    content = json.dumps({"a": [1, 2.5, {"b": None}], "c": "d\u00e9"}).encode()
    rng = random.Random(0)
    for _ in range(3000):
        damaged = bytearray(content)
        for _ in range(rng.randint(1, 4)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        try:
            parse_json(bytes(damaged))
        except ValueError:
            continue

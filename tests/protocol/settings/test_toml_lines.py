"""Each key of a TOML file is found on its line, whatever way of writing it was chosen."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from protocol.settings.findings import under
from protocol.settings.toml_lines import line_of, lines

EXAMPLES = Path(__file__).parents[3] / "examples"

TEXT = '''# "[no]"
a = "x = [ # {"
b.c = 1.5
[t]  # [u]
d = """
e = 1
"""
"f g" = 'h"'
[[asset]]
[[asset.scan]]
tags = [
  { name = "]", at = "}" },  # {
  { name = "x", list = [1, [2, 3]] },
]
[[asset.scan]]
every = "1s"
[asset.modbus]
unit = 1
[[asset]]
[[asset.scan]]
every = 2026-01-01T00:00:00Z
'''

PLACES = {
    "a": 2,
    "b.c": 3,
    "t": 4,
    "t.d": 5,
    "t.f g": 8,
    "asset[0]": 9,
    "asset[0].scan[0].tags": 11,
    "asset[0].scan[0].tags[0].at": 12,
    "asset[0].scan[0].tags[1].list[1]": 13,
    "asset[0].scan[1].every": 16,
    "asset[0].modbus.unit": 18,
    "asset[1].scan[0].every": 21,
}


def paths(value: Any, path: str = "") -> list[str]:
    """Every key path of a file's content that has a value of its own."""
    if isinstance(value, dict):
        return [one for key in value for one in paths(value[key], under(path, key))]
    if isinstance(value, list) and value:
        return [one for index, item in enumerate(value) for one in paths(item, under(path, index))]
    return [path]


def test_every_way_of_writing_a_key_has_its_line() -> None:
    """Brackets in texts and comments lead nowhere."""
    tomllib.loads(TEXT)
    known = lines(TEXT)
    assert {path: known[path] for path in PLACES} == PLACES
    assert line_of("asset[0].scan[0].tags[1].at", known) == 13, "what is missing is looked for at its table"
    assert line_of("nowhere", known) == 0
    assert line_of("asset", known) == 0


@pytest.mark.parametrize("name", ["sender.toml", "receiver.toml"])
def test_each_key_of_the_examples_is_found(name: str) -> None:
    """None is passed over, and its name stands in its line."""
    text = (EXAMPLES / name).read_text()
    known, rows = lines(text), text.split("\n")
    for path in paths(tomllib.loads(text)):
        assert path in known
        assert path.rstrip("]0123456789[").rpartition(".")[2] in rows[known[path] - 1]

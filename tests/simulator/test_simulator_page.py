"""docs/simulator.md says of signals and control words what the source does."""

from __future__ import annotations

import re
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest

from simulator.control import obey
from simulator.plant.signals import KINDS

PAGE = (Path(__file__).parents[2] / "docs/simulator.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| `(\w+)` \| ((?:`[^`|]+` ?)+)\|", PAGE[PAGE.index("### Signals") :], re.MULTILINE))


def told(default: Any) -> str:
    """A default as TOML writes it; a whole number without its point."""
    if isinstance(default, str):
        return f'"{default}"'
    return str(default).lower() if isinstance(default, bool) else f"{default:g}"


def test_every_kind_of_signal_is_on_the_page() -> None:
    """And none that is not there."""
    assert list(ROWS) == list(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_of_a_signal_is_on_the_page_with_its_default(kind: str) -> None:
    """In the order of the source; what has a default stands in brackets with it."""
    expected = [
        one.name if one.default is MISSING else f"[{one.name} = {told(one.default)}]" for one in fields(KINDS[kind])
    ]
    assert re.findall(r"`([^`]+)`", ROWS[kind]) == expected


def test_every_control_word_is_on_the_page() -> None:
    """What the control answers to a word that it does not know are the words of the page."""
    words = re.findall(r"\b([a-z]+)(?= ASSET)|or ([a-z]+)$", obey("help", {}).removeprefix("error: write "))
    for word in filter(None, (one or two for one, two in words)):
        assert re.search(rf'"{word} |`{word} |\b{word}\b,|, {word}\b', PAGE), word

"""Names as levels of a topic, reversible, and inert whatever they are (pure).

A level keeps letters and digits of ASCII, `-`, `_`, `.` and `~`; every other byte of its UTF-8 is `%XX`. So `/`, `+`,
`#`, `$`, NUL, spaces and letters of any script make no other topic and no wildcard. An empty name is `%` alone, which
no other name becomes.
"""

from __future__ import annotations

from urllib.parse import quote, unquote

EMPTY = "%"


def level(name: str) -> str:
    """A name as one level of a topic."""
    return quote(name, safe="") or EMPTY


def name_of(text: str) -> str:
    """The name that `level` made a level of."""
    return "" if text == EMPTY else unquote(text, errors="strict")

"""Values in a small state file, read without being believed: of this shape, or refused.

    count     an int of a range        place    [segment, offset]
    seconds   a time, 0 or more        ranges   [[first, after], ..], rising and apart

JSON knows no unsigned numbers, and Python takes True for 1 and 1.0 for a key: so a type is what it is, and nothing is
made of text. What is refused here, `statefile.load` sets aside.
"""

from __future__ import annotations

import math
from typing import Any

from protocol.store.resync import Place

NUMBERS_END = 2**64
"""Block numbers are below this; one past the last is a number in a range."""
PLACES_END = 2**63
"""Segments and offsets that are believed are at most this."""


def count(value: Any, most: int = NUMBERS_END) -> int:
    """A whole number from 0 to `most`.

    Raises:
        ValueError: it is something else.
    """
    if type(value) is not int or not 0 <= value <= most:
        raise ValueError(f"{value!r} is no count"[:80])
    return value


def seconds(value: Any) -> float:
    """A finite time [s].

    Raises:
        ValueError: it is something else.
    """
    if type(value) not in (int, float) or not 0 <= value < math.inf:
        raise ValueError(f"{value!r} is no time"[:80])
    return float(value)


def place(value: Any) -> Place:
    """A place in a segment store.

    Raises:
        TypeError, ValueError: it is something else.
    """
    segment, offset = value
    return Place(count(segment, PLACES_END), count(offset, PLACES_END))


def rows(value: Any) -> list[Any]:
    """A list, of anything.

    Raises:
        TypeError: it is something else.
    """
    if not isinstance(value, list):
        raise TypeError("no list")
    return value


def ranges(value: Any) -> list[tuple[int, int]]:
    """Half-open ranges of block numbers, rising and apart.

    Raises:
        TypeError, ValueError: they are something else.
    """
    out: list[tuple[int, int]] = []
    end = -1
    for first, after in rows(value):
        if not end < count(first) < count(after):
            raise ValueError(f"range {first} to {after}")
        out.append((first, after))
        end = after
    return out

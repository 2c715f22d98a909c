"""Facts of a trail entry read back: each of the type it was written with, or the record cannot be understood.

A register that misreads a record would allow what nobody decided, so a fact of another type is an error, never a
default: the caller then allows nothing at all.
"""

from __future__ import annotations

from collections.abc import Mapping

from receiver.governed.trail.entry import Fact


def text(facts: Mapping[str, Fact], key: str, default: str | None = None) -> str:
    """A text; without a default it must be there.

    Raises:
        ValueError: It is missing, or something else.
    """
    held = facts.get(key, default)
    if not isinstance(held, str):
        raise ValueError(f"{key} is {held!r}, a text is expected")
    return held


def whole(facts: Mapping[str, Fact], key: str, default: int | None = None) -> int:
    """A whole number; without a default it must be there.

    Raises:
        ValueError: It is missing, or something else.
    """
    held = facts.get(key, default)
    if not isinstance(held, int) or isinstance(held, bool):
        raise ValueError(f"{key} is {held!r}, a whole number is expected")
    return held


def yes(facts: Mapping[str, Fact], key: str) -> bool:
    """True or false; missing is false.

    Raises:
        ValueError: It is something else.
    """
    held = facts.get(key, False)
    if not isinstance(held, bool):
        raise ValueError(f"{key} is {held!r}, true or false is expected")
    return held


def seconds(facts: Mapping[str, Fact], key: str) -> float | None:
    """A length [s], or None where there is none.

    Raises:
        ValueError: It is something else.
    """
    held = facts.get(key)
    if held is None:
        return None
    if isinstance(held, bool) or not isinstance(held, int | float):
        raise ValueError(f"{key} is {held!r}, seconds are expected")
    return float(held)


def texts(facts: Mapping[str, Fact], key: str) -> tuple[str, ...]:
    """A list of texts; missing is empty.

    Raises:
        ValueError: It is something else.
    """
    held = facts.get(key, [])
    if not isinstance(held, list) or not all(isinstance(one, str) for one in held):
        raise ValueError(f"{key} is {held!r}, a list of texts is expected")
    return tuple(one for one in held if isinstance(one, str))


def pairs(facts: Mapping[str, Fact], key: str) -> tuple[tuple[str, str], ...]:
    """A list of pairs of texts; missing is empty.

    Raises:
        ValueError: It is something else.
    """
    held = facts.get(key, [])
    found: list[tuple[str, str]] = []
    for one in held if isinstance(held, list) else [held]:
        match one:
            case [str() as first, str() as second]:
                found.append((first, second))
            case _:
                raise ValueError(f"{key} holds {one!r}, a pair of texts is expected")
    return tuple(found)

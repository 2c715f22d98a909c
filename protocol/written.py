"""Values as they are written for people: durations, counts, and TOML. The other way is `text.py` and `tomllib`."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence

from protocol.inert import spelled
from protocol.text import SECONDS

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def duration(value_s: float) -> str:
    """Seconds in the largest unit that leaves no more than three decimals: 0.1 -> `100ms`, 900 -> `15m`.

    Args:
        value_s: At least 0 [s].
    """
    for unit in ("d", "h", "m", "s", "ms"):
        scaled = value_s / SECONDS[unit]
        if scaled >= 1 and (unit in ("s", "ms") or math.isclose(scaled, round(scaled), rel_tol=1e-9)):
            return f"{round(scaled, 3):g}{unit}" if scaled < 1e6 else f"{scaled:.0f}{unit}"
    return f"{round(value_s / SECONDS['us'], 3):g}us" if value_s else "0s"


def span(seconds: float) -> str:
    """A length of time in its two largest units: 0.4 s, 12 s, 3 min 5 s, 2 h 10 min, 4 d 3 h.

    Args:
        seconds: Finite [s].
    """
    if seconds < 0:
        return "\N{MINUS SIGN}" + span(-seconds)
    if seconds < 10:
        return f"{math.floor(seconds * 10) / 10:.1f} s"
    whole = math.floor(seconds)
    for size, name, below, under in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // below
            return f"{whole // size} {name} {rest} {under}" if rest else f"{whole // size} {name}"
    return f"{whole} s"


def counted(count: int, one: str) -> str:
    """`1 asset`, `2 assets`; `one` is a noun whose plural ends in s."""
    return f"{count} {one}" if count == 1 else f"{count} {one}s"


def toml(value: object) -> str:
    """A value as TOML 1.0 writes it: text, number, true, false, list, or inline table.

    What `inert` would escape is a TOML escape here, so that it is one safe line and reads back to the same text.

    Raises:
        ValueError: a value that TOML cannot hold.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return "".join(spelled(json.dumps(value, ensure_ascii=False), _escape))
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{toml_key(key)} = {toml(one)}" for key, one in value.items()) + " }"
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return "[" + ", ".join(map(toml, value)) + "]"
    raise ValueError(f"TOML has no {type(value).__name__}")


def toml_key(key: str) -> str:
    """A key, in quotes where TOML asks for them."""
    return key if _BARE.fullmatch(key) else toml(key)


def _escape(letter: str) -> str:
    code = ord(letter)
    if 0xD800 <= code < 0xE000:
        raise ValueError(f"TOML has no lone surrogate, \\u{code:04x}")
    return f"\\u{code:04X}" if code < 0x10000 else f"\\U{code:08X}"

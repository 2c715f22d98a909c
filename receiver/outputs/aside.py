"""What an output has set aside: how it is listed, and how a person asks for it to be sent again or dropped.

A person's wish is a small file, `aside-OUTPUT.json`, that the output's process takes up within seconds; where the
process does not run it waits there. So the store has one writer, as always. What is sent again waits until nothing else
does: live data come first.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from protocol.store import statefile


class AsideWish(Enum):
    """What a person wants done with what is set aside."""

    RESEND = "resend"
    DROP = "drop"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """One group of samples that the destination refused together."""

    number: int
    """Rising; one group keeps its number."""
    time_ns: int
    """When it was refused [ns since 1970 UTC]."""
    why: str
    """The class of refusal, in words."""
    message: str
    """The destination's own words."""
    samples: int
    example: str
    """One of them, as it was sent."""


def wish_file(state: Path, name: str) -> Path:
    """Where a wish for the output of that name waits."""
    return state / f"aside-{name}.json"


def ask(state: Path, name: str, wish: AsideWish, upto: int) -> None:
    """Leave a wish for all groups up to a number."""
    statefile.write(wish_file(state, name), statefile.pack({"wish": wish.value, "upto": upto}))


def wished(path: Path, *, wall_ns: int) -> tuple[AsideWish, int] | None:
    """The wish that waits, if any; what is no wish is set aside as damaged."""
    return statefile.load(path, _wish, lambda line: None, wall_ns=wall_ns)


def done(path: Path) -> None:
    """The wish was carried out."""
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


def _wish(held: Mapping[str, Any]) -> tuple[AsideWish, int]:
    upto = held["upto"]
    if type(upto) is not int or not 0 <= upto < 2**62:
        raise ValueError("no number")
    return AsideWish(held["wish"]), upto

"""What the receiver remembers of the order (`state/floor.json`), and how a person changes it (`state/accept.json`).

    floor.json   {"link": [boot, counter] | null, "beat": [boot, counter] | null, "confirmed": bool, "lowered": n}
    accept.json  {"session": "9f3a01c2"}   confirm this session
                 {"lower": true}           forget the floors: the next LINK is taken whatever its order

A recorded LINK or BEAT that is played again stands below its floor and is refused, also after a restart. Without a
floor nothing says whether what comes is old; then the sender's wall clock is looked at, and a person where that is off.
So a `floor.json` that is damaged is set aside and told, and then is as one that is missing.

`lowered` counts how often a person said that what comes now is the present though its order is lower, or unknown. A
stream that is first heard afterwards keeps that count for ever (ledger.py), and by it outranks those before.

`floor.json` is written by the writing thread, `accept.json` by the command line; both by rename.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from protocol.errors import ConfigError, StoreError
from protocol.store import fields, statefile

LOWERED_MOST = 255
"""A floor is lowered this often: the count has a byte in each journaled record."""

Order: TypeAlias = tuple[int, int]
"""(boot, counter), as LINK and BEAT carry it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Floors:
    """What was accepted so far."""

    link: Order | None = None
    """Of the newest session; a LINK at or above it is taken."""
    beat: Order | None = None
    """Of the newest beat; a BEAT above it is taken."""
    confirmed: bool = False
    """Beats within a day of our clock, or a person, said that this is the present."""
    lowered: int = 0
    """How often a person lowered the floors, or confirmed a session that none was known for, 0 to LOWERED_MOST."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptRequest:
    """What a person asked for."""

    session: int | None = None
    """Confirm this session."""
    lower: bool = False
    """Forget the floors."""


def load(state: Path, say: Callable[[str], None], *, wall_ns: int) -> Floors:
    """The floors of the last run; none where there was none, or where the file cannot be believed.

    Args:
        say: Told, in one line, of a file that was set aside.
        wall_ns: Wall time, for its name then [ns since 1970 UTC].

    Raises:
        StoreError: the disk does not give the file though it is there.
    """
    return statefile.load(state / "floor.json", floors_from, say, wall_ns=wall_ns) or Floors()


def save(state: Path, floors: Floors) -> None:
    """Replace the file; synced.

    Raises:
        OSError: the disk is full or fails.
    """
    held = {"link": floors.link, "beat": floors.beat, "confirmed": floors.confirmed, "lowered": floors.lowered}
    statefile.write(state / "floor.json", statefile.pack(held))


def pop_request(state: Path, say: Callable[[str], None], *, wall_ns: int) -> AcceptRequest | None:
    """The request that was left, which is then gone; None where there is none or it cannot be believed.

    Args:
        say: Told, in one line, of a file that was set aside.
        wall_ns: Wall time, for its name then [ns since 1970 UTC].
    """
    path = state / "accept.json"
    try:
        request = statefile.load(path, _request, say, wall_ns=wall_ns)
    except StoreError as error:
        say(f"accept.json: {error}")
        request = None
    with contextlib.suppress(OSError):
        path.unlink()
    return request


def _request(held: Mapping[str, Any]) -> AcceptRequest:
    text = held.get("session")
    try:
        session = None if text is None else session_number(text)
        return AcceptRequest(session=session, lower=held.get("lower") is True)
    except ConfigError as error:
        raise ValueError(str(error)) from error


def session_number(text: str) -> int:
    """The number of a session as status shows it.

    Raises:
        ConfigError: it is not eight hex digits.
    """
    plain = text.replace(" ", "").lower()
    if len(plain) != 8 or not set(plain) <= set("0123456789abcdef"):
        raise ConfigError(f'"{text}" is no session', hint="write the eight hex digits that status shows")
    return int(plain, 16)


def floors_from(content: Mapping[str, Any]) -> Floors:
    """What `floor.json` holds.

    Raises:
        ValueError, KeyError, TypeError: no floors.
    """
    confirmed = content["confirmed"]
    if type(confirmed) is not bool:
        raise TypeError("no floors")
    lowered = fields.count(content.get("lowered", 0), LOWERED_MOST)
    return Floors(link=_order(content["link"]), beat=_order(content["beat"]), confirmed=confirmed, lowered=lowered)


def _order(value: Any) -> Order | None:
    if value is None:
        return None
    boot, counter = value
    return fields.count(boot, 2**64 - 1), fields.count(counter, 2**64 - 1)

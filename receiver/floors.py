"""What the receiver remembers of the order (`state/floor.json`), and how a person changes it (`state/accept.json`).

    floor.json   {"link": [boot, counter] | null, "beat": [boot, counter] | null, "confirmed": bool}
    accept.json  {"session": "9f3a01c2"}   confirm this session
                 {"lower": true}           forget the floors: the next LINK is taken whatever its order

A recorded LINK or BEAT that is played again stands below its floor and is refused, also after a restart. Without a
floor nothing says whether what comes is old; then the sender's wall clock is looked at, and a person where that is off.

`floor.json` is written by the writing thread, `accept.json` by the command line; both by rename.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from protocol import statefile
from protocol.errors import ConfigError, StoreError

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a person asked for."""

    session: int | None = None
    """Confirm this session."""
    lower: bool = False
    """Forget the floors."""


def load(state: Path) -> Floors:
    """The floors of the last run; none where there was none.

    Raises:
        StoreError: the file cannot be read, or holds something else.
    """
    path = state / "floor.json"
    try:
        held = json.loads(path.read_text())
        return Floors(link=_order(held["link"]), beat=_order(held["beat"]), confirmed=held["confirmed"] is True)
    except FileNotFoundError:
        return Floors()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path} cannot be read ({error}); take it away and confirm the session anew") from error


def save(state: Path, floors: Floors) -> None:
    """Replace the file; synced.

    Raises:
        OSError: the disk is full or fails.
    """
    held = {"link": floors.link, "beat": floors.beat, "confirmed": floors.confirmed}
    statefile.write(state / "floor.json", json.dumps(held).encode())


def request_accept(state: Path, *, session: str | None = None, lower: bool = False) -> None:
    """Leave a request for catch, which takes it up within a second.

    Args:
        session: The session's eight hex digits, as `status` shows them.
        lower: Forget the floors.

    Raises:
        ConfigError: nothing was asked for, or the session is not written so.
    """
    if session is None and not lower:
        raise ConfigError("nothing to accept", hint="name the session that status shows, or lower the floor")
    request: dict[str, Any] = {"lower": True} if lower else {}
    if session is not None:
        request["session"] = f"{_session(session):08x}"
    statefile.write(state / "accept.json", json.dumps(request).encode())


def take_request(state: Path) -> Request | None:
    """The request that was left, which is then gone; None where there is none or it cannot be read."""
    path = state / "accept.json"
    try:
        held = json.loads(path.read_text())
        path.unlink()
        session = held.get("session")
        return Request(session=None if session is None else _session(session), lower=held.get("lower") is True)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, AttributeError, TypeError, ConfigError):
        path.unlink(missing_ok=True)
        return None


def _session(text: str) -> int:
    plain = text.replace(" ", "").lower()
    if len(plain) != 8 or not set(plain) <= set("0123456789abcdef"):
        raise ConfigError(f'"{text}" is no session', hint="write the eight hex digits that status shows")
    return int(plain, 16)


def _order(held: Any) -> Order | None:
    if held is None:
        return None
    boot, counter = held
    return int(boot), int(counter)
